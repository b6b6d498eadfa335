"""A model of which only some outputs count."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class CountedOutputs(nn.Module):
    """The logits of the classes that count; a model that has exactly as many outputs keeps them all.

    A model with too few outputs is left as it is, for `check_model` to refuse.

    Args:
        network: in evaluation mode; images to logits (N, outputs).
        counted: the output that each class is.
        device: device of the network.

    Attributes:
        needed: outputs that a model must have for the last of these to be among them.
    """

    columns: Tensor

    def __init__(self, network: nn.Module, counted: Sequence[int], device: torch.device) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("columns", torch.tensor(counted, device=device))
        self.needed = max(counted) + 1
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes)."""
        logits: Tensor = self.network(images)
        fits = isinstance(logits, Tensor) and logits.ndim == 2 and logits.shape[1] >= self.needed
        return logits.index_select(1, self.columns) if fits and logits.shape[1] > len(self.columns) else logits
