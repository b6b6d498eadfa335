"""Text and tables as Markdown, safe for any name a record may hold."""

import re

from nsbench.errors import printable
from nsbench.report.tables.table import MOST_ROWS, Table, TableCell


class Markdown(str):
    """Text that is Markdown already and must not be escaped again."""

    __slots__ = ()


def escape_markdown(value: object) -> str:
    r"""Show `value` as it is: no HTML, no link, no emphasis, no new table column, no new line.

    >>> escape_markdown("<b> a|b gaussian_noise _x_")
    '&lt;b&gt; a\\|b gaussian_noise \\_x\\_'
    """
    if isinstance(value, Markdown):
        return value
    text = printable(" ".join(str(value).split()))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~#$!])", r"\\\1", text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)


def cell_text(cell: TableCell) -> str:
    """Number, interval and marks in one line."""
    parts = [escape_markdown(cell.text) + superscript(cell.marks)]
    parts += [escape_markdown(cell.interval)] if cell.interval else []
    parts += [f"({escape_markdown(cell.aside)})"] if cell.aside else []
    return " ".join(parts)


def superscript(marks: tuple[str, ...]) -> str:
    """Footnote marks after a number or a heading."""
    return "".join(f"<sup>{mark}</sup>" for mark in marks)


def table_markdown(table: Table) -> Markdown:
    """A GitHub-flavoured table with its footnotes beneath; baseline and control in italics, means in bold."""
    wrappers = {"reference": "*", "mean": "**"}
    lines = [line([escape_markdown(column.title) + superscript(column.marks) for column in table.columns])]
    lines.append(line(["---:" if column.numeric else ":---" for column in table.columns]))
    shown = table.rows[:MOST_ROWS] if table.folded else table.rows
    for row in shown:
        if row.heading:
            lines.append(line([f"*{escape_markdown(row.heading)}*"] + [""] * (len(table.columns) - 1)))
        first, *rest = [cell_text(cell) for cell in row.cells]
        wrapper = wrappers.get(row.emphasis, "")
        lines.append(line([f"{wrapper}{first}{wrapper}", *rest]))
    if len(shown) < len(table.rows):
        left = f"{len(table.rows) - len(shown):,} of {len(table.rows):,} rows are left out here"
        lines += ["", f"*{left}; tables/{table.identifier}.csv has all.*"]
    if table.notes:
        lines += ["", notes_markdown(table.notes)]
    return Markdown("\n".join(lines))


def notes_markdown(notes: list[tuple[str, str]]) -> Markdown:
    """Footnotes, one a line."""
    return Markdown("\n".join(f"- <sup>{mark}</sup> {escape_markdown(text)}" for mark, text in notes))


def line(cells: list[str]) -> str:
    """One row of a table."""
    return "| " + " | ".join(cells) + " |"


def fenced(text: str) -> Markdown:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}text\n{printable(text)}\n{fence}")
