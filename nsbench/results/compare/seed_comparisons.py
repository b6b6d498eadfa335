"""Groups of networks compared over the seeds they share: whether a difference would outlast other seeds and images."""

from collections.abc import Iterable, Sequence

import numpy as np

from nsbench.errors import UserError
from nsbench.metrics.mover import mover
from nsbench.metrics.seed_differences import detectable, seed_p_value
from nsbench.metrics.seeds import SeedEstimate, seed_estimate, seed_estimate_of_intervals
from nsbench.metrics.uncertainty import holm
from nsbench.results.compare.pair import paired
from nsbench.results.compare.seed_groups import SeedGroup, average, estimate_of, have_intervals
from nsbench.results.key import Key
from nsbench.results.measure.everything import finite
from nsbench.results.measure.numbers import Number
from nsbench.results.measured import SeedComparison
from nsbench.results.quantities import is_headline
from nsbench.results.verdicts import SIGNIFICANT, verdict

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
            [_compare(own, other, key) for key in own.numbers if is_headline(key) and key in other.numbers]
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
            f"{own.name} and {other.name} were not measured on the same images of {key.benchmark}: "
            "evaluate both on the same ones."
        )
    difference = _difference(list(mine.values()), list(theirs.values()), seeds)
    apart = any(_differ(mine[seed], theirs[seed]) for seed in seeds)
    low, high = map(finite, difference.both)
    return SeedComparison(
        candidate=own.name,
        baseline=other.name,
        seeds=seeds,
        family=f"{own.name} against {other.name}",
        key=key,
        candidate_value=finite(average(mine, seeds).value),
        baseline_value=finite(average(theirs, seeds).value),
        difference=finite(difference.value),
        ci_low=low,
        ci_high=high,
        p_value=seed_p_value(difference.value, difference.spread) if apart and difference.spread else None,
        p_holm=None,
        verdict="no evidence",
        detectable=None,
        n=mine[seeds[0]].n,
    ), difference


def _difference(own: list[Number], other: list[Number], seeds: list[int]) -> SeedEstimate:
    """Candidate less baseline, seed by seed, averaged."""
    if have_intervals([*own, *other]):
        found = [mover(estimate_of(one), estimate_of(another)) for one, another in zip(own, other, strict=True)]
        intervals = np.array([(one.low, one.high) for one in found])
        return seed_estimate_of_intervals(np.array([one.value for one in found]), intervals, seeds, seeds)
    values = np.array([one.value - another.value for one, another in zip(own, other, strict=True)])
    samples = np.stack([one.samples - another.samples for one, another in zip(own, other, strict=True)])
    return seed_estimate(values, samples, seeds, seeds)


def _differ(own: Number, other: Number) -> bool:
    """Whether two networks differ on any image; where they do not, there is nothing to test, and Holm counts none."""
    return own.value != other.value or bool((own.samples != other.samples).any())


def _corrected(family: list[Found]) -> list[SeedComparison]:
    """Holm's correction, verdicts, and what each test could have found, over one family."""
    p_values = holm([np.nan if one.p_value is None else one.p_value for one, _ in family])
    level = SIGNIFICANT / max(1, int(np.isfinite(p_values).sum()))
    found = []
    for (one, difference), p_holm in zip(family, p_values, strict=True):
        could = None if one.p_value is None or difference.spread is None else detectable(difference.spread, level)
        judged = one.model_copy(update={"p_holm": finite(p_holm), "detectable": could})
        found.append(judged.model_copy(update={"verdict": verdict(judged.p_holm, judged.ci_low, judged.ci_high)}))
    return found
