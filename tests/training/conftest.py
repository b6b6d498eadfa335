"""Training small enough to run in a moment: three classes of 8x8 images, a tiny ResNet."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nsbench.config.schema import TrainingConfig
from nsbench.networks.build import build_network
from nsbench.networks.classifier import Classifier, ModelNoise
from nsbench.noise.augment import Augmenter
from nsbench.noise.draws import InputNoise
from nsbench.progress import Reporter
from nsbench.training.schedule import Schedule
from nsbench.training.selection import NO_EXAMINERS, Examiners
from nsbench.training.step import Noise, TrainingSet
from nsbench.training.trainer import Outcome, train
from tests.conftest import PRECISION

SETTINGS = TrainingConfig(batch_size=16, learning_rate=0.05, precision=PRECISION, execution="eager")
INSIDE = ModelNoise(dropout=0.3, survival=0.5)
DRAWN = InputNoise(2, 9, 1, flip=True)
GROUPED = Noise(DRAWN, 8, Augmenter(DRAWN, 8, torch.device("cpu")))


def build_schedule(
    budget: int, *, save_every: float = 1e9, fingerprint: str = "x", seed: int = 0, **changed: Any
) -> Schedule:
    """A schedule; `changed` are fields of it or of its settings."""
    own = {name: changed.pop(name) for name in ("mixup_alpha", "objective", "rates", "second") if name in changed}
    return Schedule(budget, SETTINGS.model_copy(update=changed), (seed, "test"), fingerprint, save_every, **own)


def build_tiny_network(noise: ModelNoise = INSIDE, seed: int = 0) -> Classifier:
    """A ResNet-8 with an eighth of the channels."""
    torch.manual_seed(seed)
    return build_network("resnet8-w0.125", 3, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), noise)


@pytest.fixture
def make_schedule() -> Callable[..., Schedule]:
    return build_schedule


@pytest.fixture
def make_network() -> Callable[..., Classifier]:
    return build_tiny_network


@pytest.fixture
def same() -> Callable[[Classifier, Classifier], bool]:
    """Whether two networks have the same state to the bit."""
    return lambda one, two: all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.fixture
def data() -> TrainingSet:
    """Forty 8x8 images of three classes that differ in brightness, one image twice."""
    torch.manual_seed(1)
    classes = torch.arange(40) % 3
    images = (torch.randint(0, 80, (40, 3, 64)) + 80 * classes[:, None, None]).to(torch.uint8)
    rows = torch.cat([torch.arange(40), torch.tensor([0])])
    return TrainingSet(images, rows, torch.nn.functional.one_hot(classes[rows], 3).float())


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Outcome]:
    """Train by a schedule; each training run has a state of its own unless one is named."""
    fresh = (tmp_path / f"fresh{number}" for number in itertools.count())

    def run(
        network: Classifier,
        data: TrainingSet,
        schedule: Schedule,
        state: Path | None = None,
        noise: Noise = GROUPED,
        examiners: Examiners = NO_EXAMINERS,
        views: tuple[Noise, ...] = (),
    ) -> Outcome:
        with Reporter(quiet=True).task("test", schedule.images) as task:
            return train(network, data, noise, schedule, state or next(fresh), task, examiners, views)

    return run
