"""Bootstrap intervals and paired tests.

The bootstrap resamples images (sequences for perturbations). A resample is a row of counts, and the
metrics take those rows as `weights`. Two models share the rows, so that their difference is paired.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr


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

    Only images that one model gets wrong and the other right tell them apart; under the null
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
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


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


def _checked(samples: ArrayLike) -> NDArray[Any]:
    values = np.asarray(samples, np.float64)
    if values.ndim != 1:
        raise ValueError(f"samples must be one number for each resample, (B,), but they are {values.shape}")
    return values
