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
NORMAL = float(ndtri(0.975))
"""z, 1.96."""


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


def seed_estimate(values: Floats, samples: Floats, seeds: Sequence[int], declared: Sequence[int]) -> SeedEstimate:
    """Average one number over seeds, with an interval over images, one over seeds and one over both.

    Args:
        values: shape (S,), the number of each network.
        samples: shape (S, B), the same on each resample of the images; the networks share the resamples.
        seeds: of the S networks.
        declared: the seeds that the mean stands for, in any order.

    Raises:
        ValueError: a declared seed is missing or another is there, there are fewer than two, or shapes do not match.

    >>> twice = np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]])
    >>> found = seed_estimate(np.array([0.25, 0.35]), twice, [0, 1], [0, 1])
    >>> round(found.value, 12), [round(end, 3) for end in found.seeds]
    (0.3, [-0.335, 0.935])
    """
    _check(values, samples, seeds, declared)
    value = float(np.mean(values, dtype=np.float64))
    over_images = interval(samples.mean(axis=0, dtype=np.float64))
    if not np.isfinite(values).all() or not np.isfinite(samples).all():
        undefined = (math.nan, math.nan)
        return SeedEstimate(value, over_images, undefined, undefined)
    networks = len(values)
    own, shared = _image_variances(samples)
    over_seeds = float(stdtrit(networks - 1, 0.975)) * math.sqrt(float(np.var(values, ddof=1)) / networks)
    half = math.sqrt(max(over_seeds**2, NORMAL**2 * own) + NORMAL**2 * shared)
    return SeedEstimate(
        value, over_images, seeds=(value - over_seeds, value + over_seeds), both=(value - half, value + half)
    )


def _image_variances(samples: Floats) -> Ends:
    """Variance R / S that the images give to the mean network by network, and C that they give to all at once."""
    networks = len(samples)
    mean = samples.mean(axis=0, dtype=np.float64)
    own = float(np.var(samples - mean, axis=1, dtype=np.float64).sum()) / (networks - 1) / networks
    return own, max(0.0, float(np.var(mean)) - own)


def _check(values: Floats, samples: Floats, seeds: Sequence[int], declared: Sequence[int]) -> None:
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
    _check_shapes(values, samples, len(seeds))


def _check_shapes(values: NDArray[np.floating], samples: NDArray[np.floating], networks: int) -> None:
    if values.shape != (networks,) or samples.ndim != 2 or len(samples) != networks:
        raise ValueError(
            f"{networks} networks have values ({networks},) and samples ({networks}, B), "
            f"but they are {values.shape} and {samples.shape}"
        )
