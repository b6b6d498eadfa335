"""When two versions of a set are the same set: explicit criteria, and what misses them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fidelity_comparison import PIXEL_QUANTITIES, Comparison
from fidelity_equivalence import Mean, means, shown
from fidelity_statistics import Agreement, chi_square_p_value, rejected, sampling_half_width

LARGEST_DIFFERENCE = 1
"""Levels by which any pixel may differ where nothing is random."""
SCORE_TOLERANCE = 0.01
"""By which an error or a flip probability may differ where nothing is random; a level may tip a prediction."""
LEVEL_TOLERANCE = 0.25
"""Levels by which mean, spread and distance may be seen to differ where something is random: their 95 % intervals must
come this near to 0."""
FAMILY_LEVEL = 0.05
"""Chance that any random set is rejected by its score if all are alike, by Holm's procedure."""
CHI_SQUARE_LEVEL = 0.01
"""Least p-value of the scores of all random sets together."""


@dataclass(frozen=True)
class Verdict:
    """What the criteria say."""

    misses: tuple[str, ...]
    """A sentence each; () where all is well."""
    means: tuple[Mean, ...]
    """Differences of the means over sets."""
    shown: Mapping[str, tuple[int, int]]
    """For "corruptions" and "perturbations" with random numbers, the sets shown to be equivalent, and all."""
    family: int
    """Random sets whose scores are searched together for a difference."""
    chi_square: float
    """The p-value of their scores together."""


def judge(comparisons: Sequence[Comparison], replayed: Mapping[str, Agreement]) -> Verdict:
    """Apply the criteria.

    Args:
        comparisons: comparisons of all sets.
        replayed: perturbation -> how far ours are from the published frames of the same random numbers.
    """
    family = [found for found in comparisons if found.cell.random and not found.cell.variant]
    averaged = means(comparisons)
    chi_square = chi_square_p_value([found.differences["score"].standard_score for found in family]) if family else 1.0
    misses = [miss for found in comparisons for miss in _misses(found)]
    misses += [miss for name, apart in replayed.items() for miss in _replayed_apart(name, apart)]
    misses += [miss for mean in averaged for miss in _not_shown(mean)]
    misses += _differing(family)
    if chi_square < CHI_SQUARE_LEVEL:
        misses.append(f"all random sets together: the p-value of their scores is {chi_square:.1e}")
    return Verdict(tuple(misses), averaged, _counts(family), len(family), chi_square)


def _counts(family: Sequence[Comparison]) -> dict[str, tuple[int, int]]:
    """See `Verdict.shown`."""
    groups = {
        "corruptions": [found for found in family if found.cell.severity],
        "perturbations": [found for found in family if not found.cell.severity],
    }
    return {name: (sum(map(shown, group)), len(group)) for name, group in groups.items() if group}


def _differing(family: Sequence[Comparison]) -> list[str]:
    """Random sets that are found to differ."""
    scores = [found.differences["score"] for found in family]
    return [
        f"{family[position].cell}: score differs by {scores[position].value:+.4f}, p = {scores[position].p_value:.1e}"
        for position in rejected([score.p_value for score in scores], FAMILY_LEVEL)
    ]


def _not_shown(mean: Mean) -> list[str]:
    if mean.equivalent or not mean.counts:
        return []
    apart = f"{mean.difference.value:+.4f} ± {mean.difference.half_width_90:.4f}"
    return [f"mean {mean.title}: not shown to be within {mean.margin:g}, at {apart}"]


def _replayed_apart(name: str, apart: Agreement) -> list[str]:
    if apart.largest <= LARGEST_DIFFERENCE:
        return []
    return [f"{name} sequences of the same random numbers: pixels differ by up to {apart.largest} levels"]


def _misses(found: Comparison) -> list[str]:
    """What a set misses by itself."""
    if found.cell.variant == "own textures":
        return _outside_sampling(found)
    return _levels_apart(found) if found.cell.random else _pixels_apart(found)


def _pixels_apart(found: Comparison) -> list[str]:
    assert found.agreement is not None
    misses = []
    if found.agreement.largest > LARGEST_DIFFERENCE:
        share = f"{found.agreement.more:.3%} of pixels by more than one"
        misses.append(f"{found.cell}: pixels differ by up to {found.agreement.largest} levels, {share}")
    if abs(found.differences["score"].value) > SCORE_TOLERANCE:
        misses.append(f"{found.cell}: score differs by {found.differences['score'].value:+.4f}")
    return misses


def _levels_apart(found: Comparison) -> list[str]:
    return [
        f"{found.cell}: {name} differs by {apart.value:+.3f} levels, more than {apart.half_width:.3f} by chance"
        for name, apart in found.differences.items()
        if name in PIXEL_QUANTITIES and abs(apart.value) > apart.half_width + LEVEL_TOLERANCE
    ]


def _outside_sampling(found: Comparison) -> list[str]:
    """Frost of our own textures is another set: its error must lie where another 500 images could have put it."""
    apart, allowed = found.differences["score"].value, sampling_half_width(found.published.score)
    return [f"{found.cell}: score differs by {apart:+.4f}, beyond {allowed:.4f}"] if abs(apart) > allowed else []
