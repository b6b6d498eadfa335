"""The images that each group of numbers is measured on, described."""

from collections.abc import Iterator
from typing import Literal, Protocol

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics.corruption import corruption_set
from nsbench.metrics.declared import DeclaredSet
from nsbench.metrics.perturbation import perturbation_set
from nsbench.protocols.attacks import describe
from nsbench.protocols.cifar import CIFAR10_C
from nsbench.results.measure.attacked import FGSM, attacks_of
from nsbench.results.record import BenchmarkSet


class Sets(Protocol):
    """Names of the corrupted and perturbed images, such as a `Source` has them."""

    corruptions: str
    perturbations: str
    seed: int | None


def benchmark_sets(settings: EvaluationConfig, source: Sets, test: int, held_out: int = 0) -> list[BenchmarkSet]:
    """Every set behind the numbers of a record.

    Args:
        settings: what was measured.
        source: of corrupted and perturbed images.
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
        sets.append(_described("corruption", source, declared, n, test))
    if settings.perturbations:
        n, moving = _limited(settings.perturbation_images, test), perturbation_set(settings.perturbations)
        sets.append(_described("perturbation", source, moving, n, test))
    return sets


def _attack_sets(settings: EvaluationConfig, test: int) -> Iterator[BenchmarkSet]:
    for name in attacks_of(settings):
        n = _limited(settings.attack_images if name in FGSM else settings.strong_attack_images, test)
        title = describe(name, settings.attack_steps, settings.attack_restarts)
        yield BenchmarkSet(kind=name, name=f"{title} ({_first(n, test)})", images=n, complete=n == test)


def _described(
    kind: Literal["corruption", "perturbation"], source: Sets, declared: DeclaredSet, n: int, test: int
) -> BenchmarkSet:
    version = source.corruptions if kind == "corruption" else source.perturbations
    canonical = len(declared.counted) + len(declared.missing)
    return BenchmarkSet(
        kind=kind,
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
