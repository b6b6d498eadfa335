"""Bootstrap intervals, paired tests and their correction for many of them.

The bootstrap resamples images (sequences for perturbations). A resample is a row of counts, and the
metrics take those rows as `weights`. Two models share the rows, so that their difference is paired.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtr, ndtri

from nsbench.metrics.classification import Floats, Integers, softmax, weighted_mean
from nsbench.metrics.temperature import HIGHEST, LOWEST

SMALLEST = float(np.finfo(np.float64).tiny)
"""Where an exact p-value is too small for floating point: nothing is impossible."""

POWER = 0.8
"""Power of the test of a `detectable_difference`."""

COUNTED = 10
"""Resamples on the far side of 0 from which a p-value is counted; with fewer it is the tail of a normal."""


def resample_weights(n: int, resamples: int, seed: int) -> NDArray[np.float32]:
    """Draw how often each of n images appears in each bootstrap resample.

    Args:
        n: images, at least 1.
        resamples: B.
        seed: the same seed gives the same rows, and more resamples only add rows.

    Returns:
        Whole numbers of shape (B, n); every row sums to n. 4 * B * n bytes: 40 MB at 1000 x 10,000.

    Raises:
        ValueError: n is less than 1.

    >>> resample_weights(4, 3, seed=0).sum(axis=1)
    array([4., 4., 4.], dtype=float32)
    """
    if n < 1:
        raise ValueError(f"there is nothing to resample: n is {n}")
    random = np.random.default_rng(seed)
    weights = np.empty((resamples, n), np.float32)
    # A row at a time needs no memory beside the result; all rows in one bincount needs four times as much.
    for row in weights:
        row[:] = np.bincount(random.integers(n, size=n), minlength=n)
    return weights


def interval(samples: ArrayLike) -> tuple[float, float]:
    """95 % percentile interval of a number from its value on each resample.

    Args:
        samples: shape (B,).

    Returns:
        The 2.5 % and 97.5 % quantiles. (nan, nan) if there are no samples or one is not finite:
        an interval over the resamples on which a ratio happens to exist would be too narrow.

    >>> interval(np.arange(201))
    (5.0, 195.0)
    >>> interval(np.array([0.1, np.nan]))
    (nan, nan)
    """
    values = _checked(samples)
    if values.size == 0 or not np.isfinite(values).all():
        return float("nan"), float("nan")
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def mcnemar_p_value(wrong_a: NDArray[np.bool_], wrong_b: NDArray[np.bool_]) -> float:
    """Two-sided exact McNemar test that two models err equally often, on the same images.

    Only images that one model gets wrong and the other right separate them; under the null
    hypothesis each of these is a fair coin (McNemar 1947, with the binomial in place of chi-squared).

    Args:
        wrong_a: shape (N,), whether model a errs on each image.
        wrong_b: shape (N,).

    Returns:
        In (0, 1]; 1 if the models are right on the same images.

    Raises:
        ValueError: the shapes differ.

    >>> mcnemar_p_value(np.array([True] * 5 + [False]), np.array([False] * 6))
    0.0625
    """
    if wrong_a.shape != wrong_b.shape or wrong_a.ndim != 1:
        raise ValueError(f"the models must be tried on the same images, but they have {wrong_a.shape}, {wrong_b.shape}")
    only_a = int(np.count_nonzero(wrong_a & ~wrong_b))
    only_b = int(np.count_nonzero(wrong_b & ~wrong_a))
    return min(1.0, max(SMALLEST, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5))))


def bootstrap_p_value(differences: ArrayLike) -> float:
    """Two-sided paired bootstrap p-value that a difference is 0, by inverting the percentile interval.

    Twice the smaller share of resamples on one side of 0, where the point value counts as one more
    resample on either side, so that B resamples never claim a p-value below 2 / (B + 1)
    (Davison & Hinkley 1997, chapter 4, for the correction).

    Args:
        differences: shape (B,), the difference of two models on each shared resample.

    Returns:
        In (0, 1]; nan if there are no differences or one is not finite.

    >>> bootstrap_p_value(np.full(99, 0.3))
    0.02
    >>> bootstrap_p_value(np.zeros(99))
    1.0
    """
    values = _checked(differences)
    if values.size == 0 or not np.isfinite(values).all():
        return float("nan")
    smaller_side = min(np.count_nonzero(values <= 0), np.count_nonzero(values >= 0))
    return min(1.0, 2 * (int(smaller_side) + 1) / (values.size + 1))


def paired_p_value(differences: ArrayLike) -> float:
    """Two-sided paired bootstrap p-value that continues where B resamples can no longer count.

    `bootstrap_p_value` cannot fall below 2 / (B + 1): over some forty comparisons Holm's correction would leave
    nothing, however large the differences. So where fewer than `COUNTED` resamples lie on the far side of 0, the
    p-value is the tail of the normal distribution with the resamples' mean and standard deviation instead, never
    larger than the counted one. The metrics are means over thousands of images, or smooth functions of such
    means, for which the normal tail is the usual asymptotic test (Davison & Hinkley 1997, section 5.2).

    Args:
        differences: shape (B,), the difference of two models on each shared resample.

    Returns:
        In (0, 1]; nan if there are no differences or one is not finite.

    >>> paired_p_value(np.zeros(99))
    1.0
    >>> spread = np.linspace(-1, 1, 999)
    >>> paired_p_value(spread + 0.5) == bootstrap_p_value(spread + 0.5)
    True
    >>> paired_p_value(spread + 4) < 1e-6 < bootstrap_p_value(spread + 4)
    True
    """
    values = _checked(differences)
    counted = bootstrap_p_value(values)
    # Written so that nan, of which nothing is known, passes through.
    if not counted < 2 * (COUNTED + 1) / (values.size + 1) or values.min() == values.max():
        return counted
    return min(counted, max(SMALLEST, 2 * float(ndtr(-abs(float(values.mean())) / float(values.std())))))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values so that among all of them a single false alarm has at most the probability tested at.

    Holm 1979, Scandinavian Journal of Statistics 6: the i-th smallest of m is multiplied by m - i + 1, is at least
    as large as the one before it, and at most 1. It holds however the tests depend on each other.

    Args:
        p_values: shape (M,), in [0, 1]; nan stands for a test that could not be made, and is not counted.

    Returns:
        Shape (M,), in the given order; nan where it was nan.

    Raises:
        ValueError: the shape is another, or a p-value lies outside [0, 1].

    >>> holm([0.01, 0.04, 0.02])
    array([0.03, 0.04, 0.04])
    """
    values = np.asarray(p_values, np.float64)
    if values.ndim != 1:
        raise ValueError(f"p-values must be (M,), but they are {values.shape}")
    made = np.flatnonzero(~np.isnan(values))
    if ((values[made] < 0) | (values[made] > 1)).any():
        raise ValueError("p-values must lie in [0, 1]")
    ascending = made[np.argsort(values[made], kind="stable")]
    factors = np.arange(len(ascending), 0, -1)
    corrected = np.full(values.shape, np.nan)
    corrected[ascending] = np.minimum(np.maximum.accumulate(factors * values[ascending]), 1.0)
    return corrected


def detectable_difference(width: float, level: float) -> float:
    """Smallest true difference that a two-sided test finds in 80 of 100 test sets.

    (z at the level + z at 80 %) standard errors, as for any estimate that is about normal (Cohen 1988, chapter 2).

    Args:
        width: width of the 95 % interval of the difference, 2 * 1.96 standard errors.
        level: level of the test, in (0, 1); 0.05 / m after Holm's correction over m
            comparisons.

    >>> round(detectable_difference(2 * 1.96, 0.05), 3), round(detectable_difference(2 * 1.96, 0.05 / 9), 3)
    (2.802, 3.615)
    """
    reach = float(-ndtri(level / 2) + ndtri(POWER))
    return reach * width / (2 * float(ndtri(0.975)))


def resampled_temperature(logits: Floats, labels: Integers, temperature: float, weights: Floats) -> NDArray[np.float64]:
    """Temperature refitted to each resample of the held-out images, by one step from the fit to all of them.

    With b = 1/T the likelihood of a resample has the slope G and the curvature H in b, weighted sums over images of
    (expected logit - logit of the label) and of the logits' variance under the softmax. A Newton step in log T that
    leaves out the slope's own share of the curvature, T * exp(G / (b H)), cannot leave the positive numbers and is
    as accurate as the step of any other parameter: its error falls as 1/N where the spread falls as 1/sqrt(N)
    (the one-step estimator of Le Cam 1956).

    Args:
        logits: shape (N, K).
        labels: shape (N,), in 0..K-1.
        temperature: fitted to all N images.
        weights: shape (..., N).

    Returns:
        Shape (...); nan everywhere if the fit ended at a bound, where the slope does not vanish.
    """
    below = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    probabilities = softmax(below / temperature)
    expected = (probabilities * below).sum(axis=-1)
    slope = expected - np.take_along_axis(below, labels[:, None].astype(np.intp), axis=-1)[:, 0]
    curvature = (probabilities * below**2).sum(axis=-1) - expected**2
    if not LOWEST < temperature < HIGHEST or not curvature.any():
        return np.full(weights.shape[:-1], np.nan)
    found = np.asarray(weighted_mean(np.stack([slope, curvature]), weights.astype(np.float64, copy=False)))
    return np.asarray(temperature * np.exp(temperature * found[..., 0] / found[..., 1]))


def _checked(samples: ArrayLike) -> NDArray[Any]:
    values = np.asarray(samples, np.float64)
    if values.ndim != 1:
        raise ValueError(f"samples must be one number for each resample, (B,), but they are {values.shape}")
    return values
