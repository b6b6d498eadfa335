"""Random parameters of input noise, drawn before they are applied.

Drawing first, on the CPU, from an explicit generator, makes every device augment identically and lets a
killed run draw again what it had drawn.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nsbench.noise.tables import OPERATIONS


@dataclass(frozen=True)
class InputNoise:
    """What input noise does to every image.

    Attributes:
        operations: RandAugment operations per image, N >= 0; 0 switches RandAugment off.
        magnitude: RandAugment magnitude M in 0..30.
        crop_padding: zero padding in pixels around a random crop back to the image's size.
        flip: mirror half of the images.
    """

    operations: int
    magnitude: int
    crop_padding: int
    flip: bool


@dataclass(frozen=True)
class Draws:
    """Parameters for N images and R rounds of RandAugment, drawn on the CPU.

    Attributes:
        operations: (N, R) int64, indices into OPERATIONS, drawn with replacement.
        negative: (N, R) bool, sign of a geometric operation.
        centers: (N, R, 2) float32 in [0, 1): centre of the cutout square, x and y.
        crops: (N, 2) int64 in 0..2 * crop_padding: top and left of the crop in the padded image.
        flips: (N,) bool.
    """

    operations: Tensor
    negative: Tensor
    centers: Tensor
    crops: Tensor
    flips: Tensor

    def rows(self, start: int, stop: int) -> "Draws":
        """The draws of images start..stop-1."""
        return Draws(*(tensor[start:stop] for tensor in self.tensors()))

    def to(self, device: torch.device) -> "Draws":
        """The draws on `device`; the copy does not hold up the host where the memory is pinned."""
        return Draws(*(tensor.to(device, non_blocking=True) for tensor in self.tensors()))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The fields in their order, which `Draws(*tensors)` takes back."""
        return self.operations, self.negative, self.centers, self.crops, self.flips


def draw(count: int, noise: InputNoise, generator: torch.Generator) -> Draws:
    """Draw the parameters for `count` images."""
    rounds = noise.operations
    return Draws(
        operations=torch.randint(len(OPERATIONS), (count, rounds), generator=generator),
        negative=torch.rand((count, rounds), generator=generator) < 0.5,
        centers=torch.rand((count, rounds, 2), generator=generator),
        crops=torch.randint(2 * noise.crop_padding + 1, (count, 2), generator=generator),
        flips=(torch.rand(count, generator=generator) < 0.5) & noise.flip,
    )
