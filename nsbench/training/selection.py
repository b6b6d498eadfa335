"""Which weights are kept: the last, or those that scored best on images held out of training."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nsbench.data.rows.images import Images
from nsbench.networks.inference import predict_logits


@dataclass(frozen=True)
class HeldOut:
    """Labelled images that the network is examined on while it trains.

    Attributes:
        images: uint8 (n, H, W, 3), read by rows.
        labels: (n,) int64.
        batch_size: images per forward pass.
    """

    images: Images
    labels: NDArray[np.int64]
    batch_size: int

    def accuracy(self, network: nn.Module, device: torch.device) -> float:
        """Share of the images that the network classifies right."""
        logits = predict_logits(network, self.images, device, self.batch_size)
        return float((logits.argmax(1) == self.labels).mean())


@dataclass(frozen=True)
class Examiners:
    """Images that a network in training is examined on after each segment.

    Attributes:
        validation: held out of the labelled images; None when there are none.
        test: the test images, only when the weights are to be selected on them.
    """

    validation: HeldOut | None = None
    test: HeldOut | None = None


NO_EXAMINERS = Examiners()


class Best:
    """The state that scored best so far; of equals, the earliest."""

    def __init__(self) -> None:
        self.score = -1.0
        self.state: dict[str, Tensor] = {}

    def consider(self, score: float, network: nn.Module) -> None:
        """Keep a copy of the network's state if it is better."""
        if score > self.score:
            self.score = score
            self.state = {name: value.clone() for name, value in network.state_dict().items()}

    def put_into(self, network: nn.Module) -> None:
        """Give the network the best state, if there is one."""
        if self.state:
            network.load_state_dict(self.state)
