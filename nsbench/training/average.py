"""An exponential moving average of a network's weights: Polyak & Juditsky 1992 in the form of Tarvainen & Valpola 2017.

The running statistics of batch normalisation are averaged with the weights.
"""

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of all floating-point numbers in a network's state.

    Args:
        network: whose state it starts from.
    """

    def __init__(self, network: nn.Module) -> None:
        self.values = {name: value.clone() for name, value in floats(network).items()}

    @torch.no_grad()
    def update(self, network: nn.Module, share: Tensor) -> None:
        """Take in the network's present state with a weight of `share`, a scalar in (0, 1] on its device."""
        state = floats(network)
        past = [self.values[name] for name in state]
        steps = torch._foreach_sub(list(state.values()), past)
        torch._foreach_mul_(steps, share)
        torch._foreach_add_(past, steps)

    def put_into(self, network: nn.Module) -> None:
        """Give the network the averaged state."""
        network.load_state_dict({**network.state_dict(), **self.values})


def share(decay: float, step: int) -> float:
    """Weight of the state after optimiser step `step`, counted from 0: early steps forget faster.

    >>> share(0.999, 0)
    0.9
    """
    return 1 - min(decay, (1 + step) / (10 + step))


def floats(network: nn.Module) -> dict[str, Tensor]:
    """The floating-point part of a network's state."""
    return {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
