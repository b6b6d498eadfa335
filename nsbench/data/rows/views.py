"""Sets of images made of other sets, with nothing copied before it is read."""

import numpy as np
from numpy.typing import NDArray

from nsbench.data.rows.images import Images, Rows


class ChosenImages:
    """Some images of a set, in an order of their own.

    Args:
        images: the set.
        indices: int64 (n,), rows of it; one may repeat.
    """

    def __init__(self, images: Images, indices: NDArray[np.int64]) -> None:
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(images):
            raise IndexError(f"rows {indices.min()} to {indices.max()} of {len(images)} images")
        self._images, self._indices = images, indices
        self.shape: tuple[int, ...] = (len(indices), *images.shape[1:])

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, rows: Rows, /) -> NDArray[np.uint8]:
        return self._images[self._indices[rows]]


class JoinedImages:
    """Two sets of images of one size, one after the other."""

    def __init__(self, first: Images, second: Images) -> None:
        if first.shape[1:] != second.shape[1:]:
            raise ValueError(f"images of {first.shape[1:]} and of {second.shape[1:]} do not go together")
        self._first, self._second = first, second
        self.shape: tuple[int, ...] = (len(first) + len(second), *first.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows, /) -> NDArray[np.uint8]:
        wanted = np.arange(len(self))[rows]
        found = np.empty((len(wanted), *self.shape[1:]), dtype=np.uint8)
        early = wanted < len(self._first)
        for images, mine, start in ((self._first, early, 0), (self._second, ~early, len(self._first))):
            if mine.any():
                found[mine] = images[wanted[mine] - start]
        return found
