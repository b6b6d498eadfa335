"""Images that are read by rows, wherever they are."""

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rows = slice | NDArray[np.int64]

AT_A_TIME = 2**28
"""Bytes of pixels held at a time by whoever goes through a set: 256 MB."""


class Images(Protocol):
    """A set of images of one size, read by rows; a NumPy array and a memory map of one are such sets."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, 3)."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, rows: Rows, /) -> NDArray[np.uint8]:
        """uint8 (n, H, W, 3), RGB, 0..255: the images at these rows, in this order; a row may repeat.

        Rows count from 0, and a slice means what it means for a list.
        """


def image_bytes(images: Images) -> int:
    """Bytes of one image's pixels."""
    return math.prod(images.shape[1:])


def in_blocks(images: Images, at_a_time: int = AT_A_TIME) -> Iterator[NDArray[np.uint8]]:
    """All images in order, as many as fit into `at_a_time` bytes, at least one, held at a time."""
    step = max(1, at_a_time // image_bytes(images))
    for start in range(0, len(images), step):
        yield images[start : start + step]
