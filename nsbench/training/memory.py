"""How much memory a training run needs, said before it starts."""

import os
from dataclasses import dataclass

import torch

from nsbench.networks.classifier import Classifier
from nsbench.networks.cost import activation_bytes
from nsbench.training.schedule import Schedule
from nsbench.training.step import TrainingSet


@dataclass(frozen=True)
class Memory:
    """Bytes on the device.

    Attributes:
        images: the resident images and their targets.
        weights: weights, gradients, momenta, and whatever else has the size of the network.
        activations: what a forward pass over one micro-batch keeps for the backward pass.
    """

    images: int
    weights: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.images + self.weights + self.activations

    def __str__(self) -> str:
        parts = f"images {_size(self.images)}, weights {_size(self.weights)}, a batch {_size(self.activations)}"
        return f"about {_size(self.total)} of memory ({parts})"


def estimate(network: Classifier, data: TrainingSet, schedule: Schedule, side: int) -> Memory:
    """What training `network` by `schedule` needs, not counting libraries and temporary buffers.

    Args:
        network: in any mode, on any device; it is not changed.
        data: the training set.
        schedule: batch size, precision, weight average and selection.
        side: height and width of the images in pixels.
    """
    settings = schedule.settings
    tensors = [data.images, data.targets, *([] if data.soft is None else [data.soft])]
    copies = 3 + (settings.average_decay > 0) + (settings.selection != "last")
    seen = 1 + (schedule.second.ratio * len(schedule.second.views) if schedule.second else 0)
    activations = activation_bytes(network, side) * (settings.micro_batch or settings.batch_size) * seen
    return Memory(
        images=sum(tensor.nbytes for tensor in tensors),
        weights=copies * sum(parameter.nbytes for parameter in network.parameters()),
        activations=activations // 2 if settings.precision == "bfloat16" else activations,
    )


def shortage(memory: Memory, device: torch.device) -> str | None:
    """A sentence when the device has less than that, and the remedy."""
    if device.type == "cuda":
        there = torch.cuda.mem_get_info(device)[0]
    else:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory.total <= there:
        return None
    return (
        f"this device has {_size(there)} of memory, which may be too little: a smaller training.micro_batch needs less."
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
