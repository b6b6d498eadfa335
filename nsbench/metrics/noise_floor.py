"""What a perfectly calibrated network would show as its calibration error, from its own confidences."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, xlog1py, xlogy

from nsbench.metrics.bins import Binned
from nsbench.metrics.classification import Floats, Value, float_if_scalar


def noise_floor(binned: Binned) -> Value:
    """Expected plug-in error if every image were correct with the probability that its confidence states.

    A sum over bins of E|gap|, since absolute gaps do not cancel. The number of wrong images of a bin is then a sum of
    independent events with the mean mu = sum(1 - conf) and the variance v = sum(conf * (1 - conf)). It is taken as the
    binomial of that mean and variance, exact where the confidences of a bin are equal, whose mean absolute deviation is
    De Moivre's (see `mean_absolute_deviation`). A normal law in its place is 8 % off where a bin expects one error.

    Args:
        binned: probabilities (*O, N) in M bins; what came true is not looked at.

    Returns:
        Shape (*O), in [0, 1]; 0 without images.

    >>> from nsbench.metrics.top_label import top_label_bins
    >>> round(noise_floor(top_label_bins(np.full(2, 0.75), np.full(2, True))), 6)
    0.28125
    """
    return float_if_scalar(np.asarray(expected_gaps(binned).sum(axis=-1)))


def expected_gaps(binned: Binned) -> NDArray[np.float64]:
    """What each bin adds to the `noise_floor`, of shape (*O, M)."""
    images = binned.confidence.shape[-1]
    flat = np.clip(binned.confidence.astype(np.float64).reshape(-1, images), 0.0, 1.0)
    members = binned.member.reshape(-1, images)
    found = [_deviations(row, member, binned.bins) for row, member in zip(flat, members, strict=True)]
    return np.asarray(np.reshape(found, (*binned.confidence.shape[:-1], binned.bins)) / max(1, images))


def _deviations(confidence: NDArray[np.float64], member: NDArray[np.generic], bins: int) -> NDArray[np.float64]:
    """(M,) mean absolute deviation of the number of wrong images of each bin."""
    wrong, right, variance = (
        np.bincount(member, weights=each, minlength=bins)
        for each in (1 - confidence, confidence, confidence * (1 - confidence))
    )
    # Wrong and right ones deviate alike; the rarer of the two is the better kept by two moments.
    return mean_absolute_deviation(np.minimum(wrong, right).astype(np.float64), variance.astype(np.float64))


def mean_absolute_deviation(mean: Floats, variance: Floats) -> NDArray[np.float64]:
    """E|X - mean| of the binomial of a mean and a variance, whose number of trials need not be whole.

    De Moivre 1730, after Diaconis & Zabell 1991, Statistical Science 6: 2 k (1 - p) P(X = k), k the first whole number
    above the mean n p. Here 1 - p = variance / mean.

    Args:
        mean: at least 0.
        variance: the same shape, at least 0 and at most the mean.

    >>> mean_absolute_deviation(np.array([1.0]), np.array([0.5]))
    array([0.5])
    """
    found = np.zeros(np.shape(mean))
    some = (variance > 0) & (mean > variance)
    mu, miss = mean[some], (variance / np.where(mean > 0, mean, 1))[some]
    p = 1 - miss
    n = mu / p
    k = np.floor(mu) + 1
    # P(X = k) k = n! / ((k - 1)! (n - k)!) p^k (1 - p)^(n - k), and the binomial in it is 1 / B(k, n - k + 1).
    found[some] = 2 * miss * np.exp(xlogy(k, p) + xlog1py(n - k, -p) - betaln(k, n - k + 1))
    return found
