"""Folding batch normalisation away changes nothing but the time."""

from collections.abc import Callable
from threading import Lock

import pytest
import torch
from torch import Tensor, nn

from nsbench.networks.build import build_network
from nsbench.networks.folding import fold_batch_norms

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def settled(network: nn.Module) -> nn.Module:
    """Statistics and weights of batch normalisation that are not the ones it begins with."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
            module.running_mean = torch.randn(module.num_features)
            module.running_var = torch.rand(module.num_features) + 0.5
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


class Twice(nn.Module):
    """Uses the convolution's output beside its normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 10, 3), nn.BatchNorm2d(10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        found = self.convolution(images)
        return (self.norm(found) + found.relu()).mean((2, 3))


class Shared(Twice):
    """Normalises two outputs of one convolution."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return (self.norm(self.convolution(images)) + self.norm(self.convolution(images.flip(3)))).mean((2, 3))


class Looking(Twice):
    """Looks into its normalisation."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.norm(self.convolution(images)).mean((2, 3)) * self.norm.weight


class Locked(Twice):
    """Cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.norm(self.convolution(images)).mean((2, 3))


@pytest.mark.parametrize(("name", "left"), [("resnet8", 1), ("resnet14-w0.5", 1), ("efficientnet-b0", 0)])
def test_logits_stay_and_the_layers_that_follow_a_convolution_are_gone(name: str, left: int) -> None:
    network = settled(build_network(name, 10, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))
    folded = fold_batch_norms(network, IMAGES[:1])
    assert norms(network) > left
    assert norms(folded) == left
    with torch.no_grad():
        assert torch.allclose(folded(IMAGES), network(IMAGES), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("make", [Twice, Shared, Looking, Locked])
def test_a_network_that_folding_would_change_is_left_as_it_is(make: Callable[[], nn.Module]) -> None:
    network = settled(make())
    assert fold_batch_norms(network, IMAGES) is network


def test_gradients_still_reach_the_pixels() -> None:
    network = settled(build_network("resnet8", 10, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))
    pixels = IMAGES.clone().requires_grad_()
    fold_batch_norms(network, IMAGES)(pixels).sum().backward()
    expected = IMAGES.clone().requires_grad_()
    network(expected).sum().backward()
    assert torch.allclose(pixels.grad, expected.grad, atol=1e-4, rtol=1e-3)
