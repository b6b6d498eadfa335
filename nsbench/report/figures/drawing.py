"""SVG drawings that fit their page: text stays text, ink follows light and dark mode, ids never clash.

A model looks the same in each. One user unit is one CSS pixel, so a font size of 12 reads like 12-pixel text wherever
the drawing is shown.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from io import StringIO
from math import ceil
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from nsbench.report.lookup import Entry, Lookup
from nsbench.report.stamp import MARK, TEST_SELECTED, spelled_out
from nsbench.results.measured import Measurement

# Stand-ins in the drawing for colours that the page decides.
INK, MUTED, FAINT, PAGE = "#010203", "#040506", "#070809", "#0a0b0c"
INLINE = {INK: "currentColor", MUTED: "var(--muted)", FAINT: "var(--faint)", PAGE: "var(--page)"}
STANDALONE = {INK: "#1b1f24", MUTED: "#59616b", FAINT: "#d9dde2", PAGE: "#ffffff"}

# Distinguishable in the common forms of colour blindness, and at least 3:1 against both the light and the dark page.
SERIES = ("#2f7fc4", "#d9660a", "#119067", "#b3609f", "#8a7a1f", "#5f78d8")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)), (0, (4, 1, 1, 1, 1, 1)), (0, (9, 3)))
BASELINE = "#808890"
BETTER, WORSE = "#2f7fc4", "#d9660a"

FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nsbench",
    "text.parse_math": False,  # names come from the record; a dollar sign in one is a dollar sign
    "font.family": ["DejaVu Sans"],  # ships with matplotlib, so the layout is the same everywhere
    "font.size": 12,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "grid.color": FAINT,
    "grid.linewidth": 1,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "xtick.major.size": 4,
    "ytick.major.size": 0,
    "lines.linewidth": 2,
    "lines.markersize": 6,
    "legend.frameon": False,
    "patch.linewidth": 0,
    "path.simplify": False,
}


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure: `title` says in words what it shows, `svg` still holds the stand-in colours."""

    title: str
    svg: str

    def inline(self, prefix: str) -> str:
        """The drawing for an HTML page, its ids made unique by `prefix`."""
        drawing = re.sub(r'\bid="', f'id="{prefix}-', self.svg)
        drawing = drawing.replace("url(#", f"url(#{prefix}-").replace('xlink:href="#', f'xlink:href="#{prefix}-')
        return recoloured(drawing, INLINE)

    def standalone(self) -> str:
        """The drawing as a file of its own, dark ink on white."""
        drawing = self.svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        drawing = drawing.replace("<defs>", '<rect width="100%" height="100%" fill="#ffffff"/>\n<defs>', 1)
        return recoloured(drawing, STANDALONE)


@dataclass(frozen=True)
class Picture:
    """A figure of the report: panels that wrap on a narrow page, and a caption that says how to read them."""

    identifier: str
    title: str
    caption: str
    panels: list[Panel]
    notes: list[tuple[str, str]]


def recoloured(drawing: str, colours: dict[str, str]) -> str:
    """Replace every stand-in colour."""
    for stand_in, colour in colours.items():
        drawing = drawing.replace(stand_in, colour)
    return drawing


def draw(width: int, height: int, title: str, paint: Callable[[Figure], None]) -> Panel:
    """Let `paint` fill an empty figure of the given size in CSS pixels; the same calls give the same bytes.

    A drawing that shows a checkpoint chosen on test images is a line higher, which says so.
    """
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # The reader's browser has fonts for scripts that the layout font does not have.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        paint(figure)
        file = StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        FigureCanvasSVG(figure).print_figure(file, format="svg", metadata=nothing)
    return Panel(spelled_out(title), stamped(trimmed(file.getvalue()), width, height, title))


def trimmed(drawing: str) -> str:
    """Keep what a page needs of what stands inside the drawing: no prologue, no unused ids, system fonts."""
    drawing = drawing[drawing.index("<svg") :]
    body = drawing[drawing.index(">") + 1 :]
    used = set(re.findall(r'(?:url\(|xlink:href=")#([^)"]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", body)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    return re.sub(r"(font: [^;\"]*?\d+(?:\.\d+)?px) 'DejaVu Sans'[^;\"]*", rf"\1 {FONTS}", body).rstrip()


def stamped(body: str, width: int, height: int, title: str) -> str:
    """The whole drawing: its size in pixels, a name for screen readers, and what the mark of a checkpoint means."""
    if MARK in title + body:
        note = f'<text x="2" y="{height + 13}" style="font: 11px {FONTS}; fill: {MUTED}">{MARK} {TEST_SELECTED}</text>'
        body, height = body.removesuffix("</svg>") + note + "\n</svg>", height + 20
    name = escape(printable(spelled_out(title)))
    opening = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{name}">\n<title>{name}</title>'
    )
    return f"{opening}{body}\n"


def printable(text: str, longest: int | None = None) -> str:
    """Text without control characters, which XML forbids; cut with an ellipsis where a drawing has no room.

    The mark of a checkpoint chosen on test images is never cut.

    >>> printable("study-with-a-name gen 2†", 12)
    'study-with-…†'
    """
    clean = "".join(character if character.isprintable() else "\ufffd" for character in text)
    if longest is None or len(clean) <= longest:
        return clean
    kept = clean[: longest - 1]
    return kept + "…" + (MARK if MARK in clean and MARK not in kept else "")


def percent_axis(axes: Axes, which: str = "both") -> None:
    """Label fractions as percent, with the decimals that the range drawn so far needs."""
    for axis in [axes.xaxis] * (which != "y") + [axes.yaxis] * (which != "x"):
        low, high = axis.get_view_interval()
        decimals = sum(high - low < span for span in (0.045, 0.0045))
        axis.set_major_formatter(PercentFormatter(1, decimals, symbol=""))


def heading(axes: Axes, text: str, below: str = "", outdent: float = 0) -> None:
    """A panel's title at the left, and a smaller line that names the vertical axis, so that nothing is set sideways.

    `outdent` pixels further left than the axes, over the names of its rows.
    """
    axes.annotate(
        printable(text, 44),
        (0, 1),
        (-outdent, 22 if below else 8),
        "axes fraction",
        "offset pixels",
        weight="bold",
        fontsize=12.5,
    )
    if below:
        axes.annotate(
            printable(below, 56), (0, 1), (-outdent, 7), "axes fraction", "offset pixels", color=MUTED, fontsize=11
        )


def line_style(lookup: Lookup, one: Entry) -> dict[str, Any]:
    """Colour, dash and marker of a model, the same in every figure; the baseline is grey.

    Beyond six models colours come again, with another marker and another dash.
    """
    index = lookup.position(one)
    turn = index + index // len(SERIES)
    style = {"markeredgecolor": PAGE, "markeredgewidth": 1, "label": printable(lookup.label(one), 26)}
    if lookup.is_baseline(one):
        return style | {"color": BASELINE, "marker": "X", "linestyle": (0, (1.2, 1.4))}
    return style | {
        "color": SERIES[index % len(SERIES)],
        "marker": MARKERS[turn % len(MARKERS)],
        "linestyle": DASHES[turn % len(DASHES)],
    }


def interval_ends(found: list[Measurement]) -> tuple[list[float], list[float]]:
    """Lower and upper ends; a number without an interval stands for its own."""
    values = [one.value or 0.0 for one in found]
    low = [value if one.ci_low is None else one.ci_low for one, value in zip(found, values, strict=True)]
    high = [value if one.ci_high is None else one.ci_high for one, value in zip(found, values, strict=True)]
    return low, high


def legend_height(lookup: Lookup) -> int:
    """Room in pixels for a legend of all models that figures draw."""
    return max(40, 17 * ceil(len(lookup.drawn) / 3) + 6)


def legend(figure: Figure) -> None:
    """Name the lines above the axes, in rows of three."""
    figure.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0), ncols=3, fontsize=11, handlelength=3, borderaxespad=0.2)
