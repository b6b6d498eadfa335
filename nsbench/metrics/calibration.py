"""Calibration errors and reliability bins.

M bins of equal width divide [0, 1] into ((m-1)/M, m/M]; 0.0 belongs to the first. Membership has
one rule: probabilities and edges are compared exactly as float64, and an edge is the float64 nearest
to m/M. So the float64 written 0.2 closes the bin that ends at 3/15 or at 2/10, while the float32
written 0.2, whose value is 0.2000000030, lies in the next one.

`weights` count the images as everywhere in `nsbench.metrics` (see `classification`). A resample
counts the whole set at once: errors are never summed over batches.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.classification import (
    Floats,
    Integers,
    Value,
    check_scores,
    float_if_scalar,
    ratio,
    weighted_mean,
)

ROUNDING = 1e-5
"""How far outside [0, 1] a probability may lie; a float32 softmax may exceed 1 by its rounding."""


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
        ValueError: the shapes do not match, a probability lies outside [0, 1] or a label is no class.

    >>> sure = np.array([[0.75, 0.25], [0.75, 0.25]])
    >>> expected_calibration_error(sure, np.array([0, 1]))
    0.25
    """
    confidence, correct = _top_label(probabilities, labels)
    _, gaps = _outcomes_by_bin(confidence, correct, bins)
    return float_if_scalar(np.abs(weighted_mean(gaps, weights)).sum(axis=-1))


def maximum_calibration_error(
    probabilities: Floats, labels: Integers, bins: int = 15, weights: Floats | None = None
) -> Value:
    """Largest |acc_m - conf_m| over the bins that hold an image, in [0, 1].

    Guo et al. 2017, arXiv:1706.04599. Arguments and errors as in `expected_calibration_error`.

    >>> two_bins = np.array([[0.75, 0.25], [0.75, 0.25], [1.0, 0.0]])
    >>> maximum_calibration_error(two_bins, np.array([0, 1, 1]))
    1.0
    """
    confidence, correct = _top_label(probabilities, labels)
    # Empty bins are nan, and fmax passes over nan: it is left only where no bin holds an image.
    return float_if_scalar(np.fmax.reduce(_bin_errors(confidence, correct, bins, weights), axis=-1))


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
    _check_probabilities(probabilities, labels)
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
    confidence, correct = _top_label(probabilities, labels)
    member = bin_index(confidence, bins)[:, 0]
    counts = np.bincount(member, minlength=bins).astype(np.int64)
    return ReliabilityBins(
        edges=_edges(bins),
        counts=counts,
        accuracy=np.asarray(ratio(np.bincount(member, weights=correct[:, 0], minlength=bins), counts)),
        confidence=np.asarray(ratio(np.bincount(member, weights=confidence[:, 0], minlength=bins), counts)),
    )


def bin_index(probabilities: Floats, bins: int) -> NDArray[np.intp]:
    """Bin of each probability, 0..bins-1, by the rule at the head of this module.

    >>> bin_index(np.array([0.0, 0.2, 0.2000001, 1.0]), 15)
    array([ 0,  2,  3, 14])
    """
    above = np.searchsorted(_edges(bins), probabilities.astype(np.float64), side="left")
    return np.clip(above - 1, 0, bins - 1)


def _edges(bins: int) -> NDArray[np.float64]:
    """The M + 1 edges; each quotient is correctly rounded, which repeated steps of 1/M are not."""
    if bins < 1:
        raise ValueError(f"bins must be at least 1, but it is {bins}")
    return np.arange(bins + 1) / bins


def _check_probabilities(probabilities: Floats, labels: Integers) -> None:
    check_scores(probabilities, labels)
    if probabilities.size and (probabilities.min() < -ROUNDING or probabilities.max() > 1 + ROUNDING):
        raise ValueError("probabilities must lie in [0, 1]; turn logits into probabilities with softmax")


def _top_label(probabilities: Floats, labels: Integers) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence (N, 1) of the predicted class, the first of equals, and whether it is right (N, 1)."""
    _check_probabilities(probabilities, labels)
    confidence = probabilities.max(axis=1, keepdims=True).astype(np.float64)
    return confidence, probabilities.argmax(axis=1, keepdims=True) == labels[:, None]


def _outcomes_by_bin(
    confidence: Floats, correct: NDArray[np.bool_], bins: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What each image adds to each bin: how many of its J confidences, and the sum of correct - confidence.

    From (N, J) arrays to two of shape (M, N): averages of these over images are all that the
    calibration errors need, so a resample is a product of its weights with them.
    """
    images = len(confidence)
    cell = (bin_index(confidence, bins) * images + np.arange(images)[:, None]).ravel()
    gap = np.subtract(correct, confidence, dtype=np.float64).ravel()
    counts = np.bincount(cell, minlength=bins * images)
    gaps = np.bincount(cell, weights=gap, minlength=bins * images)
    return counts.astype(np.int64).reshape(bins, images), gaps.astype(np.float64).reshape(bins, images)


def _bin_errors(
    confidence: Floats, correct: NDArray[np.bool_], bins: int, weights: Floats | None
) -> NDArray[np.float64]:
    """|acc_m - conf_m| of shape (..., M); nan for an empty bin."""
    counts, gaps = _outcomes_by_bin(confidence, correct, bins)
    return np.abs(ratio(weighted_mean(gaps, weights), weighted_mean(counts, weights)))
