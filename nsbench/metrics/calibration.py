"""Calibration errors over bins of equal width, and the bins of a reliability diagram.

The bins and their exact rule are those of `nsbench.metrics.bins`; `weights` count the images as
everywhere in `nsbench.metrics` (see `classification`). A resample counts the whole set at once:
errors are never summed over batches.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.bins import bin_edges, bin_index, check_probabilities, sums_by_bin
from nsbench.metrics.classification import Floats, Integers, Value, float_if_scalar, ratio, weighted_mean
from nsbench.metrics.top_label import top_label, top_label_calibration_error


@dataclass(frozen=True)
class ReliabilityBins:
    """What a reliability diagram draws, by bins of top-label confidence."""

    edges: NDArray[np.float64]
    """Shape (M + 1,), from 0 to 1."""
    counts: NDArray[np.int64]
    """Shape (M,); they sum to N."""
    accuracy: NDArray[np.float64]
    """Shape (M,), in [0, 1]; nan for an empty bin."""
    confidence: NDArray[np.float64]
    """Shape (M,), the mean confidence and not the centre; nan for an empty bin."""


def expected_calibration_error(
    probabilities: Floats, labels: Integers, bins: int = 15, weights: Floats | None = None
) -> Value:
    """Sum over bins of n_m/N * |acc_m - conf_m| for the predicted class, in [0, 1].

    Guo et al. 2017, arXiv:1706.04599. conf_m is the mean confidence in the bin; an empty bin adds 0.

    Args:
        probabilities: shape (N, K), in [0, 1].
        labels: shape (N,), in 0..K-1.
        bins: M, at least 1.
        weights: shape (..., N).

    Raises:
        ValueError: the shapes do not match, a probability lies outside [0, 1] or a label is not a class.

    >>> sure = np.array([[0.75, 0.25], [0.75, 0.25]])
    >>> expected_calibration_error(sure, np.array([0, 1]))
    0.25
    """
    return top_label_calibration_error(*top_label(probabilities, labels), bins, weights)


def maximum_calibration_error(
    probabilities: Floats, labels: Integers, bins: int = 15, weights: Floats | None = None
) -> Value:
    """Largest |acc_m - conf_m| over the bins that hold an image, in [0, 1].

    Guo et al. 2017, arXiv:1706.04599. Arguments and errors as in `expected_calibration_error`.

    >>> two_bins = np.array([[0.75, 0.25], [0.75, 0.25], [1.0, 0.0]])
    >>> maximum_calibration_error(two_bins, np.array([0, 1, 1]))
    1.0
    """
    confidence, correct = top_label(probabilities, labels)
    errors = _bin_errors(confidence[:, None], correct[:, None], bins, weights)
    # Empty bins are nan, and fmax passes over nan: it is left only where no bin holds an image.
    return float_if_scalar(np.fmax.reduce(errors, axis=-1))


def paper_calibration_error(
    probabilities: Floats, labels: Integers, bins: int = 10, weights: Floats | None = None
) -> Value:
    """Unweighted mean over bins of |acc_m - conf_m|, over all K class probabilities of each image, in [0, 1].

    What the Noisy Student report prints as its ECE, kept to stand beside the published column; it is
    not comparable with `expected_calibration_error`. The mean is over the bins that hold a
    probability. The report's code divides by the count of each bin, so one empty bin turns its
    number into nan; wherever it gives a number, this gives the same one, apart from probabilities
    exactly on an inner edge, which its floor puts into the upper bin.

    Arguments and errors as in `expected_calibration_error`.

    >>> paper_calibration_error(np.array([[0.75, 0.25], [0.75, 0.25]]), np.array([0, 1]))
    0.25
    """
    check_probabilities(probabilities, labels)
    is_label = labels[:, None] == np.arange(probabilities.shape[1])
    errors = _bin_errors(probabilities, is_label, bins, weights)
    filled = ~np.isnan(errors)
    return ratio(np.where(filled, errors, 0.0).sum(axis=-1), filled.sum(axis=-1))


def reliability_bins(probabilities: Floats, labels: Integers, bins: int = 15) -> ReliabilityBins:
    """Count images, accuracy and mean confidence in each bin of top-label confidence.

    Arguments and errors as in `expected_calibration_error`.

    >>> found = reliability_bins(np.array([[0.75, 0.25], [1.0, 0.0]]), np.array([0, 1]), bins=2)
    >>> found.counts, found.accuracy, found.confidence
    (array([0, 2]), array([nan, 0.5]), array([  nan, 0.875]))
    """
    confidence, correct = top_label(probabilities, labels)
    member = bin_index(confidence, bins)
    counts = np.bincount(member, minlength=bins).astype(np.int64)
    return ReliabilityBins(
        edges=bin_edges(bins),
        counts=counts,
        accuracy=np.asarray(ratio(np.bincount(member, weights=correct, minlength=bins), counts)),
        confidence=np.asarray(ratio(np.bincount(member, weights=confidence, minlength=bins), counts)),
    )


def _bin_errors(
    confidence: Floats, correct: NDArray[np.bool_], bins: int, weights: Floats | None
) -> NDArray[np.float64]:
    """|acc_m - conf_m| of shape (..., M) over the J confidences (N, J) of every image; nan for an empty bin."""
    member = bin_index(confidence, bins)
    counts = weighted_mean(sums_by_bin(np.ones(confidence.shape), member, bins), weights)
    gaps = weighted_mean(sums_by_bin(np.subtract(correct, confidence, dtype=np.float64), member, bins), weights)
    return np.abs(ratio(gaps, counts))
