"""CIFAR-10 in its two layouts: small look-alikes with every fault, and the real files where they are at hand."""

import hashlib
import io
import os
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nsbench.data.cifar import parquet as cifar_parquet
from nsbench.data.cifar.load import load_cifar
from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.library.manifests import Manifest, load_manifest
from nsbench.data.load import load_dataset
from nsbench.errors import UserError

BATCHES = "cifar-10-batches-py"
PER_BATCH = 20


@dataclass(frozen=True)
class Call:
    """A global named in a pickle, called with arguments; `state` follows as BUILD."""

    module: str
    name: str
    arguments: tuple[Any, ...]
    state: Any = None


@dataclass(frozen=True)
class Global:
    """A global named in a pickle."""

    module: str
    name: str


def python2_pickle(value: Any) -> bytes:
    """Protocol 2 opcodes as Python 2's cPickle wrote them: strings are bytes, names are Python 2's."""
    return b"\x80\x02" + opcodes(value) + b"."


def opcodes(value: Any) -> bytes:  # noqa: PLR0911 - one case for each kind of value
    match value:
        case None | bool():
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        case int():
            return b"J" + struct.pack("<i", value)
        case bytes():
            return b"T" + struct.pack("<i", len(value)) + value
        case list():
            return b"]" + b"(" + b"".join(map(opcodes, value)) + b"e"
        case tuple():
            return b"(" + b"".join(map(opcodes, value)) + b"t"
        case dict():
            return b"}(" + b"".join(opcodes(k) + opcodes(v) for k, v in value.items()) + b"u"
        case Global():
            return f"c{value.module}\n{value.name}\n".encode()
        case Call():
            made = opcodes(Global(value.module, value.name)) + opcodes(value.arguments) + b"R"
            return made + (opcodes(value.state) + b"b" if value.state is not None else b"")
    raise TypeError(value)


def python2_array(rows: np.ndarray[Any, Any], kind: bytes = b"u1", fortran_order: bool = False) -> Call:
    dtype = Call("numpy", "dtype", (kind, 0, 1), (3, b"|", None, None, None, -1, -1, 0))
    state = (1, rows.shape, dtype, fortran_order, rows.tobytes("F" if fortran_order else "C"))
    return Call("numpy.core.multiarray", "_reconstruct", (Global("numpy", "ndarray"), (0,), b"b"), state)


def batch_pickle(part: ImageSet, **replaced: Any) -> bytes:
    planes = part.images.transpose(0, 3, 1, 2).reshape(len(part), -1)
    fields = {"batch_label": b"tiny", "labels": part.labels.tolist(), "data": python2_array(planes)} | replaced
    return python2_pickle({name.encode(): value for name, value in fields.items()})


def png(image: np.ndarray[Any, Any], size: int = 32) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(image).resize((size, size)).save(encoded, "PNG")
    return encoded.getvalue()


def parquet(path: Path, part: ImageSet, **columns: Any) -> None:
    """A file in the hub's layout, in row groups of seven; `columns` replace or add some."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": png(image), "path": "x.png"} for image in part.images]
    table = {"img": images, "label": part.labels.tolist()} | columns
    pq.write_table(
        pa.table({name: value for name, value in table.items() if value is not None}), path, row_group_size=7
    )


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Tiny:
    """CIFAR-10 in small: five batches of 20 training images and 20 test images, in either layout."""

    def __init__(self) -> None:
        random = np.random.default_rng(3)
        images = random.integers(0, 256, (6 * PER_BATCH, 32, 32, 3), dtype=np.uint8)
        everything = ImageSet(images, np.arange(6 * PER_BATCH) % 10)
        self.batches = [everything.select(np.arange(k, k + PER_BATCH)) for k in range(0, 6 * PER_BATCH, PER_BATCH)]
        self.train = everything.select(np.arange(5 * PER_BATCH))
        self.test = self.batches[5]
        self.files = {f"data_batch_{k + 1}": batch_pickle(self.batches[k]) for k in range(5)}
        self.files |= {"test_batch": batch_pickle(self.test), "batches.meta": python2_pickle({b"num_vis": 3072})}

    def manifest(self) -> Manifest:
        """The manifest of the present files, forged ones too: their checksums are always right."""
        described = load_manifest("cifar10").model_dump()
        files = []
        for k, (name, content) in enumerate(self.files.items()):
            entry = {"name": name, "bytes": len(content), "md5": md5(content)}
            files.append(entry | ({"content": content_checksum(self.batches[k])} if k < 5 else {}))
        checksum = content_checksum(self.train, self.test)
        counts = {"train_count": len(self.train), "test_count": len(self.test)}
        return Manifest.model_validate(described | counts | {"files": files, "checksum": checksum})

    def write_batches(self, folder: Path) -> Path:
        """The official layout, in `folder` itself."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder

    def write_parquet(self, folder: Path, order: tuple[int, ...] = (1, 2, 3, 4, 5)) -> Path:
        """The hub's layout, in `folder` itself, the training batches in `order`."""
        parts = [self.batches[k - 1] for k in order]
        images, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels"))
        half = len(labels) // 2
        for k, rows in enumerate((slice(None, half), slice(half, None))):
            parquet(folder / f"train-0000{k}-of-00002.parquet", ImageSet(images[rows], labels[rows]))
        parquet(folder / "test-00000-of-00001.parquet", self.test)
        return folder


@pytest.fixture
def tiny() -> Tiny:
    return Tiny()


def assert_is(tiny: Tiny, loaded: Dataset) -> None:
    for found, expected in ((loaded.train, tiny.train), (loaded.test, tiny.test)):
        np.testing.assert_array_equal(found.images, expected.images)
        np.testing.assert_array_equal(found.labels, expected.labels)
    assert loaded.checksum == content_checksum(tiny.train, tiny.test)


@pytest.mark.parametrize("place", [BATCHES, "."])
def test_official_batches_are_found_under_the_data_folder_or_as_the_data_folder(
    tmp_path: Path, tiny: Tiny, place: str
) -> None:
    tiny.write_batches(tmp_path / place)
    assert_is(tiny, load_cifar(tiny.manifest(), tmp_path))


@pytest.mark.parametrize("place", ["cifar10", "parquet", "plain_text", "."])
def test_parquet_files_are_found_in_each_customary_place(tmp_path: Path, tiny: Tiny, place: str) -> None:
    tiny.write_parquet(tmp_path / place)
    assert_is(tiny, load_cifar(tiny.manifest(), tmp_path))


def test_parquet_files_with_the_hubs_order_of_batches_give_the_official_order(tmp_path: Path, tiny: Tiny) -> None:
    tiny.write_parquet(tmp_path, order=(4, 3, 2, 5, 1))
    assert_is(tiny, load_cifar(tiny.manifest(), tmp_path))


def test_a_batch_larger_than_one_read_keeps_its_rows_in_order(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar_parquet, "_ROWS_AT_A_TIME", 9)
    monkeypatch.setattr(cifar_parquet, "_ROWS_PER_TASK", 2)
    assert_is(tiny, load_cifar(tiny.manifest(), tiny.write_parquet(tmp_path)))


def test_a_missing_folder_says_what_to_download_and_where_to_unpack_it(tmp_path: Path, tiny: Tiny) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist: download https://.*tar.gz and unpack it there"):
        load_cifar(tiny.manifest(), tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no CIFAR-10: download .* with --data or NSBENCH_DATA"):
        load_cifar(tiny.manifest(), tmp_path)


@pytest.mark.parametrize("name", ["test_batch", "data_batch_3", "batches.meta"])
def test_a_missing_batch_is_named(tmp_path: Path, tiny: Tiny, name: str) -> None:
    (tiny.write_batches(tmp_path / BATCHES) / name).unlink()
    with pytest.raises(UserError, match=rf"{name} is missing: unpack https://.* again"):
        load_cifar(tiny.manifest(), tmp_path)


def test_a_truncated_batch_is_reported_with_both_sizes(tmp_path: Path, tiny: Tiny) -> None:
    path = tiny.write_batches(tmp_path) / "data_batch_2"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=rf"data_batch_2 is truncated \(expected {size} bytes, found {size - 100}\)"):
        load_cifar(tiny.manifest(), tmp_path)


@pytest.mark.parametrize("name", ["test_batch", "data_batch_3", "batches.meta"])
def test_one_changed_bit_is_a_wrong_checksum(tmp_path: Path, tiny: Tiny, name: str) -> None:
    path = tiny.write_batches(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} has the wrong checksum \(expected MD5 [0-9a-f]{{32}}, found"):
        load_cifar(tiny.manifest(), tmp_path)


def test_a_web_page_saved_in_place_of_a_batch_is_refused(tmp_path: Path, tiny: Tiny) -> None:
    (tiny.write_batches(tmp_path) / "data_batch_1").write_bytes(b"<html>please log in</html>")
    with pytest.raises(UserError, match=r"data_batch_1 is truncated"):
        load_cifar(tiny.manifest(), tmp_path)


def command_pickle(witness: Path) -> bytes:
    return python2_pickle(Call("os", "system", (f"touch {witness}".encode(),)))


def test_a_pickle_that_runs_a_command_is_refused_by_its_checksum(tmp_path: Path, tiny: Tiny) -> None:
    manifest, witness = tiny.manifest(), tmp_path / "ran"
    pickle.loads(command_pickle(witness))  # noqa: S301 - shows that a plain unpickler would run it
    assert witness.exists()
    witness.unlink()
    hostile = command_pickle(witness).ljust(len(tiny.files["data_batch_1"]), b"\0")
    (tiny.write_batches(tmp_path) / "data_batch_1").write_bytes(hostile)
    with pytest.raises(UserError, match=r"data_batch_1 has the wrong checksum"):
        load_cifar(manifest, tmp_path)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("__builtin__", "eval"),
        ("__builtin__", "getattr"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("nsbench.data.cifar.pickles", "_Unpickler"),
    ],
)
def test_the_unpickler_refuses_any_other_global_under_a_forged_checksum(
    tmp_path: Path, tiny: Tiny, module: str, name: str
) -> None:
    witness = tmp_path / "ran"
    tiny.files["data_batch_1"] = python2_pickle(Call(module, name, (f"touch {witness}".encode(),)))
    tiny.write_batches(tmp_path)
    with pytest.raises(UserError, match=rf"data_batch_1 is not a CIFAR-10 batch \(it asks for {module}.{name}"):
        load_cifar(tiny.manifest(), tmp_path)
    assert not witness.exists()


FORGED: dict[str, Callable[[Tiny], bytes]] = {
    "no pickle": lambda _: b"<html>",
    "empty": lambda _: b"",
    "another object": lambda _: python2_pickle([1, 2]),
    "no labels": lambda tiny: batch_pickle(tiny.test, labels=None),
    "too few labels": lambda tiny: batch_pickle(tiny.test, labels=[1, 2]),
    "images of another size": lambda tiny: batch_pickle(tiny.test, data=python2_array(np.zeros((20, 5), np.uint8))),
    "images of another type": lambda tiny: batch_pickle(
        tiny.test, data=python2_array(np.zeros((20, 3072), np.uint8), kind=b"i1")
    ),
    "a stand-in called wrongly": lambda _: python2_pickle(Call("numpy", "ndarray", ())),
}


@pytest.mark.parametrize("fault", FORGED)
def test_a_file_that_is_no_batch_is_one_sentence_even_under_a_forged_checksum(
    tmp_path: Path, tiny: Tiny, fault: str
) -> None:
    tiny.files["test_batch"] = FORGED[fault](tiny) or b"."
    tiny.write_batches(tmp_path)
    with pytest.raises(UserError, match=r"test_batch is not a CIFAR-10 batch \(.*unpack https://.* again"):
        load_cifar(tiny.manifest(), tmp_path)


@pytest.mark.parametrize("label", [10, -1])
def test_a_label_out_of_range_is_named_in_either_layout(tmp_path: Path, tiny: Tiny, label: int) -> None:
    labels = [label, *tiny.test.labels.tolist()[1:]]
    tiny.files["test_batch"] = batch_pickle(tiny.test, labels=labels)
    tiny.write_batches(tmp_path / "a")
    tiny.write_parquet(tmp_path / "b")
    parquet(tmp_path / "b/test-00000-of-00001.parquet", tiny.test, label=labels)
    for layout in ("a", "b"):
        with pytest.raises(UserError, match=rf"has the label {label}, outside 0\.\.9"):
            load_cifar(tiny.manifest(), tmp_path / layout)


def test_other_images_under_forged_file_checksums_fail_the_content_checksum(tmp_path: Path, tiny: Tiny) -> None:
    tiny.files["data_batch_1"], tiny.files["data_batch_2"] = tiny.files["data_batch_2"], tiny.files["data_batch_1"]
    tiny.write_batches(tmp_path)
    with pytest.raises(UserError, match=r"not the known ones \(expected SHA-256 .*\): unpack https://.* again into"):
        load_cifar(tiny.manifest(), tmp_path)


def test_one_changed_pixel_in_a_parquet_file_fails_the_content_checksum(tmp_path: Path, tiny: Tiny) -> None:
    tiny.write_parquet(tmp_path)
    images = tiny.test.images.copy()
    images[7, 0, 0, 0] ^= 1
    parquet(tmp_path / "test-00000-of-00001.parquet", ImageSet(images, tiny.test.labels))
    with pytest.raises(UserError, match=r"not the known ones .* download the parquet files in"):
        load_cifar(tiny.manifest(), tmp_path)


@pytest.mark.parametrize("name", ["train-00001-of-00002.parquet", "test-00000-of-00001.parquet"])
def test_a_missing_parquet_file_is_named(tmp_path: Path, tiny: Tiny, name: str) -> None:
    (tiny.write_parquet(tmp_path) / name).unlink()
    with pytest.raises(UserError, match=rf"{name} is missing"):
        load_cifar(tiny.manifest(), tmp_path)


@pytest.mark.parametrize("other", ["train-00002-of-00003.parquet", "train-00000-of-00002-0123456789abcdef.parquet"])
def test_parquet_files_of_two_downloads_are_not_mixed(tmp_path: Path, tiny: Tiny, other: str) -> None:
    tiny.write_parquet(tmp_path)
    parquet(tmp_path / other, tiny.train)
    with pytest.raises(UserError, match=r"mixes parquet files of several downloads"):
        load_cifar(tiny.manifest(), tmp_path)


@pytest.mark.parametrize("damage", ["git-lfs pointer", "truncated", "overwritten"])
def test_a_damaged_parquet_file_is_reported(tmp_path: Path, tiny: Tiny, damage: str) -> None:
    path = tiny.write_parquet(tmp_path) / "train-00001-of-00002.parquet"
    content = path.read_bytes()
    middle = len(content) // 3
    path.write_bytes(
        {
            "git-lfs pointer": b"version https://git-lfs.github.com/spec/v1\n",
            "truncated": content[:-1000],
            "overwritten": content[:middle] + bytes(5000) + content[middle + 5000 :],
        }[damage]
    )
    with pytest.raises(UserError, match=r"train-00001-of-00002.parquet.* (is damaged or not|cannot be decoded)"):
        load_cifar(tiny.manifest(), tmp_path)


@pytest.mark.parametrize(
    "columns",
    [
        {"img": None, "image": [b""] * PER_BATCH},
        {"label": None},
        {"label": ["cat"] * PER_BATCH},
        {"img": [b"bytes"] * PER_BATCH},
        {"img": [{"path": "x.png"}] * PER_BATCH},
    ],
)
def test_a_parquet_file_with_other_columns_is_refused_with_what_it_has(
    tmp_path: Path, tiny: Tiny, columns: dict[str, Any]
) -> None:
    tiny.write_parquet(tmp_path)
    parquet(tmp_path / "test-00000-of-00001.parquet", tiny.test, **columns)
    with pytest.raises(UserError, match=r"has the columns .* instead of img \(a struct with bytes\) and label"):
        load_cifar(tiny.manifest(), tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"), [(19, "holds 19 images where CIFAR-10 has 20"), (21, "goes beyond the 20")]
)
def test_a_wrong_count_of_rows_is_reported(tmp_path: Path, tiny: Tiny, rows: int, message: str) -> None:
    tiny.write_parquet(tmp_path)
    parquet(tmp_path / "test-00000-of-00001.parquet", tiny.test.select(np.arange(rows) % PER_BATCH))
    with pytest.raises(UserError, match=message):
        load_cifar(tiny.manifest(), tmp_path)


UNDECODABLE: dict[str, tuple[bytes | None, str]] = {
    "nothing": (None, "it is empty"),
    "text": (b"not an image", "it is neither PNG nor WebP"),
    "half an image": (png(np.zeros((32, 32, 3), np.uint8))[:60], ""),
    "another size": (png(np.zeros((32, 32, 3), np.uint8), size=16), "it is 16x16 pixels, not 32x32"),
}


@pytest.mark.parametrize("fault", UNDECODABLE)
def test_an_undecodable_image_is_named_by_its_row(
    tmp_path: Path, tiny: Tiny, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar_parquet, "_ROWS_AT_A_TIME", 6)
    encoded, reason = UNDECODABLE[fault]
    tiny.write_parquet(tmp_path)
    images: list[dict[str, bytes | None]] = [{"bytes": png(image)} for image in tiny.test.images]
    images[13]["bytes"] = encoded
    parquet(tmp_path / "test-00000-of-00001.parquet", tiny.test, img=images)
    with pytest.raises(UserError, match=rf"image 13 of .*test-00000-of-00001.parquet cannot be decoded \(.*{reason}"):
        load_cifar(tiny.manifest(), tmp_path)


def test_an_image_without_a_label_is_refused(tmp_path: Path, tiny: Tiny) -> None:
    tiny.write_parquet(tmp_path)
    parquet(tmp_path / "test-00000-of-00001.parquet", tiny.test, label=[None, *tiny.test.labels.tolist()[1:]])
    with pytest.raises(UserError, match="has an image without a label"):
        load_cifar(tiny.manifest(), tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file_is_one_sentence(tmp_path: Path, tiny: Tiny) -> None:
    (tiny.write_batches(tmp_path) / "data_batch_1").chmod(0)
    with pytest.raises(UserError, match=r"data_batch_1 cannot be read \(Permission denied\)"):
        load_cifar(tiny.manifest(), tmp_path)


@pytest.fixture(scope="module")
def real_folder() -> Path:
    folder = os.environ.get("NSBENCH_TEST_CIFAR10")
    if not folder:
        pytest.skip("NSBENCH_TEST_CIFAR10 does not name a folder with the real CIFAR-10")
    return Path(folder)


@pytest.fixture(scope="module")
def real(real_folder: Path) -> Dataset:
    if not (real_folder / BATCHES).is_dir():
        pytest.skip(f"NSBENCH_TEST_CIFAR10 holds no {BATCHES}")
    return load_dataset("cifar10", real_folder)


@pytest.mark.cifar
def test_real_cifar10_has_5000_training_and_1000_test_images_of_each_class(real: Dataset) -> None:
    assert np.bincount(real.train.labels).tolist() == [5000] * 10
    assert np.bincount(real.test.labels).tolist() == [1000] * 10
    assert real.train.images.shape == (50000, 32, 32, 3)


@pytest.mark.slow
@pytest.mark.cifar
def test_real_cifar10_has_the_published_mean_and_standard_deviation_of_each_channel(real: Dataset) -> None:
    pixels = real.train.images.reshape(-1, 3) / 255
    assert (np.floor(pixels.mean(axis=0) * 1e4) / 1e4).tolist() == [0.4913, 0.4821, 0.4465] == list(real.mean)
    assert (np.floor(pixels.std(axis=0) * 1e4) / 1e4).tolist() == [0.2470, 0.2434, 0.2615] == list(real.std)


@pytest.mark.cifar
def test_real_batches_meta_names_the_classes_of_the_manifest_in_order(real: Dataset, real_folder: Path) -> None:
    content = (real_folder / BATCHES / "batches.meta").read_bytes()
    places = [content.index(name.encode()) for name in real.classes]
    assert places == sorted(places)


@pytest.mark.slow
@pytest.mark.cifar
def test_real_official_batches_and_parquet_files_give_identical_arrays(real: Dataset, real_folder: Path) -> None:
    if not (real_folder / "parquet").is_dir():
        pytest.skip("NSBENCH_TEST_CIFAR10 holds no parquet folder")
    other = load_dataset("cifar10", real_folder / "parquet")
    assert other.checksum == real.checksum == content_checksum(other.train, other.test)
    for found, expected in ((other.train, real.train), (other.test, real.test)):
        np.testing.assert_array_equal(found.images, expected.images)
        np.testing.assert_array_equal(found.labels, expected.labels)
