"""The CIFAR ResNet of the published study, with stochastic depth and dropout.

He et al. 2016 (arXiv:1512.03385), section 4.2: depth 6n + 2, 16 / 32 / 64 channels, parameter-free shortcuts; Huang et
al. 2016 (arXiv:1603.09382) for stochastic depth. As the study runs it: no normalisation after the first convolution,
and a normalisation before the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, pad

from nsbench.networks.names import NetworkName


@dataclass(frozen=True)
class ModelNoise:
    """Noise inside the network.

    Attributes:
        dropout: probability in [0, 1) of dropping a feature before the last layer.
        survival: probability in (0, 1] that the last block's residual branch is kept; the first block's is 1 and the
            others fall linearly between.
        per_image: whether each image draws its own coin, instead of one for the batch.
    """

    dropout: float = 0.0
    survival: float = 1.0
    per_image: bool = False


class ResNet(nn.Module):
    """Images in [0, 1], shape (N, 3, H, W), to logits (N, classes). Normalisation is the first layer.

    Args:
        name: depth and width.
        classes: number of classes.
        mean: channel means that are subtracted.
        std: channel standard deviations that are divided by.
        noise: dropout and stochastic depth, active in training mode only.
    """

    def __init__(
        self,
        name: NetworkName,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        noise: ModelNoise = ModelNoise(),
    ) -> None:
        super().__init__()
        channels = [round(16 * name.width * 2**stage) for stage in range(3)]
        blocks = (name.depth - 2) // 6
        self.normalize = Normalize(mean, std)
        self.stem = _convolution(3, channels[0])
        layers: list[nn.Module] = []
        incoming = channels[0]
        for stage, outgoing in enumerate(channels):
            for block in range(blocks):
                survival = 1 - (1 - noise.survival) * len(layers) / (3 * blocks)
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(BasicBlock(incoming, outgoing, stride, survival, noise.per_image))
                incoming = outgoing
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(incoming)
        self.dropout = nn.Dropout(noise.dropout)
        self.linear = nn.Linear(incoming, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        features = self.norm(self.blocks(self.stem(self.normalize(images)))).relu().mean((2, 3))
        logits: Tensor = self.linear(self.dropout(features))
        return logits


class Normalize(nn.Module):
    """(x - mean) / std per channel; the constants travel with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images."""
        return (images - self.mean) / self.std


class BasicBlock(nn.Module):
    """Two convolutions and a parameter-free shortcut; the branch survives training with a given probability.

    One coin is drawn for the whole batch, as the study does, or one for each image. It stays a tensor, so the host
    never waits for it. The running statistics of a branch that the whole batch dropped stay where they were.
    """

    def __init__(self, incoming: int, outgoing: int, stride: int, survival: float, per_image: bool = False) -> None:
        super().__init__()
        self.per_image = per_image
        self.stride = stride
        self.padding = (outgoing - incoming) // 2
        self.survival = survival
        self.conv1 = _convolution(incoming, outgoing, stride)
        self.norm1 = GatedBatchNorm(outgoing)
        self.conv2 = _convolution(outgoing, outgoing)
        self.norm2 = GatedBatchNorm(outgoing)

    def forward(self, images: Tensor) -> Tensor:
        """ReLU of shortcut + branch; at inference the branch is scaled by its survival probability."""
        if not self.training or self.survival == 1:
            return (self._shortcut(images) + self.survival * self._branch(images)).relu()
        if self.per_image:
            coins = torch.rand((len(images), 1, 1, 1), device=images.device) < self.survival
            return (self._shortcut(images) + coins.to(images.dtype) * self._branch(images)).relu()
        keep = (torch.rand((), device=images.device) < self.survival).to(images.dtype)
        return (self._shortcut(images) + keep * self._branch(images, keep)).relu()

    def _branch(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        inner = self.norm1(self.conv1(images), keep).relu()
        out: Tensor = self.norm2(self.conv2(inner), keep)
        return out

    def _shortcut(self, images: Tensor) -> Tensor:
        if self.stride == 1:
            return images
        return pad(images[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))


class GatedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose running statistics move only when its branch was kept."""

    running_mean: Tensor
    running_var: Tensor

    def forward(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        """Normalised images; `keep` is a scalar tensor, 1 or 0."""
        if keep is None:
            return super().forward(images)
        mean, variance = self.running_mean.clone(), self.running_var.clone()
        momentum = self.momentum if self.momentum is not None else 0.1
        out = batch_norm(images, mean, variance, self.weight, self.bias, training=True, momentum=momentum, eps=self.eps)
        self.running_mean.lerp_(mean, keep)
        self.running_var.lerp_(variance, keep)
        return out


def _convolution(incoming: int, outgoing: int, stride: int = 1) -> nn.Conv2d:
    convolution = nn.Conv2d(incoming, outgoing, 3, stride, padding=1, bias=False)
    nn.init.normal_(convolution.weight, std=(2 / (9 * outgoing)) ** 0.5)
    return convolution


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers in the network."""
    return sum(parameter.numel() for parameter in network.parameters())
