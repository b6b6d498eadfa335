"""CIFAR-10 from the official batches or from parquet files.

Both layouts give the same arrays. A batch is a pickle, which can run any code when it is opened, so
its size and MD5 are compared with the manifest first, and the unpickler knows only the three names
that these files use, each replaced by a plain stand-in here: not even numpy's own are called.
"""

import hashlib
import io
import pickle
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.manifests import Manifest, ManifestFile
from nsbench.errors import UserError

_BATCHES = "cifar-10-batches-py"
_PARQUET_FOLDERS = ("cifar10", "parquet", "plain_text", ".")
_SHARD = re.compile(r"(train|test)-(\d+)-of-(\d+)(?:-[0-9a-f]+)?\.parquet")
_ROWS_AT_A_TIME = 2048
_ROWS_PER_TASK = 256
_BROKEN_IMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)  # Pillow's many ways


class _Piece(NamedTuple):
    """Some consecutive images and labels, and the file they came from."""

    path: Path
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def load_cifar10(manifest: Manifest, folder: Path) -> Dataset:
    """CIFAR-10 in the official order, from whichever layout lies under the data folder.

    Looked for, in this order: `cifar-10-batches-py` under `folder`, `folder` itself if it holds
    batches, then parquet files in `cifar10`, `parquet`, `plain_text` and `folder` itself.

    Raises:
        UserError: nothing found, or a file that is missing, truncated, altered or of another kind.
    """
    try:
        batches = _find_batches(manifest, folder)
        return read_batches(manifest, batches) if batches else read_parquet(manifest, _find_parquet(manifest, folder))
    except OSError as error:
        name, reason = error.filename or folder, error.strerror or error
        raise UserError(f"{name} cannot be read ({reason}): check the disk and the permissions.") from error


def read_batches(manifest: Manifest, folder: Path) -> Dataset:
    """The official batches in `folder`; UserError for a faulty file."""
    remedy = f"unpack {manifest.url} again"
    for file in manifest.files:
        _check_size(folder / file.name, file, remedy)
    files = {file.name: file for file in manifest.files}
    _verified_bytes(folder, files["batches.meta"], remedy)  # read by nobody: the manifest names the classes
    batches = (_read_batch(folder, file, manifest, remedy) for file in _training_files(manifest))
    train = _assemble(batches, manifest.train_count, manifest, folder)
    test = _assemble(
        [_read_batch(folder, files["test_batch"], manifest, remedy)], manifest.test_count, manifest, folder
    )
    return manifest.dataset(train, test, f"{remedy} into {folder.parent}")


def read_parquet(manifest: Manifest, folder: Path) -> Dataset:
    """The Hugging Face layout in `folder`; UserError for a faulty file.

    The files are `train-K-of-N.parquet` and `test-K-of-N.parquet` with the columns `img` (a struct
    with the encoded image in `bytes`) and `label`. A few thousand rows are decoded at a time.
    """
    with ThreadPoolExecutor() as pool:
        train = _assemble(_read_shards(folder, "train", manifest, pool), manifest.train_count, manifest, folder)
        test = _assemble(_read_shards(folder, "test", manifest, pool), manifest.test_count, manifest, folder)
    remedy = f"download the parquet files in {folder} again"
    return manifest.dataset(_in_official_order(train, manifest), test, remedy)


def _find_batches(manifest: Manifest, folder: Path) -> Path | None:
    if (folder / _BATCHES).is_dir():
        return folder / _BATCHES
    return folder if any((folder / file.name).is_file() for file in manifest.files) else None


def _find_parquet(manifest: Manifest, folder: Path) -> Path:
    for candidate in (folder / name for name in _PARQUET_FOLDERS):
        if candidate.is_dir() and any(_SHARD.fullmatch(path.name) for path in candidate.iterdir()):
            return candidate
    fault = f"holds no {manifest.title}" if folder.exists() else "does not exist"
    raise UserError(
        f"The data folder {folder} {fault}: download {manifest.url} and unpack it there so that {folder / _BATCHES} "
        f"exists, or name the folder that holds {_BATCHES} with --data or NSBENCH_DATA."
    )


def _check_size(path: Path, file: ManifestFile, remedy: str) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing: {remedy}.")
    size = path.stat().st_size
    if size != file.bytes:
        fault = "truncated" if size < file.bytes else "too long"
        raise UserError(f"{path} is {fault} (expected {file.bytes} bytes, found {size}): {remedy}.")


def _verified_bytes(folder: Path, file: ManifestFile, remedy: str) -> bytes:
    content = (folder / file.name).read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != file.md5:
        raise UserError(
            f"{folder / file.name} has the wrong checksum (expected MD5 {file.md5}, found {found}): {remedy}."
        )
    return content


def _training_files(manifest: Manifest) -> list[ManifestFile]:
    return [file for file in manifest.files if file.name.startswith("data_batch_")]


class _PickledDtype:
    """Stands in for numpy.dtype: keeps its name."""

    def __init__(self, name: bytes, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment, which single bytes have not."""


class _PickledArray:
    """Stands in for numpy.ndarray: an array of bytes in C order, nothing else."""

    def __init__(self, *_: object) -> None:
        self.array = np.empty(0, dtype=np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _PickledDtype, bool, bytes]) -> None:
        _, shape, dtype, fortran_order, content = state
        if dtype.name != b"u1" or fortran_order:
            raise ValueError("its array is not uint8 in C order")
        self.array = np.frombuffer(content, dtype=np.uint8).reshape(shape)


_KNOWN_GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"): _PickledArray,
    ("numpy", "ndarray"): None,  # an argument of _reconstruct, never called
    ("numpy", "dtype"): _PickledDtype,
}


class _Unpickler(pickle.Unpickler):
    """Reads Python 2 pickles that hold lists, dictionaries, strings, numbers and byte arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN_GLOBALS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR-10 file needs")
        return _KNOWN_GLOBALS[module, name]


def _read_batch(folder: Path, file: ManifestFile, manifest: Manifest, remedy: str) -> _Piece:
    content = _verified_bytes(folder, file, remedy)
    height, width, channels = manifest.image_shape
    try:
        fields = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        planes = fields[b"data"].array.reshape(-1, channels, height, width)
        labels = np.array(fields[b"labels"], dtype=np.int64).reshape(len(planes))
    except Exception as error:  # a pickle of another kind raises anything
        raise UserError(f"{folder / file.name} is not a {manifest.title} batch ({error}): {remedy}.") from error
    return _Piece(folder / file.name, planes.transpose(0, 2, 3, 1), labels)


def _assemble(pieces: Iterable[_Piece], count: int, manifest: Manifest, folder: Path) -> ImageSet:
    """Copy the pieces of `folder` one after the other into `count` images; UserError if they are not as many."""
    images = np.empty((count, *manifest.image_shape), dtype=np.uint8)
    labels = np.empty(count, dtype=np.int64)
    done = 0
    for piece in pieces:
        _check_labels(piece, manifest)
        end = done + len(piece.labels)
        if end > count:
            raise UserError(f"{piece.path} goes beyond the {count} images of {manifest.title}: download it again.")
        images[done:end] = piece.images
        labels[done:end] = piece.labels
        done = end
    if done < count:
        raise UserError(f"{folder} holds {done} images where {manifest.title} has {count}: download the files again.")
    return ImageSet(images, labels)


def _check_labels(piece: _Piece, manifest: Manifest) -> None:
    outside = piece.labels[(piece.labels < 0) | (piece.labels >= len(manifest.classes))]
    if len(outside):
        last = len(manifest.classes) - 1
        raise UserError(f"{piece.path} has the label {outside[0]}, outside 0..{last}: download {manifest.title} again.")


def _read_shards(folder: Path, part: str, manifest: Manifest, pool: Executor) -> Iterator[_Piece]:
    for path in _shards(folder, part):
        try:
            with pq.ParquetFile(path) as file:
                _check_columns(file.schema_arrow, path)
                first_row = 0
                for rows in file.iter_batches(_ROWS_AT_A_TIME, columns=["img.bytes", "label"]):
                    yield _decode_rows(rows, path, first_row, manifest, pool)
                    first_row += rows.num_rows
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path} is damaged or not a parquet file ({error}): download it again.") from error


def _shards(folder: Path, part: str) -> list[Path]:
    """The parquet files of `part`, in order; UserError if one of them is missing."""
    matches = [
        match for path in sorted(folder.iterdir()) if (match := _SHARD.fullmatch(path.name)) and match[1] == part
    ]
    counts = {int(match[3]) for match in matches}
    if len(counts) > 1 or len({int(match[2]) for match in matches}) < len(matches):
        raise UserError(f"{folder} mixes parquet files of several downloads ({part}-*): keep those of one.")
    count = counts.pop() if counts else 1
    by_number = {int(match[2]): folder / match[0] for match in matches}
    for number in range(count):
        if number not in by_number:
            name = f"{part}-{number:05d}-of-{count:05d}.parquet"
            raise UserError(f"{folder / name} is missing: download it into that folder.")
    return [by_number[number] for number in range(count)]


def _check_columns(schema: pa.Schema, path: Path) -> None:
    types = dict(zip(schema.names, schema.types, strict=True))
    image, label = types.get("img"), types.get("label")
    if (
        image is None
        or not pa.types.is_struct(image)
        or image.get_field_index("bytes") < 0
        or label is None
        or not pa.types.is_integer(label)
    ):
        found = ", ".join(f"{name}: {kind}" for name, kind in types.items())
        raise UserError(f"{path} has the columns {found} instead of img (a struct with bytes) and label (an integer).")


def _decode_rows(rows: pa.RecordBatch, path: Path, first_row: int, manifest: Manifest, pool: Executor) -> _Piece:
    encoded = rows.column("img").field("bytes").to_pylist()
    if rows.column("label").null_count:
        raise UserError(f"{path} has an image without a label: download it again.")
    labels = rows.column("label").to_numpy(zero_copy_only=False).astype(np.int64)
    images = np.empty((len(encoded), *manifest.image_shape), dtype=np.uint8)

    def decode_some(start: int) -> None:
        for row in range(start, min(start + _ROWS_PER_TASK, len(encoded))):
            try:
                images[row] = _decode_image(encoded[row], manifest.image_shape)
            except (*_BROKEN_IMAGE, Image.DecompressionBombError) as error:
                place = f"image {first_row + row} of {path}"
                raise UserError(f"{place} cannot be decoded ({error}): download the file again.") from error

    for _ in pool.map(decode_some, range(0, len(encoded), _ROWS_PER_TASK)):
        pass
    return _Piece(path, images, labels)


def _decode_image(encoded: bytes | None, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    if encoded is None:
        raise ValueError("it is empty")
    try:
        opened = Image.open(io.BytesIO(encoded), formats=("PNG", "WEBP"))
    except UnidentifiedImageError as error:
        raise ValueError("it is neither PNG nor WebP") from error
    with opened as image:
        if image.size != (shape[1], shape[0]):
            raise ValueError(f"it is {image.width}x{image.height} pixels, not {shape[1]}x{shape[0]}")
        return np.asarray(image.convert("RGB"))


def _in_official_order(train: ImageSet, manifest: Manifest) -> ImageSet:
    """Put the training batches in the official order if they are whole batches in another.

    The copy on the Hugging Face hub has them in the order of the tar archive: 4, 3, 2, 5, 1.
    """
    official = [file.content for file in _training_files(manifest)]
    places = np.split(np.arange(len(train)), len(official))
    found = {content_checksum(ImageSet(train.images[p[0] : p[-1] + 1], train.labels[p])): p for p in places}
    if list(found) == official or set(found) != set(official):
        return train
    return train.select(np.concatenate([found[checksum] for checksum in official if checksum]))
