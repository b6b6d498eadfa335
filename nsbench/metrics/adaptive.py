"""The expected calibration error over bins of equal mass instead of equal width."""

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.bins import Binned, check_bins
from nsbench.metrics.classification import Floats, Integers, Value
from nsbench.metrics.top_label import top_label


def adaptive_calibration_error(
    probabilities: Floats, labels: Integers, bins: int = 15, weights: Floats | None = None
) -> Value:
    """Sum of n_m/N * |acc_m - conf_m| over bins of equal mass of the predicted class's confidence, in [0, 1].

    Bins of equal mass are those of Nguyen & O'Connor 2015, arXiv:1508.05154; the sum is the one of
    `expected_calibration_error`, not their root mean square. It is NOT the ACE of Nixon et al. 2019,
    arXiv:1904.01685, which averages over the probabilities of all K classes.

    The bins are those of `equal_mass_index`. They are fixed by the set that is given: a resample by
    `weights` recounts their members and moves no edge.

    Args:
        probabilities: shape (N, K), in [0, 1].
        labels: shape (N,), in 0..K-1.
        bins: M, at least 1.
        weights: shape (..., N).

    Returns:
        Shape (...).

    Raises:
        ValueError: the shapes do not match, a probability lies outside [0, 1] or a label is not a class.

    >>> probabilities = np.array([[1.0, 0.0], [0.75, 0.25], [0.625, 0.375], [0.75, 0.25]])
    >>> adaptive_calibration_error(probabilities, np.array([0, 1, 0, 0]), bins=2)
    0.21875
    """
    return adaptive_bins(probabilities, labels, bins).error(weights)


def adaptive_bins(probabilities: Floats, labels: Integers, bins: int = 15) -> Binned:
    """The bins of equal mass of `adaptive_calibration_error`; arguments and errors as there."""
    confidence, correct = top_label(probabilities, labels)
    return Binned(confidence, correct, equal_mass_index(confidence, bins), bins)


def equal_mass_index(confidence: Floats, bins: int) -> NDArray[np.int64]:
    """Bin of equal mass of each confidence, 0..bins-1, from the least confident to the most.

    An image stands at (images with less confidence + half of those with the same) / N, and bin m
    holds the images that stand in [m/M, (m+1)/M). So, exactly and without rounding: equal
    confidences share a bin, which then may hold more than its share while its neighbours hold less
    or nothing; without them the bins differ by at most one image, whether or not M divides N; and
    neither the order of the images nor repeating all of them changes the bins.

    Args:
        confidence: shape (N,).
        bins: M, at least 1.

    Returns:
        Shape (N,).

    >>> equal_mass_index(np.array([0.9, 0.5, 0.7, 0.6, 0.8]), 2)
    array([1, 0, 1, 0, 1])
    >>> equal_mass_index(np.array([0.5, 1.0, 1.0, 1.0]), 4)
    array([0, 2, 2, 2])
    """
    check_bins(bins)
    _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    twice_below = 2 * (np.cumsum(counts) - counts)
    index = (twice_below + counts) * bins // max(1, 2 * confidence.size)
    return np.asarray(index[inverse.reshape(confidence.shape)], np.int64)
