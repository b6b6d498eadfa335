"""Pixels beyond the edge of an image, for images laid out (row, column, image)."""

import torch


def with_border(values: torch.Tensor, inset: int) -> torch.Tensor:
    """Surround images by a border one pixel wide.

    Args:
        values: (H, W, B) of any type.
        inset: what the border repeats: 0 the edge pixels themselves (OpenCV's "replicate"), 1 their neighbours within
            (OpenCV's "reflect 101").

    Returns:
        (H + 2, W + 2, B).
    """
    for axis in (0, 1):
        size = values.shape[axis]
        before, after = values.narrow(axis, inset, 1), values.narrow(axis, size - 1 - inset, 1)
        values = torch.cat([before, values, after], dim=axis)
    return values


def box_sum(values: torch.Tensor) -> torch.Tensor:
    """Sum each pixel and its eight neighbours, the border reflected about the edge pixels.

    Args:
        values: integers (H, W, B), small enough for their type to hold nine times the largest.

    Returns:
        (H, W, B) of the type of `values`.
    """
    padded = with_border(values, inset=1)
    columns = padded[:-2] + padded[1:-1]
    columns += padded[2:]
    total = columns[:, :-2] + columns[:, 1:-1]
    total += columns[:, 2:]
    return total
