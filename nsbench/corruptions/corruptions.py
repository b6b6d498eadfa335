"""CIFAR-10-C corruptions made on the device.

Definitions and constants: Hendrycks and Dietterich 2019 (arXiv:1903.12261), in the CIFAR variant their authors
published. Values are computed in float64 as x / 255, clipped to [0, 1], multiplied by 255 and truncated, because the
published files were. The random draws are our own, so a generated set has a name of its own:
`corruption_set_version()`.

Division is by tensors throughout: on CUDA torch multiplies by the reciprocal of a Python number, which rounds
differently, and truncation turns a last bit into a grey level.
"""

import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from nsbench.corruptions import keyed_random
from nsbench.errors import UserError
from nsbench.seeds import derive_seed

SEVERITIES = (1, 2, 3, 4, 5)

_ALGORITHM = "1"
_BLUR_TRUNCATE = 4.0

# Which of (V, middle value, low value) is red, green, blue in each sixth of the hue circle.
_CHANNEL_ROLES = ((0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0), (1, 2, 0), (0, 2, 1))


@dataclass(frozen=True)
class Draw:
    """What the random numbers of a batch are keyed by."""

    key: int
    indices: torch.Tensor
    """int64 (B,), the indices of the images in their data set."""


@dataclass(frozen=True)
class Corruption:
    """A corruption and its constant at each severity."""

    constants: tuple[float, ...]
    """In the order of SEVERITIES."""
    apply: Callable[[torch.Tensor, float, Draw], torch.Tensor]
    """(images uint8 (B, H, W, 3), constant, draw) -> uint8 (B, H, W, 3); leaves its input alone."""


def divide(numerator: torch.Tensor, denominator: float) -> torch.Tensor:
    """Divide with correct rounding on every device."""
    return numerator / torch.full((), denominator, dtype=numerator.dtype, device=numerator.device)


def truncate_to_uint8(values: torch.Tensor) -> torch.Tensor:
    """Clip to [0, 1], scale to 0..255 and drop the fraction; overwrites `values`."""
    return values.clamp_(0, 1).mul_(255).to(torch.uint8)


def value_and_factors(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Split images into V of the HSV colour model and what each channel is of it.

    At fixed hue and saturation the conversion back to RGB is linear in V, so `factors * V` is the image, for this V
    and for any other. Grey pixels, which have no hue, have factors of 1. The colour model is that of Smith 1978
    (doi:10.1145/965139.807361).

    Args:
        images: uint8 (B, H, W, 3).

    Returns:
        V, float64 (B, H, W, 1) in [0, 1], and the factors, float64 (B, H, W, 3) in [0, 1].
    """
    rgb = divide(images.double(), 255)
    red, green, blue = rgb.unbind(-1)
    value = rgb.amax(-1)
    chroma = value - rgb.amin(-1)
    saturation = chroma / value.masked_fill(value == 0, 1)
    chroma.masked_fill_(chroma == 0, 1)
    sextant = torch.where(
        blue == value,
        (red - green) / chroma + 4,
        torch.where(green == value, (blue - red) / chroma + 2, (green - blue) / chroma),
    )
    # Hue as a share of the circle and back: both roundings are part of the published values.
    hue = divide(sextant, 6)
    position = torch.where(hue < 0, hue + 1, hue) * 6
    sector = position.floor()
    fraction = position - sector
    sector = sector.long() % 6
    falling = torch.where(sector % 2 == 1, fraction, 1 - fraction)
    parts = torch.stack([torch.ones_like(value), 1 - falling * saturation, 1 - saturation], dim=-1)
    roles = torch.tensor(_CHANNEL_ROLES, device=images.device)
    return value.unsqueeze(-1), parts.gather(-1, roles[sector])


def brighten(value: torch.Tensor, factors: torch.Tensor, shift: float) -> torch.Tensor:
    """Add `shift` to V, clipped to [0, 1], and convert back to RGB; takes what `value_and_factors` gives."""
    return truncate_to_uint8((value + shift).clamp_(0, 1) * factors)


def _brightness(images: torch.Tensor, shift: float, _: Draw) -> torch.Tensor:
    """Add `shift` to V of HSV."""
    return brighten(*value_and_factors(images), shift)


def _contrast(images: torch.Tensor, factor: float, _: Draw) -> torch.Tensor:
    """Shrink the distance of each value to the mean of its image and channel.

    The mean is summed in integers, so it does not depend on the order of a device's summation.
    """
    pixels = images.shape[1] * images.shape[2]
    mean = divide(images.sum((1, 2), keepdim=True, dtype=torch.int64).double(), 255 * pixels)
    return truncate_to_uint8((divide(images.double(), 255) - mean).mul_(factor).add_(mean))


def _gaussian_noise(images: torch.Tensor, sigma: float, draw: Draw) -> torch.Tensor:
    """Add independent normal noise of standard deviation `sigma` to every element."""
    noise = keyed_random.keyed_normal(draw.key, draw.indices, images.shape[1:].numel()).double().mul_(sigma)
    return truncate_to_uint8(noise.view(images.shape).add_(divide(images.double(), 255)))


def _impulse_noise(images: torch.Tensor, share: float, draw: Draw) -> torch.Tensor:
    """Replace each element with probability `share`, by 0 or 255 alike likely."""
    uniform = keyed_random.keyed_uniform(draw.key, draw.indices, images.shape[1:].numel()).view(images.shape)
    return images.masked_fill(uniform < share, 255).masked_fill_(uniform < share / 2, 0)


def _blur_weights(sigma: float) -> list[float]:
    """Half a sampled Gaussian of sum 1: the weight of the centre, then of its neighbours at distance 1, 2, ...

    The exponential is Python's: the last bit of numpy's depends on the processor, and truncation would show it.
    """
    radius = math.floor(_BLUR_TRUNCATE * sigma + 0.5)
    weights = np.array([math.exp(-0.5 / sigma**2 * distance**2) for distance in range(-radius, radius + 1)])
    return [float(weight) for weight in (weights / weights.sum())[radius:]]


def _blur_axis(values: torch.Tensor, weights: list[float], axis: int) -> torch.Tensor:
    """Correlate with a symmetric kernel along `axis`, the edge value repeated outside.

    Neighbours are added from the outermost inward, scipy's order, so that the last bits agree with scipy's.
    """
    size = values.shape[axis]
    positions = torch.arange(size, device=values.device)
    total = values * weights[0]
    for distance in range(len(weights) - 1, 0, -1):
        before = values.index_select(axis, (positions - distance).clamp_(min=0))
        after = values.index_select(axis, (positions + distance).clamp_(max=size - 1))
        total += before.add_(after).mul_(weights[distance])
    return total


def _gaussian_blur(images: torch.Tensor, sigma: float, _: Draw) -> torch.Tensor:
    """Blur over both spatial axes, in pixels; the kernel ends at 4 standard deviations."""
    weights = _blur_weights(sigma)
    return truncate_to_uint8(_blur_axis(_blur_axis(divide(images.double(), 255), weights, 1), weights, 2))


def _jpeg_compression(images: torch.Tensor, quality: float, _: Draw) -> torch.Tensor:
    """Encode as JPEG and decode again.

    This is Pillow's encoder and decoder, on the CPU whatever the device, one image at a time; builds of Pillow on
    different JPEG libraries may differ by a grey level here and there.
    """
    decoded = np.empty(images.shape, dtype=np.uint8)
    for position, pixels in enumerate(images.cpu().numpy()):
        with io.BytesIO() as file:
            Image.fromarray(pixels).save(file, "JPEG", quality=int(quality))
            with Image.open(file) as image:
                decoded[position] = np.asarray(image)
    return torch.from_numpy(decoded).to(images.device)


_CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": Corruption((0.04, 0.06, 0.08, 0.09, 0.10), _gaussian_noise),
    "impulse_noise": Corruption((0.01, 0.02, 0.03, 0.05, 0.07), _impulse_noise),
    "gaussian_blur": Corruption((0.4, 0.6, 0.7, 0.8, 1.0), _gaussian_blur),
    "brightness": Corruption((0.05, 0.10, 0.15, 0.20, 0.30), _brightness),
    "contrast": Corruption((0.75, 0.50, 0.40, 0.30, 0.15), _contrast),
    "jpeg_compression": Corruption((80, 65, 58, 50, 40), _jpeg_compression),
}

GENERATED_CORRUPTIONS = tuple(_CORRUPTIONS)
"""The names `corrupt` knows."""


def check_batch(images: torch.Tensor, indices: torch.Tensor) -> None:
    """Raise ValueError unless `images` is uint8 (B, H, W, 3) and `indices` int64 (B,)."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(f"images must be uint8 of shape (B, H, W, 3), not {images.dtype} of {tuple(images.shape)}")
    if indices.dtype != torch.int64 or indices.shape != images.shape[:1]:
        raise ValueError(f"indices must be int64, one for each image, not {indices.dtype} of {tuple(indices.shape)}")


def corrupt(images: torch.Tensor, name: str, severity: int, *, indices: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Corrupt a batch of images as CIFAR-10-C does.

    Args:
        images: uint8 (B, H, W, 3).
        name: one of GENERATED_CORRUPTIONS.
        severity: 1 to 5.
        indices: int64 (B,), the indices of the images in their data set; with `seed`, name and severity they fix
            every random number, so an image looks the same in any batch.
        seed: of the generated set.

    Returns:
        uint8 (B, H, W, 3) on the device of `images`, which are left alone.

    Raises:
        UserError: no such corruption or severity.
        ValueError: wrong shapes or types.
    """
    if name not in _CORRUPTIONS:
        raise UserError(f"Corruption {name!r} cannot be generated: choose from {', '.join(_CORRUPTIONS)}.")
    if severity not in SEVERITIES:
        raise UserError(f"Severity {severity!r} of {name} does not exist: choose from 1 to {SEVERITIES[-1]}.")
    check_batch(images, indices)
    corruption = _CORRUPTIONS[name]
    draw = Draw(derive_seed(seed, "corruption", name, severity), indices.to(images.device))
    return corruption.apply(images, corruption.constants[severity - 1], draw)


def set_version(family: str, algorithm: str, constants: Mapping[str, tuple[float, ...]]) -> str:
    """Name a generated set after everything that determines its pixels.

    >>> set_version("nsbench-c", "1", {"contrast": (0.75,)}) == set_version("nsbench-c", "1", {"contrast": (0.7,)})
    False
    """
    content = json.dumps([keyed_random.VERSION, algorithm, constants], sort_keys=True)
    return f"{family} v{algorithm} {hashlib.sha256(content.encode()).hexdigest()[:6]}"


def corruption_set_version() -> str:
    """Return the name of the set `corrupt` makes, such as `nsbench-c v1 3f9a2c`; a changed constant changes it."""
    constants = {name: corruption.constants for name, corruption in _CORRUPTIONS.items()}
    return set_version("nsbench-c", _ALGORITHM, constants | {"blur_truncate": (_BLUR_TRUNCATE,)})
