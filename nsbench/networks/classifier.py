"""What every network family has in common: pixels in, logits out, noise between, and a head that can be exchanged."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ModelNoise:
    """Noise inside the network.

    Attributes:
        dropout: probability in [0, 1) of dropping a feature before the last layer.
        survival: probability in (0, 1] that the last block's residual branch is kept; the first block's is 1 and the
            others fall linearly between.
        per_image: whether each image draws its own coin, instead of one for the batch.
    """

    dropout: float = 0.0
    survival: float = 1.0
    per_image: bool = False


NO_MODEL_NOISE = ModelNoise()


class Normalize(nn.Module):
    """(x - mean) / std per channel; the constants travel with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images."""
        return (images - self.mean) / self.std


class Classifier(nn.Module, ABC):
    """Images in [0, 1], shape (N, 3, H, W), to logits (N, classes). Normalisation is the first layer.

    Attributes:
        head_prefix: how the names of the head's tensors begin in the state dict.
    """

    head_prefix: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._body_frozen = False

    @property
    @abstractmethod
    def head(self) -> nn.Linear:
        """The last layer, features to logits."""

    @property
    @abstractmethod
    def head_dropout(self) -> nn.Dropout:
        """The dropout in front of the head."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""

    def freeze_body(self) -> None:
        """Let training change the head only, from now on.

        No other parameter requires a gradient, and in training mode the body stays as it is in evaluation mode: the
        statistics of batch normalisation rest and no branch is dropped.
        """
        self._body_frozen = True
        self.requires_grad_(False)
        self.head.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode; with a frozen body, training mode reaches only the head and its dropout."""
        super().train(mode)
        if mode and self._body_frozen:
            for child in self.children():
                child.eval()
            self.head.train()
            self.head_dropout.train()
        return self
