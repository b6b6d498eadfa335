"""Calibration errors as numbers: the plug-in under its name, beside it what is freed of noise; and their comparison."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nsbench.metrics.bins import Binned, summed
from nsbench.metrics.mover import mover
from nsbench.metrics.noise_floor import expected_gaps
from nsbench.metrics.ray import RayEstimate, ray_estimate
from nsbench.results.measure.numbers import Floats, Number, Place, Resampler, Sampled
from nsbench.results.measured import Comparison


@dataclass(frozen=True)
class Calibration:
    """Gaps of bins of cells, classes or one set, and what follows from them."""

    gaps: Sampled
    """(*O, M)."""
    expected: Floats
    """(*O, M), absolute gaps were the network calibrated."""

    @classmethod
    def of(cls, binned: Binned, resampler: Resampler) -> "Calibration":
        """The calibration that probabilities in their bins show."""
        gaps = resampler.sample(binned.gaps, binned.confidence.shape[-1])
        return cls(gaps, expected_gaps(binned))

    def at(self, *place: Any) -> "Calibration":
        """Some of the cells."""
        return Calibration(self.gaps.at(*place), np.asarray(self.expected[place]))

    def errors(self) -> Sampled:
        """(*O) the plug-in errors."""
        return self.gaps.map(summed)

    def number(self, place: Place, metric: str, error: Sampled) -> Number:
        """A number from its plug-in, which is the mean of the errors of these cells."""
        bins = self.gaps.value.shape[-1]
        resampled = self.gaps.samples.reshape(len(self.gaps.samples), -1, bins)
        expected = self.expected.reshape(-1, bins)
        found = ray_estimate(self.gaps.value.reshape(-1, bins), resampled, expected, place.n)
        return replace(
            place.number(metric, error),
            interval=(found.low, found.high),
            unbiased=found.value,
            floor=float(expected.sum(axis=-1).mean()),
        )


def without_interval(number: Number) -> Number:
    """A calibration error whose interval would not cover."""
    return replace(number, interval=(np.nan, np.nan), note=NO_INTERVAL)


NO_INTERVAL = "it has no interval, because that of its resamples does not cover"


def compare_calibrated(candidate: str, own: Number, baseline: str, other: Number) -> Comparison:
    """Two calibration errors compared, before correction; without a p-value where they differ on no image."""
    found = mover(_estimate(own), _estimate(other))
    same = own.value == other.value and np.array_equal(own.samples, other.samples)
    return Comparison(
        candidate=candidate,
        baseline=baseline,
        key=own.key,
        candidate_value=own.unbiased,
        baseline_value=other.unbiased,
        difference=found.value,
        ci_low=found.low,
        ci_high=found.high,
        test="MOVER",
        p_value=None if same or math.isnan(found.p_value) else found.p_value,
        p_holm=None,
        verdict="no evidence",
        n=own.n,
    )


def _estimate(number: Number) -> RayEstimate:
    assert number.unbiased is not None
    assert number.interval is not None
    return RayEstimate(number.unbiased, *number.interval)
