"""Corruption and perturbation numbers as the Noisy Student report computed them, to stand beside its columns.

The report averaged every file of the two folders, the nineteen corruptions and the twenty
perturbations, and counted every flip against the first frame. The paper that defines the
benchmarks (Hendrycks & Dietterich 2019, arXiv:1903.12261) does neither, so these numbers never share
a column with those of `corruption` and `perturbation`. A mean over fewer files is refused.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.classification import Floats, Integers, Value
from nsbench.metrics.corruption import (
    CorruptionSet,
    mean_corruption_error,
    mean_error,
    relative_mean_corruption_error,
)
from nsbench.metrics.perturbation import (
    PerturbationSet,
    check_sequences,
    flip_probability,
    mean_flip_probability,
    mean_flip_rate,
)
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P, PAPER
from nsbench.protocols.protocol import Protocol

PAPER_CORRUPTIONS = CorruptionSet.exactly(CIFAR10_C.mean(PAPER))
"""All nineteen."""

PAPER_PERTURBATIONS = PerturbationSet.exactly(CIFAR10_P.mean(PAPER))
"""All twenty."""


def paper_mean_error(errors: Floats, names: Sequence[str]) -> Value:
    """Plain mean of the error over all nineteen corruptions and five severities, in [0, 1].

    Args:
        errors: shape (..., 19, 5).
        names: names of the rows, in any order.

    Returns:
        Shape (...).

    Raises:
        ValueError: the rows are not exactly the nineteen, or a severity is missing.

    >>> paper_mean_error(np.full((19, 5), 0.5), PAPER_CORRUPTIONS.counted)
    0.5
    """
    return mean_error(errors, names, PAPER_CORRUPTIONS)


def paper_mean_corruption_error(corruption_errors: Floats, names: Sequence[str]) -> Value:
    """Mean over all nineteen corruptions of `corruption.corruption_error`, at least 0.

    Args:
        corruption_errors: shape (..., 19).
        names: names of the entries, in any order.

    Returns:
        Shape (...).

    Raises:
        ValueError: the entries are not exactly the nineteen.

    >>> paper_mean_corruption_error(np.ones(15), CIFAR10_C.counted)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: ... but the array has missing speckle_noise, gaussian_blur, spatter, saturate
    """
    return mean_corruption_error(corruption_errors, names, PAPER_CORRUPTIONS)


def paper_relative_mean_corruption_error(relative_errors: Floats, names: Sequence[str]) -> Value:
    """Mean over all nineteen corruptions of `corruption.relative_corruption_error`: the report's "Rel. mCE".

    Arguments, result and errors as in `paper_mean_corruption_error`; of either sign.
    """
    return relative_mean_corruption_error(relative_errors, names, PAPER_CORRUPTIONS)


def paper_flip_probability(predicted: Integers, weights: Floats | None = None) -> Value:
    """Share of frames 2..T predicted unlike the first, whatever the perturbation, in [0, 1].

    The report's formula for FP_p; on perturbations that are steps in time it is more than twice the
    paper's, because one lasting change counts in every later frame.

    Args:
        predicted: predicted classes, shape (Q, T): Q sequences of T frames, T at least 2.
        weights: shape (..., Q).

    Returns:
        Shape (...).

    Raises:
        ValueError: the shape is another, or there are fewer than two frames.

    >>> paper_flip_probability(np.array([[3, 5, 5, 5, 5]]))
    1.0
    """
    return flip_probability(predicted, noise=True, weights=weights)


def paper_flip_probabilities(
    predicted: Mapping[str, Integers], weights: Floats | None = None, protocol: Protocol = CIFAR10_P
) -> NDArray[np.float64]:
    """`paper_flip_probability` of each perturbation by its name.

    Arguments, result and errors as in `perturbation.flip_probabilities`.
    """
    check_sequences(predicted, protocol)
    return np.stack([np.asarray(paper_flip_probability(found, weights)) for found in predicted.values()], axis=-1)


def paper_mean_flip_probability(flip_probabilities: Floats, names: Sequence[str]) -> Value:
    """Mean over all twenty perturbations of `paper_flip_probability`, in [0, 1].

    Args:
        flip_probabilities: shape (..., 20).
        names: names of the entries, in any order.

    Returns:
        Shape (...).

    Raises:
        ValueError: the entries are not exactly the twenty.

    >>> paper_mean_flip_probability(np.full(20, 0.5), PAPER_PERTURBATIONS.counted)
    0.5
    """
    return mean_flip_probability(flip_probabilities, names, PAPER_PERTURBATIONS)


def paper_mean_flip_rate(flip_rates: Floats, names: Sequence[str]) -> Value:
    """Mean over all twenty perturbations of the ratio of `paper_flip_probability` to the baseline's: the report's mFR.

    Arguments, result and errors as in `paper_mean_flip_probability`; at least 0.
    """
    return mean_flip_rate(flip_rates, names, PAPER_PERTURBATIONS)
