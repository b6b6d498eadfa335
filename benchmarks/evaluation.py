"""nsbench's evaluation as a side of a measurement: its networks, the images they are shown, and what it stores."""

import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import ceilings
import numpy as np
import ours
import torch
from interleaved import Readings, Side, interleave, rate, ratios, spread, table
from numpy.typing import NDArray

from nsbench.config.evaluation import EvaluationConfig
from nsbench.corruptions.generate import Request, generate
from nsbench.data.images import Dataset
from nsbench.data.load import load_dataset
from nsbench.models.subject import Subject
from nsbench.networks.classifier import Classifier
from nsbench.noise.draws import InputNoise
from nsbench.predictions.collect import Evaluation
from nsbench.predictions.shown import open_source
from nsbench.predictions.store import Stored, corruption_cell, perturbation_cell
from nsbench.progress import Reporter
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P
from nsbench.training.step import input_noise

CPU = torch.device("cpu")
QUIET = Reporter(quiet=True)
LEARNT, LEARNT_BATCH = 2560, 64
"""Images that a network learns from before it is measured, and how many at a time."""
MOST_APART = 1e-3
"""Share of predictions that two sides may differ in: sums in another order decide a near tie the other way."""
Kind = Literal["generated", "official"]
Predictions = dict[str, NDArray[np.integer[Any]]]


@dataclass(frozen=True)
class Shown:
    """What a network is shown.

    Attributes:
        corruptions: names, each at every severity.
        perturbations: names.
        images: images in each, the first test images.
    """

    corruptions: tuple[str, ...]
    perturbations: tuple[str, ...]
    images: int

    @property
    def count(self) -> int:
        """Images for one network."""
        frames = sum(CIFAR10_P.member(name).frames for name in self.perturbations)
        return self.images * (len(self.corruptions) * len(CIFAR10_C.severities) + frames)

    @property
    def cells(self) -> list[str]:
        """Where their predictions are stored."""
        corrupted = [corruption_cell(name, severity) for name in self.corruptions for severity in CIFAR10_C.severities]
        return corrupted + [perturbation_cell(name) for name in self.perturbations]

    def parts(self) -> dict[str, "Shown"]:
        """The corruptions alone and the perturbations alone, by the name of their set; without empty ones."""
        apart = {"CIFAR-10-C": replace(self, perturbations=()), "CIFAR-10-P": replace(self, corruptions=())}
        return {title: part for title, part in apart.items() if part.count}

    def config(self, kind: Kind) -> EvaluationConfig:
        """A configuration that measures nothing else but clean images."""
        return EvaluationConfig.model_validate(
            {
                "source": kind,
                "corruptions": self.corruptions,
                "corruption_images": self.images,
                "perturbations": self.perturbations,
                "perturbation_images": self.images,
                "fgsm_epsilons": (),
                "calibration": False,
            }
        )


class Ours:
    """Evaluations by nsbench, each from the opening of the source to the last stored prediction.

    Clean images, which every evaluation is shown first, are classified once beforehand.

    Args:
        data: its test images are those shown, see `read`.
        kind: kind of source.
        folder: for sets, where they are read from files, and for runs.
        device: where to compute.
    """

    def __init__(self, data: Dataset, kind: Kind, folder: Path, device: torch.device) -> None:
        self.data, self.kind, self.folder, self.device = data, kind, folder, device

    def side(self, subjects: Sequence[Subject], shown: Shown, *, together: bool = True) -> Side:
        """Images per second of `subjects`, in one evaluation or in one each; images count once for each subject."""
        begun = Path(tempfile.mkdtemp(dir=self.folder))
        self._collect([subjects], replace(shown, corruptions=(), perturbations=()), begun)

        def reading() -> float:
            with self._run() as run:
                shutil.copytree(begun, run, dirs_exist_ok=True)
                return rate(self.device, partial(self._collect, _groups(subjects, together), shown, run))

        return reading

    def predictions(self, subjects: Sequence[Subject], shown: Shown, *, together: bool = True) -> list[Predictions]:
        """The predicted classes of each subject."""
        with self._run() as run:
            self._collect(_groups(subjects, together), shown, run)
            stored = [Stored(run, subject.name) for subject in subjects]
            return [{cell: one.load(cell)["predicted"] for cell in shown.cells} for one in stored]

    def _collect(self, groups: Sequence[Sequence[Subject]], shown: Shown, run: Path) -> int:
        config = shown.config(self.kind)
        for group in groups:
            source = open_source(config, self.data, self.folder)
            Evaluation(config, self.data, source, run, self.device).collect(list(group), QUIET)
        return shown.count * sum(map(len, groups))

    @contextmanager
    def _run(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self.folder) as run:
            yield Path(run)


def _groups(subjects: Sequence[Subject], together: bool) -> list[Sequence[Subject]]:
    return [subjects] if together else [[subject] for subject in subjects]


def read(folder: Path, images: int) -> Dataset:
    """CIFAR-10 with its first `images` test images."""
    data = load_dataset("cifar10", folder)
    if images > len(data.test):
        raise SystemExit(f"There are {len(data.test)} test images, not {images}: give --images fewer.")
    return replace(data, test=data.test.select(np.arange(images)))


def write_sets(shown: Shown, folder: Path, data: Path, device: torch.device) -> None:
    """Write what is shown in the official layout, `CIFAR-10-C` and `CIFAR-10-P` in `folder`."""
    for name, title, names in (
        ("cifar10-c", "CIFAR-10-C", shown.corruptions),
        ("cifar10-p", "CIFAR-10-P", shown.perturbations),
    ):
        if names:
            generate(name, Request(names, limit=shown.images), folder / title, data, device, QUIET)


def trained(depth: int, data: Dataset, seed: int = 0) -> Classifier:
    """A ResNet of the study's shape that has learnt a little: a new one gives nearly every image the same class."""
    torch.manual_seed(seed)
    network = ours.network(depth, (data.mean, data.std), CPU)
    learnt = ours.training_set(data.train.select(np.arange(LEARNT)), CPU)
    noise = input_noise(InputNoise(operations=0, magnitude=0, crop_padding=4, flip=True), ours.SIDE, CPU)
    ours.training(network, learnt, noise, LEARNT, "float32", "eager", LEARNT_BATCH)()
    return network.eval()


def check_equal(title: str, given: Predictions, expected: Predictions) -> str:
    """A sentence on how many predictions differ; ends the program where they are too many for two equal sides."""
    assert given.keys() == expected.keys(), (sorted(given), sorted(expected))
    apart = sum(int((given[cell] != expected[cell]).sum()) for cell in given)
    count = sum(predicted.size for predicted in given.values())
    most = max(np.bincount(np.concatenate([predicted.ravel() for predicted in expected.values()])))
    found = f"{title}: {apart:,} of {count:,} predictions differ"
    if apart > MOST_APART * count:
        raise SystemExit(f"{found}: the sides do not do the same work.")
    return f"{found}; the commonest class has {most / count:.0%}"


def measured(sides: Mapping[str, Side], options: Namespace) -> Readings:
    """Readings of the sides, and of the matrix product `matmul`."""
    return interleave({**sides, "matmul": ceilings.matmul(torch.float32, options.device)}, options.rounds)


def compared(
    readings: Readings, bases: Mapping[str, str], options: Namespace, title: str, ratio: str, *, inverse: bool = False
) -> str:
    """A table of sides, each with its ratio to its base, or the other way round; no ratio to itself."""
    found = []
    for name, base in bases.items():
        pair = (base, name) if inverse else (name, base)
        times = "" if name == base else spread(ratios(readings, *pair), ".2f")
        found.append([name, spread(readings[name]), times, ceiling_share(readings, name, options)])
    return table([title, "images/s", ratio, "share of the matmul ceiling"], found)


def ceiling_share(readings: Readings, name: str, options: Namespace) -> str:
    """Share of the matrix product's FLOP/s that a side's forward passes reach."""
    return spread(ratios(readings, name, "matmul", ceilings.forward_flop(options.network)), ".0%")
