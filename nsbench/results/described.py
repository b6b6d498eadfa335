"""What a record says of its data, of the images that numbers are measured on, and of the strips of examples."""

import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from nsbench.config.evaluation import EvaluationConfig
from nsbench.data.images import Dataset
from nsbench.metrics.corruption import corruption_set
from nsbench.metrics.declared import DeclaredSet
from nsbench.metrics.perturbation import perturbation_set
from nsbench.predictions.store import load_test_set_labels
from nsbench.predictions.strips import shown_frames
from nsbench.protocols import attacks
from nsbench.protocols.cifar import CIFAR10_C
from nsbench.protocols.protocol import Protocol
from nsbench.protocols.registry import find_protocol
from nsbench.results.key import own_protocol
from nsbench.results.measure.attacked import FGSM, attacks_of
from nsbench.results.measured import BenchmarkSet
from nsbench.results.record import DatasetRecord, SampleImage

NOISE = SampleImage(
    kind="noise",
    name="input noise",
    file="samples/noise.png",
    caption="Training images as they are (left) and under draws of this run's input noise.",
)


class Sets(typing.Protocol):
    """Names of the corrupted and perturbed images, such as `BenchmarkImages` has."""

    corruptions: str
    perturbations: str
    seed: int | None


def describe(dataset: Dataset, labeled: int = 0, unlabeled: int = 0, validation: int = 0) -> DatasetRecord:
    """The record of a data set, with the numbers of training images that had each use."""
    return DatasetRecord(
        name=dataset.name,
        title=dataset.title,
        licence=dataset.licence,
        citation=dataset.citation,
        checksum=dataset.checksum,
        classes=list(dataset.classes),
        labeled=labeled,
        unlabeled=unlabeled,
        validation=validation,
        test=len(dataset.test),
    )


def benchmark_sets(
    settings: EvaluationConfig, source: Sets, data: str, test: int, held_out: int = 0
) -> list[BenchmarkSet]:
    """Every set that the numbers of a record are measured on.

    Args:
        settings: what was measured.
        source: source of corrupted and perturbed images.
        data: the name of the data set.
        test: images in the test set.
        held_out: images that temperatures were fitted on.
    """
    sets = [BenchmarkSet(kind="clean", name=f"test set ({test:,} images)", images=test, complete=True)]
    if settings.calibration and held_out:
        name = f"test set ({test:,} images), logits divided by a temperature fitted on {held_out:,} held-out images"
        sets.append(BenchmarkSet(kind="scaled", name=name, images=test, complete=True))
    sets.extend(_attack_sets(settings, test))
    if settings.corruptions:
        n, declared = _limited(settings.corruption_images, test), corruption_set(settings.corruptions)
        sets.append(_described("corruption", source, declared, n, test, data))
    if settings.perturbations:
        n, moving = _limited(settings.perturbation_images, test), perturbation_set(settings.perturbations)
        sets.append(_described("perturbation", source, moving, n, test, data))
    return sets


def further_sets(config: EvaluationConfig, run: Path, test: int, classes: int) -> Iterator[BenchmarkSet]:
    """Every further benchmark behind the numbers of a record.

    Args:
        config: what was measured.
        run: the folder with `predictions/`.
        test: images in the test set.
        classes: number of classes of the data set.
    """
    for protocol in map(find_protocol, config.protocols):
        if protocol.kind == "test_set":
            images = len(load_test_set_labels(run, protocol.name, classes))
            yield plain_test_set(protocol.name, protocol.title, images)
        else:
            yield further_set(protocol, protocol.names, _limited(config.corruption_images, test), test)


def plain_test_set(protocol: str, title: str, images: int) -> BenchmarkSet:
    """A test set beside the data set's own, described."""
    name = f"{title} ({images:,} images)"
    return BenchmarkSet(kind="test_set", protocol=protocol, name=name, images=images, complete=True)


def further_set(protocol: Protocol, measured: Sequence[str], images: int, test: int) -> BenchmarkSet:
    """A further set of corruptions, described.

    Args:
        protocol: the benchmark.
        measured: its members that were measured.
        images: how many test images each cell shows.
        test: images in the test set.
    """
    counted, shown = ([name for name in names if name in measured] for names in (protocol.counted, protocol.shown))
    reach = f"{len(counted)} of {len(protocol.counted)} corruptions, {_first(images, test)}"
    return BenchmarkSet(
        kind="corruption",
        protocol=protocol.name,
        name=f"{protocol.title} ({reach})",
        images=images,
        complete=len(counted) == len(protocol.counted) and images == test,
        counted=counted,
        shown=shown,
        missing=[name for name in protocol.counted if name not in measured],
        severities=list(protocol.severities),
    )


def benchmark_samples(config: EvaluationConfig) -> Iterator[SampleImage]:
    """What `write_benchmark_strips` writes."""
    for name in config.corruptions:
        last = CIFAR10_C.severities[-1]
        caption = f"Test images as they are (left) and at severities 1 to {last}."
        yield SampleImage(kind="corruption", name=name, file=f"samples/corruption-{name}.png", caption=caption)
    for moving in config.perturbations:
        frames = ", ".join(str(frame + 1) for frame in shown_frames(moving))
        caption = f"Frames {frames} of the sequences of three test images."
        yield SampleImage(kind="perturbation", name=moving, file=f"samples/perturbation-{moving}.png", caption=caption)


def _attack_sets(settings: EvaluationConfig, test: int) -> Iterator[BenchmarkSet]:
    for attack in attacks_of(settings):
        n = _limited(settings.attack_images if attack in FGSM else settings.strong_attack_images, test)
        title = attacks.describe(attack, settings.attack_steps, settings.attack_restarts)
        name = f"{title} ({_first(n, test)})"
        yield BenchmarkSet(kind="attack", attack=attack, name=name, images=n, complete=n == test)


def _described(
    kind: Literal["corruption", "perturbation"], source: Sets, declared: DeclaredSet, n: int, test: int, data: str
) -> BenchmarkSet:
    version = source.corruptions if kind == "corruption" else source.perturbations
    canonical = len(declared.counted) + len(declared.missing)
    return BenchmarkSet(
        kind=kind,
        protocol=own_protocol(kind, data),
        name=f"{version} ({len(declared.counted)} of {canonical} {kind}s, {_first(n, test)})",
        images=n,
        complete=declared.complete and n == test,
        counted=list(declared.counted),
        shown=list(declared.shown),
        missing=list(declared.missing),
        severities=list(CIFAR10_C.severities) if kind == "corruption" else [],
        seed=source.seed,
    )


def _limited(limit: int, test: int) -> int:
    return min(limit, test) if limit else test


def _first(n: int, test: int) -> str:
    return f"all {n:,} test images" if n == test else f"first {n:,} test images"
