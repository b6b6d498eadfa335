"""Networks in memory, as many as there is room for."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from nsbench.models.subject import Subject
from nsbench.networks.folding import fold_batch_norms

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
        self._kept: OrderedDict[tuple[str, bool], tuple[nn.Module, int]] = OrderedDict()

    def get(self, subject: Subject, *, folded: bool) -> nn.Module:
        """The network of a subject, in evaluation mode on the device.

        Args:
            subject: whose network.
            folded: without the batch normalisations that can be folded away; its logits then differ by rounding.
        """
        key = subject.name, folded
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        if folded:
            network = fold_batch_norms(self.get(subject, folded=False), self.example)
            del self._kept[subject.name, False]  # cells that are shown to it as it is come first
        else:
            network = subject.load(self.device)
        self._keep(key, network)
        return network

    def _keep(self, key: tuple[str, bool], network: nn.Module) -> None:
        """Keep a network, and forget others until there is room for it."""
        size = sum(tensor.numel() * tensor.element_size() for tensor in (*network.parameters(), *network.buffers()))
        while self._kept and size + sum(kept for _, kept in self._kept.values()) > self.room:
            self._kept.popitem(last=False)
        self._kept[key] = network, size
