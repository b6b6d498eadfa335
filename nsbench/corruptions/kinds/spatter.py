"""Spatter: drops of water or mud on the lens.

Definitions and constants: Hendrycks and Dietterich 2019 (arXiv:1903.12261), in the CIFAR variants their authors
published. The liquid is smoothed noise above a threshold. Water is shaded by a relief made of the distance to its
edges, mud is plain. Values are float32, as published, and what OpenCV did in integers is done in integers.

The liquid is laid out (row, column, image) until it meets the images.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from nsbench.corruptions.numerics.borders import box_sum, with_border
from nsbench.corruptions.numerics.canny import canny_edges
from nsbench.corruptions.numerics.chamfer import UNIT, chamfer_distance
from nsbench.corruptions.numerics.gaussian import blur, blur_axis, gaussian_weights
from nsbench.corruptions.numerics.keyed_random import keyed_normal
from nsbench.corruptions.numerics.pixels import SIDE, divide, truncate_to_uint8
from nsbench.corruptions.spec import Corruption, Draw, Perturbation

_WATER = (175 / 255, 238 / 255, 238 / 255)
_MUD = (63 / 255, 42 / 255, 20 / 255)

_CANNY_THRESHOLDS = (50, 150)
_DEEPEST = 20
"""Distances to an edge are cut off here, in pixels."""
_LIGHT = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))
"""The kernel that makes a relief of distances, lit from the upper left."""
_MUD_THRESHOLD = 0.8
_TRUNCATE = 4.0

_RUN_DOWN = (0.2, 0.8)
"""What stays in a row from one frame to the next, and what comes from the row above."""
_LAYERS_AT_ONCE = {"cpu": 256, "cuda": 8192}
"""Frames times images: as many as a CPU's cache holds; on a GPU, enough to outweigh the start of each operation."""


class Liquid(NamedTuple):
    """Constants of the liquid."""

    mean: float
    """Mean of the noise,"""
    scale: float
    """its standard deviation,"""
    sigma: float
    """the width of its blur in pixels, and"""
    threshold: float
    """where the liquid begins."""


class Drops(NamedTuple):
    """Constants of the corruption, in the published order."""

    liquid: Liquid
    amount: float
    """For water, how much of its colour is added where it is brightest; for mud, the width of its edges in pixels."""
    is_mud: bool


def _draw_liquid(liquid: Liquid, draw: Draw) -> torch.Tensor:
    """Make liquid for each image: float64 (32, 32, B), 0 where there is none."""
    noise = keyed_normal(draw.key, draw.indices, SIDE * SIDE).double().mul_(liquid.scale).add_(liquid.mean)
    return pool(noise.view(-1, SIDE, SIDE).permute(1, 2, 0).contiguous(), liquid)


def pool(noise: torch.Tensor, liquid: Liquid) -> torch.Tensor:
    """Blur noise, float64 (32, 32, B), and put 0 where it is below the threshold."""
    smooth = blur(noise, liquid.sigma, axes=(0, 1))
    return smooth.mul_(smooth >= liquid.threshold)


def _equalize(levels: torch.Tensor) -> torch.Tensor:
    """Spread levels so that each range holds a like share of the pixels: `equalizeHist` of OpenCV.

    An image of one level stays as it is. In any other a level becomes 255 times the share of pixels at most as high,
    of those above the lowest level, computed in float32 and rounded half to even.

    Args:
        levels: int64 (32, 32, B) in 0.._DEEPEST.

    Returns:
        int16 (32, 32, B) in 0..255.
    """
    flat = levels.flatten(0, 1)
    counts = flat.new_zeros((_DEEPEST + 1, flat.shape[1])).scatter_add_(0, flat, torch.ones_like(flat))
    up_to = counts.cumsum(0)
    lowest = up_to.gather(0, flat.amin(0, keepdim=True))
    above = len(flat) - lowest
    factor = torch.full_like(above, 255, dtype=torch.float32) / above.clamp(min=1)
    spread = (up_to - lowest).mul(factor).round_().long()
    same = torch.arange(_DEEPEST + 1, device=levels.device)[:, None]
    table = torch.where(above == 0, same, spread).to(torch.int16)
    return table.gather(0, flat).view(levels.shape)


def _light(levels: torch.Tensor) -> torch.Tensor:
    """Correlate int16 (32, 32, B) in 0..255 with _LIGHT and clip to 0..255, the border reflected."""
    padded = with_border(levels, inset=1)
    total = torch.zeros_like(levels)
    for row, weights in enumerate(_LIGHT):
        for column, weight in enumerate(weights):
            if weight:
                total += padded[row : row + SIDE, column : column + SIDE] * weight
    return total.clamp_(0, 255)


def _floor_quotient(dividend: torch.Tensor, divisor: int) -> torch.Tensor:
    """Divide integers from 0 to 2^21 and drop the fraction, in float32, where torch is ten times as fast.

    A quotient below a whole number q is so by 1 / divisor at least; while q * divisor < 2^23 that is more than rounding
    can close.
    """
    return divide(dividend.float(), divisor).trunc_()


def _relief(levels: torch.Tensor) -> torch.Tensor:
    """Shade liquid of uint8 (32, 32, B) by the distance to its edges: int32 (32, 32, B) in 0..255."""
    distance = chamfer_distance(canny_edges(levels, *_CANNY_THRESHOLDS), far=_DEEPEST * UNIT)
    whole_pixels = _floor_quotient(box_sum(distance), 9 * UNIT)
    lit = _light(_equalize(whole_pixels.long()))
    return _floor_quotient(box_sum(lit).add_(4), 9).int()


def water(liquid: torch.Tensor) -> torch.Tensor:
    """Make water of liquid.

    The published generator divides by the largest value even when it is 0, and so does this: where no water is left,
    an image has no number in it.

    Args:
        liquid: float64 (32, 32, B), not negative. Levels from 256 / 255 begin at 0 again, as published.

    Returns:
        float32 (32, 32, B) in [0, 1], 1 where the water is brightest; NaN throughout an image without water.
    """
    levels = (liquid * 255).int().bitwise_and_(255).to(torch.uint8)
    shaded = _relief(levels).mul_(levels).float()
    return shaded.div_(shaded.amax((0, 1), keepdim=True))


def _add_water(values: torch.Tensor, water_share: torch.Tensor, amount: float) -> torch.Tensor:
    """Add `amount` of water, float32 (32, 32, B), to values, float32 (B, 32, 32, 3): uint8 (B, 32, 32, 3).

    NaN becomes 0, which is what x86 processors, and so the published program, make of it as a byte: a black image. It
    is put there before the conversion, whose result for NaN no standard defines.
    """
    share = (water_share * amount).permute(2, 0, 1).unsqueeze(-1)
    wet = share.contiguous().mul(share.new_tensor(_WATER)).add_(values)
    return truncate_to_uint8(wet.nan_to_num_(nan=0))


def mud(liquid: torch.Tensor, threshold: float, sigma: float) -> torch.Tensor:
    """Make mud of liquid.

    Args:
        liquid: float64 (32, 32, B).
        threshold: there is mud where the liquid is above it.
        sigma: width of the blur of its edges in pixels; after each axis values are rounded to float32, as published.

    Returns:
        float32 (32, 32, B), the share of an image that mud covers: 0, or above _MUD_THRESHOLD.
    """
    weights = gaussian_weights(sigma, _TRUNCATE)
    cover = (liquid > threshold).float()
    for axis in (0, 1):
        cover = blur_axis(cover.double(), weights, axis).float()
    return cover.mul_(cover >= _MUD_THRESHOLD)


def _add_mud(values: torch.Tensor, cover: torch.Tensor) -> torch.Tensor:
    """Cover values, float32 (B, 32, 32, 3), by mud, float32 (32, 32, B): uint8 (B, 32, 32, 3)."""
    share = cover.permute(2, 0, 1).unsqueeze(-1).contiguous()
    return truncate_to_uint8((share * share.new_tensor(_MUD)).add_(values * (1 - share)))


def _spatter(images: torch.Tensor, drops: Drops, draw: Draw) -> torch.Tensor:
    """Add drops to images."""
    values = divide(images.float(), 255)
    liquid = _draw_liquid(drops.liquid, draw)
    if drops.is_mud:
        return _add_mud(values, mud(liquid, drops.liquid.threshold, drops.amount))
    return _add_water(values, water(liquid), drops.amount)


def _run_down(liquid: torch.Tensor) -> torch.Tensor:
    """Let liquid, float64 (32, 32, B), run down by 0.8 of a row; what leaves at the bottom is gone."""
    stays, falls = _RUN_DOWN
    moved = liquid * stays
    moved[1:] += liquid[:-1] * falls
    return moved


def _running_water(images: torch.Tensor, amounts: tuple[float, ...], draw: Draw) -> Iterator[torch.Tensor]:
    """Yield images with water that runs down from frame to frame, `amounts` of it."""
    values = divide(images.float(), 255)
    liquid = _draw_liquid(_RUNNING, draw)
    frames_at_once = max(1, _LAYERS_AT_ONCE.get(images.device.type, 256) // max(1, len(images)))
    for start in range(0, len(amounts), frames_at_once):
        some = amounts[start : start + frames_at_once]
        layers = []
        for _ in some:
            layers.append(liquid)
            liquid = _run_down(liquid)
        for amount, share in zip(some, water(torch.cat(layers, dim=2)).chunk(len(some), dim=2), strict=True):
            yield _add_water(values, share, amount)


_RUNNING = Liquid(0.6, 0.265, 1.75, 0.7)
_ALGORITHM = (_TRUNCATE, *_CANNY_THRESHOLDS, _DEEPEST, _MUD_THRESHOLD, *_WATER, *_MUD)

SPATTER = {
    "spatter": Corruption(
        (
            Drops(Liquid(0.62, 0.1, 0.7, 0.7), 0.5, False),
            Drops(Liquid(0.65, 0.1, 0.8, 0.7), 0.5, False),
            Drops(Liquid(0.65, 0.3, 1.0, 0.69), 0.5, False),
            Drops(Liquid(0.65, 0.1, 0.7, 0.69), 0.6, True),
            Drops(Liquid(0.65, 0.1, 0.5, 0.68), 0.6, True),
        ),
        _spatter,
        _ALGORITHM,
        sides=(SIDE,),
    )
}
SPATTER_SEQUENCES = {
    "spatter": Perturbation(
        31 * (0.6,), _running_water, (*_RUNNING, *_RUN_DOWN, *_ALGORITHM, "0 / 0 is black"), sides=(SIDE,)
    )
}
"""About one frame in eighteen has no water left. Of the corruption no image of 90,000 did, so its name says nothing."""
