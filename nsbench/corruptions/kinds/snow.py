"""Snow: a corruption of CIFAR-10-C, and a sequence of CIFAR-10-P.

Flakes are the largest of normal numbers, enlarged and blurred by motion. The image is whitened towards its own grey
(ITU-R BT.601), and the flakes are added twice, the second time turned half round.

The published grey is made with fused multiplications, ours without, which changes its last bit here and there.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from nsbench.corruptions.kinds.motion import Gauss, blur_along, blur_along_random_lines
from nsbench.corruptions.kinds.zoom import zoom, zoom_axis
from nsbench.corruptions.numerics import keyed_random
from nsbench.corruptions.numerics.pixels import divide, truncate_to_uint8, unit_values
from nsbench.corruptions.spec import Corruption, Draw, Perturbation

_ANGLES = (-135.0, -45.0)
_ANGLE_STREAM = 1
_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114


class Flakes(NamedTuple):
    """How flakes are made of standard normal numbers."""

    mean: float
    deviation: float
    zoom: float
    """How many times as wide as a pixel a flake is."""
    threshold: float
    """Smaller values are not flakes."""


def lying_flakes(normal: torch.Tensor, flakes: Flakes, side: int) -> torch.Tensor:
    """Make flakes before they move.

    Args:
        normal: standard normal numbers (B, C, C), with C = ceil(side / flakes.zoom).
        flakes: how.
        side: S of the images, in pixels.

    Returns:
        uint8 (B, S, S, 1).
    """
    centres = normal.permute(1, 2, 0).to(torch.float64, memory_format=torch.contiguous_format)
    layer = zoom((centres * flakes.deviation).add_(flakes.mean), flakes.zoom, side)
    levels = truncate_to_uint8(layer.masked_fill_(layer < flakes.threshold, 0))
    return levels.permute(2, 0, 1).unsqueeze(-1).contiguous()


def whiten(values: torch.Tensor, share: float) -> torch.Tensor:
    """Mix images with a white version of themselves: grey * 1.5 + 0.5 where that is brighter.

    Args:
        values: float32 or float64 (B, S, S, 3) in [0, 1]; overwritten.
        share: what remains of the image, in [0, 1].

    Returns:
        `values`, of the same type; the grey is computed in float32.
    """
    red, green, blue = values.float().unbind(-1)
    grey = (green * _GREEN).add_(red * _RED).add_(blue * _BLUE).mul_(1.5).add_(0.5)
    white = torch.maximum(values, grey.unsqueeze(-1)).mul_(1 - share)
    return values.mul_(share).add_(white)


def add_snow(whitened: torch.Tensor, layer: torch.Tensor) -> torch.Tensor:
    """Let snow fall.

    Args:
        whitened: float32 or float64 (B, S, S, 3).
        layer: flakes, uint8 (B, S, S, 1).

    Returns:
        uint8 (B, S, S, 3).
    """
    snow = unit_values(layer)
    return truncate_to_uint8(whitened + (snow + snow.flip(1, 2)))


def _draw_flakes(flakes: Flakes, draw: Draw, side: int) -> torch.Tensor:
    size = zoom_axis(flakes.zoom, side).size
    return lying_flakes(keyed_random.keyed_normal(draw.key, draw.indices, size**2).view(-1, size, size), flakes, side)


def _snow(images: torch.Tensor, constants: tuple[float, ...], draw: Draw) -> torch.Tensor:
    """Let snow fall along an angle uniform in (-135, -45) degrees."""
    mean, deviation, factor, threshold, radius, sigma, share = constants
    uniform = keyed_random.keyed_uniform(draw.key, draw.indices, 1, stream=_ANGLE_STREAM).squeeze(1)
    flakes = _draw_flakes(Flakes(mean, deviation, factor, threshold), draw, images.shape[1])
    layer = blur_along_random_lines(flakes, Gauss(int(radius), sigma), _ANGLES, uniform)
    return add_snow(whiten(divide(images.float(), 255), share), layer)


def _snow_frames(images: torch.Tensor, angles: tuple[float, ...], draw: Draw) -> Iterator[torch.Tensor]:
    """Yield the same snow falling along each of the angles."""
    whitened = whiten(unit_values(images), _SEQUENCE_SHARE)
    flakes = _draw_flakes(_SEQUENCE_FLAKES, draw, images.shape[1])
    for layer in blur_along(flakes, _SEQUENCE_GAUSS, angles):
        yield add_snow(whitened, layer)


_SEQUENCE_FLAKES = Flakes(mean=0.05, deviation=0.3, zoom=2, threshold=0.5)
_SEQUENCE_GAUSS = Gauss(10, 2)
_SEQUENCE_SHARE = 0.85

SNOW: dict[str, Corruption] = {
    "snow": Corruption(
        (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        _snow,
        ("integer weights", *_ANGLES, _RED, _GREEN, _BLUE),
    ),
}
"""Constants: those of Flakes, radius and sigma of the motion in pixels, and the share of the image that remains."""

SNOW_SEQUENCES: dict[str, Perturbation] = {
    "snow": Perturbation(
        tuple(frame * 4 - 150 for frame in range(31)),
        _snow_frames,
        ("integer weights", *_SEQUENCE_FLAKES, *_SEQUENCE_GAUSS, _SEQUENCE_SHARE, _RED, _GREEN, _BLUE),
    ),
}
"""Constants: the angle of the motion in degrees. No frame is the image itself."""
