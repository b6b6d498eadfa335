"""Corruption errors, alone and relative to a baseline: Hendrycks & Dietterich 2019, arXiv:1903.12261.

Errors are arrays (..., C, S) over C corruptions and the five severities. Leading axes are
resamples; a model and its baseline share them, so that their ratio is paired. A mean states what
it averages: see `CorruptionSet`. A cell that was not measured is NaN, and every sum or mean over
severities refuses it by name; so it refuses fewer than five severities.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.classification import Floats, Integers, Value, ratio, weighted_mean
from nsbench.metrics.declared import DeclaredSet, declared_mean

CORRUPTIONS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
"""The fifteen that count, in the paper's order."""

VALIDATION_CORRUPTIONS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""Meant for tuning: they are shown, and never enter a mean."""

SEVERITIES = (1, 2, 3, 4, 5)

SMALL_DENOMINATOR = 0.02
"""Mean rise of the baseline's error over its clean error below which the relative error is flagged."""


@dataclass(frozen=True)
class CorruptionSet(DeclaredSet):
    """The corruptions that a mean stands for."""


def corruption_set(names: Sequence[str]) -> CorruptionSet:
    """Declare which of the measured corruptions count.

    Raises:
        ValueError: a name is unknown or comes twice.

    >>> declared = corruption_set(["gaussian_blur", "fog", "snow"])
    >>> declared.counted, declared.shown, len(declared.missing), declared.complete
    (('snow', 'fog'), ('gaussian_blur',), 13, False)
    """
    return CorruptionSet.divide(names, CORRUPTIONS, VALIDATION_CORRUPTIONS)


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


def corruption_error(errors: Floats, baseline_errors: Floats) -> NDArray[np.float64]:
    """Sum over severities of the error, divided by the baseline's: CE_c of the paper.

    Args:
        errors: shape (..., C, 5).
        baseline_errors: the same corruptions in the same order, (..., C, 5) or (C, 5).

    Returns:
        Shape (..., C), at least 0; nan where the baseline makes no error.

    Raises:
        ValueError: a severity is missing, or the two differ in their corruptions.

    >>> corruption_error(np.full((1, 5), 0.1), np.full((1, 5), 0.4))
    array([0.25])
    """
    _check_pair(errors, baseline_errors)
    return np.asarray(ratio(errors.sum(axis=-1), baseline_errors.sum(axis=-1)))


def relative_corruption_error(
    errors: Floats, clean_error: Value, baseline_errors: Floats, baseline_clean_error: Value
) -> NDArray[np.float64]:
    """Sum over severities of the rise over the clean error, divided by the baseline's rise.

    The clean error is subtracted once for each severity, five times in all. The ratio is
    ill-conditioned where the baseline hardly degrades: ask `small_denominators`.

    Args:
        errors: shape (..., C, 5).
        clean_error: shape (...), on the same resamples.
        baseline_errors: the same corruptions in the same order, (..., C, 5) or (C, 5).
        baseline_clean_error: shape (...).

    Returns:
        Shape (..., C), of either sign; nan where the baseline's rise is exactly 0.

    Raises:
        ValueError: a severity is missing, or the two differ in their corruptions.

    >>> relative_corruption_error(np.full((1, 5), 0.3), 0.1, np.full((1, 5), 0.6), 0.2)
    array([0.5])
    """
    _check_pair(errors, baseline_errors)
    return np.asarray(ratio(rise(errors, clean_error), rise(baseline_errors, baseline_clean_error)))


def pooled_relative_corruption_error(
    errors: Floats,
    clean_error: Value,
    baseline_errors: Floats,
    baseline_clean_error: Value,
    names: Sequence[str],
    declared: CorruptionSet,
) -> Value:
    """Sum over corruptions and severities of the rise over the clean error, divided by the baseline's sum.

    A ratio of sums, where `relative_mean_corruption_error` is a mean of ratios: a corruption counts as much as it
    makes the baseline worse, so none on which the baseline hardly degrades can outweigh the others. It is not in the
    paper.

    Args:
        errors: shape (..., C, 5).
        clean_error: shape (...), on the same resamples.
        baseline_errors: the same corruptions in the same order, (..., C, 5) or (C, 5).
        baseline_clean_error: shape (...).
        names: of the C rows, in any order.
        declared: what the sums are over.

    Returns:
        Shape (...), of either sign; nan where the baseline's sum is exactly 0.

    Raises:
        ValueError: the rows are not exactly the declared ones, a severity is missing, or the two differ in their rows.

    >>> own, base = np.array([[0.5] * 5, [0.25] * 5]), np.array([[0.75] * 5, [0.25] * 5])
    >>> pooled_relative_corruption_error(own, 0.25, base, 0.25, ["fog", "snow"], corruption_set(["fog", "snow"]))
    0.5
    """
    _check_pair(errors, baseline_errors)
    declared.require(names, errors.shape[-2])
    return ratio(rise(errors, clean_error).sum(axis=-1), rise(baseline_errors, baseline_clean_error).sum(axis=-1))


def severity_mean(cells: Floats, names: Sequence[str]) -> NDArray[np.float64]:
    """Mean over the five severities of each corruption, for any number of a cell in [0, 1].

    Args:
        cells: shape (..., C, 5).
        names: of the C rows.

    Returns:
        Shape (..., C).

    Raises:
        ValueError: a severity is missing, or a cell is NaN.

    >>> severity_mean(np.array([[0.25, 0.5, 0.75, np.nan, 1.0]]), ["fog"])
    Traceback (most recent call last):
    ValueError: fog has no number at severity 4
    """
    _check_cells(cells, names)
    return np.asarray(cells.mean(axis=-1, dtype=np.float64))


def mean_error(errors: Floats, names: Sequence[str], declared: CorruptionSet) -> Value:
    """Plain mean of the error over corruptions and severities (uCE), in [0, 1].

    Args:
        errors: shape (..., C, 5).
        names: of the C rows, in any order.
        declared: what the mean stands for.

    Returns:
        Shape (...).

    Raises:
        ValueError: the rows are not exactly the declared ones, or a severity is missing.

    >>> mean_error(np.array([[0.1, 0.2, 0.3, 0.4, 0.5]]), ["fog"], corruption_set(["fog"]))
    0.3
    """
    return declared_mean(severity_mean(errors, names), names, declared)


def mean_expected_calibration_error(calibration_errors: Floats, names: Sequence[str], declared: CorruptionSet) -> Value:
    """Plain mean of the expected calibration error over corruptions and severities, in [0, 1].

    A mean of the errors of cells, not the error of all cells thrown together, in which too much
    confidence under one corruption would make good too little under another.

    Args:
        calibration_errors: shape (..., C, 5), what `top_label.top_label_calibration_error` returns.
        names: of the C rows, in any order.
        declared: what the mean stands for.

    Returns:
        Shape (...).

    Raises:
        ValueError: as `mean_error`.

    >>> mean_expected_calibration_error(np.full((1, 5), 0.125), ["fog"], corruption_set(["fog"]))
    0.125
    """
    return declared_mean(severity_mean(calibration_errors, names), names, declared)


def mean_corruption_error(corruption_errors: Floats, names: Sequence[str], declared: CorruptionSet) -> Value:
    """Mean over corruptions of `corruption_error`, at least 0; the baseline itself has 1.

    Args:
        corruption_errors: shape (..., C), what `corruption_error` returns.
        names: of the C entries, in any order.
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
    baseline_errors: Floats, baseline_clean_error: float, names: Sequence[str], threshold: float = SMALL_DENOMINATOR
) -> dict[str, float]:
    """Find the corruptions whose relative error divides by little: the baseline hardly degrades on them.

    Args:
        baseline_errors: shape (C, 5).
        baseline_clean_error: in [0, 1].
        names: of the C rows.
        threshold: of the rise over the clean error, averaged over severities.

    Returns:
        By name, the mean rise that is below the threshold; it may be 0 or negative.

    Raises:
        ValueError: a severity is missing, or the names do not fit the rows.

    >>> small_denominators(np.array([[0.265625] * 5, [0.5] * 5, [0.125] * 5]), 0.25, ["brightness", "fog", "snow"])
    {'brightness': 0.015625, 'snow': -0.125}
    """
    _check_cells(baseline_errors, names)
    rises = rise(baseline_errors, baseline_clean_error) / len(SEVERITIES)
    return {name: float(found) for name, found in zip(names, rises, strict=True) if found < threshold}


def rise(errors: Floats, clean_error: Value) -> NDArray[np.float64]:
    """Sum over severities (..., C) of the errors (..., C, 5) minus the clean error (...).

    >>> rise(np.full((1, 5), 0.5), 0.25)
    array([1.25])
    """
    return np.asarray((errors - np.asarray(clean_error, np.float64)[..., None, None]).sum(axis=-1))


def _check_pair(errors: Floats, baseline_errors: Floats) -> None:
    if errors.shape[-2:-1] != baseline_errors.shape[-2:-1]:
        raise ValueError(f"errors are {errors.shape}, but the baseline's are {baseline_errors.shape}")
    places = [f"corruption {row + 1}" for row in range(errors.shape[-2] if errors.ndim > 1 else 0)]
    _check_cells(errors, places)
    _check_cells(baseline_errors, [f"{place} of the baseline" for place in places])


def _check_cells(cells: Floats, names: Sequence[str]) -> None:
    """Refuse what would average less than five severities of each named row."""
    if cells.ndim < 2 or cells.shape[-1] != len(SEVERITIES):
        raise ValueError(f"errors must be (..., C, 5), all five severities, but they are {cells.shape}")
    if len(names) != cells.shape[-2]:
        raise ValueError(f"{len(names)} names cannot name {cells.shape[-2]} rows")
    unmeasured = np.isnan(cells).reshape(-1, len(names), len(SEVERITIES)).any(axis=0)
    if unmeasured.any():
        row, column = np.argwhere(unmeasured)[0]
        raise ValueError(f"{names[row]} has no number at severity {SEVERITIES[column]}")
