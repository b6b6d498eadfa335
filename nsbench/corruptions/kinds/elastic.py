"""Elastic transform: an image under a random affine map, then pulled about by two smooth random fields.

The published generator takes the affine map from OpenCV and the second step from SciPy. OpenCV up to 4.10, hence that
of 2018, rounds source positions to 1/32 pixel in fixed point, and so do we; version 5 no longer rounds, which moves
one pixel in 200 by more than a grey level.

A last bit of a displacement may move a pixel, so the fields are blurred in exact arithmetic: noise and weights are
whole multiples of 2^-26, whose products sum exactly in float64, in any order and on any device.
"""

import functools
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from nsbench.corruptions.numerics import keyed_random
from nsbench.corruptions.numerics.gaussian import gaussian_weights
from nsbench.corruptions.numerics.pixels import SIDE, divide, truncate_to_uint8
from nsbench.corruptions.spec import Corruption, Draw

_TRUNCATE = 3.0
_GRID = 2.0**26

# (x, y) of three corners of a square about the centre, which the affine map sends to random places near by.
_LOW, _HIGH = SIDE // 2 - SIDE // 3, SIDE // 2 + SIDE // 3
_CORNERS = ((_HIGH, _HIGH), (_HIGH, _LOW), (_LOW, _LOW))


def _positions(per_column: torch.Tensor, per_row: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Return column * per_column + row * per_row + offset for each pixel in 32nds of a pixel, int32 (B, 32, 32).

    OpenCV rounds both parts to 1024ths before it adds them, and their sum, a half added, down to 32nds.
    """
    line = torch.arange(SIDE, dtype=torch.float64, device=offset.device)
    across = (per_column[:, None] * line).mul_(1024).round_().int()
    down = (per_row[:, None] * line + offset[:, None]).mul_(1024).round_().int().add_(16)
    return (down[:, :, None] + across[:, None, :]).bitwise_right_shift_(5)


def affine_sources(shifts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where each pixel comes from under the affine map that moves the three corners.

    The map is x, y -> a x + b y + e, c x + d y + f. The corners span a right angle along the axes, so its columns are
    differences of the moved corners; its inverse is that of a 2 x 2 matrix.

    Args:
        shifts: (B, 3, 2), by how many pixels each corner moves in x and y, at most 2.56, so no source is further than
            22 pixels outside the image.

    Returns:
        The column and the row in 32nds of a pixel, int32 (B, 32, 32) each.
    """
    corners = torch.tensor(_CORNERS, dtype=torch.float32, device=shifts.device)
    # The published sum is one of float32.
    first, second, third = (corners + shifts.float()).double().unbind(1)
    along_x, along_y = divide(second - third, _HIGH - _LOW), divide(first - second, _HIGH - _LOW)
    e, f = (third - along_x * _LOW - along_y * _LOW).unbind(1)
    (a, c), (b, d) = along_x.unbind(1), along_y.unbind(1)
    scale = 1 / (a * d - b * c)
    a, b, c, d = a * scale, -b * scale, -c * scale, d * scale
    return _positions(d, b, -d * e - b * f), _positions(c, a, -c * e - a * f)


@functools.cache
def _mirrored_places(mode: Literal["reflect", "symmetric"]) -> NDArray[np.int32]:
    """Return the pixel that each place from -32 to 64 of a line of 32 shows.

    By numpy's names: "reflect" mirrors at the middle of the edge pixel (OpenCV's reflect 101), "symmetric" at its rim
    (SciPy's "reflect").
    """
    return np.pad(np.arange(SIDE, dtype=np.int32), (SIDE, SIDE + 1), mode=mode)


def _neighbours(
    planes: torch.Tensor, columns: torch.Tensor, rows: torch.Tensor, mode: Literal["reflect", "symmetric"]
) -> Iterator[tuple[torch.Tensor, ...]]:
    """Fetch for each pixel the four around a source, channel by channel.

    Args:
        planes: (3, B, 32, 32).
        columns: columns of the upper left of the four, int32 (B, 32, 32) in -32..63.
        rows: likewise.
        mode: mode of `_mirrored_places`.

    Yields:
        Upper left, upper right, lower left, lower right of one channel, (B, 32, 32) each.
    """
    shown = torch.from_numpy(_mirrored_places(mode)).to(planes.device)
    first = torch.arange(planes.shape[1], dtype=torch.int32, device=planes.device).mul_(SIDE * SIDE)[:, None, None]
    column, row = columns.add(SIDE).view(-1), rows.add(SIDE).view(-1)
    left, right = shown.index_select(0, column), shown[1:].index_select(0, column)
    lines = shown * SIDE
    upper, lower = (part.index_select(0, row).view(rows.shape).add_(first).view(-1) for part in (lines, lines[1:]))
    places = [line + side for line in (upper, lower) for side in (left, right)]
    for channel in planes:
        flat = channel.reshape(-1)
        yield tuple(flat.index_select(0, place).view(rows.shape) for place in places)


def warp_affine(planes: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Apply the affine map of `affine_sources` to float32 planes (3, B, 32, 32).

    Products are rounded to float32 and added row by row, as OpenCV does.
    """
    sources = affine_sources(shifts)
    right, below = (source.bitwise_and(31).float().mul_(1 / 32) for source in sources)
    left, above = 1 - right, 1 - below
    weights = (above * left, above * right, below * left, below * right)
    columns, rows = (source.bitwise_right_shift_(5) for source in sources)
    warped = torch.zeros_like(planes)
    for total, neighbours in zip(warped, _neighbours(planes, columns, rows, "reflect"), strict=True):
        for values, weight in zip(neighbours, weights, strict=True):
            total.add_(values.mul_(weight))
    return warped


def displace(planes: torch.Tensor, fields: torch.Tensor) -> torch.Tensor:
    """Fetch each pixel from where the fields say, as `scipy.ndimage.map_coordinates` of order 1 does.

    SciPy adds four weighted values in float64. Here differences are added in float32, so that neighbours of one value
    still give that value and truncation cannot turn it into the grey level below.

    Args:
        planes: float32 (3, B, 32, 32).
        fields: float32 (2, B, 32, 32), how far right and down to look, under 32 pixels.

    Returns:
        float32 (3, B, 32, 32).
    """
    line = torch.arange(SIDE, dtype=torch.int32, device=planes.device)
    floors = fields.floor()
    right, below = fields - floors
    columns, rows = floors.int()
    columns += line
    rows += line[:, None]
    displaced = torch.empty_like(planes)
    for total, neighbours in zip(displaced, _neighbours(planes, columns, rows, "symmetric"), strict=True):
        upper_left, upper_right, lower_left, lower_right = neighbours
        upper = upper_right.sub_(upper_left).mul_(right).add_(upper_left)
        lower = lower_right.sub_(lower_left).mul_(right).add_(lower_left)
        torch.add(lower.sub_(upper).mul_(below), upper, out=total)
    return displaced


@functools.cache
def _blur_matrix(sigma: float) -> NDArray[np.float64]:
    """Return what blurs a line of 32 values mirrored at its rims, rounded to multiples of 2^-26, (to, from)."""
    weights = gaussian_weights(sigma, _TRUNCATE)
    radius = len(weights) - 1
    sources = np.pad(np.arange(SIDE), radius, mode="symmetric")
    matrix = np.zeros((SIDE, SIDE))
    for place in range(SIDE):
        for offset in range(-radius, radius + 1):
            matrix[place, sources[place + offset + radius]] += weights[abs(offset)]
    return np.round(matrix * _GRID) / _GRID


def smooth_fields(noise: torch.Tensor, strength: float, sigma: float) -> torch.Tensor:
    """Blur noise and scale it.

    Args:
        noise: multiples of 2^-26 in (-1, 1), float64 (2, B, 32, 32).
        strength: a factor, in pixels.
        sigma: sigma of the blur in pixels, above 0.

    Returns:
        float32 of the shape of `noise`, within 2^-21 `strength` of the blur in real numbers.
    """
    matrix = torch.from_numpy(_blur_matrix(sigma)).to(noise.device)
    across = (noise @ matrix.T).mul_(_GRID).round_().mul_(1 / _GRID)
    return (matrix @ across).mul_(strength).float()


def corner_shifts(draw: Draw, shift: float) -> torch.Tensor:
    """Draw how far the corners move: float64 (B, 3, 2), uniform in (-shift, shift)."""
    return keyed_random.keyed_uniform(draw.key, draw.indices, 6).mul_(2).sub_(1).mul_(shift).view(-1, 3, 2)


def field_noise(draw: Draw) -> torch.Tensor:
    """Draw what the fields are blurred from, uniform in (-1, 1) on the grid between multiples of 2^-25.

    Returns:
        float64 (2, B, 32, 32); one random word gives a number to each field.
    """
    words = keyed_random.keyed_bits(draw.key, draw.indices, SIDE * SIDE, stream=1)
    halves = torch.stack([words >> 38, (words << 26) >> 38])
    return halves.double().add_(0.5).mul_(2.0**-25).view(2, -1, SIDE, SIDE)


def _elastic_transform(images: torch.Tensor, constant: tuple[float, float, float], draw: Draw) -> torch.Tensor:
    """Apply a random affine map and random displacements.

    Args:
        images: uint8 (B, 32, 32, 3).
        constant: strength and blur of the displacements, 0 for none, and the greatest shift of a corner; in pixels.
        draw: what the random numbers are keyed by.
    """
    strength, sigma, shift = constant
    planes = divide(images.permute(3, 0, 1, 2).float(), 255)
    planes = warp_affine(planes, corner_shifts(draw, shift))
    if strength > 0:
        planes = displace(planes, smooth_fields(field_noise(draw), strength, sigma))
    return truncate_to_uint8(planes).permute(1, 2, 3, 0).contiguous()


_SHARES_OF_THE_SIDE = ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03))

ELASTIC: dict[str, Corruption] = {
    "elastic_transform": Corruption(
        tuple(tuple(SIDE * share for share in shares) for shares in _SHARES_OF_THE_SIDE),
        _elastic_transform,
        algorithm=(_TRUNCATE,),
        sides=(SIDE,),
    )
}
"""The elastic transform; its constants are strength, sigma and shift in pixels."""
