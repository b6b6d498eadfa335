"""When two versions of a set are the same set: explicit criteria, and what misses them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fidelity_cells import Cell
from fidelity_statistics import (
    Agreement,
    Difference,
    Summary,
    chi_square_p_value,
    difference,
    rejected,
    sampling_half_width,
)

LARGEST_DIFFERENCE = 1
"""Levels by which any pixel may differ where nothing is random."""
SCORE_TOLERANCE = 0.01
"""By which an error or a flip probability may differ where nothing is random; a level may tip a prediction."""
LEVEL_TOLERANCE = 0.25
"""Levels by which mean, spread and distance may differ where something is random, beyond their 95 % interval."""
FAMILY_LEVEL = 0.05
"""Chance that any random set is rejected by its score if all are alike, by Holm's procedure."""
CHI_SQUARE_LEVEL = 0.01
"""Least p-value of the scores of all random sets together."""

PIXEL_QUANTITIES = ("mean", "spread", "distance")


@dataclass(frozen=True)
class Comparison:
    """Both versions of a set."""

    cell: Cell
    published: Summary
    ours: Summary
    agreement: Agreement | None
    """Pixel by pixel; None where something is random."""

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Of every quantity of a Summary."""
        names = (*PIXEL_QUANTITIES, "score")
        return {name: difference(getattr(self.published, name), getattr(self.ours, name)) for name in names}

    def published_value(self, quantity: str) -> float:
        """Mean over images and draws."""
        return float(getattr(self.published, quantity).mean())


@dataclass(frozen=True)
class Verdict:
    """What the criteria say."""

    misses: tuple[str, ...]
    """A sentence each; () where all is well."""
    family: int
    """Random sets whose scores are judged together."""
    chi_square: float
    """The p-value of their scores together."""
    outside: int
    """How many lie outside their own 95 % interval, which about one in twenty does by chance."""


def judge(comparisons: Sequence[Comparison]) -> Verdict:
    """Apply the criteria."""
    family = [found for found in comparisons if found.cell.random and not found.cell.variant]
    scores = [found.differences["score"] for found in family]
    chi_square = chi_square_p_value([score.standard_score for score in scores]) if scores else 1.0
    misses = [miss for found in comparisons for miss in _misses(found)]
    for position in rejected([score.p_value for score in scores], FAMILY_LEVEL):
        score = scores[position]
        misses.append(f"{family[position].cell}: score differs by {score.value:+.4f}, p = {score.p_value:.1e}")
    if chi_square < CHI_SQUARE_LEVEL:
        misses.append(f"all random sets together: the p-value of their scores is {chi_square:.1e}")
    outside = sum(abs(score.value) > score.half_width for score in scores)
    return Verdict(tuple(misses), len(family), chi_square, outside)


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
