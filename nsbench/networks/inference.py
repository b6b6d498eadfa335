"""The one way predictions are made, for teachers and for every benchmark."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nsbench.data.rows.images import Images
from nsbench.devices import is_out_of_memory

T = TypeVar("T")

CPU_BATCH = 100
"""Images whose activations in a small network still fit a CPU's caches."""
CUDA_BATCH = 2000
"""Images that keep every part of a GPU at work."""


@dataclass
class BatchSize:
    """Images per forward pass, fewer once memory has run out."""

    size: int

    @classmethod
    def choose(cls, wanted: int, device: torch.device) -> "BatchSize":
        """The size asked for, or what suits the device where 0 is."""
        return cls(wanted or (CUDA_BATCH if device.type == "cuda" else CPU_BATCH))

    def over(self, count: int, work: Callable[[slice], T]) -> list[T]:
        """What `work` gives for consecutive slices that cover range(count).

        A slice that runs out of memory is cut in half and tried again; the error is left when a single image is too
        much.
        """
        found, start = [], 0
        while start < count:
            stop = min(start + self.size, count)
            try:
                found.append(work(slice(start, stop)))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.size == 1:
                    raise
                self.size = max(1, min(self.size, stop - start) // 2)
                torch.cuda.empty_cache()
            else:
                start = stop
        return found


def to_float(images: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [0, 1], channels last in memory."""
    assert images.dtype == torch.uint8, images.dtype
    assert images.ndim == 4, images.shape
    assert images.shape[-1] == 3, images.shape
    return images.permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def logits(network: nn.Module, images: Tensor, *, fast: bool = False) -> Tensor:
    """Float32 logits (N, classes) of one uint8 batch (N, H, W, 3), on the network's device.

    With `fast` the arithmetic inside the network is bfloat16 where PyTorch's autocast allows it.
    """
    assert not network.training, "a network predicts in evaluation mode"
    with torch.autocast(images.device.type, torch.bfloat16, enabled=fast):
        out: Tensor = network(to_float(images))
    return out.float()


def predict_logits(network: nn.Module, images: Images, device: torch.device, batch_size: int) -> NDArray[np.float32]:
    """Float32 logits (N, classes) of uint8 images (N, H, W, 3), read by rows; a batch size of 0 suits the device.

    Results reach the host once, at the end, so the device never waits for it.
    """
    network.eval()
    parts = BatchSize.choose(batch_size, device).over(
        len(images), lambda part: logits(network, torch.tensor(images[part]).to(device, non_blocking=True))
    )
    return torch.cat(parts).cpu().numpy()
