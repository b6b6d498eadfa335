"""Manifests: strict, found by name, and images held to what they say."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from nsbench.corruptions.corruptions import GENERATED_CORRUPTIONS
from nsbench.corruptions.perturbations import GENERATED_PERTURBATIONS
from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.library.entries import DataFile, Download, FileSet
from nsbench.data.library.manifests import Manifest, list_manifests, load_manifest, load_source, read_manifest
from nsbench.errors import UserError


def image_set(*labels: int, side: int = 2) -> ImageSet:
    images = np.arange(len(labels) * side * side * 3, dtype=np.uint8).reshape(-1, side, side, 3)
    return ImageSet(images, np.array(labels, dtype=np.int64))


def test_every_manifest_is_valid_and_named_as_its_file() -> None:
    official = {"cifar10-c", "cifar10-p", "cifar10.1", "stl10", "imagenet-c", "imagenet-p", "imagenet-a"}
    assert {"digits", "cifar10", "cifar100"} | official <= set(list_manifests())
    assert [load_source(name).name for name in list_manifests()] == list_manifests()
    assert {name for name in list_manifests() if isinstance(load_source(name), FileSet)} == official


def test_cifar10_has_the_published_md5_of_each_file() -> None:
    published = {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    }
    assert {file.name: file.md5 for file in load_manifest("cifar10").files} == published


@pytest.mark.parametrize(
    ("name", "hint"), [("cifar", "did you mean 'cifar10'"), ("digit", "did you mean 'digits'"), ("x", "choose one")]
)
def test_an_unknown_name_lists_the_known_ones_and_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UserError, match=rf"no data set '{name}' among cifar10, .*digits.*{hint}"):
        load_manifest(name)


def test_cifar100_has_the_published_md5_of_each_file_and_its_classes_in_order() -> None:
    manifest = load_manifest("cifar100")
    published = {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    }
    assert {file.name: file.md5 for file in manifest.files} == published
    assert len(manifest.classes) == 100
    assert list(manifest.classes) == sorted(manifest.classes)
    assert (manifest.classes[0], manifest.classes[52], manifest.classes[99]) == ("apple", "oak_tree", "worm")
    assert manifest.checksum is None


def test_cifar10_c_has_19_corruptions_and_labels_that_fill_its_archive() -> None:
    source = load_source("cifar10-c")
    assert {file.name.removesuffix(".npy") for file in source.files} == {*GENERATED_CORRUPTIONS, "labels"}
    for file in source.files:
        assert file.bytes == 128 + file.array_bytes
    sizes = [file.bytes or 0 for file in source.files]
    blocks = 1 + sum(1 + -(-size // 512) for size in sizes)  # a header for the folder and for each file
    assert source.downloads[0].bytes == -(-(512 * blocks + 1024) // 10240) * 10240  # tar's own rounding


def test_cifar10_p_has_20_perturbations_of_31_21_or_16_frames() -> None:
    source = load_source("cifar10-p")
    frames = {file.name.removesuffix(".npy"): file.shape[1] for file in source.files if file.shape}
    assert set(frames) == set(GENERATED_PERTURBATIONS)
    assert len(frames) == 20
    assert {name: count for name, count in frames.items() if count != 31} == {"motion_blur": 21, "translate": 16}


def test_imagenet_c_has_each_corruption_in_one_archive() -> None:
    source = load_source("imagenet-c")
    assert {folder.name for folder in source.folders} == set(GENERATED_CORRUPTIONS)
    assert sorted(name for download in source.downloads for name in download.holds) == sorted(GENERATED_CORRUPTIONS)


def test_every_download_has_a_published_checksum() -> None:
    for name in list_manifests():
        assert all(download.published for download in load_source(name).downloads), name


def test_a_set_that_is_not_for_training_is_refused_as_one() -> None:
    with pytest.raises(
        UserError, match=r"CIFAR-10-C is not a set to train on: choose one of cifar10, cifar100, digits\."
    ):
        load_manifest("cifar10-c")


def download(**changed: Any) -> dict[str, Any]:
    return {"name": "x.tar", "urls": ["https://example.org/x.tar"]} | changed


@pytest.mark.parametrize(
    ("change", "stated"),
    [
        ({"urls": ["http://example.org/x.tar"]}, "without a checksum, urls must begin with https"),
        ({"urls": []}, "urls"),
        ({"urls": ["file:///x.tar"]}, "urls"),
        ({"name": "x.npy"}, "holds must name the one file that it is"),
        ({"name": "../x.tar"}, "name"),
        ({"inside": "../x"}, "inside"),
        ({"inside": "/x"}, "inside"),
        ({"bytes": 0}, "bytes"),
        ({"sha256": "0" * 63}, "sha256"),
    ],
)
def test_a_download_that_is_not_safe_or_not_whole_is_refused(change: dict[str, Any], stated: str) -> None:
    assert Download.model_validate(download(urls=["http://example.org/x.tar"], md5="0" * 32))
    with pytest.raises(ValidationError, match=stated):
        Download.model_validate(download(**change))


@pytest.mark.parametrize(
    ("described", "stated"),
    [
        ({"name": "a.npy"}, "shape is missing"),
        ({"name": "a.npy", "shape": [2]}, "shape and dtype go together"),
        ({"name": "a.npy", "shape": [2], "dtype": "float32"}, "dtype"),
        ({"name": "a.npy", "shape": [2], "dtype": "uint8", "bytes": 2}, "bytes is not the size of the array"),
        ({"name": "a.bin", "shape": [2], "dtype": "uint8", "bytes": 3}, "bytes is not the size of the array"),
        ({"name": "a.bin"}, "bytes is missing"),
        ({"name": "/a", "bytes": 1}, "name"),
        ({"name": "a/../b", "bytes": 1}, "name"),
        ({"name": "a//b", "bytes": 1}, "name"),
        ({"name": "", "bytes": 1}, "name"),
    ],
)
def test_a_file_without_a_size_or_with_an_unsafe_name_is_refused(described: dict[str, Any], stated: str) -> None:
    with pytest.raises(ValidationError, match=stated):
        DataFile.model_validate(described)


@pytest.mark.parametrize(
    ("change", "stated"),
    [
        ({"folder": None}, "folder and downloads go together"),
        ({"folder": "a/b"}, "folder"),
        ({"downloads": [download(holds=["b"])]}, "what its downloads hold"),
        ({"downloads": [download(), download()]}, "each once"),
        ({"files": [{"name": "a", "bytes": 1}, {"name": "a", "bytes": 1}]}, "each once"),
        ({"kind": "archive"}, "classes"),
    ],
)
def test_each_file_comes_from_one_download(change: dict[str, Any], stated: str) -> None:
    described = load_source("imagenet-a").model_dump(mode="json", exclude_none=True)
    described |= {"folders": [], "files": [{"name": "a", "bytes": 1}], "downloads": [download()]}
    assert FileSet.model_validate(described)
    with pytest.raises(ValidationError, match=stated):
        TypeAdapter(Manifest | FileSet).validate_python(described | change)


def test_a_path_is_no_name() -> None:
    with pytest.raises(UserError, match="no data set"):
        load_manifest("../data_manifests/digits")


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"train_count": "50000"},
        {"train_count": 0},
        {"url": "http://example.org"},
        {"mean": [0.5, 0.5]},
        {"mean": [0.5, 0.5, "0.5"]},
        {"std": [0.2, 0.2, 51.0]},
        {"kind": "zip"},
        {"checksum": "abc"},
        {"image_shape": [32, 32, 1]},
        {"files": [{"name": "a", "bytes": 1, "md5": "0" * 31}]},
    ],
)
def test_a_manifest_with_a_wrong_value_or_an_unknown_key_is_refused(change: dict[str, Any]) -> None:
    described = load_manifest("digits").model_dump(mode="json")
    assert Manifest.model_validate(described)
    with pytest.raises(ValidationError, match=next(iter(change))):
        Manifest.model_validate(described | change)


def test_a_file_that_is_not_toml_is_not_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("name = ")
    with pytest.raises(tomllib.TOMLDecodeError):
        read_manifest(tmp_path / "x.toml")


def test_only_the_images_of_the_manifest_become_its_data_set() -> None:
    train, test = image_set(0, 1), image_set(1)
    known = load_manifest("digits").model_copy(update={"checksum": content_checksum(train, test)})
    assert known.dataset(train, test, "mend it").checksum == known.checksum
    with pytest.raises(UserError, match=r"not the known ones .*: mend it\.$"):
        known.dataset(train, image_set(0), "mend it")


def test_the_content_checksum_is_that_of_shapes_images_and_labels() -> None:
    reference = content_checksum(image_set(0, 1), image_set(1))
    assert reference == content_checksum(image_set(0, 1), image_set(1))
    others = [
        content_checksum(image_set(0, 1), image_set(0)),
        content_checksum(image_set(1, 1), image_set(1)),
        content_checksum(image_set(1), image_set(0, 1)),
        content_checksum(image_set(0, 1)),
        content_checksum(image_set(0, 1, side=3), image_set(1)),
    ]
    assert len({reference, *others}) == 6


def test_the_content_checksum_never_changes() -> None:
    assert content_checksum(image_set(0, 1)) == "2b6cb2ea41434d50eb8ac554162c66a5b68f6bd42457446ed187b6760b34f4a9"


def test_images_cannot_be_written_and_the_array_given_stays_writable() -> None:
    given = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    images = ImageSet(given, np.zeros(1, dtype=np.int64))
    with pytest.raises(ValueError, match="read-only"):
        images.images[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        images.labels[0] = 1
    given[0] = 1


def test_selected_images_come_in_the_order_asked_for() -> None:
    picked = image_set(5, 6, 7).select(np.array([2, 0, 2]))
    assert picked.labels.tolist() == [7, 5, 7]
    assert picked.images[:, 0, 0, 0].tolist() == [24, 0, 24]
    assert len(picked) == 3


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), np.zeros(2, np.int64), "not uint8"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64), "not uint8"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int64), "not uint8"),
        (np.zeros((2, 3, 4, 4), np.uint8).transpose(0, 2, 3, 1), np.zeros(2, np.int64), "C-contiguous"),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros(3, np.int64), "labels are"),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.int32), "labels are"),
        (np.zeros((1, 4, 4, 3), np.uint8), np.array([-2]), "below 0"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageSet(images, labels)


def test_a_label_beyond_the_classes_is_refused() -> None:
    part, plain = image_set(0, 2), (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="beyond the 2 classes"):
        Dataset("x", "X", "none", "none", ("a", "b"), plain, plain, part, part, content_checksum(part, part))
