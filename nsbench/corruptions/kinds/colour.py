"""Brightness, contrast and saturation: three corruptions of CIFAR-10-C, and a sequence of CIFAR-10-P.

The colour model is HSV of Smith 1978 (doi:10.1145/965139.807361), converted with the roundings of scikit-image, which
made the published files.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from nsbench.corruptions.numerics.pixels import divide, truncate_to_uint8, unit_values
from nsbench.corruptions.spec import Corruption, Draw, Perturbation

# Which of (V, middle value, low value) is red, green, blue in each sixth of the hue circle.
_CHANNEL_ROLES = ((0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0), (1, 2, 0), (0, 2, 1))


@dataclass(frozen=True)
class Hsv:
    """Images in the HSV colour model, with hue in the form that the way back needs."""

    value: torch.Tensor
    """V, float64 (B, H, W) in [0, 1]."""
    saturation: torch.Tensor
    """S, float64 (B, H, W) in [0, 1]; 0 for grey."""
    descent: torch.Tensor
    """How far the middle channel is on the way from V to the lowest: float64 (B, H, W) in [0, 1]."""
    roles: torch.Tensor
    """int64 (B, H, W, 3): whether a channel is V (0), the middle one (1) or the lowest (2)."""

    @classmethod
    def of(cls, images: torch.Tensor) -> "Hsv":
        """Convert uint8 (B, H, W, 3). Grey has hue 0, the hue of red, as published."""
        rgb = unit_values(images)
        red, green, blue = rgb.unbind(-1)
        value = rgb.amax(-1)
        chroma = value - rgb.amin(-1)
        saturation = chroma / value.masked_fill(value == 0, 1)
        grey = chroma == 0
        chroma.masked_fill_(grey, 1)
        sextant = torch.where(
            blue == value,
            (red - green) / chroma + 4,
            torch.where(green == value, (blue - red) / chroma + 2, (green - blue) / chroma),
        ).masked_fill_(grey, 0)
        # Hue as a share of the circle and back: both roundings are part of the published values.
        hue = divide(sextant, 6)
        position = torch.where(hue < 0, hue + 1, hue) * 6
        sector = position.floor()
        fraction = position.sub_(sector)
        sector = sector.long() % 6
        descent = torch.where(sector % 2 == 1, fraction, 1 - fraction)
        roles = torch.tensor(_CHANNEL_ROLES, device=images.device)
        return cls(value, saturation, descent, roles[sector])

    def factors(self, saturation: torch.Tensor) -> torch.Tensor:
        """What each channel is of V if S is `saturation`: float64 (B, H, W, 3) in [0, 1]."""
        parts = [torch.ones_like(saturation), 1 - self.descent * saturation, 1 - saturation]
        return torch.stack(parts, dim=-1).gather(-1, self.roles)


def brighten(value: torch.Tensor, factors: torch.Tensor, shift: float) -> torch.Tensor:
    """Add `shift` to V, clipped to [0, 1], and convert back to RGB.

    Args:
        value: V, float64 (B, H, W); left alone.
        factors: what each channel is of V, float64 (B, H, W, 3); left alone.
        shift: in [-1, 1].

    Returns:
        uint8 (B, H, W, 3).
    """
    return truncate_to_uint8((value + shift).clamp_(0, 1).unsqueeze(-1) * factors)


def _brightness(images: torch.Tensor, shift: float, _: Draw) -> torch.Tensor:
    """Add `shift` to V of HSV."""
    hsv = Hsv.of(images)
    return brighten(hsv.value, hsv.factors(hsv.saturation), shift)


def _saturate(images: torch.Tensor, line: tuple[float, float], _: Draw) -> torch.Tensor:
    """Replace S of HSV by slope * S + offset, clipped to [0, 1]; an offset makes grey reddish, as published."""
    slope, offset = line
    hsv = Hsv.of(images)
    factors = hsv.factors((hsv.saturation * slope).add_(offset).clamp_(0, 1))
    return truncate_to_uint8(factors.mul_(hsv.value.unsqueeze(-1)))


def _contrast(images: torch.Tensor, factor: float, _: Draw) -> torch.Tensor:
    """Shrink the distance of each value to the mean of its image and channel.

    The mean is summed in integers, so it does not depend on the order of a device's summation.
    """
    pixels = images.shape[1] * images.shape[2]
    mean = divide(images.sum((1, 2), keepdim=True, dtype=torch.int64).double(), 255 * pixels)
    return truncate_to_uint8(unit_values(images).sub_(mean).mul_(factor).add_(mean))


def _brightness_frames(images: torch.Tensor, shifts: tuple[float, ...], _: Draw) -> Iterator[torch.Tensor]:
    """Yield the images with each shift added to V of HSV."""
    hsv = Hsv.of(images)
    factors = hsv.factors(hsv.saturation)
    for shift in shifts:
        yield brighten(hsv.value, factors, shift)


COLOURS: dict[str, Corruption] = {
    "brightness": Corruption((0.05, 0.10, 0.15, 0.20, 0.30), _brightness),
    "contrast": Corruption((0.75, 0.50, 0.40, 0.30, 0.15), _contrast),
    "saturate": Corruption(((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)), _saturate),
}

COLOUR_SEQUENCES: dict[str, Perturbation] = {
    "brightness": Perturbation(tuple((frame - 15) * 1.5 / 100 for frame in range(31)), _brightness_frames),
}
