"""Gaussian, defocus and glass blur: three corruptions of CIFAR-10-C, and a sequence of CIFAR-10-P."""

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from nsbench.corruptions.numerics.gaussian import blur
from nsbench.corruptions.numerics.keyed_random import keyed_bits
from nsbench.corruptions.numerics.pixels import divide, truncate_to_uint8, unit_values
from nsbench.corruptions.spec import Corruption, Draw, Perturbation

_TRUNCATE = 4.0
_SEQUENCE_TRUNCATE = 7.0
_MOVES_OF_A_WORD = 32
_NEGLIGIBLE = 2.0**-60
"""A tap of defocus blur below this cannot move a sum of values up to 1 in float64."""


def _gaussian_blur(images: torch.Tensor, sigma: float, _: Draw) -> torch.Tensor:
    """Blur over both spatial axes, in pixels; the kernel ends at 4 standard deviations."""
    return truncate_to_uint8(blur(unit_values(images), sigma, truncate=_TRUNCATE))


def _gaussian_blur_frames(images: torch.Tensor, sigmas: tuple[float, ...], _: Draw) -> Iterator[torch.Tensor]:
    """Yield the images blurred by each sigma; the kernel ends at 7 standard deviations."""
    values = unit_values(images)
    for sigma in sigmas:
        yield truncate_to_uint8(blur(values, sigma, truncate=_SEQUENCE_TRUNCATE))


def disk_kernel(radius: float, alias_blur: float) -> NDArray[np.float32]:
    """A disk of sum 1, its edge softened by a Gaussian of 3 x 3 pixels with standard deviation `alias_blur`.

    Computed in float32, rows before columns, as published.

    Args:
        radius: in pixels, up to 1.5.
        alias_blur: in pixels.

    Returns:
        float32 (5, 5), the same when turned or mirrored.
    """
    across = np.arange(-2, 3)
    disk = (across**2 + across[:, None] ** 2 <= radius**2).astype(np.float32)
    disk /= disk.sum()
    bell = math.exp(-0.5 / alias_blur**2)
    centre, side = np.float32(1 / (1 + 2 * bell)), np.float32(bell / (1 + 2 * bell))
    for axis in (1, 0):
        ahead, behind = np.roll(disk, 1, axis), np.roll(disk, -1, axis)
        disk = disk * centre + (ahead + behind) * side
    return disk


@cache
def _taps(radius: float, alias_blur: float) -> list[tuple[int, int, float]]:
    """The weights of a disk by distance, (far, near, weight) with far >= near, from the smallest weight up."""
    quarter = disk_kernel(radius, alias_blur)[2:, 2:].tolist()
    taps = [(far, near, quarter[far][near]) for far in range(3) for near in range(far + 1)]
    return sorted((tap for tap in taps if tap[2] > _NEGLIGIBLE), key=lambda tap: tap[2])


def _pairs(wide: torch.Tensor, axis: int, distance: int) -> torch.Tensor:
    """Sum of the two neighbours at `distance` along an axis padded by 2; at distance 0 the values themselves."""
    side = wide.shape[axis] - 4
    before = wide.narrow(axis, 2 - distance, side)
    return before + wide.narrow(axis, 2 + distance, side) if distance else before


def _defocus_blur(images: torch.Tensor, disk: tuple[float, float], _: Draw) -> torch.Tensor:
    """Correlate with a disk; outside lies the mirror image, without the edge repeated.

    Pixels that share a weight are summed as integers, and so exactly, before they are multiplied.
    """
    inside = images.shape[1] - 1
    mirrored = inside - (inside - torch.arange(-2, inside + 3, device=images.device).abs_()).abs_()
    wide = images.to(torch.int16).index_select(1, mirrored).index_select(2, mirrored)
    rows = [_pairs(wide, 1, distance) for distance in range(3)]
    total = torch.zeros(images.shape, dtype=torch.float64, device=images.device)
    for far, near, weight in _taps(*disk):
        ring = _pairs(rows[far], 2, near)
        if far != near:
            ring = ring + _pairs(rows[near], 2, far)
        total += ring.double().mul_(weight)
    return truncate_to_uint8(divide(total, 255))


def draw_moves(draw: Draw, stream: int, side: int) -> torch.Tensor:
    """Draw where each pixel of glass blur looks: int64 (B, side, side) of 0 to 3.

    Bit 0 means one column to the left, bit 1 one row up; both are set half the time.
    """
    words = keyed_bits(draw.key, draw.indices, side * -(-side // _MOVES_OF_A_WORD), stream)
    moves = (words.unsqueeze(-1) >> torch.arange(0, 2 * _MOVES_OF_A_WORD, 2, device=words.device)) & 3
    return moves.view(len(words), side, -1)[..., :side]


def copy_neighbours(images: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
    """Make each pixel, but for the first two rows and columns, a copy of itself or of one above or to the left.

    The published loop means to swap the two pixels. But it swaps views of one array, so that the neighbour gets back
    the value it had: the pixel is overwritten and its own value lost. Since the loop runs from the lower right, every
    neighbour still has its old value when it is copied, and the order makes no difference.

    Args:
        images: uint8 (B, S, S, 3).
        moves: int64 (B, S, S), as from `draw_moves`; left alone.

    Returns:
        uint8 (B, S, S, 3).
    """
    side = images.shape[1]
    places = torch.arange(side * side, device=images.device).view(side, side)
    sources = places.repeat(len(images), 1, 1)
    inner = moves[:, 2:, 2:]
    sources[:, 2:, 2:] -= (inner >> 1) * side + (inner & 1)
    pixels = images.view(-1, side * side, 3)
    return pixels.gather(1, sources.view(-1, side * side, 1).expand(-1, -1, 3)).view(images.shape)


def _glass_blur(images: torch.Tensor, constant: tuple[float, int], draw: Draw) -> torch.Tensor:
    """Blur, copy pixels from random neighbours as often as the second constant says, and blur again."""
    sigma, iterations = constant
    images = _gaussian_blur(images, sigma, draw)
    for iteration in range(iterations):
        images = copy_neighbours(images, draw_moves(draw, iteration, images.shape[1]))
    return _gaussian_blur(images, sigma, draw)


BLURS: dict[str, Corruption] = {
    "gaussian_blur": Corruption((0.4, 0.6, 0.7, 0.8, 1.0), _gaussian_blur, (_TRUNCATE,)),
    "defocus_blur": Corruption(((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)), _defocus_blur),
    "glass_blur": Corruption(((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)), _glass_blur, (_TRUNCATE,)),
}

BLUR_SEQUENCES: dict[str, Perturbation] = {
    "gaussian_blur": Perturbation(
        tuple(0.3 + 0.015 * frame for frame in range(31)), _gaussian_blur_frames, (_SEQUENCE_TRUNCATE,)
    ),
}
