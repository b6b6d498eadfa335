"""Something to measure: a checkpoint of ours, or a model from elsewhere."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.models.record import ModelRecord


class Subject(ABC):
    """A model, cheap to keep: its network is loaded when asked for, and again when asked again.

    Attributes:
        name: unique within an evaluation and fit for a path; '/' only in names of our checkpoints.
        identity: SHA-256 over everything that determines its outputs.
        record: for results.
        differentiable: whether gradients reach the images.
    """

    name: str
    identity: str
    record: CheckpointRecord | ModelRecord
    differentiable: bool = True

    @abstractmethod
    def load(self, device: torch.device) -> nn.Module:
        """The network on a device, in evaluation mode, its parameters frozen.

        It takes float32 images (N, 3, H, W) in [0, 1], in either memory layout, and gives logits (N, classes).
        """

    def rename(self, name: str) -> None:
        """Take another name."""
        self.name = name
