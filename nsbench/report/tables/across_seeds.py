"""Means over networks that differ in their seed alone, with both sources of chance named."""

from collections.abc import Iterable

from nsbench.report.lookup import Lookup
from nsbench.report.quantities import Quantity, quantity
from nsbench.report.tables.table import UNDEFINED, Column, Row, Table, TableCell, bounded, number_text, words
from nsbench.results.key import Key
from nsbench.results.measured import SeedMean
from nsbench.results.quantities import HEADLINES

HOW = (
    "The mean over networks whose training differs only in the seed. Chance has two sources: which test images were "
    "drawn, and which seed a network was trained with. The interval beside the mean is over both; images alone: these "
    "networks given; seeds alone: these images given. Few seeds say little about their spread."
)


def seed_means(lookup: Lookup) -> list[Table]:
    """Headline numbers averaged over seeds, then every other number, folded; nothing where a run has one seed."""
    groups: dict[Key, list[SeedMean]] = {}
    for one in lookup.results.seed_means:
        groups.setdefault(one.key, []).append(one)
    first = {key: groups[key] for known in HEADLINES for key in groups if known.of(key)}
    rest = {key: found for key, found in groups.items() if key not in first}
    tables = [means_table(lookup, "seeds", "Means over seeds", first.values())]
    tables.append(means_table(lookup, "seed_means", "Means over seeds, all other numbers", rest.values(), folded=True))
    return [table for table in tables if table.rows]


def means_table(
    lookup: Lookup, identifier: str, title: str, groups: Iterable[list[SeedMean]], folded: bool = False
) -> Table:
    """One row a mean, by what is averaged."""
    columns = [Column("Networks", numeric=False), Column("Seeds"), Column("Mean")]
    columns += [Column("images alone", group="95 % interval"), Column("seeds alone", group="95 % interval")]
    rows = [row for found in groups for row in group_rows(lookup, found)]
    return Table(identifier, title, HOW, columns, rows, [], folded)


def group_rows(lookup: Lookup, found: list[SeedMean]) -> list[Row]:
    """Rows on one number; the first opens the group with the number's name, its unit and the count of images."""
    first = found[0]
    shown = quantity(lookup, first.key, first.n)
    heading = f"{shown.title}, n = {first.n:,}"
    return [mean_row(lookup, one, shown, "" if place else heading) for place, one in enumerate(found)]


def mean_row(lookup: Lookup, found: SeedMean, shown: Quantity, heading: str) -> Row:
    """One mean with its three intervals."""

    def printed(value: float | None) -> float | None:
        return None if value is None else value * shown.scale

    both = bounded(printed(found.value), printed(found.ci_low), printed(found.ci_high), shown.decimals)
    seeds = TableCell(f"{len(found.seeds)}", float(len(found.seeds)), aside=", ".join(map(str, found.seeds)))
    alone = [
        interval(printed(low), printed(high), shown)
        for low, high in ((found.image_low, found.image_high), (found.seed_low, found.seed_high))
    ]
    return Row([words(lookup.group_label(found.group)), seeds, both, *alone], heading=heading)


def interval(low: float | None, high: float | None, shown: Quantity) -> TableCell:
    """An interval without its number."""
    if low is None or high is None:
        return TableCell(UNDEFINED)
    text = " to ".join(number_text(end, shown.decimals) for end in (low, high))
    return TableCell(text, low=low, high=high)
