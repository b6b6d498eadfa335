"""Mixup: Zhang et al. 2018 (arXiv:1710.09412), with a weight of its own for each image, as the study has it."""

import numpy as np
import torch
from torch import Tensor

from nsbench.seeds import derive_seed


def draw_partners(steps: int, batch: int, alpha: float, seed: tuple[str | int, ...]) -> tuple[Tensor, Tensor]:
    """Draw for `steps` batches of `batch` images, on the CPU.

    Returns:
        (steps, batch) float32 in [0, 1], the share of the image itself, from Beta(alpha, alpha), and (steps, batch)
        int64, each image's partner by its position in the same batch. Both are (steps, 0) when alpha is 0, which
        switches mixup off.
    """
    if alpha == 0:
        return torch.empty(steps, 0), torch.empty(steps, 0, dtype=torch.int64)
    random = np.random.default_rng(derive_seed(*seed))
    weights = random.beta(alpha, alpha, (steps, batch)).astype(np.float32)
    partners = random.permuted(np.tile(np.arange(batch), (steps, 1)), axis=1)
    return torch.from_numpy(weights), torch.from_numpy(partners)


def mix(values: Tensor, weights: Tensor, partners: Tensor) -> Tensor:
    """Mix each row of `values` (B, ...) with its partner; unchanged when nothing was drawn."""
    if not weights.numel():
        return values
    shares = weights.view(-1, *(1 for _ in values.shape[1:]))
    return torch.lerp(values.index_select(0, partners), values, shares)
