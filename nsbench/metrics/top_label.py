"""The predicted class with its confidence, all that is kept of corrupted images, and its calibration."""

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.bins import Binned, bin_index, check_probabilities, check_unit_range
from nsbench.metrics.classification import Floats, Integers, Value


def top_label(probabilities: Floats, labels: Integers) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence of the predicted class, the first of equals, and whether it is right.

    Args:
        probabilities: shape (N, K), in [0, 1].
        labels: shape (N,), in 0..K-1.

    Returns:
        Two arrays of shape (N,).

    Raises:
        ValueError: the shapes do not match, a probability lies outside [0, 1] or a label is not a class.

    >>> top_label(np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([0, 1]))
    (array([0.75, 0.5 ]), array([ True, False]))
    """
    check_probabilities(probabilities, labels)
    return probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels


def top_label_calibration_error(
    confidence: Floats, correct: NDArray[np.bool_], bins: int = 15, weights: Floats | None = None
) -> Value:
    """Expected calibration error from stored confidences: sum over bins of n_m/N * |acc_m - conf_m|, in [0, 1].

    Guo et al. 2017, arXiv:1706.04599, over M bins of equal width; conf_m is the mean confidence in
    the bin, and an empty bin adds 0. Leading axes are sets of confidences on the same N images, such
    as corruptions and severities: one resample of the images serves all of them.

    Args:
        confidence: confidence in the predicted class, shape (*O, N), for example (C, S, N), in [0, 1].
        correct: bool, shape (*O, N), whether the predicted class is the label.
        bins: M, at least 1.
        weights: shape (*W, N).

    Returns:
        Shape (*W, *O), for example (B, C, S).

    Raises:
        ValueError: the shapes do not match, `correct` is not bool or a confidence lies outside [0, 1].

    >>> cells = np.array([[[0.75, 0.75], [1.0, 0.5]]], np.float32)
    >>> top_label_calibration_error(cells, np.array([[[True, False], [True, True]]]))
    array([[0.25, 0.25]])
    """
    return top_label_bins(confidence, correct, bins).error(weights)


def top_label_bins(confidence: Floats, correct: NDArray[np.bool_], bins: int = 15) -> Binned:
    """The bins of equal width of `top_label_calibration_error`; arguments and errors as there."""
    if confidence.ndim < 1 or confidence.shape != correct.shape:
        raise ValueError(
            f"confidence and correct must both be (..., N), but they are {confidence.shape} and {correct.shape}"
        )
    if correct.dtype != np.bool_:
        raise ValueError(f"correct must say True or False of each image, but it is {correct.dtype}")
    check_unit_range(confidence)
    return Binned(confidence, correct, bin_index(confidence, bins), bins)
