"""Corruption errors, alone and relative to a baseline: Hendrycks & Dietterich 2019, arXiv:1903.12261.

Errors are arrays (..., C, S) over C corruptions and the S severities of a benchmark: the five of CIFAR-10-C where
nothing else is said. Leading axes are resamples; a model and its baseline share them, so that their ratio is paired.
A mean states what it averages: see `CorruptionSet`. A cell that was not measured is NaN, and every sum or mean over
severities refuses it by name; so it refuses fewer severities than the benchmark has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.classification import Floats, Integers, Value, ratio, weighted_mean
from nsbench.metrics.declared import DeclaredSet, declared_mean
from nsbench.protocols.cifar import CIFAR10_C
from nsbench.protocols.protocol import Protocol

Severities = tuple[int, ...]
"""Those of a benchmark, ascending."""

SMALL_DENOMINATOR = 0.02
"""Mean rise of the baseline's error over its clean error below which the relative error is flagged."""


@dataclass(frozen=True)
class CorruptionSet(DeclaredSet):
    """The corruptions that a mean stands for, and the severities that it averages of each."""

    severities: tuple[int, ...] = CIFAR10_C.severities


def corruption_set(names: Sequence[str], protocol: Protocol = CIFAR10_C) -> CorruptionSet:
    """Declare which of the measured corruptions count.

    Args:
        names: names of the corruptions measured.
        protocol: the benchmark that they belong to.

    Raises:
        ValueError: a name is unknown or comes twice.

    >>> declared = corruption_set(["gaussian_blur", "fog", "snow"])
    >>> declared.counted, declared.shown, len(declared.missing), declared.complete
    (('snow', 'fog'), ('gaussian_blur',), 13, False)
    """
    return replace(CorruptionSet.divide(names, protocol.counted, protocol.shown), severities=protocol.severities)


def cell_errors(predicted: Integers, labels: Integers, weights: Floats | None = None) -> NDArray[np.float64]:
    """Top-1 error of each corruption at each severity, in [0, 1].

    Args:
        predicted: predicted classes, shape (C, S, N).
        labels: shape (N,).
        weights: shape (..., N); one resample of the images serves all cells.

    Returns:
        Shape (..., C, S).

    Raises:
        ValueError: the shapes do not match.

    >>> cell_errors(np.array([[[0, 1], [1, 1]]], dtype=np.uint8), np.array([0, 1]))
    array([[0. , 0.5]])
    """
    if predicted.ndim != 3 or labels.shape != predicted.shape[-1:]:
        raise ValueError(
            f"predicted must be (C, S, N) and labels (N,), but they are {predicted.shape} and {labels.shape}"
        )
    return np.asarray(weighted_mean(predicted != labels, weights))


def corruption_error(
    errors: Floats, baseline_errors: Floats, severities: Severities = CIFAR10_C.severities
) -> NDArray[np.float64]:
    """Sum over severities of the error, divided by the baseline's: CE_c of the paper.

    Args:
        errors: shape (..., C, S).
        baseline_errors: the same corruptions in the same order, (..., C, S) or (C, S).
        severities: the S that the benchmark has.

    Returns:
        Shape (..., C), at least 0; nan where the baseline makes no error.

    Raises:
        ValueError: a severity is missing, or the two differ in their corruptions.

    >>> corruption_error(np.full((1, 5), 0.1), np.full((1, 5), 0.4))
    array([0.25])
    """
    check_pair(errors, baseline_errors, severities)
    return np.asarray(ratio(errors.sum(axis=-1), baseline_errors.sum(axis=-1)))


def relative_corruption_error(
    errors: Floats,
    clean_error: Value,
    baseline_errors: Floats,
    baseline_clean_error: Value,
    severities: Severities = CIFAR10_C.severities,
) -> NDArray[np.float64]:
    """Sum over severities of the rise over the clean error, divided by the baseline's rise.

    The clean error is subtracted once for each severity. The ratio is
    ill-conditioned where the baseline hardly degrades: ask `small_denominators`.

    Args:
        errors: shape (..., C, S).
        clean_error: shape (...), on the same resamples.
        baseline_errors: the same corruptions in the same order, (..., C, S) or (C, S).
        baseline_clean_error: shape (...).
        severities: the S that the benchmark has.

    Returns:
        Shape (..., C), of either sign; nan where the baseline's rise is exactly 0.

    Raises:
        ValueError: a severity is missing, or the two differ in their corruptions.

    >>> relative_corruption_error(np.full((1, 5), 0.3), 0.1, np.full((1, 5), 0.6), 0.2)
    array([0.5])
    """
    check_pair(errors, baseline_errors, severities)
    return np.asarray(ratio(rise(errors, clean_error), rise(baseline_errors, baseline_clean_error)))


def severity_mean(
    cells: Floats, names: Sequence[str], severities: Severities = CIFAR10_C.severities
) -> NDArray[np.float64]:
    """Mean over the severities of each corruption, for any number of a cell in [0, 1].

    Args:
        cells: shape (..., C, S).
        names: names of the C rows.
        severities: the S that the benchmark has.

    Returns:
        Shape (..., C).

    Raises:
        ValueError: a severity is missing, or a cell is NaN.

    >>> severity_mean(np.array([[0.25, 0.5, 0.75, np.nan, 1.0]]), ["fog"])
    Traceback (most recent call last):
    ValueError: fog has no number at severity 4
    """
    _check_cells(cells, names, severities)
    return np.asarray(cells.mean(axis=-1, dtype=np.float64))


def mean_error(errors: Floats, names: Sequence[str], declared: CorruptionSet) -> Value:
    """Plain mean of the error over corruptions and severities (uCE), in [0, 1].

    Args:
        errors: shape (..., C, S).
        names: names of the C rows, in any order.
        declared: what the mean stands for.

    Returns:
        Shape (...).

    Raises:
        ValueError: the rows are not exactly the declared ones, or a severity is missing.

    >>> mean_error(np.array([[0.1, 0.2, 0.3, 0.4, 0.5]]), ["fog"], corruption_set(["fog"]))
    0.3
    """
    return declared_mean(severity_mean(errors, names, declared.severities), names, declared)


def mean_expected_calibration_error(calibration_errors: Floats, names: Sequence[str], declared: CorruptionSet) -> Value:
    """Plain mean of the expected calibration error over corruptions and severities, in [0, 1].

    A mean of the errors of cells, not the error of all cells thrown together, in which too much
    confidence under one corruption would make good too little under another.

    Args:
        calibration_errors: shape (..., C, S), what `top_label.top_label_calibration_error` returns.
        names: names of the C rows, in any order.
        declared: what the mean stands for.

    Returns:
        Shape (...).

    Raises:
        ValueError: as `mean_error`.

    >>> mean_expected_calibration_error(np.full((1, 5), 0.125), ["fog"], corruption_set(["fog"]))
    0.125
    """
    means = severity_mean(calibration_errors, names, declared.severities)
    return declared_mean(means, names, declared)


def mean_corruption_error(corruption_errors: Floats, names: Sequence[str], declared: CorruptionSet) -> Value:
    """Mean over corruptions of `corruption_error`, at least 0; the baseline itself has 1.

    Args:
        corruption_errors: shape (..., C), what `corruption_error` returns.
        names: names of the C entries, in any order.
        declared: what the mean stands for.

    Returns:
        Shape (...); nan where one of the corruption errors is.

    Raises:
        ValueError: the entries are not exactly the declared ones.

    >>> mean_corruption_error(np.array([0.5, 1.0]), ["snow", "fog"], corruption_set(["fog", "snow"]))
    0.75
    >>> mean_corruption_error(np.array([0.5]), ["snow"], corruption_set(["fog", "snow"]))
    Traceback (most recent call last):
    ValueError: the mean is declared over snow, fog, but the array has missing fog
    """
    return declared_mean(corruption_errors, names, declared)


def relative_mean_corruption_error(relative_errors: Floats, names: Sequence[str], declared: CorruptionSet) -> Value:
    """Mean over corruptions of `relative_corruption_error`, of either sign; the baseline itself has 1.

    Arguments, result and errors as in `mean_corruption_error`.
    """
    return declared_mean(relative_errors, names, declared)


def small_denominators(
    baseline_errors: Floats,
    baseline_clean_error: float,
    names: Sequence[str],
    threshold: float = SMALL_DENOMINATOR,
    severities: Severities = CIFAR10_C.severities,
) -> dict[str, float]:
    """Find the corruptions whose relative error divides by little, since the baseline hardly degrades on them.

    Args:
        baseline_errors: shape (C, S).
        baseline_clean_error: in [0, 1].
        names: names of the C rows.
        threshold: least rise over the clean error, averaged over severities, that is not too little.
        severities: the S that the benchmark has.

    Returns:
        By name, the mean rise that is below the threshold; it may be 0 or negative.

    Raises:
        ValueError: a severity is missing, or the names do not fit the rows.

    >>> small_denominators(np.array([[0.265625] * 5, [0.5] * 5, [0.125] * 5]), 0.25, ["brightness", "fog", "snow"])
    {'brightness': 0.015625, 'snow': -0.125}
    """
    _check_cells(baseline_errors, names, severities)
    rises = rise(baseline_errors, baseline_clean_error) / len(severities)
    return {name: float(found) for name, found in zip(names, rises, strict=True) if found < threshold}


def rise(errors: Floats, clean_error: Value) -> NDArray[np.float64]:
    """Sum over severities (..., C) of the errors (..., C, S) minus the clean error (...).

    >>> rise(np.full((1, 5), 0.5), 0.25)
    array([1.25])
    """
    return np.asarray((errors - np.asarray(clean_error, np.float64)[..., None, None]).sum(axis=-1))


def check_pair(errors: Floats, baseline_errors: Floats, severities: Severities = CIFAR10_C.severities) -> None:
    """Raise ValueError unless both are (..., C, S) without a hole, over equally many corruptions."""
    if errors.shape[-2:-1] != baseline_errors.shape[-2:-1]:
        raise ValueError(f"errors are {errors.shape}, but the baseline's are {baseline_errors.shape}")
    places = [f"corruption {row + 1}" for row in range(errors.shape[-2] if errors.ndim > 1 else 0)]
    _check_cells(errors, places, severities)
    _check_cells(baseline_errors, [f"{place} of the baseline" for place in places], severities)


def _check_cells(cells: Floats, names: Sequence[str], severities: Severities) -> None:
    """Refuse what would average less than all severities of each named row."""
    count = len(severities)
    if cells.ndim < 2 or cells.shape[-1] != count:
        raise ValueError(f"errors must be (..., C, {count}), all {count} severities, but they are {cells.shape}")
    if len(names) != cells.shape[-2]:
        raise ValueError(f"{len(names)} names cannot name {cells.shape[-2]} rows")
    unmeasured = np.isnan(cells).reshape(-1, len(names), count).any(axis=0)
    if unmeasured.any():
        row, column = np.argwhere(unmeasured)[0]
        raise ValueError(f"{names[row]} has no number at severity {severities[column]}")
