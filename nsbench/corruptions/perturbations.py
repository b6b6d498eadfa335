"""CIFAR-10-P sequences made on the device.

Definitions and constants: Hendrycks and Dietterich 2019 (arXiv:1903.12261), in the CIFAR variant their authors
published; values are truncated to uint8 as theirs are. The random draws are our own, so a generated set has a name of
its own: `perturbation_set_version()`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from nsbench.corruptions import keyed_random
from nsbench.corruptions.corruptions import (
    Draw,
    brighten,
    check_batch,
    divide,
    set_version,
    truncate_to_uint8,
    value_and_factors,
)
from nsbench.errors import UserError
from nsbench.seeds import derive_seed

_ALGORITHM = "1"


@dataclass(frozen=True)
class Perturbation:
    """A perturbation and its constant in each frame."""

    constants: tuple[float, ...]
    """One a frame."""
    frames: Callable[[torch.Tensor, tuple[float, ...], Draw], Iterator[torch.Tensor]]
    """(images uint8 (B, H, W, 3), constants, draw) -> the frames in order, each uint8 (B, H, W, 3)."""


def _gaussian_noise(images: torch.Tensor, sigmas: tuple[float, ...], draw: Draw) -> Iterator[torch.Tensor]:
    """Yield independent draws of normal noise, in float32 as published; a frame of sigma 0 is the image itself."""
    clean = divide(images.float(), 255)
    for frame, sigma in enumerate(sigmas):
        if sigma == 0:
            yield images
        else:
            noise = keyed_random.keyed_normal(draw.key, draw.indices, images.shape[1:].numel(), stream=frame)
            yield truncate_to_uint8(noise.mul_(sigma).view(images.shape).add_(clean))


def _brightness(images: torch.Tensor, shifts: tuple[float, ...], _: Draw) -> Iterator[torch.Tensor]:
    """Yield the images with each shift added to V of HSV."""
    value, factors = value_and_factors(images)
    for shift in shifts:
        yield brighten(value, factors, shift)


def _translate(images: torch.Tensor, shifts: tuple[float, ...], _: Draw) -> Iterator[torch.Tensor]:
    """Yield the images moved right by each shift in pixels (left if negative), black where nothing is left."""
    width = images.shape[2]
    for shift in map(int, shifts):
        size = max(width - abs(shift), 0)
        source, target = max(-shift, 0), max(shift, 0)
        frame = torch.zeros_like(images)
        frame[:, :, target : target + size] = images[:, :, source : source + size]
        yield frame


_PERTURBATIONS: dict[str, Perturbation] = {
    "gaussian_noise": Perturbation((0.0,) + 30 * (0.02,), _gaussian_noise),
    "brightness": Perturbation(tuple((frame - 15) * 1.5 / 100 for frame in range(31)), _brightness),
    "translate": Perturbation(tuple(frame - 7 for frame in range(16)), _translate),
}

GENERATED_PERTURBATIONS = tuple(_PERTURBATIONS)
"""The names `perturb` knows."""


def _find(name: str) -> Perturbation:
    if name not in _PERTURBATIONS:
        raise UserError(f"Perturbation {name!r} cannot be generated: choose from {', '.join(_PERTURBATIONS)}.")
    return _PERTURBATIONS[name]


def frame_count(name: str) -> int:
    """Return T, the frames in a sequence of perturbation `name`.

    Raises:
        UserError: no such perturbation.

    >>> frame_count("translate")
    16
    """
    return len(_find(name).constants)


def perturb(images: torch.Tensor, name: str, *, indices: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Make the sequence of each image of a batch, as CIFAR-10-P does.

    Args:
        images: uint8 (B, H, W, 3).
        name: one of GENERATED_PERTURBATIONS.
        indices: int64 (B,), the indices of the images in their data set; with `seed` and name they fix every random
            number, so an image has the same sequence in any batch.
        seed: of the generated set.

    Returns:
        uint8 (B, T, H, W, 3) on the device of `images`, which are left alone; T is `frame_count(name)`.

    Raises:
        UserError: no such perturbation.
        ValueError: wrong shapes or types.
    """
    perturbation = _find(name)
    check_batch(images, indices)
    batch, *shape = images.shape
    sequences = torch.empty((batch, len(perturbation.constants), *shape), dtype=torch.uint8, device=images.device)
    draw = Draw(derive_seed(seed, "perturbation", name), indices.to(images.device))
    for position, frame in enumerate(perturbation.frames(images, perturbation.constants, draw)):
        sequences[:, position] = frame
    return sequences


def perturbation_set_version() -> str:
    """Return the name of the set `perturb` makes, such as `nsbench-p v1 3f9a2c`; a changed constant changes it."""
    constants = {name: perturbation.constants for name, perturbation in _PERTURBATIONS.items()}
    return set_version("nsbench-p", _ALGORITHM, constants)
