"""A table as data: every cell holds its number, its interval and its footnote marks."""

from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from nsbench.results.measured import Measurement

UNDEFINED = "\N{EN DASH}"
MOST_ROWS = 40
"""A table with more rows may be folded, and a folded one shows no more of them in Markdown."""
Emphasis = Literal["", "reference", "mean", "aside"]


@dataclass(frozen=True)
class TableCell:
    """One printed cell; `number`, `low` and `high` are in the printed unit."""

    text: str
    number: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str = ""
    marks: tuple[str, ...] = ()
    aside: str = ""


@dataclass(frozen=True)
class Column:
    """A heading; columns that share a `group` stand under one common heading."""

    heading: str
    unit: str = ""
    group: str = ""
    numeric: bool = True
    marks: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The whole heading in one line, for Markdown and CSV."""
        heading = f"{self.group}: {self.heading}" if self.group else self.heading
        return f"{heading} ({self.unit})" if self.unit else heading


@dataclass(frozen=True)
class Row:
    """Cells in the order of the columns; `heading` opens a group of rows."""

    cells: list[TableCell]
    emphasis: Emphasis = ""
    heading: str = ""


@dataclass
class Notes:
    """Footnotes of one table or figure, each text once, marked a, b, c, ..."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str | None) -> tuple[str, ...]:
        """The mark to print beside a number; empty without a note."""
        if not text:
            return ()
        if text not in self.texts:
            self.texts.append(text)
        return (letters(self.texts.index(text)),)

    def marked(self) -> list[tuple[str, str]]:
        """Pairs of mark and text."""
        return [(letters(index), text) for index, text in enumerate(self.texts)]


@dataclass(frozen=True)
class Table:
    """A table with a caption that says how to read it; the first column names the row."""

    identifier: str
    title: str
    caption: str
    columns: list[Column]
    rows: list[Row]
    notes: list[tuple[str, str]]
    folded: bool = False
    """Whether the page shows it only on demand."""


def column_groups(columns: list[Column]) -> list[tuple[str, int]]:
    """Neighbouring columns under one heading, as pairs of the heading and how many it spans."""
    return [(group, len(list(found))) for group, found in groupby(columns, key=lambda column: column.group)]


def letters(index: int) -> str:
    """A, b, ..., z, aa, ab, ... in lower case.

    >>> letters(0), letters(25), letters(26)
    ('a', 'z', 'aa')
    """
    before, last = divmod(index, 26)
    return (letters(before - 1) if before else "") + chr(ord("a") + last)


def number_text(value: float, places: int, signed: bool = False) -> str:
    """A number with a true minus sign and a fixed count of decimals.

    >>> number_text(-0.04, 1), number_text(1234.5, 1), number_text(2.0, 1, signed=True)
    ('0.0', '1,234.5', '+2.0')
    """
    rounded = round(value, places) + 0.0
    return f"{rounded:{'+' if signed and rounded else ''},.{places}f}".replace("-", "\N{MINUS SIGN}")


def thousands(value: int) -> str:
    """A large count in three digits.

    >>> thousands(950), thousands(75386), thousands(350080), thousands(999_600), thousands(12_345_678)
    ('950', '75.4k', '350k', '1M', '12.3M')
    """
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size * 0.9995:
            return f"{float(f'{value / size:.3g}'):g}{unit}"
    return str(value)


def places(n: int) -> int:
    """Decimals of a percentage that n images support: the standard error at n = 5,000 is at most 0.7 points."""
    return 2 if n >= 5000 else 1


def count(value: int) -> TableCell:
    """A whole number."""
    return TableCell(f"{value:,}", float(value))


def magnitude(value: int) -> TableCell:
    """A large whole number in thousands or millions."""
    return TableCell(thousands(value), float(value))


def estimate(found: Measurement | None) -> Measurement | None:
    """The number to print: of a calibration error the median-unbiased value, where the record has it."""
    if found is None or found.unbiased is None:
        return found
    return found.model_copy(update={"value": found.unbiased})


def alone(found: Measurement | None, value: float | None) -> Measurement | None:
    """A value that belongs to a measurement, such as its noise floor, without the measurement's interval and note."""
    if found is None or value is None:
        return None
    return found.model_copy(update={"value": value, "ci_low": None, "ci_high": None, "note": None})


def words(text: str, aside: str = "") -> TableCell:
    """A cell of text, with a second, smaller line."""
    return TableCell(text, aside=aside)


def scaled(found: Measurement, scale: float, complement: bool) -> tuple[float | None, float | None, float | None]:
    """Value and interval times `scale`; the complement of an error is an accuracy, its ends change places."""
    ends = (found.value, found.ci_high, found.ci_low) if complement else (found.value, found.ci_low, found.ci_high)
    value, low, high = ((1 - end if complement else end) if end is not None else None for end in ends)
    return tuple(end * scale if end is not None else None for end in (value, low, high))  # type: ignore[return-value]  # three ends in, three out


def measured(
    found: Measurement | None,
    notes: Notes,
    decimals: int,
    scale: float = 100,
    complement: bool = False,
    baseline: bool = False,
) -> TableCell:
    """A measurement as a cell: percent by default, its interval in brackets, its note as a footnote mark.

    A ratio to the baseline is 100 % for the baseline itself by definition: `baseline` says so instead of an interval.
    """
    if found is None:
        return TableCell(UNDEFINED)
    marks = notes.mark(found.note)
    value, low, high = scaled(found, scale, complement)
    if value is None:
        return TableCell(UNDEFINED, marks=marks)
    if baseline:
        return TableCell(number_text(value, decimals), value, marks=marks, aside="by definition")
    return bounded(value, low, high, decimals, marks=marks)


def bounded(
    value: float | None,
    low: float | None,
    high: float | None,
    decimals: int,
    signed: bool = False,
    marks: tuple[str, ...] = (),
) -> TableCell:
    """A number in its printed unit, its interval in brackets where it has one."""
    if value is None:
        return TableCell(UNDEFINED, marks=marks)
    text = number_text(value, decimals, signed)
    if low is None or high is None:
        return TableCell(text, value, marks=marks)
    interval = f"[{number_text(low, decimals, signed)}, {number_text(high, decimals, signed)}]"
    return TableCell(text, value, low, high, interval, marks)


def full_columns(columns: list[Column], rows: list[Row]) -> tuple[list[Column], list[Row]]:
    """The table without the numeric columns in which no row has anything to print."""
    kept = [
        place
        for place, column in enumerate(columns)
        if not column.numeric or any(row.cells[place].text != UNDEFINED or row.cells[place].marks for row in rows)
    ]
    return [columns[place] for place in kept], [replace(row, cells=[row.cells[p] for p in kept]) for row in rows]


def turned(table: Table, heading: str, emphases: list[Emphasis], naming: int = 1) -> Table:
    """The table with a row for each of its columns, where those are too many to stand side by side.

    Args:
        table: its first `naming` columns name a row, the others are models.
        heading: heading of the new first column.
        emphases: emphases of the new rows, in the order of the models.
        naming: one or two; the first of two becomes the common heading of neighbouring columns.
    """
    columns = [Column(heading, numeric=False)]
    for row in table.rows:
        *group, last = row.cells[:naming]
        above = group[0].text if group else ""
        columns.append(Column(last.text, last.aside or table.columns[naming].unit, above))
    rows = [
        Row([TableCell(column.heading, marks=column.marks), *(row.cells[place] for row in table.rows)], emphasis)
        for place, (column, emphasis) in enumerate(zip(table.columns[naming:], emphases, strict=True), naming)
    ]
    return replace(table, columns=columns, rows=rows)
