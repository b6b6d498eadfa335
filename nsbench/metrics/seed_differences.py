"""Whether two recipes differ, from S networks of each with shared seeds: a paired test with training variance in it.

The number of a candidate less that of its baseline of the same seed is one number d of each seed, and `metrics.seeds`
has the interval of its mean, over seeds and images alike. The test inverts that interval: the p-value is the smallest
level at which it leaves out zero. Where seeds dominate this is Student's paired test, with S - 1 degrees of freedom;
where images do, the paired bootstrap's normal test.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import nctdtrinc, ndtri

from nsbench.metrics.classification import Floats
from nsbench.metrics.seeds import Spread, quantiles

POWER = 0.8
LEAST = 1e-300
"""No p-value is smaller, and none is 0."""


def difference_intervals(own: Floats, own_ends: Floats, other: Floats, other_ends: Floats) -> Floats:
    """95 % intervals of differences from intervals of the two numbers: MOVER, as if they were independent.

    Zou & Donner 2008, Statistics in Medicine 27: the half width downwards adds the candidate's downwards and the
    baseline's upwards in quadrature. Numbers of the same images move together, so the interval is too wide for them.

    Args:
        own: shape (S,), the candidate's number at each seed.
        own_ends: shape (S, 2), its interval.
        other: shape (S,), the baseline's.
        other_ends: shape (S, 2).

    Returns:
        Shape (S, 2).

    >>> one, two = np.array([0.05]), np.array([0.02])
    >>> difference_intervals(one, np.array([[0.02, 0.09]]), two, np.array([[0.0, 0.06]])).round(3).tolist()
    [[-0.02, 0.075]]
    """
    below = np.hypot(own - own_ends[:, 0], other_ends[:, 1] - other)
    above = np.hypot(own_ends[:, 1] - own, other - other_ends[:, 0])
    return np.stack([own - other - below, own - other + above], axis=1)


def seed_p_value(difference: float, spread: Spread) -> float:
    """Two-sided p-value that a mean difference over seeds is 0.

    Args:
        difference: mean over seeds of candidate less baseline.
        spread: of that mean.

    Returns:
        In (0, 1]: the level at which the interval `spread.ends` ends at 0.

    >>> round(seed_p_value(0.05, Spread(networks=3, seeds=0.02, own=0.0, below=0.0, above=0.0)), 3)
    0.13
    """
    towards_zero = spread.below if difference > 0 else spread.above

    def excess(logarithm: float) -> float:
        return spread.half_width(*quantiles(math.exp(logarithm), spread.networks), towards_zero) - abs(difference)

    if difference == 0:
        return 1.0
    lowest = math.log(LEAST)
    return LEAST if excess(lowest) <= 0 else math.exp(brentq(excess, lowest, 0.0))


def detectable(spread: Spread, level: float) -> float:
    """Smallest true difference that the test finds in four of five repetitions.

    The interval's half width with other factors: in place of Student's t quantile the shift that gives Student's test
    80 % power (of the noncentral t distribution: with few seeds much more than the two quantiles added), in place of
    the normal one the sum of the quantiles of level and power. The observed variances stand for the true ones.

    Args:
        spread: of the difference.
        level: of one test; 0.05 over m after Bonferroni or in Holm's first step.

    >>> round(detectable(Spread(networks=3, seeds=0.02, own=0.0, below=0.0, above=0.0), 0.05), 3)
    0.113
    """
    student, normal = quantiles(level, spread.networks)
    shift = float(nctdtrinc(spread.networks - 1, 1 - POWER, student))
    return spread.half_width(shift, normal + float(ndtri(POWER)), max(spread.below, spread.above))
