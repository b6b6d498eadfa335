"""Manifests: strict, found by name, and images held to what they say."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.manifests import Manifest, list_manifests, load_manifest, read_manifest
from nsbench.errors import UserError


def image_set(*labels: int, side: int = 2) -> ImageSet:
    images = np.arange(len(labels) * side * side * 3, dtype=np.uint8).reshape(-1, side, side, 3)
    return ImageSet(images, np.array(labels, dtype=np.int64))


def test_every_manifest_is_valid_and_named_as_its_file() -> None:
    assert {"digits", "cifar10"} <= set(list_manifests())
    assert [load_manifest(name).name for name in list_manifests()] == list_manifests()


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
    with pytest.raises(UserError, match=rf"no data set '{name}' among .*cifar10, digits.*{hint}"):
        load_manifest(name)


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
        (np.zeros((1, 4, 4, 3), np.uint8), np.array([-1]), "below 0"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageSet(images, labels)


def test_a_label_beyond_the_classes_is_refused() -> None:
    part, plain = image_set(0, 2), (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="beyond the 2 classes"):
        Dataset("x", "X", "none", "none", ("a", "b"), plain, plain, part, part, content_checksum(part, part))
