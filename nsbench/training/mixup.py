"""Mixup: Zhang et al. 2018 (arXiv:1710.09412), with a weight of its own for each image, as the study has it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nsbench.seeds import derive_seed


@dataclass(frozen=True)
class Partners:
    """Weights and partners of a stream of images, drawn before they are applied.

    Attributes:
        weights: (n,) float32 in [0, 1] on the CPU, the share of the image itself.
        partners: (n,) int64 on the CPU, each image's partner by its position in the same batch.
    """

    weights: Tensor
    partners: Tensor

    def mix(self, images: Tensor, targets: Tensor, part: slice) -> tuple[Tensor, Tensor]:
        """Mixed images (B, 3, H, W) and targets (B, classes) of one batch, the images `part` of the stream."""
        weights = self.weights[part].to(images.device, non_blocking=True)
        other = self.partners[part].to(images.device, non_blocking=True)
        mixed = torch.lerp(images.index_select(0, other), images, weights[:, None, None, None])
        return mixed, torch.lerp(targets.index_select(0, other), targets, weights[:, None])


def draw_partners(count: int, batch: int, alpha: float, seed: tuple[str | int, ...]) -> Partners | None:
    """Draw for `count` images in batches of `batch`; None when alpha is 0, which switches mixup off."""
    if alpha == 0:
        return None
    random = np.random.default_rng(derive_seed(*seed))
    weights = torch.from_numpy(random.beta(alpha, alpha, count).astype(np.float32))
    batches = [random.permutation(min(batch, count - start)) for start in range(0, count, batch)]
    return Partners(weights, torch.from_numpy(np.concatenate(batches)))
