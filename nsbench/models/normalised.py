"""A network with its normalisation in front."""

import torch
from torch import Tensor, nn


class Normalised(nn.Module):
    """A network with its normalisation in front.

    Args:
        normalize: the first layer.
        network: takes what that gives.
        channels_last: compute so, which is faster, as long as the network can.
    """

    def __init__(self, normalize: nn.Module, network: nn.Module, channels_last: bool) -> None:
        super().__init__()
        self.normalize, self.network, self.channels_last = normalize, network, channels_last

    def forward(self, images: Tensor) -> Tensor:
        """What the network gives for images in [0, 1]."""
        if self.channels_last:
            try:
                return self._logits(images.contiguous(memory_format=torch.channels_last))
            except RuntimeError as error:
                if "view size is not compatible" not in str(error):
                    raise
                self.channels_last = False  # it flattens maps with `view`, which needs rows of pixels in order
        return self._logits(images.contiguous())

    def _logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalize(images))
        return logits
