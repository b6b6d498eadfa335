"""A sealed file that is written part by part, for arrays that are never whole in memory."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from nsbench.files import PartialFile
from nsbench.predictions.sealed import PLACE, metadata, seal

_LENGTH_BYTES = 8  # the header's length stands before it, little-endian
_ALIGNMENT = 8  # spaces fill the header up to a multiple of it


class Kind(NamedTuple):
    """Element type and shape of an array to be written."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class TensorFile:
    """Named arrays that arrive in parts; the file is byte for byte what `sealed` makes of the whole.

    Args:
        path: path of the file, which appears with `finish`.
        arrays: what it will hold.
        origin: text that goes with them.

    Raises:
        UserError: the folder cannot be written; later, the disk is full.
    """

    def __init__(self, path: Path, arrays: Mapping[str, Kind], origin: str) -> None:
        header, self._offsets = _layout(arrays, metadata(origin))
        self._arrays = dict(arrays)
        self._missing = {name: math.prod(kind.shape) for name, kind in arrays.items()}
        self._file = PartialFile(path)
        self._file.write(0, header)

    def put(self, name: str, start: int, part: NDArray[Any], axis: int = 0) -> None:
        """Write rows of one array.

        Args:
            name: name of the array.
            start: place of the first row along `axis`.
            part: some rows; along every other axis it is as long as the array.
            axis: along which there are several parts.
        """
        dtype, shape = self._arrays[name]
        rows = part.shape[axis]
        assert part.dtype == dtype, (name, part.dtype, dtype)
        assert part.shape == (*shape[:axis], rows, *shape[axis + 1 :]), (name, part.shape, shape, axis)
        assert 0 <= start <= start + rows <= shape[axis], (name, start, rows, shape)
        row_bytes = dtype.itemsize * math.prod(shape[axis + 1 :])
        for place, block in enumerate(part.reshape(math.prod(shape[:axis]), -1)):
            offset = self._offsets[name] + (place * shape[axis] + start) * row_bytes
            self._file.write(offset, block.tobytes())
        self._missing[name] -= part.size

    def finish(self) -> None:
        """Seal the file and let it appear at its path, now that all of it is written."""
        assert not any(self._missing.values()), self._missing
        self._file.write(PLACE, seal(self._file.chunks()))
        self._file.finish()

    def discard(self) -> None:
        """Delete what was written of a file that will not be finished."""
        self._file.discard()


def _layout(arrays: Mapping[str, Kind], metadata: Mapping[str, str]) -> tuple[bytes, dict[str, int]]:
    """The header of the file, and where each array begins.

    safetensors itself writes the header of empty arrays, which fixes their order and the names of their types; what
    remains to fill in are shapes and places.
    """
    empty = save({name: np.empty(0, kind.dtype) for name, kind in arrays.items()}, dict(metadata))
    header = json.loads(empty[_LENGTH_BYTES : _LENGTH_BYTES + int.from_bytes(empty[:_LENGTH_BYTES], "little")])
    begin, begins = 0, {}
    for name in header:
        if name in arrays:
            dtype, shape = arrays[name]
            begins[name], end = begin, begin + dtype.itemsize * math.prod(shape)
            header[name] |= {"shape": list(shape), "data_offsets": [begin, end]}
            begin = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    head = len(text).to_bytes(_LENGTH_BYTES, "little") + text
    return head, {name: len(head) + begin for name, begin in begins.items()}
