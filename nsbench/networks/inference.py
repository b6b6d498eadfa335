"""The one way predictions are made, for teachers and for every benchmark."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def to_float(images: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [0, 1], channels last in memory."""
    assert images.dtype == torch.uint8, images.dtype
    assert images.ndim == 4, images.shape
    assert images.shape[-1] == 3, images.shape
    return images.permute(0, 3, 1, 2).float() / 255


def batches(count: int, batch_size: int) -> Iterator[slice]:
    """Slices that cover range(count)."""
    for start in range(0, count, batch_size):
        yield slice(start, min(start + batch_size, count))


@torch.inference_mode()
def logits(network: nn.Module, images: Tensor) -> Tensor:
    """Float32 logits (N, classes) of one uint8 batch (N, H, W, 3), on the network's device."""
    assert not network.training, "a network predicts in evaluation mode"
    out: Tensor = network(to_float(images)).float()
    return out


def predict_logits(
    network: nn.Module, images: NDArray[np.uint8], device: torch.device, batch_size: int
) -> NDArray[np.float32]:
    """Float32 logits (N, classes) of uint8 images (N, H, W, 3) in host memory.

    Results reach the host once, at the end, so the device never waits for it.
    """
    network.eval()
    parts = [
        logits(network, torch.tensor(images[part]).to(device, non_blocking=True))
        for part in batches(len(images), batch_size)
    ]
    return torch.cat(parts).cpu().numpy()
