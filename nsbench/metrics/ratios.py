"""Ratios of two means of the same images, and intervals of them that hold where the denominator is uncertain.

A ratio has no value to rank where its denominator may be zero. Where it cannot, Fieller's interval (Fieller 1954,
Journal of the Royal Statistical Society B 16) holds however near to zero it is, for it asks which ratios r leave
numerator - r * denominator within its own noise. Quantiles of resampled ratios end somewhere whatever the denominator.
Variances and covariance are those of the bootstrap.
"""

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.classification import Floats

NORMAL = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def clearly_positive(values: Floats, samples: Floats) -> NDArray[np.bool_]:
    """Whether the normal 95 % interval of each quantity lies above 0.

    Args:
        values: shape (C,).
        samples: the same on each resample, (B, C).

    Returns:
        bool (C,).

    >>> clearly_positive(np.array([1.0, 1.0, 0.0]), np.array([[0.9, 0.0, 0.0], [1.1, 2.0, 0.0]]))
    array([ True, False, False])
    """
    return np.asarray(values > NORMAL * samples.std(axis=0, dtype=np.float64))


def fieller_intervals(
    numerators: Floats, denominators: Floats, numerator_samples: Floats, denominator_samples: Floats
) -> NDArray[np.float64]:
    """95 % intervals of ratios: all r for which (a - r b)^2 <= z^2 (var a - 2 r cov + r^2 var b).

    Args:
        numerators: a, shape (C,).
        denominators: b, shape (C,).
        numerator_samples: the same on each resample, (B, C).
        denominator_samples: likewise, of the same resamples.

    Returns:
        Shape (C, 2), the lower end first; nan where the denominator is not `clearly_positive`.

    >>> a, b = np.array([1.0]), np.array([2.0])
    >>> fieller_intervals(a, b, np.array([[0.9], [1.1]]), np.array([[2.0], [2.0]])).round(3)
    array([[0.402, 0.598]])
    """
    _check(numerators, denominators, numerator_samples, denominator_samples)
    a, b = numerators.astype(np.float64), denominators.astype(np.float64)
    off_a, off_b = (one - one.mean(axis=0, dtype=np.float64) for one in (numerator_samples, denominator_samples))
    aa, ab, bb = ((NORMAL**2 * (x * y).mean(axis=0)) for x, y in ((off_a, off_a), (off_a, off_b), (off_b, off_b)))
    usable = clearly_positive(b, denominator_samples)
    square = np.where(usable, b**2 - bb, 1.0)
    middle = (a * b - ab) / square
    # Never negative where the denominator is usable, but for rounding.
    half = np.sqrt(np.maximum(middle**2 - (a**2 - aa) / square, 0.0))
    return np.where(usable[:, None], np.stack([middle - half, middle + half], axis=-1), np.nan)


def linearised(
    numerators: Floats, denominators: Floats, numerator_samples: Floats, denominator_samples: Floats
) -> NDArray[np.float64]:
    """Ratios on resamples to first order, r + (a* - r b*) / b: finite where b* may be zero.

    Arguments as in `fieller_intervals`.

    Returns:
        Shape (B, C); nan where the denominator is 0.

    >>> linearised(np.array([1.0]), np.array([2.0]), np.array([[1.5]]), np.array([[2.0]]))
    array([[0.75]])
    """
    _check(numerators, denominators, numerator_samples, denominator_samples)
    b = np.where(denominators == 0, np.nan, denominators)
    ratios = numerators / b
    return np.asarray(ratios + (numerator_samples - ratios * denominator_samples) / b)


def mean_interval(values: Floats, intervals: Floats, samples: Floats) -> tuple[float, float]:
    """95 % interval of a mean of quantities that each have one, such as Fieller's: MOVER, Zou & Donner 2008.

    With d the distances from the values to their lower ends and R the correlations of the samples, the mean's lower
    end lies sqrt(d' R d) / C below the mean; and so above it (Statistics in Medicine 27, for dependent estimates).

    Args:
        values: shape (C,).
        intervals: shape (C, 2), the lower end first.
        samples: on each resample, (B, C); only their correlations count.

    Returns:
        Of one quantity, its own interval; (nan, nan) if anything is not finite.

    Raises:
        ValueError: the shapes do not match.

    >>> low, high = mean_interval(np.array([1.0, 1.0]), np.array([[0.0, 3.0]] * 2), np.array([[1.0, 1.0], [2.0, 2.0]]))
    >>> round(low, 6), round(high, 6)
    (0.0, 3.0)
    """
    if intervals.shape != (*values.shape, 2) or samples.shape[1:] != values.shape:
        raise ValueError(
            f"values must be (C,), intervals (C, 2) and samples (B, C), but they are {values.shape}, {intervals.shape} "
            f"and {samples.shape}"
        )
    if not all(np.isfinite(one).all() for one in (values, intervals, samples)):
        return float("nan"), float("nan")
    off = samples - samples.mean(axis=0)
    spread = off.std(axis=0)
    off = np.divide(off, spread, out=np.zeros_like(off), where=spread > 0)
    below, above = (
        float(np.sqrt(((off @ d) ** 2).mean())) for d in (values - intervals[:, 0], intervals[:, 1] - values)
    )
    middle, count = float(values.mean()), len(values)
    return middle - below / count, middle + above / count


def _check(numerators: Floats, denominators: Floats, numerator_samples: Floats, denominator_samples: Floats) -> None:
    shapes = {denominators.shape, numerator_samples.shape[1:], denominator_samples.shape[1:], numerators.shape}
    if len(shapes) > 1 or numerators.ndim != 1 or len(numerator_samples) != len(denominator_samples):
        raise ValueError(
            "numerators and denominators must be (C,) and their samples (B, C), but they are "
            f"{numerators.shape}, {denominators.shape}, {numerator_samples.shape} and {denominator_samples.shape}"
        )
