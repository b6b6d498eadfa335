"""The relative corruption error as one ratio of sums, which no single corruption can upset."""

from collections.abc import Sequence

from nsbench.metrics.classification import Floats, Value, ratio
from nsbench.metrics.corruption import CorruptionSet, check_pair, rise


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
        errors: shape (..., C, S).
        clean_error: shape (...), on the same resamples.
        baseline_errors: the same corruptions in the same order, (..., C, S) or (C, S).
        baseline_clean_error: shape (...).
        names: names of the C rows, in any order.
        declared: what the sums are over.

    Returns:
        Shape (...), of either sign; nan where the baseline's sum is exactly 0.

    Raises:
        ValueError: the rows are not exactly the declared ones, a severity is missing, or the two differ in their rows.

    >>> import numpy as np
    >>> from nsbench.metrics.corruption import corruption_set
    >>> own, base = np.array([[0.5] * 5, [0.25] * 5]), np.array([[0.75] * 5, [0.25] * 5])
    >>> pooled_relative_corruption_error(own, 0.25, base, 0.25, ["fog", "snow"], corruption_set(["fog", "snow"]))
    0.5
    """
    check_pair(errors, baseline_errors, declared.severities)
    declared.require(names, errors.shape[-2])
    return ratio(rise(errors, clean_error).sum(axis=-1), rise(baseline_errors, baseline_clean_error).sum(axis=-1))
