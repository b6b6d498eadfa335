"""The calibration error of every class probability, not only of the predicted class's."""

import numpy as np

from nsbench.metrics.bins import Binned, bin_index, check_probabilities
from nsbench.metrics.classification import Floats, Integers, Value, float_if_scalar


def classwise_calibration_error(
    probabilities: Floats, labels: Integers, bins: int = 15, weights: Floats | None = None
) -> Value:
    """Mean over classes k of: sum over bins of n_mk/N * |y_mk - p_mk|, in [0, 1].

    Kull et al. 2019, arXiv:1910.12656 (classwise-ECE). For each class, the images are put into M bins
    of equal width by that class's probability; y_mk is the share of class k among the n_mk images of
    bin m, p_mk their mean probability of class k. Every class counts alike, also one without images.
    With many classes most probabilities are near 0 and so is this number: compare it only at equal K.

    Args:
        probabilities: shape (N, K), in [0, 1].
        labels: shape (N,), in 0..K-1.
        bins: M, at least 1.
        weights: shape (..., N).

    Returns:
        Shape (...).

    Raises:
        ValueError: the shapes do not match, a probability lies outside [0, 1] or a label is not a class.

    >>> classwise_calibration_error(np.array([[0.75, 0.25], [0.75, 0.25]]), np.array([0, 1]))
    0.25
    """
    errors = classwise_bins(probabilities, labels, bins).error(weights)
    return float_if_scalar(np.asarray(np.mean(errors, axis=-1)))


def classwise_bins(probabilities: Floats, labels: Integers, bins: int = 15) -> Binned:
    """The bins of each class, (K, N), of `classwise_calibration_error`; arguments and errors as there."""
    check_probabilities(probabilities, labels)
    by_class = np.ascontiguousarray(probabilities.T)
    is_label = np.arange(probabilities.shape[1])[:, None] == labels
    return Binned(by_class, is_label, bin_index(by_class, bins), bins)
