"""Point values and 95 % intervals from one set of bootstrap resamples."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nsbench.metrics.uncertainty import interval, resample_weights
from nsbench.seeds import derive_seed

Weights = NDArray[np.float32] | None


@dataclass(frozen=True)
class Estimate:
    """A number and its interval; None where it is undefined."""

    value: float | None
    low: float | None
    high: float | None


@dataclass
class Resampler:
    """Bootstrap weights by the number of images; models on the same images share them, so differences are paired.

    Attributes:
        resamples: B.
        seed: of the run.
    """

    resamples: int
    seed: int
    _cache: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    def weights(self, n: int) -> NDArray[np.float32]:
        """(B, n) resampling counts."""
        if n not in self._cache:
            self._cache[n] = resample_weights(n, self.resamples, derive_seed(self.seed, "bootstrap", n))
        return self._cache[n]

    def estimate(self, metric: Callable[[Weights], Any], n: int) -> Estimate:
        """Value and interval of a metric that takes weights (..., n) and returns (...)."""
        return estimate(metric(None), metric(self.weights(n)))


def estimate(value: ArrayLike, samples: ArrayLike) -> Estimate:
    """An estimate of a scalar from its value and its values on the resamples (B,)."""
    low, high = interval(samples)
    return Estimate(_finite(float(np.asarray(value))), _finite(low), _finite(high))


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
