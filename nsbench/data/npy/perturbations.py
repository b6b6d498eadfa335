"""CIFAR-10-P and CIFAR-100-P as published, and sets that nsbench made in their layout.

Each perturbation is a uint8 array (N, T, 32, 32, 3): a sequence of T frames for each of the N clean test images, in
test order. There are no labels (Hendrycks and Dietterich 2019, arXiv:1903.12261, section 3; the layout is that of
the published archive). A file has up to a gigabyte, so only the sequences asked for are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nsbench.data.images import Dataset
from nsbench.data.npy.arrays import ArrayFile
from nsbench.data.npy.folder import find_array_folder
from nsbench.data.rows.images import Images
from nsbench.errors import UserError
from nsbench.protocols.registry import perturbation_protocol

_COMPARED = 36
"""Sequences in which a frame is compared with the clean image."""


@dataclass(frozen=True, eq=False)
class PerturbationFiles:
    """Perturbed sequences on disk, all checked, none in memory.

    Attributes:
        folder: folder of the arrays.
        names: perturbations that can be read.
        images: N, how many test images, the first ones, have a sequence.
        generated: the content of `nsbench-set.json` where nsbench made the set; None for the published one.
        ignored: names of further `.npy` files in the folder, which are not read.
    """

    folder: Path
    names: tuple[str, ...]
    images: int
    generated: dict[str, Any] | None
    ignored: tuple[str, ...]
    _arrays: Mapping[str, ArrayFile] = field(repr=False)

    def __len__(self) -> int:
        return self.images

    def read(self, name: str, rows: slice = slice(None)) -> NDArray[np.uint8]:
        """Copy the sequences `rows` of 0..N of the perturbation `name`.

        Returns:
            uint8 (n, T, 32, 32, 3).

        Raises:
            KeyError: a perturbation that is not in `names`.
            UserError: the file was changed since it was opened, or cannot be read.
        """
        return self._arrays[name].read(0, self.images, rows)


def open_perturbation_files(data_folder: Path, dataset: Dataset, names: Sequence[str]) -> PerturbationFiles:
    """The perturbations `names` of the test images of `dataset`, everything about them checked.

    Where a frame is the clean image itself, it is compared with the clean test image in some dozen sequences.

    Args:
        data_folder: holds the folder `CIFAR-10-P` (or `CIFAR-100-P`), or is that folder.
        dataset: the clean images.
        names: names of perturbations, which are the stems of their files.

    Raises:
        UserError: the folder or a perturbation is missing, an array is of another type, shape or length, or
            the sequences are of other images.
    """
    protocol = perturbation_protocol(dataset.name, dataset.title)
    folder = find_array_folder(data_folder, dataset, protocol, names)
    folder.check_names(names)
    clean, count = dataset.test.images, folder.images
    arrays = {name: folder.open(name) for name in names}
    for name, array in arrays.items():
        array.check_pixels((count, protocol.member(name).frames, *clean.shape[1:]))
    for name in names:
        frame = protocol.member(name).clean_frame
        if frame is not None:
            _check_clean_frame(arrays[name], frame, clean, count)
    ignored = tuple(stem for stem in folder.stems if stem not in names)
    return PerturbationFiles(folder.path, tuple(names), count, folder.generated, ignored, arrays)


def _check_clean_frame(array: ArrayFile, frame: int, clean: Images, count: int) -> None:
    step = -(-count // _COMPARED)
    found = array.read(0, count, slice(None, None, step))[:, frame]
    different = np.flatnonzero((found != clean[:count:step]).any(axis=(1, 2, 3)))
    if len(different):
        raise UserError(
            f"Frame {frame} of sequence {different[0] * step} in {array.path} is not the clean test image "
            f"({len(different)} of {len(found)} sequences differ), so it belongs to other images: {array.remedy}."
        )
