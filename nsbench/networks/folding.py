"""Batch normalisation folded into the convolutions before it: the same function in evaluation mode, and faster."""

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_SAME = 1e-4
"""What folding may change, as a share of the largest logit: some ten times what rounding does."""


class Folded(nn.Module):
    """Stands where a normalisation was."""

    def forward(self, images: Tensor, *_: object) -> Tensor:
        """The images as they are; ours are called with a second argument, which evaluation does not use."""
        return images


def fold_batch_norms(network: nn.Module, example: Tensor) -> nn.Module:
    """A copy of a network with every batch normalisation folded away that a convolution alone feeds.

    Which one follows which is seen in a pass of the example, not guessed from names. Where the logits then change by
    more than rounding does, because a convolution's output is used elsewhere too, the network itself is returned.
    What a network does with other images only, where its Python code decides by what it sees, is not noticed.

    Args:
        network: in evaluation mode; it stays as it is.
        example: float images (N, 3, H, W) on the network's device, at least one.
    """
    assert not network.training, "batch normalisation is constant in evaluation mode only"
    with torch.no_grad():
        expected = network(example)
        pairs = _pairs(network, example)
        if not pairs:
            return network
        try:
            folded = _without(network, pairs)
            close = torch.allclose(folded(example), expected, rtol=0, atol=_SAME * float(expected.abs().max()))
        except (AttributeError, TypeError, RuntimeError):  # it looks into its normalisation, or cannot be copied
            return network
    return folded if close else network


def _without(network: nn.Module, pairs: list[tuple[str, str]]) -> nn.Module:
    """A copy whose convolutions do what the normalisations after them did."""
    folded = copy.deepcopy(network)
    for convolution, norm in pairs:
        before, after = folded.get_submodule(convolution), folded.get_submodule(norm)
        assert isinstance(before, nn.Conv2d)
        assert isinstance(after, nn.BatchNorm2d)
        folded.set_submodule(convolution, fuse_conv_bn_eval(before, after))
        folded.set_submodule(norm, Folded().eval())
    return folded


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[str, str]]:
    """Names of convolutions and of the normalisations that take their outputs, each used once in a pass."""
    made: dict[int, tuple[str, Tensor]] = {}  # the tensors are kept, or another could get the same id
    pairs: list[tuple[str, str]] = []
    calls: Counter[str] = Counter()

    def watch(name: str, module: nn.Module) -> Any:
        def seen(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            calls[name] += 1
            if isinstance(module, nn.Conv2d):
                made[id(output)] = name, output
            elif id(inputs[0]) in made:
                pairs.append((made[id(inputs[0])][0], name))

        return module.register_forward_hook(seen)

    watched = [
        watch(name, module)
        for name, module in network.named_modules()
        if type(module) is nn.Conv2d or (isinstance(module, nn.BatchNorm2d) and module.track_running_stats)
    ]
    network(example)
    for hook in watched:
        hook.remove()
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1]
