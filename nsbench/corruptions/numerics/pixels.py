"""Arithmetic on pixels that rounds the same way on every device.

Values are computed in float64 as x / 255, clipped to [0, 1], multiplied by 255 and truncated, because the published
files were.

Division is by tensors throughout: on CUDA torch multiplies by the reciprocal of a Python number, which rounds
differently, and truncation turns a last bit into a grey level.
"""

import torch

SIDE = 32
"""Height and width of the images of CIFAR-10-C and -P, whose constants are in pixels of such images. Only what is not
defined for any others uses it, and states so in its `sides`."""


def divide(numerator: torch.Tensor, denominator: float) -> torch.Tensor:
    """Divide with correct rounding on every device."""
    return numerator / torch.full((), denominator, dtype=numerator.dtype, device=numerator.device)


def unit_values(images: torch.Tensor) -> torch.Tensor:
    """Pixels 0..255 as float64 in [0, 1]."""
    return divide(images.double(), 255)


def truncate_to_uint8(values: torch.Tensor) -> torch.Tensor:
    """Clip to [0, 1], scale to 0..255 and drop the fraction; overwrites `values`."""
    return values.clamp_(0, 1).mul_(255).to(torch.uint8)


def slices(images: torch.Tensor, size: int) -> list[slice]:
    """Pieces of a batch: `size` images each on a CPU, so that what is in work stays in its cache; else the whole."""
    count = len(images)
    step = size if images.device.type == "cpu" else count
    return [slice(start, min(start + step, count)) for start in range(0, count, max(step, 1))]


def check_batch(images: torch.Tensor, indices: torch.Tensor) -> None:
    """Raise ValueError unless `images` is uint8 (B, S, S, 3) and `indices` int64 (B,)."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1:] != (images.shape[1], images.shape[1], 3):
        raise ValueError(f"images must be uint8 of shape (B, S, S, 3), not {images.dtype} of {tuple(images.shape)}")
    if indices.dtype != torch.int64 or indices.shape != images.shape[:1]:
        raise ValueError(f"indices must be int64, one for each image, not {indices.dtype} of {tuple(indices.shape)}")
