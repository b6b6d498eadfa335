"""Noise that falls on every element independently: four corruptions of CIFAR-10-C, and sequences of CIFAR-10-P.

Each is a function of pixels and random numbers, kept apart from the drawing, so that it can be compared with the
published one number by number. Shot noise alone is drawn as pixels at once.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nsbench.corruptions.numerics.keyed_random import alias_table, keyed_choice, keyed_normal, keyed_uniform
from nsbench.corruptions.numerics.pixels import divide, truncate_to_uint8, unit_values
from nsbench.corruptions.spec import Corruption, Draw, Perturbation

_FRAMES = 31


def add_noise(images: torch.Tensor, normal: torch.Tensor, sigma: float) -> torch.Tensor:
    """Add `sigma` times `normal`; overwrites `normal`, float of the images' shape, whose type is computed in."""
    return truncate_to_uint8(normal.mul_(sigma).add_(divide(images.to(normal.dtype), 255)))


def multiply_noise(images: torch.Tensor, normal: torch.Tensor, sigma: float) -> torch.Tensor:
    """Add the images times `sigma` times `normal`; overwrites `normal`, float64 of the images' shape."""
    values = unit_values(images)
    return truncate_to_uint8(normal.mul_(sigma).mul_(values).add_(values))


def salt_and_pepper(images: torch.Tensor, uniform: torch.Tensor, share: float) -> torch.Tensor:
    """Replace where `uniform`, float64 of the images' shape, is below `share`: by 0 in the lower half, by 255 above."""
    return images.masked_fill(uniform < share, 255).masked_fill_(uniform < share / 2, 0)


def shot_noise_law(photons: int) -> NDArray[np.float64]:
    """The probability of each pixel under shot noise.

    A value x in [0, 1] becomes k / photons, clipped to 1, with k from the Poisson distribution of mean photons * x.
    Only products and quotients go into a probability (from the most likely count outwards), so that it is the same
    on every machine.

    Args:
        photons: the mean count at white.

    Returns:
        float64 (256, 256): row g, column v is the probability that grey level g becomes v.
    """
    counts = np.arange(3 * photons)
    levels = (np.minimum(counts / photons, 1) * 255).astype(np.uint8)
    law = np.empty((256, 256))
    for grey in range(256):
        mean = grey / 255 * photons
        mode = int(mean)
        fewer = np.cumprod(counts[mode:0:-1] / max(mean, 1))[::-1]
        more = np.cumprod(mean / counts[mode + 1 :])
        law[grey] = np.bincount(levels, weights=np.concatenate([fewer, [1.0], more]), minlength=256)
    law /= law.sum(axis=1, keepdims=True)
    return law


@cache
def _shot_noise_table(photons: int, device: torch.device) -> torch.Tensor:
    return alias_table(shot_noise_law(photons)).to(device)


def _normal(images: torch.Tensor, draw: Draw, stream: int = 0) -> torch.Tensor:
    """Standard normal numbers, float32 of the images' shape."""
    return keyed_normal(draw.key, draw.indices, images[0].numel(), stream).view(images.shape)


def _gaussian_noise(images: torch.Tensor, sigma: float, draw: Draw) -> torch.Tensor:
    """Add independent normal noise of standard deviation `sigma`."""
    return add_noise(images, _normal(images, draw).double(), sigma)


def _float32_gaussian_noise(images: torch.Tensor, sigma: float, draw: Draw, frame: int) -> torch.Tensor:
    """As `_gaussian_noise`, in float32 as published for the sequences."""
    return add_noise(images, _normal(images, draw, frame), sigma)


def _shot_noise(images: torch.Tensor, photons: int, draw: Draw, frame: int = 0) -> torch.Tensor:
    """Count photons: Poisson noise of mean `photons` at white."""
    table = _shot_noise_table(photons, images.device)
    return keyed_choice(draw.key, draw.indices, table, images.flatten(1), frame).view(images.shape)


def _impulse_noise(images: torch.Tensor, share: float, draw: Draw) -> torch.Tensor:
    """Replace each element with probability `share`, by 0 or 255 with equal chances."""
    uniform = keyed_uniform(draw.key, draw.indices, images[0].numel()).view(images.shape)
    return salt_and_pepper(images, uniform, share)


def _speckle_noise(images: torch.Tensor, sigma: float, draw: Draw, frame: int = 0) -> torch.Tensor:
    """Add independent normal noise of standard deviation `sigma` times the value."""
    return multiply_noise(images, _normal(images, draw, frame).double(), sigma)


_Noise = Callable[[torch.Tensor, Any, Draw, int], torch.Tensor]
"""(images, constant, draw, frame) -> that frame."""


def _frames(noise: _Noise, images: torch.Tensor, constants: tuple[Any, ...], draw: Draw) -> Iterator[torch.Tensor]:
    """Yield independent draws of `noise`; a frame whose constant is 0 is the image itself."""
    for frame, constant in enumerate(constants):
        yield noise(images, constant, draw, frame) if constant else images


def _sequence(noise: _Noise, constant: float) -> Perturbation:
    """The image itself, then 30 draws."""
    return Perturbation((0, *(_FRAMES - 1) * (constant,)), partial(_frames, noise))


NOISES: dict[str, Corruption] = {
    "gaussian_noise": Corruption((0.04, 0.06, 0.08, 0.09, 0.10), _gaussian_noise),
    "shot_noise": Corruption((500, 250, 100, 75, 50), _shot_noise),
    "impulse_noise": Corruption((0.01, 0.02, 0.03, 0.05, 0.07), _impulse_noise),
    "speckle_noise": Corruption((0.06, 0.1, 0.12, 0.16, 0.2), _speckle_noise),
}

NOISE_SEQUENCES: dict[str, Perturbation] = {
    "gaussian_noise": _sequence(_float32_gaussian_noise, 0.02),
    "gaussian_noise_2": _sequence(_float32_gaussian_noise, 0.04),
    "gaussian_noise_3": _sequence(_float32_gaussian_noise, 0.06),
    "shot_noise": _sequence(_shot_noise, 700),
    "shot_noise_2": _sequence(_shot_noise, 400),
    "shot_noise_3": _sequence(_shot_noise, 200),
    "speckle_noise": _sequence(_speckle_noise, 0.05),
    "speckle_noise_2": _sequence(_speckle_noise, 0.07),
    "speckle_noise_3": _sequence(_speckle_noise, 0.1),
}
