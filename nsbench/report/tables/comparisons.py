"""Paired comparisons of two models on the same images: what a comparison says, and the tables of them."""

from collections import Counter
from collections.abc import Iterator

from nsbench.report.lookup import Lookup
from nsbench.report.prose.wording import listed, plural, probability_text
from nsbench.report.quantities import Quantity, quantity
from nsbench.report.tables.table import (
    MOST_ROWS,
    UNDEFINED,
    Column,
    Row,
    Table,
    TableCell,
    bounded,
    full_columns,
    number_text,
    words,
)
from nsbench.results.measured import Comparison, SeedComparison

SIGNIFICANT = 0.05
Compared = Comparison | SeedComparison
HOLM = (
    "The p-value p is two-sided; p (Holm) is corrected by Holm's method over the comparisons of a family, {families}. "
    f"A difference is called one when p (Holm) < {SIGNIFICANT} and the interval excludes zero. Could have found: the "
    "smallest true difference that the test would have called one with 80 % power, at the level that its family leaves "
    "to one comparison. No difference shown does not mean equal."
)
TESTS = {
    "McNemar": "McNemar's exact test for errors of classification",
    "paired bootstrap": "the paired bootstrap",
    "MOVER": "MOVER on the intervals of both for calibration errors",
}
READINGS = {
    "better": "better",
    "worse": "worse",
    "no evidence": "no difference shown",
    "unknown": "not comparable",
}
ONE_FAMILY = "all comparisons"


def reading(found: Compared) -> str:
    """The verdict of the record; `unknown` where a number, its interval or the p-value of a test is undefined."""
    needed = (found.difference, found.ci_low, found.ci_high)
    uncorrected = found.p_holm is None and found.p_value is not None
    return "unknown" if None in needed or uncorrected else found.verdict


def change(found: Compared, shown: Quantity) -> str:
    """The difference with its sign and its unit."""
    if found.difference is None:
        return UNDEFINED
    text = number_text(found.difference * shown.scale, shown.decimals, signed=True)
    return f"{text} points" if shown.unit else text


def evidence(found: Compared, shown: Quantity) -> str:
    """Interval, corrected p-value and count of images, to stand in brackets after a difference."""
    facts = []
    if found.ci_low is not None and found.ci_high is not None:
        ends = (number_text(end * shown.scale, shown.decimals, signed=True) for end in (found.ci_low, found.ci_high))
        facts.append("95 % interval " + " to ".join(ends))
    if found.p_holm is not None:
        test = f"{found.test} " if isinstance(found, Comparison) else ""
        facts.append(f"{test}{probability_text(found.p_holm)} after Holm's correction")
    elif found.difference == 0:
        facts.append("they differ on no image")
    return ", ".join([*facts, f"n = {found.n:,}"])


def compact(found: Compared, shown: Quantity) -> str:
    """Difference, interval and corrected p-value in few words, for a list of several numbers."""
    cell = difference(found, shown)
    test = "" if found.p_holm is None else f", {probability_text(found.p_holm)}"
    return f"{change(found, shown)}{' ' if cell.interval else ''}{cell.interval}{test}"


def missable(found: Compared, shown: Quantity) -> str:
    """From where on a difference is detectable, as words to follow one that was not found."""
    if found.detectable is None:
        return ""
    unit = " points" if shown.unit else ""
    return f", detectable from {number_text(found.detectable * shown.scale, shown.decimals)}{unit}"


def probability(value: float | None) -> TableCell:
    """A p-value; never 0.000."""
    if value is None:
        return TableCell(UNDEFINED)
    return TableCell("<0.001" if value < 0.001 else number_text(value, 3), value)


def difference(found: Compared, shown: Quantity) -> TableCell:
    """Candidate minus baseline with its interval, in the unit of the number."""
    ends = (found.difference, found.ci_low, found.ci_high)
    value, low, high = (None if end is None else end * shown.scale for end in ends)
    return bounded(value, low, high, shown.decimals, signed=True)


def over_seeds(lookup: Lookup) -> Table | None:
    """Groups of networks compared over their seeds; nothing where a run trained each network once."""
    found = lookup.results.seed_comparisons
    if not found:
        return None
    counts = sorted({len(one.seeds) for one in found})
    trainings = f"{listed([str(count) for count in counts])} training runs"
    caption = (
        f"Networks trained {listed([str(count) for count in counts])} times each, from the same seeds; a seed's "
        "networks share split and images, so the difference is taken seed by seed and averaged. Its 95 % interval and "
        f"p are over both seeds and images: they cover retraining as well as other test images. "
        f"{how_to_read(found)}"
    )
    rows = family_rows(lookup, list(found))
    return Table("seed_comparisons", f"Comparisons over {trainings}", caption, *full_columns(columns(), rows), [])


def comparisons(lookup: Lookup) -> list[Table]:
    """Every comparison of two single models, by the question that it helps to answer.

    Folded after the comparisons over seeds; without those, students against their controls stay open where all would
    be too long.
    """
    found = lookup.results.comparisons
    controlled = [one for one in found if against_control(lookup, one)]
    if lookup.results.seed_comparisons or len(found) <= MOST_ROWS or not controlled:
        return [
            *single_table(lookup, "comparisons", "Paired comparisons", found, bool(lookup.results.seed_comparisons))
        ]
    rest = [one for one in found if one not in controlled]
    return [
        *single_table(lookup, "control_comparisons", "Students against their controls", controlled, False),
        *single_table(lookup, "comparisons", "All other paired comparisons", rest, True),
    ]


def against_control(lookup: Lookup, found: Comparison) -> bool:
    """Whether this is a student against its own control."""
    student = lookup.checkpoint(found.candidate)
    return student is not None and str(lookup.control(student)) == found.baseline


def single_table(lookup: Lookup, identifier: str, title: str, found: list[Comparison], folded: bool) -> Iterator[Table]:
    """A table of comparisons of single models; nothing where there are none."""
    if not found:
        return
    tests = {one.test for one in found}
    caption = (
        "Both on the same images; difference: candidate minus other, with its paired 95 % interval in brackets. It is "
        "about these two sets of weights and other images, and leaves out what another training run would give. Tested "
        f"by {listed([text for name, text in TESTS.items() if name in tests])}. {how_to_read(found)}"
    )
    kept = full_columns(columns(), family_rows(lookup, list(found)))
    yield Table(identifier, f"{title}, one training run each", caption, *kept, [], folded)


def how_to_read(found: list[Comparison] | list[SeedComparison]) -> str:
    """Direction, correction and power, as sentences."""
    families = dict.fromkeys(one.family for one in found)
    lone = f"here all {len(found):,} of this record"
    several = "named above its rows"
    lower = "Lower is better throughout, so a negative difference speaks for the candidate."
    return f"{lower} {HOLM.format(families=lone if len(families) == 1 else several)}"


def columns() -> list[Column]:
    """Columns of both tables."""
    values = [Column(name) for name in ("Candidate's", "Other's", "Difference", "p", "p (Holm)", "Could have found")]
    return [Column("Number", numeric=False), *values, Column("Candidate is", numeric=False)]


def family_rows(lookup: Lookup, found: list[Compared]) -> list[Row]:
    """One row a comparison, those of one pair in one family together under a heading."""
    families = Counter(one.family for one in found)
    pairs: dict[tuple[str, str, str], list[Compared]] = {}
    for one in sorted(found, key=lambda one: list(families).index(one.family)):
        pairs.setdefault((one.family, one.candidate, one.baseline), []).append(one)
    rows = []
    for (family, *pair), ones in pairs.items():
        name = lookup.label_of if isinstance(ones[0], Comparison) else lookup.group_label
        heading = " against ".join(map(name, pair))
        if families[family] == len(ones) and family != ONE_FAMILY:
            heading += f" (a family of {plural(len(ones), 'comparison')})"
        elif len(families) > 1 or family != ONE_FAMILY:
            heading += f" (family: {family}, {plural(families[family], 'comparison')})"
        rows += [comparison_row(lookup, one, "" if place else heading) for place, one in enumerate(ones)]
    return rows


def comparison_row(lookup: Lookup, found: Compared, heading: str) -> Row:
    """One comparison."""
    shown = quantity(lookup, found.key, found.n)
    scaled = [
        None if value is None else value * shown.scale
        for value in (found.candidate_value, found.baseline_value, found.detectable)
    ]
    own, other, power = (bounded(value, None, None, shown.decimals) for value in scaled)
    tests = [probability(found.p_value), probability(found.p_holm), power, words(READINGS[reading(found)])]
    return Row([words(shown.title, f"n = {found.n:,}"), own, other, difference(found, shown), *tests], heading=heading)
