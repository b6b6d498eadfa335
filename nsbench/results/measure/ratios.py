"""Numbers relative to a baseline: ratios of sums of errors, of rises over the clean error, and means of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nsbench.metrics.ratios import clearly_positive, fieller_intervals, linearised, mean_interval
from nsbench.metrics.uncertainty import interval
from nsbench.results.measure.numbers import Floats, Number, Place, Sampled

NO_VALUE = (
    "it has no value, since the baseline's error does not clearly rise {where}: the 95 % interval of that rise reaches "
    "zero, and a ratio to it ranks nothing"
)


@dataclass(frozen=True)
class Ratios:
    """Ratios of a model's quantities to the baseline's, by corruption or perturbation."""

    found: Sampled
    """(C,); nan where there is no value."""
    intervals: Floats
    """(C, 2); nan where there is none."""
    percentile: bool
    """Whether the intervals are those of the samples, so that a mean's interval is that of its samples, too."""

    def number(self, place: Place, metric: str, row: int, note: str | None = None) -> Number:
        """One of the ratios."""
        low, high = map(float, self.intervals[row])
        return place.number(metric, self.found.at(row), relative=True, note=note, interval=(low, high))

    def mean(
        self, place: Place, metric: str, average: Callable[..., Any], rows: Sequence[int], note: str | None = None
    ) -> Number:
        """The mean of some of them, by a function of (..., C) that averages over the last axis."""
        members = self.found.at(list(rows))
        ends = None
        if not self.percentile:
            ends = mean_interval(members.value, self.intervals[list(rows)], members.samples)
        return place.number(metric, members.map(average), relative=True, note=note, interval=ends)


def error_ratios(found: Sampled, own: Sampled, base: Sampled) -> Ratios:
    """Ratios `found` of sums of errors or flips (C,), whose denominators are zero or positive.

    Where one is zero on some resamples, the ratio on a resample is taken to first order and the interval is Fieller's.
    """
    quantities = (own.value, base.value, own.samples, base.samples)
    exact = np.asarray(np.isfinite(found.samples).all(axis=0))
    ends = np.array([interval(one) for one in found.samples.T])
    intervals = np.where(exact[:, None], ends, fieller_intervals(*quantities))
    samples = np.where(exact, found.samples, linearised(*quantities))
    return Ratios(Sampled(found.value, samples), intervals, percentile=bool(exact.all()))


def rise_ratios(found: Sampled, own: Sampled, base: Sampled) -> Ratios:
    """Ratios `found` of rises over the clean error (C,), where the baseline's is clearly positive; Fieller's intervals.

    On resamples they are taken to first order: a rise near to zero on one of them would outweigh all the rest.
    """
    quantities = (own.value, base.value, own.samples, base.samples)
    usable = clearly_positive(base.value, base.samples)
    value = np.where(usable, found.value, np.nan)
    samples = np.where(usable, linearised(*quantities), np.nan)
    return Ratios(Sampled(value, samples), fieller_intervals(*quantities), percentile=False)
