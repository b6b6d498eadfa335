"""Whether two recipes differ, from S networks of each with shared seeds: a paired test with training variance in it.

The number of a candidate less that of its baseline of the same seed is one number d of each seed, and `metrics.seeds`
has the interval of its mean, over seeds and images alike. The test inverts that interval: the p-value is the smallest
level at which it leaves out zero. Where seeds dominate this is Student's paired test, with S - 1 degrees of freedom;
where images do, the paired bootstrap's normal test.
"""

import math

from scipy.optimize import brentq
from scipy.special import nctdtrinc, ndtri

from nsbench.metrics.seeds import Spread, quantiles

POWER = 0.8
LEAST = 1e-300
"""No p-value is smaller, and none is 0."""


def seed_p_value(difference: float, spread: Spread) -> float:
    """Two-sided p-value that a mean difference over seeds is 0.

    Args:
        difference: mean over seeds of candidate less baseline.
        spread: spread of that mean.

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
        spread: spread of the difference.
        level: level of one test; 0.05 over m after Bonferroni or in Holm's first step.

    >>> round(detectable(Spread(networks=3, seeds=0.02, own=0.0, below=0.0, above=0.0), 0.05), 3)
    0.113
    """
    student, normal = quantiles(level, spread.networks)
    shift = float(nctdtrinc(spread.networks - 1, 1 - POWER, student))
    return spread.half_width(shift, normal + float(ndtri(POWER)), max(spread.below, spread.above))
