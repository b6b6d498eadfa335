"""The difference of two numbers, each with an interval: MOVER, the method of variance estimates recovery."""

import math
import sys
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from nsbench.metrics.ray import RayEstimate


@dataclass(frozen=True)
class Difference:
    """A difference, its 95 % interval and its two-sided p-value."""

    value: float
    low: float
    high: float
    p_value: float
    """Above 0; nan where neither number varies and they differ."""


def mover(own: RayEstimate, other: RayEstimate) -> Difference:
    """Own minus other, its interval put together from theirs.

    Zou & Donner 2008, Statistics in Medicine 27. On the way down the difference moves as far as own may lie lower and
    other higher, both distances added in quadrature; on the way up likewise. Both are taken as independent: networks
    that agree on the same images make the interval too wide, never too narrow. The p-value reads the half width
    towards zero as 1.96 standard errors, so that it is below 0.05 where zero lies outside the interval.

    >>> found = mover(RayEstimate(0.06, 0.03, 0.10), RayEstimate(0.02, 0.01, 0.06))
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.04, -0.01, 0.081)
    """
    value = own.value - other.value
    down = math.hypot(own.value - own.low, other.high - other.value)
    up = math.hypot(own.high - own.value, other.value - other.low)
    return Difference(value, value - down, value + up, _p_value(abs(value), down if value > 0 else up))


def _p_value(distance: float, half_width: float) -> float:
    if distance == 0:
        return 1.0
    if half_width == 0:
        return math.nan
    # No evidence is infinite: far out the normal tail is 0 in floating point.
    return max(sys.float_info.min, 2 * float(ndtr(-distance / half_width * ndtri(0.975))))
