"""Occlusions: a part of each image is hidden behind grey."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nsbench.extend import Member, Protocol, register_protocol

GREY = 128


def hide(
    images: NDArray[np.uint8], member: str, severity: int, states: Sequence[np.random.Generator]
) -> NDArray[np.uint8]:
    """The images with a square, or a band of rows, hidden; each where its own state says."""
    hidden, side = images.copy(), images.shape[1]
    size = side * severity // 8
    for image, state in zip(hidden, states, strict=True):
        top, left = state.integers(side - size + 1, size=2)
        image[top : top + size, left : left + size if member == "square" else side] = GREY
    return hidden


OCCLUSIONS = Protocol(
    name="occlusions",
    title="Occlusions",
    kind="corruption",
    data_sets=("digits", "cifar10", "cifar100"),
    members=(Member("square"), Member("band")),
    severities=(1, 2, 3),
    generator=hide,
)

register_protocol(OCCLUSIONS)
