"""A made-up run with three seeds: teacher, student, control and baseline of each, compared over seeds.

Too large to commit beside the others: the tests make it anew.
"""

import numpy as np
from made_up import SPREADS, cifar10, headlines, over_seeds, provenance, seed_mean
from make import (
    BASELINE_FAMILY,
    CONTROL_FAMILY,
    TEACHER_FAMILY,
    N,
    benchmarks,
    checkpoint,
    diagnostics,
    made_up_results,
    measurements,
    selection,
)

from nsbench.checkpoints.record import CheckpointName
from nsbench.results.measured import Measurement, SeedMean
from nsbench.results.record import Results

SEEDS = [0, 1, 2]
KINDS = {"teacher": ("small", 0, "resnet8"), "student": ("small", 1, "resnet20")}
KINDS |= {"control": ("control", 1, "resnet20"), "baseline": ("supervised", 0, "resnet20")}
ERRORS = {"teacher": 0.283, "student": 0.229, "control": 0.226, "baseline": 0.251}
GAPS = {"teacher": 0.11, "student": 0.031, "control": 0.084, "baseline": 0.092}
RANKS = {"teacher": 0, "student": 2, "control": 1, "baseline": 0}
PAIRS = {"control": CONTROL_FAMILY, "teacher": TEACHER_FAMILY, "baseline": BASELINE_FAMILY}


def name(kind: str, seed: int) -> CheckpointName:
    """A network of the run."""
    study, generation, network = KINDS[kind]
    return CheckpointName(study=study, generation=generation, network=network, seed=seed)


def group(kind: str) -> str:
    """The networks of all seeds."""
    study, generation, network = KINDS[kind]
    return f"{study}/gen{generation}-{network}"


def means(measured: list[Measurement]) -> list[SeedMean]:
    """Every number that has a value for all seeds."""
    found: dict[tuple[str, str, str], list[Measurement]] = {}
    for kind in KINDS:
        names = [str(name(kind, seed)) for seed in SEEDS]
        for one in measured:
            if one.model in names and one.value is not None:
                found.setdefault((kind, one.benchmark, one.metric), []).append(one)
    return [seed_mean(group(kind), ones, SEEDS) for (kind, _, _), ones in found.items() if len(ones) == len(SEEDS)]


def made_up_seeds() -> Results:
    """The whole record; the student has its control's clean error, a better likelihood and more flips."""
    random = np.random.default_rng(2)
    measured, shown, checkpoints = [], [], []
    first = str(name("baseline", 0))
    for seed in SEEDS:
        for kind in KINDS:
            one, error = name(kind, seed), ERRORS[kind] + 0.006 * (seed - 1) * (1 if kind == "student" else -1)
            measured += measurements(str(one), error, GAPS[kind] + 0.004 * seed, RANKS[kind], random, first)
            shown.append(diagnostics(str(one), error, RANKS[kind], seed, random))
            parent = name("teacher", seed) if kind == "student" else None
            chosen = selection(name("teacher", seed), 1, random) if parent else None
            checkpoints.append(checkpoint(one, parent, chosen))
    single = [
        found
        for kind, family in PAIRS.items()
        for seed in SEEDS
        for found in headlines((str(name("student", seed)), str(name(kind, seed))), measured, family)
    ]
    compared = [
        over_seeds(
            (group("student"), group(kind)),
            [one for one in single if (one.family, one.benchmark, one.metric) == (family, *quantity)],
            SEEDS,
            1.2 * spread,
        )
        for kind, family in PAIRS.items()
        for quantity, spread in SPREADS.items()
    ]
    return Results(
        name="three-seeds",
        config=made_up_results().config | {"name": "three-seeds"},
        data=cifar10(labeled=4000, unlabeled=44000, validation=500, test=N),
        provenance=provenance(),
        baseline=first,
        checkpoints=checkpoints,
        benchmarks=benchmarks(),
        measurements=measured,
        comparisons=single,
        seed_means=means(measured),
        seed_comparisons=compared,
        diagnostics=shown,
        samples=[],
        warnings=[],
    )
