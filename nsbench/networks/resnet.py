"""The CIFAR ResNet of the published study, with stochastic depth and dropout.

He et al. 2016 (arXiv:1512.03385), section 4.2: depth 6n + 2, 16 / 32 / 64 channels, parameter-free shortcuts; Huang et
al. 2016 (arXiv:1603.09382) for stochastic depth. As the study runs it: no normalisation after the first convolution,
and a normalisation before the head.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, pad

from nsbench.networks.classifier import NO_MODEL_NOISE, Classifier, ModelNoise, Normalize
from nsbench.networks.names import ResNetName


class ResNet(Classifier):
    """Images in [0, 1], shape (N, 3, H, W), to logits (N, classes). Normalisation is the first layer.

    Args:
        name: depth and width.
        classes: number of classes.
        mean: channel means that are subtracted.
        std: channel standard deviations that are divided by.
        noise: dropout and stochastic depth, active in training mode only.
    """

    head_prefix = "linear."

    def __init__(
        self,
        name: ResNetName,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        noise: ModelNoise = NO_MODEL_NOISE,
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

    @property
    def head(self) -> nn.Linear:
        """The last layer, features to logits."""
        return self.linear

    @property
    def head_dropout(self) -> nn.Dropout:
        """The dropout in front of the head."""
        return self.dropout

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        features = self.norm(self.blocks(self.stem(self.normalize(images)))).relu().mean((2, 3))
        logits: Tensor = self.linear(self.dropout(features))
        return logits


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
            keep = torch.rand((images.shape[0], 1, 1, 1), device=images.device) < self.survival
            branch = self._branch(images)
        else:
            keep = torch.rand((), device=images.device) < self.survival
            branch = self._branch(images, keep)
        return (self._shortcut(images) + keep.to(branch.dtype) * branch).relu()

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
        """Normalised images; `keep` is a boolean scalar tensor. Statistics stay float32, whatever the images are."""
        if keep is None:
            return super().forward(images)
        mean, variance = self.running_mean.clone(), self.running_var.clone()
        momentum = self.momentum if self.momentum is not None else 0.1
        out = batch_norm(images, mean, variance, self.weight, self.bias, training=True, momentum=momentum, eps=self.eps)
        moved = keep.to(mean.dtype)
        self.running_mean.lerp_(mean, moved)
        self.running_var.lerp_(variance, moved)
        return out


def _convolution(incoming: int, outgoing: int, stride: int = 1) -> nn.Conv2d:
    convolution = nn.Conv2d(incoming, outgoing, 3, stride, padding=1, bias=False)
    nn.init.normal_(convolution.weight, std=(2 / (9 * outgoing)) ** 0.5)
    return convolution
