"""Small real networks of a user's, in files, and what opening them says."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nsbench.config.survey import ModelConfig
from nsbench.config.trust import Trust
from nsbench.errors import UserError
from nsbench.models.open import open_models
from nsbench.models.subject import Subject

ALL = Trust(named=True, code=True)
NETS = '''"""A user's networks."""

import torch
from torch import nn


def small():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 10),
    )


class Viewer(nn.Module):
    """Flattens maps with view, which refuses channels last."""

    def __init__(self):
        super().__init__()
        self.features, self.head = nn.Conv2d(3, 4, 3, stride=4), nn.Linear(4 * 8 * 8, 10)

    def forward(self, images):
        return self.head(self.features(images).view(-1, 4 * 8 * 8))


viewer = Viewer


def number():
    return 7


def needs_argument(width):
    return nn.Conv2d(3, width, 3)
'''


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    """A file with a user's networks."""
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    return path


@pytest.fixture(scope="session")
def small() -> nn.Sequential:
    """The network that `small` of that file makes, with weights of its own, in evaluation mode."""
    torch.manual_seed(5)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 10),
    )
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def pixels() -> Tensor:
    """Eight images in [0, 1], channels last in memory as ours are."""
    return torch.rand(8, 32, 32, 3, generator=torch.Generator().manual_seed(1)).permute(0, 3, 1, 2)


@pytest.fixture(scope="session")
def one() -> Callable[..., Subject]:
    """Open one source, trusted and normalising its input itself unless stated otherwise."""

    def opened(source: str | Path, classes: int | None = None, trust: Trust = ALL, **declared: object) -> Subject:
        settings = {"inside": not declared.get("mean") and not declared.get("std"), **declared}
        (subject,) = open_models([ModelConfig(source=str(source), **settings)], classes, trust)  # type: ignore[arg-type]  # a test's own
        return subject

    return opened


@pytest.fixture(scope="session")
def refusal(one: Callable[..., Subject]) -> Callable[..., str]:
    """The sentence said when one source cannot be opened."""

    def said(source: str | Path, **declared: object) -> str:
        with pytest.raises(UserError) as caught:
            one(source, **declared)
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert sentence.endswith((".", "?"))
        return sentence

    return said


@pytest.fixture(scope="session")
def logits() -> Callable[[Subject, Tensor], Tensor]:
    """What a subject says on the CPU."""

    def computed(subject: Subject, pixels: Tensor) -> Tensor:
        with torch.inference_mode():
            out: Tensor = subject.load(torch.device("cpu"))(pixels)
        return out

    return computed


def exported(network: nn.Module, path: Path, *, dynamic: bool = True) -> Path:
    """Export a network to a file."""
    shapes = ({0: torch.export.Dim("batch", min=1, max=4096)},) if dynamic else None
    program = torch.export.export(network, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="session")
def program(small: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network, exported."""
    return exported(small, tmp_path_factory.mktemp("program") / "net.pt2")
