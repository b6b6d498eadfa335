"""Paired comparisons of two models on the same images: what a comparison says, and the table of them."""

from nsbench.report.cells import UNDEFINED, Cell, Column, Row, Table, bounded, number_text, places, words
from nsbench.report.lookup import Lookup
from nsbench.report.quantities import Quantity, quantity
from nsbench.report.wording import probability_text
from nsbench.results.record import Comparison

SIGNIFICANT = 0.05
HOLM = (
    "p-values are two-sided and corrected by Holm's method for all {over}; a difference is "
    f"called one when the corrected p < {SIGNIFICANT} and the interval excludes zero"
)
READINGS = {
    "better": "better",
    "worse": "worse",
    "no evidence": "no difference shown",
    "unknown": "not comparable",
}


def reading(found: Comparison) -> str:
    """The verdict of the record; `unknown` where a number, its interval or the p-value of a test is undefined."""
    needed = (found.difference, found.ci_low, found.ci_high)
    uncorrected = found.p_holm is None and found.p_value is not None
    return "unknown" if None in needed or uncorrected else found.verdict


def evidence(found: Comparison) -> str:
    """Interval, corrected p-value and count of images, to stand in brackets behind a difference in percent."""
    facts = []
    if found.ci_low is not None and found.ci_high is not None:
        ends = (number_text(end * 100, places(found.n), signed=True) for end in (found.ci_low, found.ci_high))
        facts.append("95 % interval " + " to ".join(ends))
    if found.p_holm is not None:
        facts.append(f"{found.test} {probability_text(found.p_holm)} after Holm's correction")
    elif found.difference == 0:
        facts.append("no image tells them apart")
    return ", ".join([*facts, f"n = {found.n:,}"])


def holm(lookup: Lookup) -> str:
    """How the verdicts of this record were reached, without a full stop."""
    found = lookup.results.comparisons
    one_family = len({one.family for one in found}) < 2
    over = f"{len(found):,} comparisons of this record" if one_family else "comparisons that answer one question"
    return HOLM.format(over=over)


def probability(value: float | None) -> Cell:
    """A p-value; never 0.000."""
    if value is None:
        return Cell(UNDEFINED)
    return Cell("<0.001" if value < 0.001 else number_text(value, 3), value)


def difference(found: Comparison, shown: Quantity) -> Cell:
    """Candidate minus baseline with its interval, in the unit of the number."""
    ends = (found.difference, found.ci_low, found.ci_high)
    value, low, high = (None if end is None else end * shown.scale for end in ends)
    return bounded(value, low, high, shown.decimals, signed=True)


def comparisons(lookup: Lookup, told: list[Comparison]) -> Table | None:
    """Every comparison of the record but those already `told` in another table, by what is compared."""
    left = [one for one in lookup.results.comparisons if one not in told]
    if not left:
        return None
    columns = [Column("Candidate", numeric=False), Column("Baseline", numeric=False)]
    columns += [Column("Candidate's"), Column("Baseline's"), Column("Difference"), Column("p (Holm)")]
    columns += [Column("Candidate is", numeric=False)]
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for one in left:
        groups.setdefault((one.benchmark, one.metric), []).append(one)
    rows = [row for found in groups.values() for row in group_rows(lookup, found)]
    tests = {one.test for one in left}
    how = {"McNemar": "McNemar's exact test for errors of classification", "paired bootstrap": "the paired bootstrap"}
    caption = (
        "Both on the same images; difference: candidate minus baseline, with its paired 95 % bootstrap interval in "
        "brackets. Lower is better throughout, so a negative difference speaks for the candidate. Tested by "
        f"{' and '.join(text for name, text in how.items() if name in tests)}; {holm(lookup)}. "
        "No difference shown does not mean equal."
    )
    return Table("comparisons", "Paired comparisons", caption, columns, rows, [])


def group_rows(lookup: Lookup, found: list[Comparison]) -> list[Row]:
    """Rows on one number; the first opens the group with the number's name, its unit and the count of images."""
    first = found[0]
    shown = quantity(lookup, first.benchmark, first.metric, first.n)
    heading = f"{shown.title}, n = {first.n:,}"
    return [comparison_row(lookup, one, shown, "" if place else heading) for place, one in enumerate(found)]


def comparison_row(lookup: Lookup, found: Comparison, shown: Quantity, heading: str) -> Row:
    """One comparison."""
    values = [
        bounded(None if value is None else value * shown.scale, None, None, shown.decimals)
        for value in (found.candidate_value, found.baseline_value)
    ]
    named = [words(lookup.label_of(name)) for name in (found.candidate, found.baseline)]
    ends = [difference(found, shown), probability(found.p_holm), words(READINGS[reading(found)])]
    return Row([*named, *values, *ends], heading=heading)
