"""Motion blur: a corruption of CIFAR-10-C, and a sequence of CIFAR-10-P; snow falls through it too.

The published files were blurred by ImageMagick 6 with 16-bit pixels. What its motion blur computes is a mean over a
line that starts at the pixel and runs along the angle, with the weights of one half of a Gaussian; each place on the
line is the pixel nearest to it, and the edge pixels go on outside. The mean of the 16-bit values, which are 257 times
ours, is rounded to a whole number, and writing that as 8 bits drops the fraction of a 257th: so half a 257th of a
level is added here before the fraction is dropped.

The weights are integers of sum 2^23 here, and a sum of products of integers has no rounding, whatever the device. Their
own rounding shows in about one value in 150,000, as one level.
"""

import math
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import torch

from nsbench.corruptions.numerics import keyed_random
from nsbench.corruptions.spec import Corruption, Draw, Perturbation

_WEIGHT_BITS = 23
"""The largest with which 255 times the sum of the weights fits into an int32."""
_HALF_STEP = round(2**_WEIGHT_BITS * 0.5 / 257)
"""Half a 257th of a level, in units of the weights."""


class Gauss(NamedTuple):
    """The kernel of a motion blur."""

    radius: int
    """In pixels: the line is 2 * radius + 1 pixels long, its start included."""
    sigma: float
    """In pixels."""


_ANGLES = (-45.0, 45.0)
_SEQUENCE_GAUSS = Gauss(6, 1.8)
_ALGORITHM = ("integer weights",)


class Reach(NamedTuple):
    """How far lines go beyond their start, in pixels, none negative."""

    up: int
    down: int
    left: int
    right: int


@cache
def line_weights(gauss: Gauss) -> tuple[int, ...]:
    """Return the weights along a line, times 2^23 and of that sum, up to the last that is not 0."""
    length = 2 * gauss.radius + 1
    shares = [math.exp(-(step**2) / (2 * gauss.sigma**2)) for step in range(length)]
    weights = [round(2**_WEIGHT_BITS * share / sum(shares)) for share in shares]
    weights[0] += 2**_WEIGHT_BITS - sum(weights)
    return tuple(weight for weight in weights if weight > 0)


def line_places(gauss: Gauss, angle: float) -> list[tuple[int, int]]:
    """Return where a line passes, one place for each of its weights.

    Args:
        gauss: the kernel.
        angle: in degrees, from rightward to downward.

    Returns:
        Pixels down and pixels right of the start, in steps of one pixel along the line, each rounded half down.
    """
    # The detour by the far end is the published one: it decides the last bit where a line runs between two pixels.
    length = 2 * gauss.radius + 1
    down, right = length * math.sin(math.radians(angle)), length * math.cos(math.radians(angle))
    far = math.hypot(down, right)
    steps = range(len(line_weights(gauss)))
    return [(math.ceil(step * down / far - 0.5), math.ceil(step * right / far - 0.5)) for step in steps]


def _turns(gauss: Gauss, low: float, high: float) -> list[float]:
    """Sorted angles in degrees, `low` and `high` the first and last, between which no line changes its places."""
    turns = {low, high}
    for step in range(1, len(line_weights(gauss))):
        for rows in range(-step, step):
            angle = math.degrees(math.asin((rows + 0.5) / step))
            # Here the line changes its row, or its column.
            turns.update(
                turn for turn in (angle, 180 - angle, -180 - angle, 90 - angle, angle - 90) if low < turn < high
            )
    return sorted(turns)


def _reach(places: Iterable[tuple[int, int]]) -> Reach:
    """How far places, down and right of the start, which is one of them, go beyond it."""
    down, right = zip(*places, strict=True)
    return Reach(-min(down), max(down), -min(right), max(right))


@cache
def _lines_between(gauss: Gauss, low: float, high: float) -> tuple[torch.Tensor, torch.Tensor, Reach]:
    """All lines with angles between `low` and `high`, -180 <= low < high <= 180.

    Returns:
        Where one line gives way to the next, as shares of the way from `low` to `high`, float64 (L - 1,); the places
        of the lines, down and right, int64 (L, weights, 2), both least 0; how far they go.
    """
    turns = _turns(gauss, low, high)
    middles = [(before + after) / 2 for before, after in pairwise(turns)]
    lines = [line_places(gauss, middle) for middle in middles]
    reach = _reach(place for line in lines for place in line)
    shares = torch.tensor([(turn - low) / (high - low) for turn in turns[1:-1]], dtype=torch.float64)
    return shares, torch.tensor(lines) + torch.tensor([reach.up, reach.left]), reach


def _windows(images: torch.Tensor, reach: Reach) -> torch.Tensor:
    """All windows of the size of images whose edge pixels go on outside.

    Args:
        images: uint8 (B, S, S, C).
        reach: how far outside.

    Returns:
        int32 (B, up + down + 1, left + right + 1, S, S * C), a view: the window that starts at a row and column.
    """
    batch, side, _, channels = images.shape
    height, width = side + reach.up + reach.down, side + reach.left + reach.right
    padded = images.new_empty((batch, height, width, channels), dtype=torch.int32)
    middle = padded[:, reach.up : reach.up + side]
    middle[:, :, reach.left : reach.left + side] = images
    middle[:, :, : reach.left] = images[:, :, :1]
    middle[:, :, reach.left + side :] = images[:, :, -1:]
    padded[:, : reach.up] = middle[:, :1]
    padded[:, reach.up + side :] = middle[:, -1:]
    rows = padded.view(batch, height, width * channels)
    return rows.unfold(1, side, 1).unfold(2, side * channels, channels)


def _mean(places: Iterable[torch.Tensor], gauss: Gauss, images: torch.Tensor) -> torch.Tensor:
    """Weigh what is seen at each place of the line, int32 (B, S, S * C); uint8 of the shape of `images`."""
    batch, side, _, channels = images.shape
    total = images.new_full((batch, side, side * channels), _HALF_STEP, dtype=torch.int32)
    for seen, weight in zip(places, line_weights(gauss), strict=True):
        total.add_(seen, alpha=weight)
    return (total >> _WEIGHT_BITS).to(torch.uint8).view(images.shape)


def blur_along_random_lines(
    images: torch.Tensor, gauss: Gauss, angles: tuple[float, float], uniform: torch.Tensor
) -> torch.Tensor:
    """Blur each image along an angle of its own.

    Which line an angle means is looked up in a table that Python's trigonometry made, so a device decides nothing.

    Args:
        images: uint8 (B, S, S, C).
        gauss: the kernel.
        angles: the least and the largest, in degrees from rightward to downward, within [-180, 180].
        uniform: float64 (B,) in (0, 1), where the angle of an image is between the two.

    Returns:
        uint8 (B, S, S, C).
    """
    shares, lines, reach = _lines_between(gauss, *angles)
    places = lines.to(images.device)[torch.bucketize(uniform, shares.to(images.device))]
    windows = _windows(images, reach)
    image = torch.arange(len(images), device=images.device)
    return _mean((windows[image, place[:, 0], place[:, 1]] for place in places.unbind(1)), gauss, images)


def blur_along(images: torch.Tensor, gauss: Gauss, angles: tuple[float, ...]) -> Iterator[torch.Tensor]:
    """Yield images, uint8 (B, S, S, C), blurred along each of the angles, in degrees from rightward to downward."""
    lines = [line_places(gauss, angle) for angle in angles]
    reach = _reach(place for line in lines for place in line)
    windows = _windows(images, reach)
    for line in lines:
        yield _mean((windows[:, down + reach.up, right + reach.left] for down, right in line), gauss, images)


def _motion_blur(images: torch.Tensor, gauss: tuple[int, float], draw: Draw) -> torch.Tensor:
    """Blur each image along an angle uniform in (-45, 45) degrees."""
    uniform = keyed_random.keyed_uniform(draw.key, draw.indices, 1).squeeze(1)
    return blur_along_random_lines(images, Gauss(*gauss), _ANGLES, uniform)


def _motion_blur_frames(images: torch.Tensor, angles: tuple[float, ...], _: Draw) -> Iterator[torch.Tensor]:
    """Yield the images blurred along each of the angles."""
    return blur_along(images, _SEQUENCE_GAUSS, angles)


MOTION: dict[str, Corruption] = {
    "motion_blur": Corruption(((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)), _motion_blur, (*_ALGORITHM, *_ANGLES)),
}
"""Constants: radius and sigma of the kernel, in pixels."""

MOTION_SEQUENCES: dict[str, Perturbation] = {
    "motion_blur": Perturbation(
        tuple((frame - 20) * 9 for frame in range(21)), _motion_blur_frames, (*_ALGORITHM, *_SEQUENCE_GAUSS)
    ),
}
"""Constants: the angle in degrees; from leftward over upward to rightward. No frame is the image itself."""
