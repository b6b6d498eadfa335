"""Fog: a plasma fractal added to the image.

Definition and constants: Hendrycks and Dietterich 2019 (arXiv:1903.12261), in the CIFAR variant their authors
published. The fractal is made by the diamond-square algorithm (Fournier, Fussell and Carpenter 1982,
doi:10.1145/358523.358553) on a map that wraps around. Values are float64, an operation at a time in the published
order.
"""

import torch

from nsbench.corruptions.numerics.keyed_random import keyed_uniform
from nsbench.corruptions.numerics.pixels import SIDE, truncate_to_uint8, unit_values
from nsbench.corruptions.spec import Corruption, Draw

_FIRST_WIDTH = 100.0
"""At the largest scale, heights swing by the square of this."""
HEIGHTS = SIDE * SIDE - 1
"""Random heights of a map: all but that of one corner, which is 0."""


def plasma(uniform: torch.Tensor, decay: float) -> torch.Tensor:
    """Make maps of heights by the diamond-square algorithm.

    At each scale, from the whole map down to two pixels, the centres of squares get the mean of their corners plus a
    random swing, then the centres of the upper sides of squares, then those of the left sides, get the mean of their
    four neighbours plus a swing. A swing is uniform in plus or minus the square of the current width.

    Args:
        uniform: float64 (B, HEIGHTS) in (0, 1), in the order in which the heights are made.
        decay: what the width is divided by from scale to scale.

    Returns:
        float64 (B, 32, 32), the lowest height 0 and the highest 1.
    """
    uniform = uniform.t().contiguous()
    heights = uniform.new_zeros((SIDE, SIDE, uniform.shape[1]))
    step, width, used = SIDE, _FIRST_WIDTH, 0
    while step >= 2:
        half, count = step // 2, SIDE // step
        swings = (uniform[used : used + 3 * count * count] * (2 * width)).sub_(width).mul_(width)
        squares, uppers, lefts = swings.view(3, count, count, -1)
        used += 3 * count * count
        corners, centres = heights[::step, ::step], heights[half::step, half::step]
        pairs = corners + corners.roll(-1, 0)
        centres.copy_((pairs + pairs.roll(-1, 1)).mul_(0.25).add_(squares))
        around = (centres + centres.roll(1, 0)).add_(corners + corners.roll(-1, 1))
        heights[::step, half::step] = around.mul_(0.25).add_(uppers)
        around = (centres + centres.roll(1, 1)).add_(corners + corners.roll(-1, 0))
        heights[half::step, ::step] = around.mul_(0.25).add_(lefts)
        step, width = half, width / decay
    heights -= heights.amin((0, 1))
    heights /= heights.amax((0, 1))
    return heights.permute(2, 0, 1)


def add_fog(images: torch.Tensor, heights: torch.Tensor, amount: float) -> torch.Tensor:
    """Add `amount` of fog, then darken so that the brightest value an image can reach is the one it had.

    Args:
        images: uint8 (B, 32, 32, 3).
        heights: float64 (B, 32, 32) in [0, 1], the density of the fog.
        amount: added where the fog is densest, with white as 1.

    Returns:
        uint8 (B, 32, 32, 3).
    """
    brightest = unit_values(images.flatten(1).amax(1)).view(-1, 1, 1, 1)
    values = unit_values(images).add_((heights * amount).unsqueeze(-1))
    return truncate_to_uint8(values.mul_(brightest).div_(brightest + amount))


def _fog(images: torch.Tensor, constant: tuple[float, float], draw: Draw) -> torch.Tensor:
    """Add the first constant of fog, whose swings decay by the second."""
    amount, decay = constant
    return add_fog(images, plasma(keyed_uniform(draw.key, draw.indices, HEIGHTS), decay), amount)


FOG = {
    "fog": Corruption(
        ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)), _fog, (_FIRST_WIDTH,), sides=(SIDE,)
    ),
}
