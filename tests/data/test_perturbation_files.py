"""CIFAR-10-P's layout in small, with every fault, and what is read from it."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nsbench.corruptions import perturbations
from nsbench.data.images import Dataset
from nsbench.data.library.manifests import load_source
from nsbench.data.load import load_dataset
from nsbench.data.npy.perturbations import open_perturbation_files
from nsbench.errors import UserError
from nsbench.protocols.cifar import CIFAR10_P
from tests.data.test_corruption_files import COUNT, small_dataset

FRAMES = {"gaussian_noise": 31, "motion_blur": 21, "translate": 16, "zoom_blur": 31, "rotate": 31}
CLEAN_FRAME = {"gaussian_noise": 0, "zoom_blur": 0, "translate": 7}
NAMES = tuple(FRAMES)


def official(name: str, dataset: Dataset) -> np.ndarray[Any, Any]:
    """What the file of a perturbation holds: a pixel says which image and frame it is, except in clean frames."""
    numbers = np.arange(COUNT, dtype=np.uint8)[:, None] * 20 + np.arange(FRAMES[name], dtype=np.uint8)
    frames = np.broadcast_to(numbers[..., None, None, None], (COUNT, FRAMES[name], 32, 32, 3)).copy()
    if name in CLEAN_FRAME:
        frames[:, CLEAN_FRAME[name]] = dataset.test.images
    return frames


def write_official(folder: Path, dataset: Dataset) -> Path:
    """The official layout, in `folder` itself."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        np.save(folder / f"{name}.npy", official(name, dataset))
    return folder


def describe(folder: Path, **said: Any) -> None:
    """Turn the arrays in `folder` into a generated set."""
    (folder / "nsbench-set.json").write_text(json.dumps({"set": "nsbench-p v1", "severities": []} | said))


@pytest.fixture
def dataset() -> Dataset:
    return small_dataset()


@pytest.fixture
def folder(tmp_path: Path, dataset: Dataset) -> Path:
    return write_official(tmp_path / "CIFAR-10-P", dataset)


def refused(data_folder: Path, dataset: Dataset, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_perturbation_files(data_folder, dataset, NAMES)


def test_the_sequences_of_each_perturbation_are_read_as_they_are(folder: Path, dataset: Dataset) -> None:
    files = open_perturbation_files(folder.parent, dataset, NAMES)
    assert (files.folder, files.names, len(files), files.generated) == (folder, NAMES, COUNT, None)
    for name in NAMES:
        found = files.read(name)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, official(name, dataset))


@pytest.mark.parametrize("rows", [slice(3), slice(3, 5), slice(9, 99), slice(None, None, 5), slice(-2, None)])
def test_rows_are_sequences(folder: Path, dataset: Dataset, rows: slice) -> None:
    files = open_perturbation_files(folder.parent, dataset, NAMES)
    np.testing.assert_array_equal(files.read("translate", rows), official("translate", dataset)[rows])


def test_every_published_perturbation_has_its_published_number_of_frames() -> None:
    shapes = {file.name.removesuffix(".npy"): file.shape for file in load_source("cifar10-p").files}
    assert len(shapes) == 20
    assert {one.name: (10_000, one.frames, 32, 32, 3) for one in CIFAR10_P.members} == shapes


def test_cifar100_p_is_read_by_the_same_code(tmp_path: Path) -> None:
    other = small_dataset("cifar100", "CIFAR-100", 100)
    write_official(tmp_path / "CIFAR-100-P", other)
    assert open_perturbation_files(tmp_path, other, NAMES).folder.name == "CIFAR-100-P"


def test_the_data_folder_may_be_the_folder_of_the_arrays_under_any_name(folder: Path, dataset: Dataset) -> None:
    assert open_perturbation_files(folder, dataset, NAMES).folder == folder
    renamed = folder.rename(folder.parent / "renamed")
    assert open_perturbation_files(renamed, dataset, NAMES).folder == renamed


def test_a_folder_of_corruptions_is_not_taken_for_perturbations(folder: Path, dataset: Dataset) -> None:
    np.save(folder / "labels.npy", np.zeros(5 * COUNT))
    refused(folder.rename(folder.parent / "CIFAR-10-C"), dataset, "holds no CIFAR-10-P: download it with")


def test_further_arrays_are_ignored_and_named(folder: Path, dataset: Dataset) -> None:
    (folder / "gaussian_noise_2.npy").write_bytes(b"never opened")
    assert open_perturbation_files(folder, dataset, NAMES).ignored == ("gaussian_noise_2",)


def test_all_missing_perturbations_are_named_at_once(folder: Path, dataset: Dataset) -> None:
    for name in ("rotate", "translate"):
        (folder / f"{name}.npy").unlink()
    refused(
        folder,
        dataset,
        r"CIFAR-10-P does not hold translate.npy, rotate.npy: download it again .*cifar10-p`",
    )


FAULTS: dict[str, tuple[str, np.ndarray[Any, Any], str]] = {
    "another type": ("rotate", np.zeros((COUNT, 31, 32, 32, 3), np.int8), "rotate.npy holds int8 instead of uint8"),
    "too many frames": (
        "translate",
        np.zeros((COUNT, 31, 32, 32, 3), np.uint8),
        r"translate.npy has the shape \(12, 31, 32, 32, 3\) instead of \(12, 16, 32, 32, 3\): download",
    ),
    "too few frames": ("motion_blur", np.zeros((COUNT, 20, 32, 32, 3), np.uint8), r"\(12, 20, .* \(12, 21, "),
    "too few sequences": ("rotate", np.zeros((COUNT - 1, 31, 32, 32, 3), np.uint8), r"\(11, 31, .* \(12, 31, "),
    "frames in one row": ("rotate", np.zeros((COUNT * 31, 32, 32, 3), np.uint8), r"\(372, 32, 32, 3\) instead of"),
    "Fortran order": ("rotate", np.zeros((COUNT, 31, 32, 32, 3), np.uint8, "F"), "rotate.npy is in Fortran order"),
    "Python objects": ("rotate", np.array([{}]), "rotate.npy holds Python objects"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_array_of_another_kind_is_one_sentence(folder: Path, dataset: Dataset, fault: str) -> None:
    name, array, message = FAULTS[fault]
    np.save(folder / f"{name}.npy", array)
    refused(folder, dataset, message)


@pytest.mark.parametrize(("change", "message"), [(-1, "truncated"), (1, "too long")])
def test_a_file_of_another_length_is_one_sentence(folder: Path, dataset: Dataset, change: int, message: str) -> None:
    path = folder / "motion_blur.npy"
    size = path.stat().st_size
    os.truncate(path, size + change)
    refused(
        folder, dataset, rf"motion_blur.npy is {message} \(expected {size} bytes, found {size + change}\): download"
    )


@pytest.mark.parametrize("name", CLEAN_FRAME)
def test_a_sequence_whose_clean_frame_is_another_image_is_reported(folder: Path, dataset: Dataset, name: str) -> None:
    frames = official(name, dataset)
    frames[4, CLEAN_FRAME[name], 31, 31, 2] ^= 1
    np.save(folder / f"{name}.npy", frames)
    refused(
        folder,
        dataset,
        rf"Frame {CLEAN_FRAME[name]} of sequence 4 in .*{name}.npy is not the clean test image "
        r"\(1 of 12 sequences differ\), so it belongs to other images: download",
    )


def test_of_many_sequences_some_dozen_from_first_to_last_are_compared(tmp_path: Path) -> None:
    large = small_dataset(count=100)
    frames = np.repeat(large.test.images[:, None], 16, axis=1)
    frames[60:] = 0
    np.save(tmp_path / "translate.npy", frames)
    with pytest.raises(UserError, match=r"of sequence 60 in .*\(14 of 34 sequences differ\)"):
        open_perturbation_files(tmp_path, large, ["translate"])


def test_sequences_in_another_order_are_reported(folder: Path, dataset: Dataset) -> None:
    np.save(folder / "zoom_blur.npy", official("zoom_blur", dataset)[::-1])
    refused(folder, dataset, r"zoom_blur.npy is not the clean test image \(12 of 12 sequences differ\)")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_an_unreadable_folder_is_one_sentence(folder: Path, dataset: Dataset) -> None:
    folder.chmod(0)
    try:
        refused(folder.parent, dataset, r"CIFAR-10-P.* cannot be read \(Permission denied\): check the disk")
    finally:
        folder.chmod(0o700)


def test_a_circle_of_links_is_one_sentence(tmp_path: Path, dataset: Dataset) -> None:
    (tmp_path / "CIFAR-10-P").symlink_to(tmp_path / "CIFAR-10-P")
    refused(tmp_path, dataset, r"CIFAR-10-P cannot be read \(Too many levels of symbolic links\)")


def test_a_generated_set_says_so_and_may_have_the_first_images_only(folder: Path, dataset: Dataset) -> None:
    for name in NAMES:
        np.save(folder / f"{name}.npy", official(name, dataset)[:5])
    refused(folder, dataset, r"\(5, 31, 32, 32, 3\) instead of \(12, 31, 32, 32, 3\): download it again")
    describe(folder, images=5, data_checksum=dataset.checksum)
    files = open_perturbation_files(folder, dataset, NAMES)
    assert files.generated is not None
    assert (files.generated["set"], len(files)) == ("nsbench-p v1", 5)
    np.testing.assert_array_equal(files.read("rotate", slice(3, None)), official("rotate", dataset)[3:5])
    describe(folder, images=4, data_checksum=dataset.checksum)
    refused(folder, dataset, r"\(5, 31, 32, 32, 3\) instead of \(4, 31, 32, 32, 3\): make it again with `nsbench data")
    describe(folder, images=5, data_checksum="0" * 64)
    refused(folder, dataset, "its images were not made of CIFAR-10 as it is here")


@pytest.mark.cifar
def test_sequences_of_the_real_test_images_begin_with_the_clean_image_where_the_published_ones_do(
    tmp_path: Path,
) -> None:
    real = load_dataset("cifar10", Path(os.environ["NSBENCH_TEST_CIFAR10"]))
    count, names = 8, ("gaussian_noise", "shot_noise_2", "speckle_noise_3", "zoom_blur", "translate", "snow")
    for name in names:
        images, indices = torch.tensor(real.test.images[:count]), torch.arange(count)
        np.save(tmp_path / f"{name}.npy", perturbations.perturb(images, name, indices=indices).numpy())
    describe(tmp_path, images=count, data_checksum=real.checksum)
    files = open_perturbation_files(tmp_path, real, names)
    assert files.read("translate", slice(2)).shape == (2, 16, 32, 32, 3)
    np.save(tmp_path / "translate.npy", np.roll(files.read("translate"), 1, axis=1))
    with pytest.raises(UserError, match=r"Frame 7 of sequence 0 in .*translate.npy is not the clean test image"):
        open_perturbation_files(tmp_path, real, names)
