"""CIFAR-10-C's layout in small, with every fault, and what is read from it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nsbench.corruptions.corruptions import corrupt
from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.load import load_dataset
from nsbench.data.npy.corruptions import CorruptionFiles, open_corruption_files
from nsbench.errors import UserError

COUNT = 12
NAMES = ("fog", "snow", "gaussian_noise")
SHAPE = (5 * COUNT, 32, 32, 3)


def small_dataset(name: str = "cifar10", title: str = "CIFAR-10", classes: int = 10, count: int = COUNT) -> Dataset:
    """A data set of `count` test images, none like another."""
    random = np.random.default_rng(7)
    images = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    test = ImageSet(images, random.integers(0, classes, count))
    plain = (0.5, 0.5, 0.5)
    labels = tuple(map(str, range(classes)))
    return Dataset(name, title, "none", "none", labels, plain, plain, test, test, content_checksum(test, test))


def official(name: str) -> np.ndarray[Any, Any]:
    """What the file of a corruption holds: every pixel of an image says which corruption, severity and image it is."""
    numbers = np.arange(5 * COUNT, dtype=np.uint8) + 60 * NAMES.index(name)
    return np.broadcast_to(numbers[:, None, None, None], SHAPE).copy()


def write_official(folder: Path, dataset: Dataset, kind: type = np.uint8) -> Path:
    """The official layout, in `folder` itself."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        np.save(folder / f"{name}.npy", official(name))
    np.save(folder / "labels.npy", np.tile(dataset.test.labels, 5).astype(kind))
    return folder


def write_generated(
    folder: Path,
    dataset: Dataset,
    images: int,
    severities: tuple[int, ...] = (1, 2, 3, 4, 5),
    says: dict[str, Any] | None = None,
) -> Path:
    """A generated set of the first `images` test images; `says` replaces what its description says."""
    folder.mkdir(parents=True, exist_ok=True)
    blocks = np.concatenate([np.arange(images) + COUNT * (severity - 1) for severity in severities])
    for name in NAMES:
        np.save(folder / f"{name}.npy", official(name)[blocks])
    np.save(folder / "labels.npy", np.tile(dataset.test.labels[:images], len(severities)).astype(np.uint8))
    description = {"set": "nsbench-c v1", "data_checksum": dataset.checksum, "images": images}
    description |= {"severities": list(severities)} | (says or {})
    (folder / "nsbench-set.json").write_text(json.dumps(description))
    return folder


@pytest.fixture
def dataset() -> Dataset:
    return small_dataset()


@pytest.fixture
def folder(tmp_path: Path, dataset: Dataset) -> Path:
    return write_official(tmp_path / "CIFAR-10-C", dataset)


def refused(data_folder: Path, dataset: Dataset, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_corruption_files(data_folder, dataset, NAMES)


def test_each_severity_of_each_corruption_is_its_block(folder: Path, dataset: Dataset) -> None:
    files = open_corruption_files(folder.parent, dataset, NAMES)
    assert (files.folder, files.names, files.severities, len(files)) == (folder, NAMES, (1, 2, 3, 4, 5), COUNT)
    for name in NAMES:
        for severity in range(1, 6):
            first = 60 * NAMES.index(name) + (severity - 1) * COUNT
            found = files.read(name, severity)
            assert found.shape == (COUNT, 32, 32, 3)
            assert (found == np.arange(first, first + COUNT)[:, None, None, None]).all()


@pytest.mark.parametrize("rows", [slice(3), slice(3, 5), slice(9, 99), slice(None, None, 5), slice(-2, None)])
def test_rows_are_counted_within_the_severity(folder: Path, dataset: Dataset, rows: slice) -> None:
    files = open_corruption_files(folder.parent, dataset, NAMES)
    for severity in range(1, 6):
        np.testing.assert_array_equal(files.read("fog", severity, rows), files.read("fog", severity)[rows])


def test_a_severity_or_a_corruption_that_is_not_there_is_never_another_one(folder: Path, dataset: Dataset) -> None:
    files = open_corruption_files(folder.parent, dataset, ["fog"])
    for severity in (0, 6, -1):
        with pytest.raises(ValueError, match="not in tuple"):
            files.read("fog", severity)
    with pytest.raises(KeyError, match="snow"):
        files.read("snow", 1)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64])
def test_labels_of_any_integer_type_are_those_of_the_clean_test_images(
    tmp_path: Path, dataset: Dataset, kind: type
) -> None:
    write_official(tmp_path, dataset, kind)
    files = open_corruption_files(tmp_path, dataset, NAMES)
    assert files.labels.dtype == np.int64
    assert files.labels.tolist() == dataset.test.labels.tolist()


def test_the_data_folder_may_be_the_folder_of_the_arrays_under_any_name(folder: Path, dataset: Dataset) -> None:
    assert open_corruption_files(folder, dataset, NAMES).folder == folder
    renamed = folder.rename(folder.parent / "renamed")
    assert open_corruption_files(renamed, dataset, NAMES).folder == renamed


def test_cifar100_c_is_read_by_the_same_code(tmp_path: Path) -> None:
    other = small_dataset("cifar100", "CIFAR-100", 100)
    write_official(tmp_path / "CIFAR-100-C", other)
    write_official(tmp_path / "CIFAR-10-C", small_dataset())
    files = open_corruption_files(tmp_path, other, NAMES)
    assert files.folder.name == "CIFAR-100-C"
    assert files.labels.tolist() == other.test.labels.tolist()


def test_corruptions_of_another_data_set_are_recognised_by_their_labels(tmp_path: Path, dataset: Dataset) -> None:
    write_official(tmp_path / "CIFAR-10-C", small_dataset("cifar100", "CIFAR-100", 100))
    refused(tmp_path, dataset, r"labels.npy has the label \d+ for image \d+ at severity 1 .* belongs to other images")


def test_further_arrays_are_ignored_and_named(folder: Path, dataset: Dataset) -> None:
    (folder / "saturate.npy").write_bytes(b"never opened")
    (folder / "README.txt").touch()
    assert open_corruption_files(folder, dataset, NAMES).ignored == ("saturate",)
    assert open_corruption_files(folder, dataset, ["fog"]).ignored == ("gaussian_noise", "saturate", "snow")


def test_all_missing_corruptions_are_named_at_once(folder: Path, dataset: Dataset) -> None:
    for name in ("fog", "snow"):
        (folder / f"{name}.npy").unlink()
    refused(
        folder,
        dataset,
        r"CIFAR-10-C does not hold fog.npy, snow.npy: download it again .*verify cifar10-c`\.$",
    )


def test_missing_labels_are_reported(folder: Path, dataset: Dataset) -> None:
    (folder / "labels.npy").unlink()
    refused(folder, dataset, r"CIFAR-10-C does not hold labels.npy: download it again")


def test_a_data_folder_without_the_set_says_where_it_comes_from(tmp_path: Path, dataset: Dataset) -> None:
    refused(
        tmp_path,
        dataset,
        r"holds no CIFAR-10-C: download it with `nsbench data fetch cifar10-c`, make it with "
        r"`nsbench data generate cifar10-c`, or name .* --data or NSBENCH_DATA",
    )
    refused(tmp_path / "nowhere", dataset, r"nowhere does not exist: ")


FAULTS: dict[str, tuple[np.ndarray[Any, Any], str]] = {
    "another type": (official("fog").astype(np.float32), "fog.npy holds float32 instead of uint8"),
    "channels first": (
        official("fog").transpose(0, 3, 1, 2).copy(),
        r"fog.npy has the shape \(60, 3, 32, 32\) instead of \(60, 32, 32, 3\)",
    ),
    "another size of images": (
        np.zeros((5 * COUNT, 64, 64, 3), np.uint8),
        r"has the shape \(60, 64, 64, 3\) instead of \(60, 32, 32, 3\)",
    ),
    "no axes": (np.uint8(3), r"has the shape \(\) instead of"),
    "no images": (official("fog")[:0], r"has the shape \(0, 32, 32, 3\) instead of"),
    "half a severity": (official("fog")[: 5 * COUNT - 6], r"has the shape \(54, 32, 32, 3\) instead of"),
    "six severities": (np.zeros((6 * COUNT, 32, 32, 3), np.uint8), r"has the shape \(72, 32, 32, 3\) instead of"),
    "three severities": (
        official("fog")[: 3 * COUNT],
        "fog.npy has only 3 of 5 blocks of 12 images, severity 4 and 5 are missing: download it again",
    ),
    "four severities": (
        official("fog")[: 4 * COUNT],
        "fog.npy has only 4 of 5 blocks of 12 images, severity 5 is missing: download it again",
    ),
    "one severity": (official("fog")[:COUNT], "severity 2, 3, 4 and 5 are missing"),
    "Fortran order": (np.asfortranarray(official("fog")), "fog.npy is in Fortran order"),
    "Python objects": (np.array([{}]), "fog.npy holds Python objects"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_array_of_another_kind_is_one_sentence(folder: Path, dataset: Dataset, fault: str) -> None:
    array, message = FAULTS[fault]
    np.save(folder / "fog.npy", array)
    refused(folder, dataset, message)


@pytest.mark.parametrize(("change", "message"), [(-1, "truncated"), (1, "too long")])
def test_a_file_of_another_length_is_one_sentence(folder: Path, dataset: Dataset, change: int, message: str) -> None:
    size = (folder / "snow.npy").stat().st_size
    os.truncate(folder / "snow.npy", size + change)
    refused(folder, dataset, rf"snow.npy is {message} \(expected {size} bytes, found {size + change}\): download")


LABEL_FAULTS: dict[str, tuple[Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], str]] = {
    "one label only": (lambda labels: labels[:COUNT], r"has the shape \(12,\) instead of \(60,\)"),
    "a column": (lambda labels: labels[:, None], r"has the shape \(60, 1\) instead of \(60,\)"),
    "fractions": (lambda labels: labels.astype(float), "labels.npy holds float64 instead of integers"),
    "ordered by image": (lambda labels: np.repeat(labels[:COUNT], 5), "belongs to other images"),
    "Python objects": (lambda labels: labels.astype(object), "labels.npy holds Python objects"),
}


@pytest.mark.parametrize("fault", LABEL_FAULTS)
def test_labels_of_another_kind_are_one_sentence(folder: Path, dataset: Dataset, fault: str) -> None:
    change, message = LABEL_FAULTS[fault]
    np.save(folder / "labels.npy", change(np.tile(dataset.test.labels, 5)))
    refused(folder, dataset, message)


def test_the_first_label_that_differs_is_named_with_its_place(folder: Path, dataset: Dataset) -> None:
    labels, clean = np.tile(dataset.test.labels, 5), int(dataset.test.labels[4])
    labels[2 * COUNT + 4] = labels[4 * COUNT + 1] = 77
    np.save(folder / "labels.npy", labels)
    refused(
        folder,
        dataset,
        rf"labels.npy has the label 77 for image 4 at severity 3 where the clean test set has {clean} "
        r"\(2 of 60 differ\), so it belongs to other images: download",
    )


def test_a_circle_of_links_is_one_sentence(folder: Path, dataset: Dataset) -> None:
    (folder / "fog.npy").unlink()
    (folder / "fog.npy").symlink_to(folder / "fog.npy")
    refused(folder, dataset, r"fog.npy cannot be read \(Too many levels of symbolic links\)")
    shutil.rmtree(folder)
    folder.symlink_to(folder)
    refused(folder.parent, dataset, r"CIFAR-10-C cannot be read \(Too many levels of symbolic links\)")
    refused(folder, dataset, r"CIFAR-10-C.* cannot be read \(Too many levels of symbolic links\)")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_an_unreadable_folder_is_one_sentence(folder: Path, dataset: Dataset) -> None:
    folder.chmod(0)
    try:
        refused(folder.parent, dataset, r"CIFAR-10-C.* cannot be read \(Permission denied\): check the disk")
    finally:
        folder.chmod(0o700)


def test_the_official_set_is_never_smaller_than_the_test_set(folder: Path, dataset: Dataset) -> None:
    write_generated(folder, dataset, 7)
    (folder / "nsbench-set.json").unlink()
    refused(folder, dataset, r"fog.npy has the shape \(35, 32, 32, 3\) instead of \(60, 32, 32, 3\)")


def test_a_generated_set_says_so_and_may_have_the_first_images_only(tmp_path: Path, dataset: Dataset) -> None:
    write_official(tmp_path / "CIFAR-10-C", dataset)
    assert open_corruption_files(tmp_path, dataset, NAMES).generated is None
    files = open_corruption_files(write_generated(tmp_path / "mine", dataset, 7), dataset, NAMES)
    assert files.generated is not None
    assert files.generated["set"] == "nsbench-c v1"
    assert files.labels.tolist() == dataset.test.labels[:7].tolist()
    assert files.read("snow", 4)[:, 0, 0, 0].tolist() == list(range(60 + 36, 60 + 36 + 7))


def test_a_generated_set_may_have_some_severities_only(tmp_path: Path, dataset: Dataset) -> None:
    write_generated(tmp_path, dataset, 7, (2, 5))
    files = open_corruption_files(tmp_path, dataset, NAMES, [5])
    assert files.severities == (2, 5)
    assert files.read("fog", 2)[:, 0, 0, 0].tolist() == list(range(12, 19))
    assert files.read("fog", 5)[:, 0, 0, 0].tolist() == list(range(48, 55))
    with pytest.raises(ValueError, match="not in tuple"):
        files.read("fog", 3)
    refused(tmp_path, dataset, r"was made without severity 1, 3 and 4: make it again with `nsbench data generate ci")


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({"images": 6}, r"fog.npy has the shape \(35, 32, 32, 3\) instead of \(30, 32, 32, 3\): make it again"),
        ({"images": 13}, r"says images = 13, not one of 1\.\.12: make it again"),
        ({"images": 0}, "says images = 0"),
        ({"images": True}, "says images = True"),
        ({"images": "7"}, "says images = '7'"),
        ({"severities": [1, 2, 3, 4]}, "was made without severity 5"),
        ({"severities": []}, r"says severities = \[\], not some of 1\.\.5: make it again"),
        ({"severities": [0, 1]}, "not some of"),
        ({"severities": [1, 1]}, "not some of"),
        ({"severities": [[1]]}, "not some of"),
        ({"severities": 5}, "not some of"),
        ({"severities": None}, "not some of"),
        ({"data_checksum": "0" * 64}, "its images were not made of CIFAR-10 as it is here: make it again"),
    ],
)
def test_a_description_that_contradicts_the_arrays_or_the_clean_images_is_refused(
    tmp_path: Path, dataset: Dataset, says: dict[str, Any], message: str
) -> None:
    refused(write_generated(tmp_path, dataset, 7, says=says), dataset, message)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{'set': 1}", "[" * 100_000, '{"images": 7}', "\0"])
def test_a_damaged_description_is_one_sentence(tmp_path: Path, dataset: Dataset, text: str) -> None:
    (write_generated(tmp_path, dataset, 7) / "nsbench-set.json").write_text(text)
    refused(tmp_path, dataset, r"nsbench-set.json is damaged: make it again with `nsbench data generate cifar10-c`\.$")


def test_labels_of_a_subset_must_be_the_first_ones(tmp_path: Path, dataset: Dataset) -> None:
    write_generated(tmp_path, dataset, 7)
    np.save(tmp_path / "labels.npy", np.tile(dataset.test.labels[-7:], 5))
    refused(tmp_path, dataset, "belongs to other images: make it again")


@pytest.mark.cifar
def test_corruptions_of_the_real_test_images_are_read_as_they_were_made(tmp_path: Path) -> None:
    real = load_dataset("cifar10", Path(os.environ["NSBENCH_TEST_CIFAR10"]))
    shape, rows = (5 * len(real.test), 32, 32, 3), [0, 1, 4999, 9999]
    corrupted = corrupt(torch.tensor(real.test.images[rows]), "contrast", 4, indices=torch.tensor(rows)).numpy()
    array = np.lib.format.open_memmap(tmp_path / "contrast.npy", "w+", np.uint8, shape)  # the rest stays a hole
    array[[3 * len(real.test) + row for row in rows]] = corrupted
    array.flush()
    np.save(tmp_path / "labels.npy", np.tile(real.test.labels, 5).astype(np.uint8))
    files: CorruptionFiles = open_corruption_files(tmp_path, real, ["contrast"])
    for row, expected in zip(rows, corrupted, strict=True):
        np.testing.assert_array_equal(files.read("contrast", 4, slice(row, row + 1))[0], expected)
    assert not files.read("contrast", 5, slice(50)).any()
