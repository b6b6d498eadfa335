"""Write the report of a run: `index.html`, `report.md`, figures and tables."""

import csv
import re
from io import StringIO
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nsbench.errors import printable
from nsbench.report.figures.drawing import Picture
from nsbench.report.listing import replace_report
from nsbench.report.lookup import Lookup
from nsbench.report.markdown import Markdown, escape_markdown, fenced, notes_markdown, table_markdown
from nsbench.report.prose import answers
from nsbench.report.sections import Section, image_bytes, sections
from nsbench.report.stamp import spelled_out
from nsbench.report.tables.table import Table, column_groups
from nsbench.results.frames import harmless
from nsbench.results.record import Results

LOADER = PackageLoader("nsbench.report")


def write_report(results: Results, run_folder: Path) -> Path:
    """Write `report/` under `run_folder` and return its `index.html`.

    The same record gives the same bytes. What an earlier report wrote and this one does not is deleted, see
    `nsbench.report.listing`. Raises UserError when a sample image that the record names
    cannot be read or a file cannot be written.
    """
    found = sections(results, run_folder)
    texts: dict[str, str] = {}
    for block in (block for section in found for block in section.blocks):
        if isinstance(block, Picture):
            texts |= dict(zip(panel_files(block), (panel.standalone() for panel in block.panels), strict=True))
        else:
            texts[f"tables/{block.identifier}.csv"] = table_csv(block)
    texts |= {"report.md": render_markdown(results, found), "index.html": render_html(results, found)}
    replace_report(run_folder, texts, {one.file: image_bytes(one, run_folder) for one in results.samples})
    return run_folder / "report" / "index.html"


def panel_files(picture: Picture) -> list[str]:
    """Where each panel of a figure is, relative to the report."""
    if len(picture.panels) == 1:
        return [f"figures/{picture.identifier}.svg"]
    return [f"figures/{picture.identifier}-{number}.svg" for number, _ in enumerate(picture.panels, 1)]


def numbering(found: list[Section]) -> dict[str, str]:
    """`Table 1`, `Figure 1`, ... in reading order, keyed by the identifier of the block."""
    names: dict[str, str] = {}
    for kind, word in ((Table, "Table"), (Picture, "Figure")):
        of_kind = [block for section in found for block in section.blocks if isinstance(block, kind)]
        names |= {f"{word}-{block.identifier}": f"{word} {number}" for number, block in enumerate(of_kind, 1)}
    return names


def context(results: Results, found: list[Section]) -> dict[str, object]:
    """What both templates are filled with."""
    lookup = Lookup(results)
    return {
        "results": results,
        "headline": answers.headline(lookup),
        "effect": answers.effect(lookup),
        "summary": answers.summary(lookup),
        "comparisons": answers.comparisons(lookup),
        "sections": found,
        "numbers": numbering(found),
        "panel_files": panel_files,
    }


def render_html(results: Results, found: list[Section]) -> str:
    """One page that loads nothing."""
    environment = Environment(
        loader=LOADER,
        autoescape=True,
        finalize=unbroken,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"column_groups": column_groups, "drawing": drawing, "style": style}
    return environment.get_template("index.html.j2").render(context(results, found)) + "\n"


def unbroken(value: object) -> object:
    """Keep `95 %`, `n = 500` and `p < 0.001` on one line; control characters are spelled out."""
    if type(value) is not str:
        return value
    value = printable(value)
    return re.sub(r" (?=%)|(?<=\b[np]) (?=[=<])|(?<=\b[np] [=<]) ", "\N{NO-BREAK SPACE}", value)


def style() -> Markup:
    """The style sheet."""
    return Markup(LOADER.get_source(Environment(autoescape=True), "style.css")[0])  # noqa: S704  # our own file


def drawing(picture: Picture, index: int) -> Markup:
    """A panel as inline SVG."""
    drawn = picture.panels[index].inline(f"{picture.identifier}-{index + 1}")
    return Markup(drawn)  # noqa: S704  # matplotlib has escaped every text in it


def render_markdown(results: Results, found: list[Section]) -> str:
    """The report for places that show Markdown; figures and samples are linked."""
    environment = Environment(  # noqa: S701  # Markdown is no HTML: `finalize` escapes every value for both
        loader=LOADER,
        finalize=escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    helpers = {"table": table_markdown, "notes": notes_markdown, "fenced": fenced, "link": link}
    return environment.get_template("report.md.j2").render(context(results, found), **helpers) + "\n"


def link(path: str) -> Markdown:
    """A relative link target, quoted so that no file name can end it."""
    return Markdown(quote(path, safe="/.-_"))


def table_csv(table: Table) -> str:
    """The table for pandas: each number in its printed unit, its interval and its notes in columns of their own."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    first, *others = table.columns
    header = [first.title, "group"]
    for column in others:
        header += [column.title, f"{column.title} low", f"{column.title} high"] if column.numeric else [column.title]
    writer.writerow([*map(plain, header), "notes"])
    notes, group = dict(table.notes), ""
    for row in table.rows:
        group = row.heading or group
        line: list[object] = [plain(row.cells[0].text), plain(group)]
        for column, cell in zip(others, row.cells[1:], strict=True):
            line += [shown(end) for end in (cell.number, cell.low, cell.high)] if column.numeric else [plain(cell.text)]
        writer.writerow([*line, plain("; ".join(notes[mark] for cell in row.cells for mark in cell.marks))])
    return text.getvalue()


def plain(text: str) -> str:
    """A text cell that no spreadsheet takes for a formula, with its marks spelled out and no control characters."""
    return harmless(printable(spelled_out(text)))


def shown(value: float | None) -> str:
    """Six significant digits; empty where there is no number."""
    return "" if value is None else f"{value:.10g}"
