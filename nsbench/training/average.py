"""An exponential moving average of a network's weights: Polyak & Juditsky 1992 in the form of Tarvainen & Valpola 2017.

The running statistics of batch normalisation are averaged with the weights.
"""

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of all floating-point numbers in a network's state.

    Args:
        network: whose state it starts from.
        decay: weight in [0, 1) of the past at each step; early steps forget faster, by (1 + t) / (10 + t).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.clone() for name, value in _floats(network).items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the state after optimiser step `step`, counted from 0."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        state = _floats(network)
        torch._foreach_lerp_([self.values[name] for name in state], list(state.values()), share)

    def put_into(self, network: nn.Module) -> None:
        """Give the network the averaged state."""
        network.load_state_dict({**network.state_dict(), **self.values})


def _floats(network: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
