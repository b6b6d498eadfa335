"""CIFAR-100 by the code of CIFAR-10: small look-alikes of its pickles and of its parquet files."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nsbench.data.cifar.load import load_cifar
from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.library.manifests import Manifest, load_manifest
from nsbench.data.load import load_dataset
from nsbench.errors import UserError
from tests.data.test_cifar10 import Tiny as TinyCifar10
from tests.data.test_cifar10 import batch_pickle, parquet, python2_array, python2_pickle

FOLDER = "cifar-100-python"


def cifar100_pickle(part: ImageSet, **replaced: Any) -> bytes:
    both = {"fine_labels": part.labels.tolist(), "coarse_labels": (part.labels // 5).tolist(), "labels": None}
    return batch_pickle(part, **(both | replaced))


class Tiny:
    """CIFAR-100 in small: 200 training images and 100 test images of 100 classes, coarse labels beside the fine."""

    def __init__(self, **replaced: Any) -> None:
        random = np.random.default_rng(5)
        images = random.integers(0, 256, (300, 32, 32, 3), dtype=np.uint8)
        self.train = ImageSet(images[:200], np.arange(200) % 100)
        self.test = ImageSet(images[200:], np.arange(100)[::-1].copy())
        self.files = {"train": cifar100_pickle(self.train), "test": cifar100_pickle(self.test, **replaced)}
        self.files["meta"] = python2_pickle({b"fine_label_names": [b"apple"]})

    def manifest(self) -> Manifest:
        """The manifest of the present files; as in the real one, no checksum of the content is known."""
        described = load_manifest("cifar100").model_dump()
        files = [
            {"name": name, "bytes": len(content), "md5": hashlib.md5(content, usedforsecurity=False).hexdigest()}
            for name, content in self.files.items()
        ]
        return Manifest.model_validate(described | {"files": files, "train_count": 200, "test_count": 100})

    def write_pickles(self, folder: Path) -> Path:
        """The official layout, in `folder` itself."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder

    def write_parquet(self, folder: Path) -> None:
        """The hub's layout, in `folder` itself."""
        for name, part in (("train", self.train), ("test", self.test)):
            fine, coarse = part.labels.tolist(), (part.labels // 5).tolist()
            path = folder / f"{name}-00000-of-00001.parquet"
            parquet(path, part, label=None, fine_label=fine, coarse_label=coarse)


@pytest.fixture
def tiny() -> Tiny:
    return Tiny()


def assert_is(tiny: Tiny, loaded: Dataset) -> None:
    for found, expected in ((loaded.train, tiny.train), (loaded.test, tiny.test)):
        np.testing.assert_array_equal(found.images, expected.images)
        np.testing.assert_array_equal(found.labels, expected.labels)
    assert loaded.checksum == content_checksum(tiny.train, tiny.test)
    assert (loaded.name, loaded.title, len(loaded.classes)) == ("cifar100", "CIFAR-100", 100)


@pytest.mark.parametrize("place", [FOLDER, "."])
def test_official_pickles_give_the_fine_labels(tmp_path: Path, tiny: Tiny, place: str) -> None:
    tiny.write_pickles(tmp_path / place)
    assert_is(tiny, load_cifar(tiny.manifest(), tmp_path))


@pytest.mark.parametrize("place", ["cifar100", "parquet", "."])
def test_parquet_files_give_the_fine_labels(tmp_path: Path, tiny: Tiny, place: str) -> None:
    tiny.write_parquet(tmp_path / place)
    assert_is(tiny, load_cifar(tiny.manifest(), tmp_path))


def test_an_array_pickled_in_fortran_order_is_the_same_array(tmp_path: Path, tiny: Tiny) -> None:
    planes = tiny.test.images.transpose(0, 3, 1, 2).reshape(100, -1)
    other = Tiny(data=python2_array(planes, fortran_order=True))
    other.write_pickles(tmp_path)
    assert_is(tiny, load_cifar(other.manifest(), tmp_path))


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_the_md5_of_each_file_proves_the_pickles(tmp_path: Path, tiny: Tiny, name: str) -> None:
    path = tiny.write_pickles(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} has the wrong checksum .*: unpack https://.*cifar-100-python.tar.gz"):
        load_cifar(tiny.manifest(), tmp_path)


def test_pickles_without_fine_labels_are_refused(tmp_path: Path) -> None:
    tiny = Tiny(fine_labels=None)
    tiny.write_pickles(tmp_path)
    with pytest.raises(UserError, match=r"test is not a CIFAR-100 batch \("):
        load_cifar(tiny.manifest(), tmp_path)


def test_a_fine_label_beyond_the_hundred_classes_is_refused(tmp_path: Path) -> None:
    tiny = Tiny(fine_labels=[100] * 100)
    tiny.write_pickles(tmp_path)
    with pytest.raises(UserError, match=r"test has the label 100, outside 0\.\.99"):
        load_cifar(tiny.manifest(), tmp_path)


def test_parquet_files_of_cifar10_are_not_taken_for_cifar100(tmp_path: Path, tiny: Tiny) -> None:
    TinyCifar10().write_parquet(tmp_path / "parquet")
    with pytest.raises(UserError, match=r"has the columns img: .* instead of img .* and fine_label \(an integer\)"):
        load_cifar(tiny.manifest(), tmp_path)


def test_both_data_sets_lie_side_by_side_in_one_data_folder(tmp_path: Path, tiny: Tiny) -> None:
    other = TinyCifar10()
    tiny.write_pickles(tmp_path / FOLDER)
    other.write_batches(tmp_path / "cifar-10-batches-py")
    assert_is(tiny, load_cifar(tiny.manifest(), tmp_path))
    np.testing.assert_array_equal(load_cifar(other.manifest(), tmp_path).test.images, other.test.images)


def test_cifar100_is_a_data_set_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no CIFAR-100: download https://.* so that .*cifar-100-python exists"):
        load_dataset("cifar100", tmp_path)
