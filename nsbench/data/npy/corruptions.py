"""CIFAR-10-C and CIFAR-100-C as published, and sets that nsbench made in their layout.

Each corruption is a uint8 array (5 * N, 32, 32, 3): the N clean test images in test order at severity 1, then all
of them at severity 2, and so on; `labels.npy` has the 5 * N labels (Hendrycks and Dietterich 2019,
arXiv:1903.12261, section 3; the layout is that of the published archive).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nsbench.data.images import Dataset
from nsbench.data.npy.arrays import ArrayFile
from nsbench.data.npy.folder import DESCRIPTION, ArrayFolder, find_array_folder
from nsbench.errors import UserError, shortened
from nsbench.protocols.protocol import Protocol
from nsbench.protocols.registry import corruption_protocol


@dataclass(frozen=True, eq=False)
class CorruptionFiles:
    """Corrupted images on disk, all checked, none in memory.

    Attributes:
        folder: folder of the arrays.
        names: corruptions that can be read.
        severities: severities of the blocks in each file, in order.
        labels: int64 (N,), labels of the clean images that were corrupted: the first N of the test set.
        generated: the content of `nsbench-set.json` where nsbench made the set; None for the published one.
        ignored: names of further `.npy` files in the folder, which are not read.
    """

    folder: Path
    names: tuple[str, ...]
    severities: tuple[int, ...]
    labels: NDArray[np.int64]
    generated: dict[str, Any] | None
    ignored: tuple[str, ...]
    _arrays: Mapping[str, ArrayFile] = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, name: str, severity: int, rows: slice = slice(None)) -> NDArray[np.uint8]:
        """Copy the images `rows` of 0..N, corrupted by `name` at `severity`.

        Returns:
            uint8 (n, 32, 32, 3).

        Raises:
            KeyError: a corruption that is not in `names`.
            ValueError: a severity that is not in `severities`.
            UserError: the file was changed since it was opened, or cannot be read.
        """
        block = self.severities.index(severity)
        return self._arrays[name].read(block * len(self), len(self), rows)


def open_corruption_files(
    data_folder: Path,
    dataset: Dataset,
    names: Sequence[str],
    severities: Sequence[int] = (),
    protocol: Protocol | None = None,
) -> CorruptionFiles:
    """The corruptions `names` of the test images of `dataset`, everything about them checked.

    Args:
        data_folder: holds the folder `CIFAR-10-C` (or `CIFAR-100-C`), or is that folder.
        dataset: the clean images and labels.
        names: names of corruptions, which are the stems of their files.
        severities: those that will be read, () for all; the published set has all, a generated one may have fewer.
        protocol: the benchmark; None for the corruptions that the data set has anyway.

    Raises:
        UserError: the folder, a corruption or a severity is missing, an array is of another type, shape or length,
            or the labels are not those of the clean test images.
    """
    protocol = protocol or corruption_protocol(dataset.name, dataset.title)
    file_of_labels = protocol.layout.labels
    folder = find_array_folder(data_folder, dataset, protocol, names)
    folder.check_names([*names, file_of_labels])
    held = _held_severities(folder, severities or protocol.severities, protocol)
    labels = dataset.test.labels[: folder.images]
    shape = (len(labels), *dataset.test.images.shape[1:])
    arrays = {name: _open_images(folder, name, shape, held) for name in names}
    _check_labels(folder.open(file_of_labels), labels, held)
    ignored = tuple(stem for stem in folder.stems if stem not in names and stem != file_of_labels)
    return CorruptionFiles(folder.path, tuple(names), held, labels, folder.generated, ignored, arrays)


def _held_severities(folder: ArrayFolder, wanted: Sequence[int], protocol: Protocol) -> tuple[int, ...]:
    """The severities of the blocks in each file; UserError unless the wanted ones are among them."""
    if folder.generated is None:
        return protocol.severities
    held = folder.generated.get("severities")
    known = isinstance(held, list) and all(type(one) is int and one in protocol.severities for one in held)
    if not held or not known or len(set(held)) < len(held):
        said, known_are = shortened(repr(held)), f"1..{protocol.severities[-1]}"
        raise UserError(
            f"{folder.path / DESCRIPTION} says severities = {said}, not some of {known_are}: {folder.remedy}."
        )
    missing = [severity for severity in wanted if severity not in held]
    if missing:
        raise UserError(f"{folder.path} was made without severity {_list(missing)}: {folder.remedy}.")
    return tuple(held)


def _open_images(folder: ArrayFolder, name: str, shape: tuple[int, ...], severities: tuple[int, ...]) -> ArrayFile:
    """The images of a corruption, blocks of the clean images' shape (n, H, W, 3)."""
    array, (clean, *one) = folder.open(name), shape
    blocks, rest = divmod(array.shape[0], clean) if array.shape else (0, 0)
    if array.dtype == np.uint8 and array.shape[1:] == tuple(one) and 0 < blocks < len(severities) and not rest:
        raise UserError(
            f"{array.path} has only {blocks} of {len(severities)} blocks of {clean} images, "
            f"severity {_list(severities[blocks:])} {'is' if blocks + 1 == len(severities) else 'are'} missing: "
            f"{folder.remedy}."
        )
    array.check_pixels((len(severities) * clean, *one))
    return array


def _check_labels(array: ArrayFile, labels: NDArray[np.int64], severities: tuple[int, ...]) -> None:
    array.check_labels(len(severities) * len(labels))
    found = array.read(0, array.shape[0]).reshape(len(severities), len(labels))
    different = np.argwhere(found != labels)
    if len(different):
        block, image = different[0].tolist()
        raise UserError(
            f"{array.path} has the label {found[block, image]} for image {image} at severity {severities[block]} where "
            f"the clean test set has {labels[image]} ({len(different)} of {found.size} differ), so it belongs to other "
            f"images: {array.remedy}."
        )


def _list(numbers: Sequence[int]) -> str:
    """For example `3, 4 and 5`."""
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last
