"""The sampled Gaussian blur, with the last bits of scipy's.

The published generators blur with scikit-image's `gaussian`, which is `scipy.ndimage.gaussian_filter`: one axis after
the other, by a kernel that ends at `truncate` standard deviations. Truncation to uint8 shows a last bit, so the
additions here are in scipy's order, and each is an operation of its own: nothing is left to a device's matrix
product.
"""

import math
from functools import cache

import numpy as np
import torch


@cache
def gaussian_weights(sigma: float, truncate: float) -> tuple[float, ...]:
    """Half a sampled Gaussian of sum 1: the weight of the centre, then of its neighbours at distance 1, 2, ...

    The exponential is Python's: the last bit of numpy's depends on the processor, and truncation would show it.
    The kernel's radius is `truncate * sigma` rounded half up, in pixels.

    >>> [round(weight, 4) for weight in gaussian_weights(0.5, 4.0)]
    [0.7866, 0.1065, 0.0003]
    """
    radius = math.floor(truncate * sigma + 0.5)
    weights = np.array([math.exp(-0.5 / (sigma * sigma) * distance**2) for distance in range(-radius, radius + 1)])
    return tuple(float(weight) for weight in (weights / weights.sum())[radius:])


@cache
def _padded_positions(size: int, radius: int, border: str, device: torch.device) -> torch.Tensor:
    """Which position of an axis each place of the padded axis shows: int64 (size + 2 * radius,)."""
    places = torch.arange(-radius, size + radius, device=device)
    if border == "nearest":
        return places.clamp_(0, size - 1)
    places = places.remainder_(2 * size)
    return torch.minimum(places, 2 * size - 1 - places)


def blur_axis(values: torch.Tensor, weights: tuple[float, ...], axis: int, border: str = "nearest") -> torch.Tensor:
    """Correlate with a symmetric kernel along `axis`.

    Neighbours are added from the outermost inward, scipy's order, so that the last bits agree with scipy's.

    Args:
        values: float64 of any shape; left alone.
        weights: as `gaussian_weights` gives them.
        axis: not negative.
        border: what lies outside, by scipy's names: "nearest" repeats the edge value, "reflect" mirrors the values
            with the edge value doubled.

    Returns:
        float64 of the shape of `values`.
    """
    size, radius = values.shape[axis], len(weights) - 1
    padded = values.index_select(axis, _padded_positions(size, radius, border, values.device))
    total = padded.narrow(axis, radius, size) * weights[0]
    pair = torch.empty_like(total)
    for distance in range(radius, 0, -1):
        before, after = padded.narrow(axis, radius - distance, size), padded.narrow(axis, radius + distance, size)
        total += torch.add(before, after, out=pair).mul_(weights[distance])
    return total


def blur(
    values: torch.Tensor,
    sigma: float,
    *,
    truncate: float = 4.0,
    border: str = "nearest",
    axes: tuple[int, ...] = (1, 2),
) -> torch.Tensor:
    """Blur along each of `axes` in turn, as `scipy.ndimage.gaussian_filter` does.

    Args:
        values: float64, such as (B, H, W, 3) or (B, H, W); left alone.
        sigma: standard deviation in pixels, above 0.
        truncate: where the kernel ends, in standard deviations.
        border: "nearest" (scikit-image's default) or "reflect".
        axes: the spatial axes, in order.

    Returns:
        float64 of the shape of `values`.
    """
    weights = gaussian_weights(sigma, truncate)
    for axis in axes:
        values = blur_axis(values, weights, axis, border)
    return values
