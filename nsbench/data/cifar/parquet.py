"""CIFAR-10 and CIFAR-100 from parquet files, as the Hugging Face hub has them."""

import io
import re
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nsbench.data.cifar.layout import CifarLayout
from nsbench.data.cifar.pieces import Piece, assemble
from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.library.manifests import Manifest
from nsbench.data.rows.pictures import BROKEN_IMAGE
from nsbench.errors import UserError, describe, shortened

_SHARD = re.compile(r"(train|test)-(\d+)-of-(\d+)(?:-[0-9a-f]+)?\.parquet")
_ROWS_AT_A_TIME = 2048
_ROWS_PER_TASK = 256


def holds_parquet(folder: Path) -> bool:
    """Whether any file in `folder` is named as a part of such a data set."""
    return folder.is_dir() and any(_SHARD.fullmatch(path.name) for path in folder.iterdir())


def read_parquet(manifest: Manifest, layout: CifarLayout, folder: Path) -> Dataset:
    """The Hugging Face layout in `folder`; UserError for a faulty file.

    The files are `train-K-of-N.parquet` and `test-K-of-N.parquet` with the columns `img` (a struct
    with the encoded image in `bytes`) and the label. A few thousand rows are decoded at a time.
    Only the manifest's checksum of the content proves these images, where it has one.
    """
    column = layout.label_column
    with ThreadPoolExecutor() as pool:
        train = assemble(_read_shards(folder, "train", manifest, column, pool), manifest.train_count, manifest, folder)
        test = assemble(_read_shards(folder, "test", manifest, column, pool), manifest.test_count, manifest, folder)
    ordered = _in_official_order(train, [file.content for file in layout.training_files(manifest)])
    return manifest.dataset(ordered, test, f"download the parquet files in {folder} again")


def _read_shards(folder: Path, part: str, manifest: Manifest, label_column: str, pool: Executor) -> Iterator[Piece]:
    for path in _shards(folder, part):
        try:
            with pq.ParquetFile(path) as file:
                _check_columns(file.schema_arrow, label_column, path)
                first_row = 0
                for rows in file.iter_batches(_ROWS_AT_A_TIME, columns=["img.bytes", label_column]):
                    yield _decode_rows(rows, label_column, path, first_row, manifest, pool)
                    first_row += rows.num_rows
        except (UserError, PermissionError):
            raise
        except Exception as error:  # a crafted file fails in many ways
            reason = describe(error)
            raise UserError(f"{path} is damaged or not a parquet file ({reason}): download it again.") from error


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


def _check_columns(schema: pa.Schema, label_column: str, path: Path) -> None:
    types = dict(zip(schema.names, schema.types, strict=True))
    image, label = types.get("img"), types.get(label_column)
    if (
        image is None
        or not pa.types.is_struct(image)
        or image.get_field_index("bytes") < 0
        or not _is_binary(image.field("bytes").type)
        or label is None
        or not pa.types.is_integer(label)
    ):
        found = shortened(", ".join(f"{name}: {kind}" for name, kind in types.items()))
        raise UserError(
            f"{path} has the columns {found} instead of img (a struct with bytes) and {label_column} (an integer)."
        )


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _decode_rows(
    rows: pa.RecordBatch, label_column: str, path: Path, first_row: int, manifest: Manifest, pool: Executor
) -> Piece:
    encoded = rows.column("img").field("bytes").to_pylist()
    if rows.column(label_column).null_count:
        raise UserError(f"{path} has an image without a label: download it again.")
    labels = rows.column(label_column).to_numpy(zero_copy_only=False).astype(np.int64)
    images = np.empty((len(encoded), *manifest.image_shape), dtype=np.uint8)

    def decode_some(start: int) -> None:
        for row in range(start, min(start + _ROWS_PER_TASK, len(encoded))):
            try:
                images[row] = _decode_image(encoded[row], manifest.image_shape)
            except BROKEN_IMAGE as error:
                place = f"image {first_row + row} of {path}"
                raise UserError(f"{place} cannot be decoded ({error}): download the file again.") from error

    for _ in pool.map(decode_some, range(0, len(encoded), _ROWS_PER_TASK)):
        pass
    return Piece(path, images, labels)


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


def _in_official_order(train: ImageSet, official: list[str | None]) -> ImageSet:
    """Put the training batches in the official order if they are whole batches in another.

    The copy of CIFAR-10 on the Hugging Face hub has them in the order of the tar archive: 4, 3, 2, 5, 1.

    Args:
        train: all batches.
        official: content checksum of each batch, in order; None where it is not known.
    """
    places = np.split(np.arange(len(train)), len(official))
    found = {content_checksum(ImageSet(train.images[p[0] : p[-1] + 1], train.labels[p])): p for p in places}
    if list(found) == official or set(found) != set(official):
        return train
    return train.select(np.concatenate([found[checksum] for checksum in official if checksum]))
