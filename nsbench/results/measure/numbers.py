"""A number with its values on resamples of the images: what measurements, comparisons and seed means are made of.

Whatever a number is, its value and its samples come from one function of a metric: the metrics take
weights (..., N) and treat leading axes alike, so that a sampled quantity is carried through sums and
ratios by `Sampled.map`. Two models share their resamples, so the difference of their samples is the
paired bootstrap of their difference.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nsbench.metrics.proportions import share_interval, unanimous_interval
from nsbench.metrics.uncertainty import resample_weights
from nsbench.results.key import Key, Kind
from nsbench.seeds import derive_seed

Floats = NDArray[np.float64]
Weights = NDArray[np.float32] | None


@dataclass(frozen=True)
class Sampled:
    """A quantity of any shape, and the same quantity on each of the B resamples."""

    value: Floats
    """Shape (*Q)."""
    samples: Floats
    """Shape (B, *Q)."""

    def map(self, function: Callable[..., Any], *others: "Sampled") -> "Sampled":
        """A function of this quantity and others; it must treat leading axes alike."""
        return Sampled(
            np.asarray(function(self.value, *(other.value for other in others))),
            np.asarray(function(self.samples, *(other.samples for other in others))),
        )

    def at(self, *place: Any) -> "Sampled":
        """Some entries of the quantity."""
        return Sampled(np.asarray(self.value[place]), self.samples[(slice(None), *place)])


def last_mean(values: Floats) -> Floats:
    """The mean over the last axis, for `Sampled.map`."""
    return np.asarray(values.mean(axis=-1))


@dataclass(frozen=True)
class Number:
    """One number of one model."""

    key: Key
    """What it measures."""
    value: float
    """nan where it is undefined."""
    samples: Floats
    """Shape (B,), on the resamples that all models share."""
    n: int
    """Images (sequences for perturbations) it was measured on."""
    image_identity: str
    """Identity of these images; numbers of two models with the same one are paired."""
    relative: bool = False
    """Whether it is relative to a baseline."""
    note: str | None = None
    """A caution that must be printed beside it."""
    wrong: NDArray[np.bool_] | None = None
    """Shape (N,), where the number is the share of images that a model gets wrong."""
    interval: tuple[float, float] | None = None
    """95 % interval where it is not the percentile interval of the samples; (nan, nan): none is defined."""
    unbiased: float | None = None
    """The median-unbiased value of a calibration error, which is what is compared and averaged."""
    floor: float | None = None
    """What to expect of a calibration error as `value` were the model perfectly calibrated."""


@dataclass(frozen=True)
class Place:
    """Where numbers are measured: makes them."""

    kind: Kind
    n: int
    image_identity: str
    protocol: str = ""
    member: str = ""
    severity: int | None = None
    strength: float | None = None

    def key(self, metric: str) -> Key:
        """What a number of this metric measures."""
        return Key(self.kind, metric, self.protocol, self.member, self.severity, self.strength)

    def number(
        self,
        metric: str,
        found: Sampled,
        *,
        relative: bool = False,
        note: str | None = None,
        wrong: NDArray[np.bool_] | None = None,
        interval: tuple[float, float] | None = None,
    ) -> Number:
        """A number from a scalar quantity."""
        value, samples = float(found.value), np.asarray(found.samples, np.float64)
        return Number(self.key(metric), value, samples, self.n, self.image_identity, relative, note, wrong, interval)

    def share(self, metric: str, found: Sampled, wrong: NDArray[np.bool_] | None = None) -> Number:
        """A share of the n images."""
        count = round(float(found.value) * self.n)
        return self.number(metric, found, wrong=wrong, interval=share_interval(count, self.n))

    def mean(self, metric: str, found: Sampled) -> Number:
        """A mean over the n images, or sequences, of numbers in [0, 1]."""
        return self.number(metric, found, interval=unanimous_interval(float(found.value), self.n))


@dataclass
class Resampler:
    """Bootstrap weights by the number of images; models on the same images share them, so differences are paired.

    Attributes:
        resamples: B.
        seed: seed of the record.
    """

    resamples: int
    seed: int
    _cache: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    def weights(self, n: int) -> NDArray[np.float32]:
        """(B, n) resampling counts."""
        if n not in self._cache:
            self._cache[n] = resample_weights(n, self.resamples, derive_seed(self.seed, "bootstrap", n))
        return self._cache[n]

    def sample(self, metric: Callable[[Weights], ArrayLike], n: int) -> Sampled:
        """A metric that takes weights (..., n) and returns (..., *Q), and None for every image once."""
        return Sampled(np.asarray(metric(None)), np.asarray(metric(self.weights(n))))
