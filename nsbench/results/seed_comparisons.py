"""Groups of networks compared over the seeds they share: whether a difference would outlast other seeds and images."""

from collections.abc import Iterable, Sequence

import numpy as np

from nsbench.errors import UserError
from nsbench.metrics.seed_differences import detectable, difference_intervals, seed_p_value
from nsbench.metrics.seeds import SeedEstimate, seed_estimate, seed_estimate_of_intervals
from nsbench.metrics.uncertainty import holm
from nsbench.results.comparing import SIGNIFICANT, is_headline, paired
from nsbench.results.measure import finite
from nsbench.results.numbers import Number
from nsbench.results.record import SeedComparison
from nsbench.results.seed_groups import Key, SeedGroup, average, unbiased

Found = tuple[SeedComparison, SeedEstimate]


def seed_comparisons(pairs: Iterable[tuple[str, str]], groups: Sequence[SeedGroup]) -> list[SeedComparison]:
    """Groups compared in all headline numbers, wherever networks of theirs are.

    Args:
        pairs: names of candidate and baseline of each comparison between two networks.
        groups: with all their numbers.

    Raises:
        UserError: networks of a pair were measured on other images.
    """
    found = []
    for own, other in group_pairs(pairs, groups):
        found += _corrected(
            [_compare(own, other, key) for key in own.numbers if is_headline(*key) and key in other.numbers]
        )
    return found


def group_pairs(pairs: Iterable[tuple[str, str]], groups: Sequence[SeedGroup]) -> list[tuple[SeedGroup, SeedGroup]]:
    """Candidate's and baseline's group of each pair, once; they share two seeds or more."""
    found: dict[frozenset[str], tuple[SeedGroup, SeedGroup]] = {}
    for pair in pairs:
        own, other = (next((group for group in groups if name in group), None) for name in pair)
        if own and other and own is not other and len(_shared(own, other)) > 1:
            found.setdefault(frozenset((own.name, other.name)), (own, other))
    return list(found.values())


def _shared(own: SeedGroup, other: SeedGroup) -> list[int]:
    return [seed for seed in own.seeds if seed in other.seeds]


def _compare(own: SeedGroup, other: SeedGroup, key: Key) -> Found:
    """One number of two groups, before correction, and the difference it is of."""
    seeds = _shared(own, other)
    mine, theirs = ({seed: group.numbers[key][seed] for seed in seeds} for group in (own, other))
    if not all(paired(mine[seed], theirs[seed]) for seed in seeds):
        raise UserError(
            f"{own.name} and {other.name} were not measured on the same images of {key[0]}: "
            "evaluate both on the same ones."
        )
    difference = _difference(list(mine.values()), list(theirs.values()), seeds)
    low, high = map(finite, difference.both)
    return SeedComparison(
        candidate=own.name,
        baseline=other.name,
        seeds=seeds,
        family=f"{own.name} against {other.name}",
        benchmark=key[0],
        metric=key[1],
        candidate_value=finite(average(mine, seeds).value),
        baseline_value=finite(average(theirs, seeds).value),
        difference=finite(difference.value),
        ci_low=low,
        ci_high=high,
        p_value=_p_value(difference),
        p_holm=None,
        verdict="no evidence",
        detectable=None,
        n=mine[seeds[0]].n,
    ), difference


def _difference(own: list[Number], other: list[Number], seeds: list[int]) -> SeedEstimate:
    """Candidate less baseline, seed by seed, averaged."""
    if any(one.unbiased is not None for one in own):
        (mine, ends), (theirs, other_ends) = unbiased(own), unbiased(other)
        intervals = difference_intervals(mine, ends, theirs, other_ends)
        return seed_estimate_of_intervals(mine - theirs, intervals, seeds, seeds)
    values = np.array([one.value - another.value for one, another in zip(own, other, strict=True)])
    samples = np.stack([one.samples - another.samples for one, another in zip(own, other, strict=True)])
    return seed_estimate(values, samples, seeds, seeds)


def _p_value(difference: SeedEstimate) -> float | None:
    """None where it is undefined or nothing tells the groups apart: no test was made, and Holm counts none."""
    spread = difference.spread
    if spread is None or not any((difference.value, spread.seeds, spread.own, spread.below, spread.above)):
        return None
    return seed_p_value(difference.value, spread)


def _corrected(family: list[Found]) -> list[SeedComparison]:
    """Holm's correction, verdicts, and what each test could have found, over one family."""
    p_values = holm([np.nan if one.p_value is None else one.p_value for one, _ in family])
    level = SIGNIFICANT / max(1, int(np.isfinite(p_values).sum()))
    return [
        one.model_copy(
            update={
                "p_holm": finite(p),
                "verdict": _verdict(one, p),
                "detectable": _detectable(one, difference, level),
            }
        )
        for (one, difference), p in zip(family, p_values, strict=True)
    ]


def _verdict(one: SeedComparison, p_holm: float) -> str:
    if one.ci_low is None or one.ci_high is None or not p_holm < SIGNIFICANT:
        return "no evidence"
    return "better" if one.ci_high < 0 else "worse" if one.ci_low > 0 else "no evidence"


def _detectable(one: SeedComparison, difference: SeedEstimate, level: float) -> float | None:
    return None if one.p_value is None or difference.spread is None else detectable(difference.spread, level)
