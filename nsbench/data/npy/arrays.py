"""Arrays in `.npy` files: opened without running anything, checked, and read a part at a time.

Only the header is read on opening. It says what the array is, and the length of the file must agree with it.
"""

import io
import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nsbench.errors import UserError, shortened

_HEADER_BYTES = 2**16  # as much is read; a header of the plain arrays that we take has some hundred
_MOST_ELEMENTS = 2**60


@dataclass(frozen=True)
class ArrayFile:
    """An array in a file, in C order; nothing of it is in memory until it is read.

    Attributes:
        path: path of the `.npy` file.
        dtype: dtype of its elements, never Python objects.
        shape: shape of the array.
        offset: bytes before the first element.
        remedy: what a user can do about a fault, such as `download it again`.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    remedy: str

    @property
    def file_bytes(self) -> int:
        """The length that the file must have."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    def check_pixels(self, shape: tuple[int, ...]) -> None:
        """Raise UserError unless this is a uint8 array of `shape`."""
        self._check(self.dtype == np.uint8, "uint8", shape)

    def check_labels(self, count: int) -> None:
        """Raise UserError unless these are `count` integers, of whatever width: archives differ."""
        self._check(self.dtype.kind in "iu", "integers", (count,))

    def _check(self, right_type: bool, wanted: str, shape: tuple[int, ...]) -> None:
        if not right_type:
            raise UserError(f"{self.path} holds {self.dtype} instead of {wanted}: {self.remedy}.")
        if self.shape != shape:
            raise UserError(f"{self.path} has the shape {self.shape} instead of {shape}: {self.remedy}.")

    def read(self, first: int, count: int, rows: slice | NDArray[np.int64] = slice(None)) -> NDArray[Any]:
        """Copy `rows` of the block [first, first + count) of the first axis; only they are read from the disk.

        The memory map lives no longer than this call: pages of a map that stays open would pile up in the
        memory of a process that goes through the whole file.

        Raises:
            UserError: the file has changed its length since it was opened, or cannot be read.
        """
        assert 0 <= first <= first + count <= self.shape[0], f"rows {first} to {first + count} of {self.shape}"
        offset = self.offset + first * math.prod(self.shape[1:]) * self.dtype.itemsize
        with readable(self.path):
            _check_length(self)  # to touch a map beyond the end of its file kills the process
            return np.array(np.memmap(self.path, self.dtype, "r", offset, (count, *self.shape[1:]))[rows])


def open_array(path: Path, remedy: str) -> ArrayFile:
    """The array in an `.npy` file of format 1.0 or 2.0, its header checked against the length of the file.

    Args:
        path: path of the file.
        remedy: what a user can do about a fault.

    Raises:
        UserError: the file is missing, unreadable, no `.npy` file, truncated or too long, or it holds
            Python objects (which run code when they are read) or an array in Fortran order.
    """
    with readable(path):
        try:
            regular = stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:
            raise UserError(f"{path} is missing: {remedy}.") from None
        if not regular:  # to open a pipe would wait for ever
            raise UserError(f"{path} is not a file: {remedy}.")
        with path.open("rb") as file:
            header = io.BytesIO(file.read(_HEADER_BYTES))
    try:
        shape, fortran_order, dtype = _read_header(header)
    except Exception as error:  # text evaluated as a literal fails in many ways
        reason = shortened(str(error).partition("\n")[0]) or type(error).__name__
        raise UserError(f"{path} is not an .npy file ({reason}): {remedy}.") from error
    if dtype.hasobject:
        raise UserError(f"{path} holds Python objects, which can run code when they are read: {remedy}.")
    if fortran_order:
        raise UserError(f"{path} is in Fortran order where C order is needed: {remedy}.")
    array = ArrayFile(path, dtype, shape, header.tell(), remedy)
    with readable(path):
        _check_length(array)
    return array


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in one sentence that the operating system does not let us read `path` or a file in it."""
    try:
        yield
    except OSError as error:
        name, reason = error.filename or path, error.strerror or error
        raise UserError(f"{name} cannot be read ({reason}): check the disk and the permissions.") from error


def _read_header(file: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and element type; the file is left at the first element."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its format is {version[0]}.{version[1]}, not 1.0 or 2.0")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran_order, dtype = read(file)
    if any(not 0 <= size <= _MOST_ELEMENTS for size in shape) or math.prod(shape) > _MOST_ELEMENTS:
        raise ValueError("its shape is impossible")
    return shape, fortran_order, dtype


def _check_length(array: ArrayFile) -> None:
    size = array.path.stat().st_size
    if size != array.file_bytes:
        fault = "truncated" if size < array.file_bytes else "too long"
        raise UserError(f"{array.path} is {fault} (expected {array.file_bytes} bytes, found {size}): {array.remedy}.")
