"""The tilt of CIFAR-10-P: the image turned out of its plane and seen in perspective, as OpenCV's fixed point has it.

The OpenCV of its day, and still 4.10, rounds the coordinates of a perspective map to 1/32 pixel; version 5 does not,
and makes other pixels.
"""

import math

import numpy as np
from numpy.typing import NDArray

from nsbench.corruptions.numerics.pixels import SIDE

STEPS = 32
"""Coordinates are counted in this fraction of a pixel."""


def tilt_matrix(degrees: float) -> NDArray[np.float64]:
    """Return the map of a pixel of the image to where it is seen, in homogeneous coordinates.

    The image is turned about a vertical, then a horizontal axis, by the same angle, and seen from as far as its
    diagonal is long (make_cifar_p.py of Hendrycks and Dietterich 2019). As published it lies one pixel behind the
    point where the axes cross, so that it shrinks by 2 % even at 0 degrees.

    Returns:
        float64 (3, 3), for column vectors (x, y, 1) of pixel indices.
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    half, distance = SIDE / 2, math.sqrt(2 * SIDE**2)
    centred = np.array([[1, 0, -half], [0, 1, -half], [0, 0, 1], [0, 0, 1]])
    about_vertical = np.array([[cosine, 0, -sine, 0], [0, 1, 0, 0], [sine, 0, cosine, 0], [0, 0, 0, 1]])
    about_horizontal = np.array([[1, 0, 0, 0], [0, cosine, -sine, 0], [0, sine, cosine, 0], [0, 0, 0, 1]])
    moved_away = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, distance], [0, 0, 0, 1]])
    projected = np.array([[distance, 0, half, 0], [0, distance, half, 0], [0, 0, 1, 0]])
    matrix: NDArray[np.float64] = projected @ moved_away @ about_horizontal @ about_vertical @ centred
    return matrix


def tilt_coordinates(degrees: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where in the image each pixel comes from.

    Returns:
        x (across) and y (down), each (32, 32), in 1/32 pixel from the centre of the first pixel. At the
        angles of CIFAR-10-P none is so near a tie of this rounding that the last bits of the inverse matter.
    """
    down, across = np.mgrid[:SIDE, :SIDE]
    x, y, depth = (row[0] * across + row[1] * down + row[2] for row in np.linalg.inv(tilt_matrix(degrees)))
    return np.rint(x / depth * STEPS).astype(np.int64), np.rint(y / depth * STEPS).astype(np.int64)
