"""CIFAR-10.1 v6, and other test sets, from their two files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nsbench.data.images import Dataset, ImageSet
from nsbench.data.npy.test_set import compare_test_set, load_test_set
from nsbench.errors import UserError
from nsbench.progress import Reporter
from nsbench.protocols.cifar import CIFAR10_1
from nsbench.protocols.protocol import Layout

IMAGES, LABELS = "cifar10.1_v6_data.npy", "cifar10.1_v6_labels.npy"
BALANCED = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 200))


def load_cifar10_1(folder: Path) -> ImageSet:
    """CIFAR-10.1 beside a data set of ten classes."""
    own = ImageSet(np.zeros((10, 32, 32, 3), np.uint8), np.arange(10))
    dataset = Dataset("x", "X", "", "", tuple("abcdefghij"), (0.5,) * 3, (0.2,) * 3, own, own, "")
    return load_test_set(CIFAR10_1, dataset, folder)


@pytest.fixture
def images() -> np.ndarray[Any, Any]:
    """2,000 images, none like another."""
    found = np.zeros((2000, 32, 32, 3), np.uint8)
    found[:, 0, 0, 0], found[:, 0, 0, 1] = np.divmod(np.arange(2000), 256)
    return found


@pytest.fixture
def folder(tmp_path: Path, images: np.ndarray[Any, Any]) -> Path:
    np.save(tmp_path / IMAGES, images)
    np.save(tmp_path / LABELS, BALANCED.astype(np.int32))  # as in the published file
    return tmp_path


@pytest.mark.parametrize("place", ["CIFAR-10.1", "CIFAR-10.1/datasets", "datasets", "."])
def test_images_and_labels_are_those_of_the_files(folder: Path, images: np.ndarray[Any, Any], place: str) -> None:
    (folder / place).mkdir(parents=True, exist_ok=True)
    for name in (IMAGES, LABELS):
        (folder / name).rename(folder / place / name)
    found = load_cifar10_1(folder)
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.labels, BALANCED)


def test_a_folder_without_it_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no CIFAR-10.1 \(v6\): download it with `nsbench data fetch cifar10.1`"):
        load_cifar10_1(tmp_path)


def test_files_that_are_not_the_published_ones_are_never_measured(folder: Path) -> None:
    with pytest.raises(UserError, match=rf"{IMAGES} has the wrong checksum \(expected SHA-256 2997188e.*fetch the set"):
        compare_test_set(CIFAR10_1, folder, Reporter(quiet=True))


@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"{name} is missing: download it again and .*`nsbench data verify cifar10.1`"):
        load_cifar10_1(folder)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (IMAGES, np.zeros((2021, 32, 32, 3), np.uint8), r"\(2021, 32, 32, 3\) instead of \(2000, 32, 32, 3\)"),
        (IMAGES, np.zeros((2000, 32, 32, 3), np.int8), "holds int8 instead of uint8"),
        (LABELS, np.zeros(2021, np.int32), r"\(2021,\) instead of \(2000,\)"),
        (LABELS, np.zeros(2000), "holds float64 instead of integers"),
        (LABELS, np.zeros(2000, np.int32), r"has not 200 labels of each class 0\.\.9"),
        (LABELS, BALANCED + 1, r"has labels beyond the classes 0\.\.9"),
        (LABELS, BALANCED - 1, r"has labels beyond the classes 0\.\.9"),
        (LABELS, np.where(np.arange(2000) == 0, (BALANCED[0] + 1) % 10, BALANCED), "has not 200 labels of each class"),
    ],
)
def test_another_version_or_other_labels_are_refused(
    folder: Path, name: str, array: np.ndarray[Any, Any], message: str
) -> None:
    np.save(folder / name, array)
    with pytest.raises(UserError, match=message):
        load_cifar10_1(folder)


def test_a_circle_of_links_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / IMAGES).symlink_to(tmp_path / IMAGES)
    with pytest.raises(UserError, match=r"cannot be read \(Too many levels of symbolic links\)"):
        load_cifar10_1(tmp_path)


def test_a_set_that_fixes_neither_count_nor_balance_has_those_of_its_files(tmp_path: Path) -> None:
    own = ImageSet(np.zeros((3, 8, 8, 3), np.uint8), np.arange(3))
    dataset = Dataset("x", "X", "", "", ("a", "b", "c"), (0.5,) * 3, (0.2,) * 3, own, own, "")
    layout = Layout(folders=("new",), labels="truth", images="pixels")
    protocol = replace(CIFAR10_1, name="new", title="New", layout=layout, side=0)
    (tmp_path / "new").mkdir()
    np.save(tmp_path / "new" / "pixels.npy", np.ones((4, 8, 8, 3), np.uint8))
    np.save(tmp_path / "new" / "truth.npy", np.array([0, 0, 0, 1], np.uint8))
    found = load_test_set(protocol, dataset, tmp_path)
    assert found.labels.tolist() == [0, 0, 0, 1]
    np.save(tmp_path / "new" / "truth.npy", np.array([0, 0, 0, 3], np.uint8))
    with pytest.raises(UserError, match=r"has labels beyond the classes 0\.\.2: download it again\."):
        load_test_set(protocol, dataset, tmp_path)
