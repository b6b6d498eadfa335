"""Networks that have learnt something, so that an attack has something to undo, and images they were not shown."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nsbench.data.load import load_dataset
from nsbench.networks.build import build_network
from nsbench.networks.inference import to_float

Recording = Callable[[nn.Module], AbstractContextManager[list[Tensor]]]


class Stranger(nn.Module):
    """Somebody's network: none of our classes, no batch normalisation, smooth."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, stride=4)
        self.norm = nn.GroupNorm(2, 8)
        self.last = nn.Linear(8 * 7 * 7, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        features: Tensor = nn.functional.gelu(self.norm(self.first(images - 0.5)))
        logits: Tensor = self.last(features.flatten(1))
        return logits


def trained(network: nn.Module, steps: int) -> nn.Module:
    """The network after a few steps on the training digits, in evaluation mode."""
    train = load_dataset("digits", None).train
    images, labels = to_float(torch.tensor(train.images)), torch.tensor(train.labels)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    fading = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    network.train()
    for step in range(steps):
        rows = torch.arange(step * 32, (step + 1) * 32) % len(images)
        optimizer.zero_grad()
        cross_entropy(network(images[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        optimizer.step()
        fading.step()
    optimizer.zero_grad()
    return network.eval()


@pytest.fixture(scope="session")
def resnet() -> nn.Module:
    """One of our networks."""
    torch.manual_seed(0)
    return trained(build_network("resnet8-w0.25", 10, (0.3, 0.3, 0.3), (0.4, 0.4, 0.4)), 80)


@pytest.fixture(scope="session")
def stranger() -> nn.Module:
    """A network without an origin."""
    torch.manual_seed(0)
    return trained(Stranger(), 80)


@pytest.fixture(scope="session")
def digits() -> tuple[Tensor, Tensor]:
    """Forty test digits uint8 (40, 32, 32, 3) and their labels."""
    test = load_dataset("digits", None).test
    return torch.tensor(test.images[:40]), torch.tensor(test.labels[:40])


@pytest.fixture(scope="session")
def recording() -> Recording:
    """Note every batch of pixels that a network is shown."""

    @contextmanager
    def record(network: nn.Module) -> Iterator[list[Tensor]]:
        seen: list[Tensor] = []
        handle = network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
        try:
            yield seen
        finally:
            handle.remove()

    return record


class Double(nn.Module):
    """A network that computes in float64, so that no rounding turns a sign."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        logits: Tensor = self.network(images.double())
        return logits


@pytest.fixture(scope="session")
def exact() -> nn.Module:
    """A network in float64."""
    torch.manual_seed(1)
    return Double(trained(Stranger(), 80).double()).eval()
