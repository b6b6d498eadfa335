"""A number over networks that differ in their seed alone, with both sources of its uncertainty named.

S networks are measured on the same N images. Write the value of network s as the sum of a constant, an effect of its
seed (variance A), an effect of the images that all networks share (variance C) and the rest, which belongs to this
network on these images (variance R): the two-way random-effects model, seeds crossed with images. The mean of the
networks then has the variance (A + R) / S + C. Each part has its estimate:

- A + R: the sample variance s^2 of the S values;
- C + R / S: the variance of the mean over the bootstrap's resamples, which all networks share;
- R: the spread of the networks around their mean on each resample, averaged over the resamples' variances.

Adding s^2 / S to the bootstrap's variance would count R / S twice; it is counted once here.

The interval over both has the half width h with h^2 = max(t^2 s^2 / S, z^2 R / S) + z^2 C, where t is Student's
97.5 % quantile of S - 1 degrees of freedom and z the normal one: half widths, not variances, are added in
quadrature. It is exact where one source vanishes, and too wide rather than too narrow between: with few networks,
one variance with degrees of freedom after Satterthwaite 1946 missed the mean in one case of ten (S = 2, seeds and
images alike in size), because the s^2 that is small by chance is also taken for certain.

A calibration error has an interval of its own, since percentiles of its resamples do not cover. Its networks are then
taken to share all of the images' effect: R is 0, and the half widths of their intervals, averaged, stand for z sqrt(C),
upwards and downwards apart. What the images do to each network separately is in s^2 already, so this is too wide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from nsbench.metrics.classification import Floats
from nsbench.metrics.uncertainty import interval

Ends = tuple[float, float]
LEVEL = 0.05
"""Level of the intervals: they hold the truth in 95 of 100 cases."""
NORMAL = float(ndtri(1 - LEVEL / 2))
"""z, 1.96."""


@dataclass(frozen=True)
class Spread:
    """How far a mean over S networks is from the truth, by what moves it: standard errors."""

    networks: int
    """S, at least 2."""
    seeds: float
    """s / sqrt(S), of all that differs from network to network; known to S - 1 degrees of freedom."""
    own: float
    """sqrt(R / S), the images' effect on each network separately; a part of `seeds`."""
    below: float
    """sqrt(C), the images' effect on all networks, where it makes the truth smaller than the mean."""
    above: float
    """The same where it makes the truth larger."""

    def half_width(self, student: float, normal: float, shared: float) -> float:
        """Quantiles of Student's t and of the normal distribution, times their standard errors, in quadrature."""
        return math.hypot(max(student * self.seeds, normal * self.own), normal * shared)

    def ends(self, value: float, level: float = LEVEL) -> Ends:
        """The interval over both seeds and images around a mean, which misses the truth in a share `level` of cases."""
        student, normal = quantiles(level, self.networks)
        low, high = (self.half_width(student, normal, shared) for shared in (self.below, self.above))
        return value - low, value + high


@dataclass(frozen=True)
class SeedEstimate:
    """A mean over networks and its 95 % intervals; nan where undefined."""

    value: float
    images: Ends
    """These networks, other images: percentiles of the bootstrap."""
    seeds: Ends
    """These images, other seeds: Student's t."""
    both: Ends
    """Other seeds and other images."""
    spread: Spread | None
    """What `both` is made of; None where it is undefined."""


def quantiles(level: float, networks: int) -> Ends:
    """Quantiles of Student's t (S - 1 degrees of freedom) and the normal, exceeded either way in a share `level`.

    >>> [round(quantile, 2) for quantile in quantiles(0.05, 3)]
    [4.3, 1.96]
    """
    # The lower tail, because 1 - level / 2 is 1 where the level is small.
    return -float(stdtrit(networks - 1, level / 2)), -float(ndtri(level / 2))


def seed_estimate(values: Floats, samples: Floats, seeds: Sequence[int], declared: Sequence[int]) -> SeedEstimate:
    """Average one number over seeds, with an interval over images, one over seeds and one over both.

    Args:
        values: shape (S,), the number of each network.
        samples: shape (S, B), the same on each resample of the images; the networks share the resamples.
        seeds: seeds of the S networks.
        declared: the seeds that the mean stands for, in any order.

    Raises:
        ValueError: a declared seed is missing or another is there, there are fewer than two, or shapes do not match.

    >>> twice = np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]])
    >>> found = seed_estimate(np.array([0.25, 0.35]), twice, [0, 1], [0, 1])
    >>> round(found.value, 12), [round(end, 3) for end in found.seeds]
    (0.3, [-0.335, 0.935])
    """
    _check(seeds, declared)
    _check_shapes(values, samples, len(seeds))
    over_images = interval(samples.mean(axis=0, dtype=np.float64))
    if not np.isfinite(values).all() or not np.isfinite(samples).all():
        return _undefined(values, over_images)
    own, shared = _image_variances(samples)
    return _estimate(values, over_images, math.sqrt(own), (math.sqrt(shared), math.sqrt(shared)))


def seed_estimate_of_intervals(
    values: Floats, intervals: Floats, seeds: Sequence[int], declared: Sequence[int]
) -> SeedEstimate:
    """The same of a number that has an interval of its own, such as a calibration error.

    Args:
        values: shape (S,), the median-unbiased number of each network.
        intervals: shape (S, 2), its 95 % interval over images, with the value inside.
        seeds: seeds of the S networks.
        declared: the seeds that the mean stands for, in any order.

    Raises:
        ValueError: as of `seed_estimate`.

    >>> ends = np.array([[0.01, 0.04], [0.0, 0.04]])
    >>> found = seed_estimate_of_intervals(np.array([0.02, 0.02]), ends, [0, 1], [0, 1])
    >>> [round(end, 3) for end in found.images], [round(end, 3) for end in found.both]
    ([0.005, 0.04], [0.005, 0.04])
    """
    _check(seeds, declared)
    _check_shapes(values, intervals, len(seeds))
    value = float(np.mean(values, dtype=np.float64))
    low, high = np.asarray(intervals, np.float64).mean(axis=0).tolist()
    if not np.isfinite(values).all() or not np.isfinite(intervals).all():
        return _undefined(values, (low, high))
    return _estimate(values, (low, high), 0.0, ((value - low) / NORMAL, (high - value) / NORMAL))


def _estimate(values: Floats, over_images: Ends, own: float, shared: Ends) -> SeedEstimate:
    value, networks = float(np.mean(values, dtype=np.float64)), len(values)
    spread = Spread(networks, math.sqrt(float(np.var(values, ddof=1)) / networks), own, *shared)
    over_seeds = quantiles(LEVEL, networks)[0] * spread.seeds
    return SeedEstimate(value, over_images, (value - over_seeds, value + over_seeds), spread.ends(value), spread)


def _undefined(values: Floats, over_images: Ends) -> SeedEstimate:
    nothing = (math.nan, math.nan)
    return SeedEstimate(float(np.mean(values, dtype=np.float64)), over_images, nothing, nothing, None)


def _image_variances(samples: Floats) -> Ends:
    """Variance R / S that the images give to the mean network by network, and C that they give to all at once."""
    networks = len(samples)
    mean = samples.mean(axis=0, dtype=np.float64)
    own = float(np.var(samples - mean, axis=1, dtype=np.float64).sum()) / (networks - 1) / networks
    return own, max(0.0, float(np.var(mean)) - own)


def _check(seeds: Sequence[int], declared: Sequence[int]) -> None:
    missing = [str(seed) for seed in declared if seed not in seeds]
    extra = [str(seed) for seed in seeds if seed not in declared]
    if missing or extra or len(set(seeds)) < len(seeds):
        found = [f"{what} {', '.join(which)}" for what, which in (("missing", missing), ("extra", extra)) if which]
        raise ValueError(
            f"the mean is declared over the seeds {', '.join(map(str, declared))}, but "
            + ("; ".join(found) or "a seed comes twice")
        )
    if len(seeds) < 2:
        raise ValueError(f"one network (seed {', '.join(map(str, seeds))}) does not show how much seeds differ")


def _check_shapes(values: NDArray[np.floating], samples: NDArray[np.floating], networks: int) -> None:
    if values.shape != (networks,) or samples.ndim != 2 or len(samples) != networks:
        raise ValueError(
            f"{networks} networks have values ({networks},) and samples ({networks}, B), "
            f"but they are {values.shape} and {samples.shape}"
        )
