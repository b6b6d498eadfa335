"""Two numbers on the same images compared: paired difference, interval, p-value, and a verdict after correction."""

from collections.abc import Sequence

import numpy as np

from nsbench.errors import UserError
from nsbench.metrics.proportions import share_interval
from nsbench.metrics.uncertainty import detectable_difference, holm, mcnemar_p_value, paired_p_value
from nsbench.results.measure.calibrated import compare_calibrated
from nsbench.results.measure.everything import ends, finite
from nsbench.results.measure.numbers import Number
from nsbench.results.measured import Comparison
from nsbench.results.verdicts import SIGNIFICANT, verdict


def compare(candidate: str, own: Number, baseline: str, other: Number) -> Comparison:
    """Compare one number of two models on shared resamples, before correction.

    A share of misclassified images is tested by McNemar's exact test, a calibration error by MOVER, anything else by
    the paired bootstrap. Where the two differ on no image, there is nothing to test.

    Raises:
        UserError: they were measured on other images.
    """
    assert own.key == other.key
    if not paired(own, other):
        raise UserError(
            f"{candidate} and {baseline} were not measured on the same images of {own.key.benchmark}: "
            "evaluate both on the same ones."
        )
    if own.unbiased is not None and other.unbiased is not None:
        return compare_calibrated(candidate, own, baseline, other)
    differences = own.samples - other.samples
    apart = _differ(own, other, differences)
    low, high = ends(differences) if apart or own.wrong is None else _unseen(own.n)
    p_value = finite(_p_value(own, other, differences)) if apart else None
    exact = own.wrong is not None and other.wrong is not None
    return Comparison(
        candidate=candidate,
        baseline=baseline,
        key=own.key,
        candidate_value=finite(own.value),
        baseline_value=finite(other.value),
        difference=finite(own.value - other.value),
        ci_low=low,
        ci_high=high,
        test="McNemar" if exact else "paired bootstrap",
        p_value=p_value,
        p_holm=None,
        verdict="no evidence",
        n=own.n,
    )


def paired(own: Number, other: Number) -> bool:
    """Whether two numbers are of the same images."""
    return own.n == other.n and own.image_identity == other.image_identity


def _differ(own: Number, other: Number, differences: np.ndarray) -> bool:
    """Whether the two differ on any image."""
    if own.wrong is not None and other.wrong is not None:
        return not np.array_equal(own.wrong, other.wrong)
    return own.value != other.value or bool(differences.any())


def _unseen(n: int) -> tuple[float, float]:
    """Interval of a difference of shares that none of n images showed, in either direction."""
    most = share_interval(0, n)[1]
    return -most, most


def _p_value(own: Number, other: Number, differences: np.ndarray) -> float:
    if own.wrong is not None and other.wrong is not None:
        return mcnemar_p_value(own.wrong, other.wrong)
    return paired_p_value(differences)


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with Holm's correction over each family, their verdicts, and what they could have found."""
    found = list(comparisons)
    for family in dict.fromkeys(one.family for one in comparisons):
        places = [place for place, one in enumerate(comparisons) if one.family == family]
        p_values = [np.nan if (p := comparisons[place].p_value) is None else p for place in places]
        tests = int(np.count_nonzero(~np.isnan(p_values)))
        for place, p_holm in zip(places, holm(p_values), strict=True):
            found[place] = _judged(comparisons[place], finite(p_holm), tests)
    return found


def _judged(one: Comparison, p_holm: float | None, tests: int) -> Comparison:
    """A comparison corrected for how many were tested in its family."""
    detectable = None
    if p_holm is not None and one.ci_low is not None and one.ci_high is not None:
        detectable = detectable_difference(one.ci_high - one.ci_low, SIGNIFICANT / tests)
    found = one.model_copy(update={"p_holm": p_holm, "detectable": detectable})
    return found.model_copy(update={"verdict": verdict(p_holm, one.ci_low, one.ci_high)})
