"""The geometric sequences of CIFAR-10-P: translate, rotate, tilt, scale, shear, zoom blur.

Definitions: Hendrycks and Dietterich 2019 (arXiv:1903.12261), CIFAR variant, with the libraries of its day. Nothing is
random, and where a pixel comes from is the same for all images: it is computed once for a device. The arithmetic is
exactly rounded or exact, an operation at a time in one order, so every device makes the same pixels.

Pixels are laid out (place, channel, image) here, so that picking a place copies one run of memory.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nsbench.corruptions.numerics.affine import CENTRE, Coordinates, affine_coordinates
from nsbench.corruptions.numerics.perspective import STEPS, tilt_coordinates
from nsbench.corruptions.numerics.pixels import SIDE, divide
from nsbench.corruptions.spec import Draw, Perturbation

_BORDERED = SIDE + 2
"""Side of an image with a black border, one pixel wide, whose places are numbered row by row."""

_CACHED_PLACES = 2**14
"""Places times images whose numbers fit into the cache of one core."""

_ALGORITHM = ("torchvision 0.2", CENTRE, "truncated")


class BilinearMap(NamedTuple):
    """Which four neighbours in the bordered image make each of P pixels, and how they are weighed."""

    upper: torch.Tensor
    """int64 (P,), the place of the upper left neighbour."""
    lower: torch.Tensor
    """int64 (P,), the place of the lower left neighbour."""
    rightwards: torch.Tensor
    """float (P, 1, 1), the weight of the right neighbours, in [0, 1)."""
    downwards: torch.Tensor
    """float (P, 1, 1), the weight of the lower neighbours, in [0, 1)."""


def _bilinear_map(
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
    left: NDArray[np.int64],
    weights: tuple[NDArray[np.float64], NDArray[np.float64]],
    outside: NDArray[np.bool_],
) -> BilinearMap:
    """Number the neighbours, whose rows and columns count from the first pixel of the image itself.

    What lies outside is taken from the border's upper left corner, where all is black.
    """
    upper, lower = (np.where(outside, 0, (row + 1) * _BORDERED + left + 1).ravel() for row in rows)
    rightwards, downwards = (np.where(outside, 0, weight).reshape(-1, 1, 1) for weight in weights)
    return BilinearMap(*map(torch.from_numpy, (upper, lower, rightwards, downwards)))


def _affine_map(coordinates: Coordinates) -> BilinearMap:
    """Weigh neighbours as Pillow does: edge pixels repeat, and what begins outside the image is black."""
    outside = np.logical_or.reduce([(axis < 0) | (axis >= SIDE) for axis in coordinates])
    x, y = (axis - 0.5 for axis in coordinates)
    left, upper = np.floor(x), np.floor(y)
    repeated = (left < 0) | (left == SIDE - 1)
    rightwards = np.where(repeated, 0, x - left)
    columns, rows = (np.clip(axis, 0, SIDE - 1).astype(np.int64) for axis in (left, upper))
    next_rows = np.clip(upper + 1, 0, SIDE - 1).astype(np.int64)
    return _bilinear_map((rows, next_rows), columns, (rightwards, y - upper), outside)


def rotation(degrees: float) -> BilinearMap:
    """Map of a rotation clockwise."""
    return _affine_map(affine_coordinates(angle=degrees))


def scaling(factor: float) -> BilinearMap:
    """Map of an enlargement."""
    return _affine_map(affine_coordinates(scale=factor))


def shearing(degrees: float) -> BilinearMap:
    """Map of a shear."""
    return _affine_map(affine_coordinates(shear=degrees))


def tilting(degrees: float) -> BilinearMap:
    """Map of a tilt; float32, in which sums of weights in 1/1024 times pixels are exact.

    Neighbours outside the image count as black, as in OpenCV with a constant border.
    """
    x, y = tilt_coordinates(degrees)
    left, upper = x // STEPS, y // STEPS
    outside = (np.minimum(left, upper) < -1) | (np.maximum(left, upper) >= SIDE)
    weights = ((x % STEPS) / STEPS, (y % STEPS) / STEPS)
    exact = _bilinear_map((upper, upper + 1), left, weights, outside)
    return exact._replace(rightwards=exact.rightwards.float(), downwards=exact.downwards.float())


@cache
def _maps(
    transformation: Callable[[float], BilinearMap], constants: tuple[float, ...], device: torch.device
) -> tuple[BilinearMap, ...]:
    """Return the map of each constant, computed once."""
    maps = map(transformation, constants)
    return tuple(BilinearMap(*(part.to(device) for part in bilinear_map)) for bilinear_map in maps)


def _places_first(images: torch.Tensor) -> torch.Tensor:
    """From (B, 32, 32, 3) to (32, 32, 3, B)."""
    return images.reshape(len(images), -1).t().contiguous().view(SIDE, SIDE, 3, -1)


def _images_first(pixels: torch.Tensor) -> torch.Tensor:
    """From (1024, 3, B) to (B, 32, 32, 3)."""
    return pixels.view(SIDE * SIDE * 3, -1).t().contiguous().view(-1, SIDE, SIDE, 3)


def _pieces(bilinear_map: BilinearMap, images: torch.Tensor) -> Iterator[tuple[slice, BilinearMap]]:
    """Cut a map such that a CPU's caches hold the numbers of a piece; any other device takes the whole at once."""
    places = size = len(bilinear_map.upper)
    if images.device.type == "cpu":
        size = max(_CACHED_PLACES * torch.get_num_threads() // len(images), 1)
    for start in range(0, places, size):
        piece = slice(start, start + size)
        yield piece, BilinearMap(*(part[piece] for part in bilinear_map))


def _resampled(images: torch.Tensor, maps: tuple[BilinearMap, ...], rounding: float = 0.0) -> Iterator[torch.Tensor]:
    """Yield the images under each map, uint8 (1024, 3, B): the value plus `rounding`, without its fraction.

    First across, then down, each as first + (second - first) * weight: the order in which Pillow rounds. As weights
    sum to 1, adding `rounding` to every neighbour adds it to the value.
    """
    shape, dtype = (_BORDERED, _BORDERED, 3, len(images)), maps[0].rightwards.dtype
    bordered = torch.full(shape, rounding, dtype=dtype, device=images.device)
    bordered[1:-1, 1:-1] += _places_first(images)
    left = bordered.view(_BORDERED**2, 3, -1)
    step_right = left[1:] - left[:-1]
    for bilinear_map in maps:
        frame = torch.empty((SIDE * SIDE, 3, len(images)), dtype=torch.uint8, device=images.device)
        for piece, (upper, lower, rightwards, downwards) in _pieces(bilinear_map, images):
            above = step_right.index_select(0, upper).mul_(rightwards).add_(left.index_select(0, upper))
            below = step_right.index_select(0, lower).mul_(rightwards).add_(left.index_select(0, lower))
            frame[piece] = below.sub_(above).mul_(downwards).add_(above)
        yield frame


def _affine_frames(
    transformation: Callable[[float], BilinearMap], images: torch.Tensor, constants: tuple[float, ...], _: Draw
) -> Iterator[torch.Tensor]:
    """Yield the images transformed; fractions are dropped, as Pillow drops them."""
    for frame in _resampled(images, _maps(transformation, constants, images.device)):
        yield _images_first(frame)


def _tilt(images: torch.Tensor, constants: tuple[float, ...], _: Draw) -> Iterator[torch.Tensor]:
    """Yield the images tilted; halves are rounded up, as OpenCV rounds them."""
    for frame in _resampled(images, _maps(tilting, constants, images.device), rounding=0.5):
        yield _images_first(frame)


def _zoom_blur(images: torch.Tensor, factors: tuple[float, ...], _: Draw) -> Iterator[torch.Tensor]:
    """Yield the images, then the mean of the images and all enlargements so far; float32, as published."""
    yield images
    total = divide(_places_first(images).view(SIDE * SIDE, 3, -1).float(), 255)
    enlarged = _resampled(images, _maps(scaling, factors[1:], images.device))
    for count, frame in enumerate(enlarged, start=2):
        total.add_(divide(frame.float(), 255))
        yield _images_first(divide(total, count).mul_(255).to(torch.uint8))


def _translate(images: torch.Tensor, shifts: tuple[int, ...], _: Draw) -> Iterator[torch.Tensor]:
    """Yield the images moved right by each shift in pixels (left if negative), black where nothing is left."""
    for shift in shifts:
        source, target = max(-shift, 0), max(shift, 0)
        size = images.shape[2] - abs(shift)
        frame = torch.zeros_like(images)
        frame[:, :, target : target + size] = images[:, :, source : source + size]
        yield frame


_SIDES = (SIDE,)
"""Where the centre lies and how coordinates are rounded is known of the published size alone."""
_DEGREES = tuple(frame - 15 for frame in range(31))

WARP_SEQUENCES: dict[str, Perturbation] = {
    "zoom_blur": Perturbation(
        tuple(1 + 0.004 * frame for frame in range(31)), _zoom_blur, (*_ALGORITHM, "float32 mean"), _SIDES
    ),
    "translate": Perturbation(tuple(frame - 7 for frame in range(16)), _translate),
    "rotate": Perturbation(_DEGREES, partial(_affine_frames, rotation), (*_ALGORITHM, "rotation"), _SIDES),
    "tilt": Perturbation(tuple(0.75 * degrees for degrees in _DEGREES), _tilt, ("fixed point", STEPS), _SIDES),
    "scale": Perturbation(
        tuple((2 * frame + 70) / 100 for frame in range(31)),
        partial(_affine_frames, scaling),
        (*_ALGORITHM, "scale"),
        _SIDES,
    ),
    "shear": Perturbation(_DEGREES, partial(_affine_frames, shearing), (*_ALGORITHM, "shear"), _SIDES),
}
"""CIFAR-10-P's geometric sequences: constants are pixels, degrees or factors, one a frame."""
