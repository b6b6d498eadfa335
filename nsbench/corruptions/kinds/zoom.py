"""Zooming into the centre of an image, and zoom blur, a corruption of CIFAR-10-C.

The published zoom cuts out the centre, ceil(side / factor) pixels wide, and interpolates linearly, with the first and
last pixel of the cut and of the result on top of each other (scipy's order 1); of a result wider than the image the
centre is kept.

Zoom blur is the mean of the image and of its zooms by 1, 1.01, 1.02, ... so it is linear, and the same at every image:
one sparse matrix for each severity. Its weights are integers of sum 2^40, and a sum of products of integers below 2^53
has no rounding in float64, in whatever order a library adds; so neither a device nor the size of a batch shows.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nsbench.corruptions.spec import Corruption, Draw

_WEIGHT_BITS = 40
_FACTOR_STEP = 0.01


class ZoomAxis(NamedTuple):
    """Where each pixel of a line is looked up along one axis of the centre that a zoom shows."""

    size: int
    """Pixels of the centre."""
    before: tuple[int, ...]
    """The pixel of the centre at or before each place."""
    after: tuple[int, ...]
    """The one after it, or the last."""
    fractions: tuple[float, ...]
    """How far each place is on the way from `before` to `after`, in [0, 1)."""


@cache
def zoom_axis(factor: float, side: int) -> ZoomAxis:
    """Return where a zoom of `side` pixels by `factor`, at least 1, finds its pixels."""
    size = math.ceil(side / factor)
    enlarged = round(size * factor)
    step = (size - 1) / (enlarged - 1)
    places = [((enlarged - side) // 2 + pixel) * step for pixel in range(side)]
    before = tuple(math.floor(place) for place in places)
    after = tuple(min(pixel + 1, size - 1) for pixel in before)
    return ZoomAxis(size, before, after, tuple(place - math.floor(place) for place in places))


def _interpolate(fields: torch.Tensor, axis: ZoomAxis, dimension: int) -> torch.Tensor:
    """Look pixels up along dimension 0 or 1; the products and their sum are rounded one by one on every device."""
    share = torch.tensor(axis.fractions, dtype=fields.dtype, device=fields.device).view(-1, *(1,) * (2 - dimension))
    before = fields.index_select(dimension, torch.tensor(axis.before, device=fields.device))
    after = fields.index_select(dimension, torch.tensor(axis.after, device=fields.device))
    return before.mul_(1 - share).add_(after.mul_(share))


def zoom(centres: torch.Tensor, factor: float, side: int) -> torch.Tensor:
    """Enlarge the centres of square fields.

    Args:
        centres: float64 (C, C, B), C = ceil(side / factor); the fields come last because that is four times as fast.
        factor: at least 1.
        side: side of the result, in pixels.

    Returns:
        float64 (side, side, B).
    """
    axis = zoom_axis(factor, side)
    return _interpolate(_interpolate(centres, axis, 0), axis, 1)


def _axis_matrix(factor: float, side: int) -> NDArray[np.float64]:
    """The zoom of one axis as a matrix (side, side) that takes all pixels and uses the centre."""
    axis = zoom_axis(factor, side)
    top = (side - axis.size) // 2
    rows, fractions = np.arange(side), np.array(axis.fractions)
    matrix = np.zeros((side, side))
    matrix[rows, top + np.array(axis.before)] += 1 - fractions
    matrix[rows, top + np.array(axis.after)] += fractions
    return matrix


@cache
def zoom_blur_weights(stop: float, side: int) -> torch.Tensor:
    """Return zoom blur as a matrix.

    Args:
        stop: the zooms are by 1, 1.01, ... and end before `stop`, with numpy's rounding of the steps.
        side: S of the images, in pixels.

    Returns:
        Sparse float64 (S * S, S * S) of whole numbers; each row adds up to 2^40.
    """
    factors = np.arange(1, stop, _FACTOR_STEP)
    total = np.eye(side * side)
    for factor in factors:
        matrix = _axis_matrix(float(factor), side)
        total += np.kron(matrix, matrix)
    weights = np.rint(total * (2**_WEIGHT_BITS / (len(factors) + 1)))
    np.fill_diagonal(weights, weights.diagonal() + 2**_WEIGHT_BITS - weights.sum(axis=1))
    return torch.from_numpy(weights).to_sparse()


def _zoom_blur(images: torch.Tensor, stop: float, _: Draw) -> torch.Tensor:
    """Average the images and their zooms by factors up to `stop`, and drop the fraction."""
    side = images.shape[1]
    pixels = images.permute(1, 2, 0, 3).reshape(side * side, -1).double()
    mean: torch.Tensor = torch.sparse.mm(zoom_blur_weights(stop, side).to(images.device), pixels)
    mean *= 2.0**-_WEIGHT_BITS
    return mean.to(torch.uint8).view(side, side, -1, 3).permute(2, 0, 1, 3).contiguous()


ZOOMS: dict[str, Corruption] = {
    "zoom_blur": Corruption(
        (1.06, 1.11, 1.16, 1.21, 1.26), _zoom_blur, ("integer weights", _FACTOR_STEP), sides=(32, 64)
    ),
}
"""Constants: where the factors of the zooms end. The matrix that it is made with grows with the fourth power of the
side, and at 64 pixels already takes seconds and gigabytes."""
