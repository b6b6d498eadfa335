"""Networks that differ in their seed alone, and their numbers averaged over seeds."""

from collections.abc import Iterable, Iterator

import numpy as np

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.errors import UserError
from nsbench.metrics.seeds import seed_estimate
from nsbench.results.measure import finite
from nsbench.results.numbers import Floats, Number
from nsbench.results.predicted import REMEDY
from nsbench.results.record import SeedMean

Key = tuple[str, str]


class SeedGroup:
    """Numbers of networks that were trained alike from different seeds, gathered one network after the other.

    Args:
        records: of the networks; at least two.
    """

    def __init__(self, records: list[CheckpointRecord]) -> None:
        self.records = sorted(records, key=lambda record: record.seed)
        self.name = f"{records[0].study}/gen{records[0].generation}-{records[0].network}"
        self._found: dict[Key, dict[int, tuple[float, Floats]]] = {}
        self._n: dict[Key, int] = {}

    def add(self, seed: int, numbers: Iterable[Number]) -> None:
        """Take the numbers of one network."""
        for one in numbers:
            self._found.setdefault(one.key, {})[seed] = one.value, one.samples
            self._n[one.key] = one.n

    def means(self) -> Iterator[SeedMean]:
        """Every number averaged over all seeds.

        Raises UserError naming a number that a seed lacks.
        """
        declared = [record.seed for record in self.records]
        for (benchmark, metric), found in self._found.items():
            seeds = list(found)
            values, samples = (np.stack([found[seed][part] for seed in seeds]) for part in (0, 1))
            try:
                mean = seed_estimate(values, samples, seeds, declared)
            except ValueError as error:
                raise UserError(f"{self.name}: {benchmark} {metric}: {error}: {REMEDY}.") from None
            low, high = map(finite, mean.both)
            image_low, image_high = map(finite, mean.images)
            seed_low, seed_high = map(finite, mean.seeds)
            yield SeedMean(
                group=self.name,
                seeds=declared,
                benchmark=benchmark,
                metric=metric,
                value=finite(mean.value),
                ci_low=low,
                ci_high=high,
                image_low=image_low,
                image_high=image_high,
                seed_low=seed_low,
                seed_high=seed_high,
                n=self._n[benchmark, metric],
            )


def seed_groups(records: Iterable[object]) -> list[SeedGroup]:
    """The groups of two and more networks of ours that are equal but for their seed and what follows from it."""
    groups: dict[tuple[object, ...], list[CheckpointRecord]] = {}
    for one in records:
        if isinstance(one, CheckpointRecord):
            groups.setdefault(_recipe(one), []).append(one)
    return [SeedGroup(alike) for alike in groups.values() if len({one.seed for one in alike}) == len(alike) > 1]


def _recipe(one: CheckpointRecord) -> tuple[object, ...]:
    return (
        one.study,
        one.generation,
        one.network,
        one.role,
        one.objective,
        one.parameters,
        one.images_seen,
        one.weights_selection,
        one.averaged,
        one.precision,
        one.micro_batch,
        one.initial_weights,
    )
