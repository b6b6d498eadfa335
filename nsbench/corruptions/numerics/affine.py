"""Affine maps of a 32 x 32 image as torchvision 0.2 defined them, because CIFAR-10-P was made with it.

Today's torchvision turns, scales and shears about (16, 16), the middle of the image. Version 0.2 did so about
(16.5, 16.5), and its shear also stretched the image downwards by the cosine of the angle: its forward map was
scale * [[cos a, -sin(a + s)], [sin a, cos(a + s)]] for rotation a and shear s.
"""

import math

import numpy as np
from numpy.typing import NDArray

from nsbench.corruptions.numerics.pixels import SIDE

CENTRE = SIDE / 2 + 0.5
"""What rotation, scale and shear leave in place, in pixels from the upper and left edge of the image."""

Coordinates = tuple[NDArray[np.float64], NDArray[np.float64]]
"""x (across) and y (down), each (32, 32)."""


def affine_coordinates(*, angle: float = 0.0, scale: float = 1.0, shear: float = 0.0) -> Coordinates:
    """Return where in the image each pixel's centre comes from.

    Rounded as torchvision's Python and Pillow's C round, in float64, so that Pillow's floor of a coordinate comes out
    the same where the coordinate is whole but for rounding.

    Args:
        angle: angle of the rotation, in degrees clockwise.
        scale: above 1 enlarges.
        shear: in degrees.

    Returns:
        Coordinates in pixels from the upper and left edge of the image: the centre of the first pixel is 0.5.
    """
    turn, slant = math.radians(angle), math.radians(shear)
    determinant = math.cos(turn + slant) * math.cos(turn) + math.sin(turn + slant) * math.sin(turn)
    factor = 1.0 / scale / determinant
    down, across = np.mgrid[:SIDE, :SIDE] + 0.5

    def coordinate(along_x: float, along_y: float) -> NDArray[np.float64]:
        along_x, along_y = factor * along_x, factor * along_y
        offset = along_x * -CENTRE + along_y * -CENTRE + CENTRE
        mapped: NDArray[np.float64] = along_x * across + along_y * down + offset
        return mapped

    return (
        coordinate(math.cos(turn + slant), math.sin(turn + slant)),
        coordinate(-math.sin(turn), math.cos(turn)),
    )
