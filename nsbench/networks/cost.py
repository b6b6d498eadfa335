"""What a network costs: parameters, arithmetic, and memory kept for the backward pass.

Arithmetic and memory are read off a copy of the network on torch's meta device, which has shapes and no numbers, so
that counting neither computes anything nor needs memory.
"""

from copy import deepcopy

import torch
from torch import Tensor, UntypedStorage, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Numbers that training may change, those of a frozen body included."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_multiply_adds(network: nn.Module, side: int = 32) -> int:
    """Multiply-adds of one prediction for one image of `side` x `side` pixels, in convolutions and linear layers."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        _without_numbers(network).eval()(_images(1, side))
    operations: int = counter.get_total_flops()
    return operations // 2


def activation_bytes(network: nn.Module, side: int = 32, batch: int = 64) -> int:
    """Bytes per image that a forward pass in training mode keeps for the backward pass, in float32 arithmetic.

    Every storage counts once, parameters and buffers not at all. What is kept once for a batch, such as its batch
    normalisation statistics, is shared among its images. An uncompiled backward pass needs some more while it runs.

    Args:
        network: any network; its own mode and weights are left alone.
        side: height and width of an image in pixels.
        batch: images in the batch, at least 2 (batch normalisation may see a map of one pixel).
    """
    copy = _without_numbers(network).train()
    own = {tensor.untyped_storage()._cdata for tensor in [*copy.parameters(), *copy.buffers()]}
    kept: dict[int, UntypedStorage] = {}  # the storages themselves, lest one be freed and its address used again

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        copy(_images(batch, side))
    return -(-sum(storage.nbytes() for storage in kept.values()) // batch)


def _images(count: int, side: int) -> Tensor:
    return torch.empty(count, 3, side, side, device="meta")


def _without_numbers(network: nn.Module) -> nn.Module:
    """A copy on the meta device; deepcopy meets our stand-ins where it would have copied numbers."""
    stand_ins: dict[int, Tensor] = {
        id(tensor): nn.Parameter(torch.empty_like(tensor, device="meta"), tensor.requires_grad)
        for tensor in network.parameters()
    }
    stand_ins |= {id(tensor): torch.empty_like(tensor, device="meta") for tensor in network.buffers()}
    return deepcopy(network, stand_ins)
