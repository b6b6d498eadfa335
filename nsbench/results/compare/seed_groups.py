"""Networks that differ in their seed alone, and their numbers averaged over seeds."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.errors import UserError
from nsbench.metrics.ray import RayEstimate
from nsbench.metrics.seeds import SeedEstimate, seed_estimate, seed_estimate_of_intervals
from nsbench.results.key import Key
from nsbench.results.measure.everything import finite
from nsbench.results.measure.numbers import Number
from nsbench.results.measure.predicted import REMEDY
from nsbench.results.measured import SeedMean, unseeded_name


class SeedGroup:
    """Numbers of networks that were trained alike from different seeds, gathered one network after the other.

    Args:
        records: records of the networks; at least two.
        name: name of the group.
    """

    def __init__(self, records: Sequence[CheckpointRecord], name: str) -> None:
        self.records = sorted(records, key=lambda record: record.seed)
        self.name = name
        self.numbers: dict[Key, dict[int, Number]] = {}
        """By what they measure, then by seed."""

    @property
    def seeds(self) -> list[int]:
        """The networks' seeds, ascending."""
        return [record.seed for record in self.records]

    def __contains__(self, model: object) -> bool:
        """Whether a network, by its record or its name, belongs to the group."""
        return str(model) in map(str, self.records)

    def add(self, seed: int, numbers: Iterable[Number]) -> None:
        """Take the numbers of one network."""
        for one in numbers:
            self.numbers.setdefault(one.key, {})[seed] = one

    def means(self) -> Iterator[SeedMean]:
        """Every number averaged over all seeds.

        Raises UserError naming a number that is missing for a seed.
        """
        for key, found in self.numbers.items():
            try:
                mean = average(found, self.seeds)
            except ValueError as error:
                raise UserError(f"{self.name}: {key}: {error}: {REMEDY}.") from None
            low, high = map(finite, mean.both)
            image_low, image_high = map(finite, mean.images)
            seed_low, seed_high = map(finite, mean.seeds)
            yield SeedMean(
                group=self.name,
                seeds=self.seeds,
                key=key,
                value=finite(mean.value),
                ci_low=low,
                ci_high=high,
                image_low=image_low,
                image_high=image_high,
                seed_low=seed_low,
                seed_high=seed_high,
                n=next(iter(found.values())).n,
            )


def average(found: dict[int, Number], declared: Sequence[int]) -> SeedEstimate:
    """One number averaged over seeds, of a calibration error its median-unbiased value.

    Args:
        found: the number by seed.
        declared: the seeds that the mean stands for.

    Raises:
        ValueError: as of `seed_estimate`.
    """
    seeds, numbers = list(found), list(found.values())
    if have_intervals(numbers):
        estimates = [estimate_of(one) for one in numbers]
        values, intervals = (
            np.array([one.value for one in estimates]),
            np.array([(one.low, one.high) for one in estimates]),
        )
        return seed_estimate_of_intervals(values, intervals, seeds, declared)
    values, samples = np.array([one.value for one in numbers]), np.stack([one.samples for one in numbers])
    return seed_estimate(values, samples, seeds, declared)


def have_intervals(numbers: Sequence[Number]) -> bool:
    """Whether intervals of their own say what images do to numbers, and not their values on resamples.

    So with calibration errors; with numbers that have no interval; and with shares that are 0 or 1 for all networks,
    which no resample moves.
    """
    ends = [one.interval for one in numbers if one.interval is not None]
    if len(ends) < len(numbers):
        return False
    unmoved = all(one.samples.min() == one.samples.max() for one in numbers)
    return unmoved or not np.isfinite(ends).all() or any(one.unbiased is not None for one in numbers)


def estimate_of(number: Number) -> RayEstimate:
    """A number with an interval of its own, without the bias of a calibration error."""
    assert number.interval is not None
    return RayEstimate(number.value if number.unbiased is None else number.unbiased, *number.interval)


def seed_groups(records: Iterable[object]) -> list[SeedGroup]:
    """The groups of two and more networks of ours whose names and configurations are equal but for the seed.

    A checkpoint of an earlier version does not say how it was trained, and belongs to no group.
    """
    groups: dict[tuple[object, ...], list[CheckpointRecord]] = {}
    for one in records:
        if isinstance(one, CheckpointRecord) and one.configuration:
            groups.setdefault(_common(one), []).append(one)
    names: Counter[str] = Counter()
    found = []
    for alike in groups.values():
        if len(alike) > 1:
            name = unseeded_name(alike[0])
            names[name] += 1
            found.append(SeedGroup(alike, name if names[name] == 1 else f"{name} ({names[name]})"))
    return found


def _common(one: CheckpointRecord) -> tuple[object, ...]:
    """What networks have in common that differ in their seed alone.

    The study is in it because random numbers follow from its name: one configuration may come twice from one seed.
    """
    configuration = json.dumps(one.configuration, sort_keys=True)
    return one.study, one.role, one.generation, one.network, configuration
