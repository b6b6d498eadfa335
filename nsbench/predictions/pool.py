"""Networks in memory, as many as there is room for."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from nsbench.models.subject import Subject

ROOM = 2 * 2**30
"""Bytes of weights that are kept; a single network may have more."""


class Pool:
    """Loads networks when they are asked for and forgets those that were not for longest.

    Args:
        device: where they compute.
        example: float images (N, 3, H, W) on the device, to see what can be folded.
        room: bytes of parameters and buffers that are kept.
    """

    def __init__(self, device: torch.device, example: Tensor, room: int = ROOM) -> None:
        self.device, self.example, self.room = device, example, room
        self._kept: OrderedDict[str, tuple[nn.Module, int]] = OrderedDict()

    def get(self, subject: Subject) -> nn.Module:
        """The network of a subject, in evaluation mode on the device."""
        if subject.name in self._kept:
            self._kept.move_to_end(subject.name)
            return self._kept[subject.name][0]
        network = subject.load(self.device)
        size = sum(tensor.numel() * tensor.element_size() for tensor in (*network.parameters(), *network.buffers()))
        while self._kept and size + sum(kept for _, kept in self._kept.values()) > self.room:
            self._kept.popitem(last=False)
        self._kept[subject.name] = network, size
        return network
