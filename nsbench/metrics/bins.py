"""Images in bins of confidence, and what the bins add to a calibration error.

M bins of equal width divide [0, 1] into ((m-1)/M, m/M]; 0.0 belongs to the first. Membership has
one rule: probabilities and edges are compared exactly as float64, and an edge is the float64 nearest
to m/M. So the float64 written 0.2 closes the bin that ends at 3/15 or at 2/10, while the float32
written 0.2, whose value is 0.2000000030, lies in the next one.

Bins are fixed by the whole set: a resample of the images only recounts their members.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.classification import Floats, Integers, Value, check_scores, float_if_scalar, weighted_mean

ROUNDING = 1e-5
"""How far outside [0, 1] a probability may lie; a float32 softmax may exceed 1 by its rounding."""

BLOCK = 2**22
"""Numbers (confidences times bins times images) that are summed in one product: 32 MB of float64."""


def bin_index(probabilities: Floats, bins: int) -> NDArray[np.intp]:
    """Bin of equal width of each probability, 0..bins-1, by the rule at the head of this module.

    >>> bin_index(np.array([0.0, 0.2, 0.2000001, 1.0]), 15)
    array([ 0,  2,  3, 14])
    """
    above = np.searchsorted(bin_edges(bins), probabilities.astype(np.float64), side="left")
    return np.clip(above - 1, 0, bins - 1)


def bin_edges(bins: int) -> NDArray[np.float64]:
    """The M + 1 edges; each quotient is correctly rounded, which repeated steps of 1/M are not.

    >>> bin_edges(4)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    check_bins(bins)
    return np.arange(bins + 1) / bins


def check_bins(bins: int) -> None:
    """Raise ValueError unless there is at least one bin."""
    if bins < 1:
        raise ValueError(f"bins must be at least 1, but it is {bins}")


def check_probabilities(probabilities: Floats, labels: Integers) -> None:
    """Raise ValueError unless probabilities are (N, K) in [0, 1] and labels are N classes in 0..K-1."""
    check_scores(probabilities, labels)
    check_unit_range(probabilities)


def check_unit_range(probabilities: Floats) -> None:
    """Raise ValueError unless every number lies in [0, 1], a rounding error aside; NaN does not."""
    if not ((probabilities >= -ROUNDING) & (probabilities <= 1 + ROUNDING)).all():
        raise ValueError("probabilities must lie in [0, 1]; turn logits into probabilities with softmax")


def sums_by_bin(values: NDArray[np.generic], member: Integers, bins: int) -> NDArray[np.float64]:
    """What each image adds to each bin: averages of this over images are all that a calibration error needs.

    Args:
        values: shape (N, J), J numbers of each image.
        member: shape (N, J), the bin 0..bins-1 of each.
        bins: M.

    Returns:
        Shape (M, N): the sum of an image's values that lie in the bin, mostly 0.

    >>> sums_by_bin(np.array([[0.5, 0.25], [1.0, 2.0]]), np.array([[0, 0], [0, 1]]), 2)
    array([[0.75, 1.  ],
           [0.  , 2.  ]])
    """
    images = len(values)
    cell = member * images + np.arange(images)[:, None]
    sums = np.bincount(cell.ravel(), weights=values.ravel(), minlength=bins * images)
    return np.asarray(sums.reshape(bins, images), np.float64)


@dataclass(frozen=True)
class Binned:
    """Probabilities in their bins, with what came true: all that a calibration error, its interval and its floor need.

    Leading axes *O are sets of probabilities on the same N images, such as corruptions and severities, or classes.
    """

    confidence: Floats
    """Shape (*O, N), in [0, 1]."""
    correct: NDArray[np.bool_]
    """Shape (*O, N), whether the event of the probability happened."""
    member: Integers
    """Shape (*O, N), the bin 0..bins-1 of each."""
    bins: int
    """M."""

    def gaps(self, weights: Floats | None = None) -> NDArray[np.float64]:
        """n_m/N * (acc_m - conf_m) of each bin, 0 for an empty one; its absolute values add up to the error.

        It is the mean over all images of (correct - confidence) where the image is in bin m and of 0
        elsewhere. So one product of the weights with these outcomes gives every resample; blocks of
        at most `BLOCK` numbers keep it small.

        Args:
            weights: shape (*W, N).

        Returns:
            Shape (*W, *O, M), in [-1, 1].
        """
        images = self.confidence.shape[-1]
        flat = (math.prod(self.confidence.shape[:-1]), images)
        differences = np.subtract(self.correct, self.confidence, dtype=np.float64).reshape(flat)
        members = self.member.reshape(flat)
        rows = max(1, BLOCK // max(1, self.bins * images))
        found = []
        for start in range(0, len(differences), rows):
            block = zip(differences[start : start + rows], members[start : start + rows], strict=True)
            outcomes = np.stack([sums_by_bin(gap[:, None], index[:, None], self.bins) for gap, index in block])
            found.append(np.asarray(weighted_mean(outcomes, weights)))
        leading = () if weights is None else weights.shape[:-1]
        gaps = np.concatenate(found, axis=-2)
        return gaps.reshape(leading + self.confidence.shape[:-1] + (self.bins,))

    def error(self, weights: Floats | None = None) -> Value:
        """Sum over bins of n_m/N * |acc_m - conf_m|, of shape (*W, *O), in [0, 1].

        >>> Binned(np.array([0.75, 0.75]), np.array([True, False]), np.array([2, 2]), 4).error()
        0.25
        """
        return summed(self.gaps(weights))


def summed(gaps: NDArray[np.float64]) -> Value:
    """The calibration error (...) that gaps of bins (..., M) add up to."""
    return float_if_scalar(np.asarray(np.abs(gaps).sum(axis=-1)))
