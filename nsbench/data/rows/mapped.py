"""Images in one `.npy` file, which may be larger than the memory."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nsbench.data.npy.arrays import open_array
from nsbench.data.rows.images import Rows
from nsbench.errors import UserError


class MappedImages:
    """Images in an `.npy` file, uint8 (N, H, W, 3) in C order; only the rows asked for are read, and copied.

    Args:
        path: path of the file.
        remedy: what a user should do about a fault.

    Raises:
        UserError: the file is missing, damaged, or holds something else; later, when it has changed its length.
    """

    def __init__(self, path: Path, remedy: str = "write it again with numpy.save") -> None:
        self._array = open_array(path, remedy)
        shape, dtype = self._array.shape, self._array.dtype
        if dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3:
            raise UserError(f"{path} holds {dtype} {shape} instead of images, uint8 (N, H, W, 3): {remedy}.")
        self.shape: tuple[int, ...] = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows, /) -> NDArray[np.uint8]:
        return self._array.read(0, len(self), rows)
