"""Figures of cells and bars: corruption by severity, confusion, images kept per class.

Grid are one hue whose opacity carries the value, so the same drawing reads on a light and on a dark page.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from nsbench.checkpoints.record import CheckpointRecord, SelectionRecord
from nsbench.report.figures.drawing import (
    BETTER,
    INK,
    MUTED,
    SERIES,
    WORSE,
    Panel,
    Picture,
    draw,
    heading,
    printable,
)
from nsbench.report.lookup import Entry, Lookup
from nsbench.report.tables.table import UNDEFINED, Notes, estimate, number_text
from nsbench.results.measured import BenchmarkSet
from nsbench.results.record import Diagnostics

STRONGEST = 0.78  # opacity of the largest value; ink stays readable on it in both modes
CELL = 26
MOST_CLASSES = 20  # a matrix of more is a table of its most frequent confusions
APART = 0.6  # gap, in cells, before the rows that never enter a mean


def grid_cell(axes: Axes, x: float, y: float, colour: str, strength: float, text: str) -> None:
    """One filled cell with its number."""
    axes.add_artist(
        Rectangle((x + 0.02, y + 0.03), 0.96, 0.94, facecolor=colour, alpha=STRONGEST * min(max(strength, 0), 1))
    )
    axes.text(x + 0.5, y + 0.53, text, ha="center", va="center", fontsize=11.5, color=INK)


def bare(axes: Axes, width: float, height: float) -> None:
    """Axes without lines, rows counted downwards."""
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


Grid = dict[tuple[str, int], tuple[float, str]]


def severity_values(lookup: Lookup, benchmark: BenchmarkSet, one: Entry, metric: str, notes: Notes) -> Grid:
    """A metric and its footnote mark by corruption and severity."""
    return {
        (name, severity): (found.value, "".join(notes.mark(found.note)))
        for name in benchmark.counted + benchmark.shown
        for severity in lookup.severities(benchmark)
        if (found := estimate(lookup.find(one, lookup.key("corruption", metric, name, severity))))
        and found.value is not None
    }


def severity_maps(lookup: Lookup) -> Picture | None:
    """Top-1 error by corruption and severity for each model, and how far the foremost is from baseline and control."""
    benchmark = lookup.benchmark("corruption")
    if benchmark is None:
        return None
    notes = Notes()
    errors = {str(one): severity_values(lookup, benchmark, one, "top1_error", notes) for one in lookup.drawn}
    severities = lookup.severities(benchmark)
    panels = [
        severity_panel(benchmark, severities, (lookup.label(one), "top-1 error, %"), errors[str(one)])
        for one in lookup.drawn
        if errors[str(one)]
    ]
    if not panels:
        return None
    caption = (
        f"Rows are corruptions, columns severities; {benchmark.name}, n = {benchmark.images:,} a cell. Severity need "
        f"not be monotone.{lookup.left_out}"
    )
    if differences := difference_panels(lookup, benchmark, errors):
        panels += differences
        caption += f" Where one {lookup.noun} is subtracted from another, blue cells are better, orange cells worse."
    if benchmark.shown:
        caption += " Rows set apart at the bottom are validation-only corruptions, never averaged."
    return Picture("severity", "Top-1 error by corruption and severity", caption, panels, notes.marked())


def difference_panels(lookup: Lookup, benchmark: BenchmarkSet, errors: dict[str, Grid]) -> list[Panel]:
    """The foremost model minus the control, and minus the baseline."""
    first, panels = lookup.foremost(), []
    control = lookup.control(first) if isinstance(first, CheckpointRecord) else None
    for other in (control, lookup.baseline):
        base = errors.get(str(other), {})
        if other is None or str(other) == str(first) or not base:
            continue
        own = errors.get(str(first), {})
        change = {key: (error - base[key][0], "") for key, (error, _) in own.items() if key in base}
        largest = max((abs(value) for value, _ in change.values()), default=1.0) or 1.0
        titles = (f"{lookup.generation(first)} minus {lookup.generation(other)}", "points; blue is better")
        panels.append(severity_panel(benchmark, lookup.severities(benchmark), titles, change, largest, signed=True))
    return panels


def severity_panel(
    benchmark: BenchmarkSet,
    severities: list[int],
    titles: tuple[str, str],
    values: Grid,
    largest: float = 1.0,
    signed: bool = False,
) -> Panel:
    """One grid under a title and a smaller line, shaded up to the `largest` value; the sign of a change is a colour."""
    title, below = titles
    names = benchmark.counted + benchmark.shown
    tops = [
        index + (APART if index >= len(benchmark.counted) and benchmark.counted else 0) for index in range(len(names))
    ]
    rows = (tops[-1] + 1) if tops else 1
    width, height = 340, int(70 + CELL * rows)

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.385, 24 / height, 0.605, 1 - 70 / height))
        bare(axes, len(severities), rows)
        for top, name in zip(tops, names, strict=True):
            for column, severity in enumerate(severities):
                if (name, severity) in values:
                    value, mark = values[name, severity]
                    colour = BETTER if signed and value < 0 else WORSE
                    text = number_text(value * 100, 1, signed)
                    grid_cell(axes, column, top, colour, abs(value) / largest, text)
                    axes.text(column + 0.97, top + 0.34, mark, ha="right", fontsize=9, color=INK)
        axes.set_yticks([top + 0.5 for top in tops], [printable(name, 18) for name in names], fontsize=11.5)
        axes.set_xticks([column + 0.5 for column in range(len(severities))], [str(severity) for severity in severities])
        if benchmark.shown and benchmark.counted:
            rule(axes, -0.62 * len(severities), len(severities), len(benchmark.counted) + APART / 2)
        axes.annotate(
            "severity", (0, 0), (-6, -16), "axes fraction", "offset pixels", ha="right", color=MUTED, fontsize=11
        )
        heading(axes, title, below)

    return draw(width, height, f"{title}, {below}, by corruption and severity", paint)


def rule(axes: Axes, left: float, right: float, y: float) -> None:
    """A dashed line between rows that enter a mean and rows that do not."""
    axes.plot([left, right], [y, y], color=MUTED, linewidth=1, dashes=(3, 3), clip_on=False)


def confusion(lookup: Lookup) -> Picture | None:
    """The confusion matrix of the foremost model."""
    last = lookup.foremost()
    found = lookup.diagnostics(last)
    if found is None or not 0 < len(found.confusion) <= MOST_CLASSES:
        return None
    panel = confusion_panel(lookup, last, found)
    caption = (
        "Rows are true classes, columns predicted ones; cells count test images. Shading is the share of the row, "
        "errors three times as strong: blue on the diagonal is right, orange off it is wrong. Zeros are left blank."
    )
    return Picture("confusion", f"Confusion matrix, {lookup.label(last)}", caption, [panel], [])


def confusion_panel(lookup: Lookup, last: Entry, found: Diagnostics) -> Panel:
    """Counts, shaded by the share of the true class."""
    names = [printable(name, 14) for name in lookup.results.data.classes]
    size = len(found.confusion)
    names = names if len(names) == size else [str(index) for index in range(size)]
    slanted = max(map(len, names)) > 3
    left, top, cell = 120, 90 if slanted else 46, 46
    width, height = left + cell * size + (60 if slanted else 12), top + CELL * size + 16

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((left / width, 16 / height, cell * size / width, CELL * size / height))
        bare(axes, size, size)
        for row, counts in enumerate(found.confusion):
            for column, n in enumerate(counts):
                share = n / max(sum(counts), 1)
                visible = share if row == column else min(1.0, 3 * share)
                grid_cell(axes, column, row, BETTER if row == column else WORSE, visible, f"{n:,}" if n else "")
        axes.xaxis.tick_top()
        places = [index + 0.5 for index in range(size)]
        turn: Any = {"rotation": 40, "ha": "left", "rotation_mode": "anchor"} if slanted else {}
        axes.set_xticks(places, names, fontsize=11.5, **turn)
        axes.set_yticks(places, names, fontsize=11.5)
        axes.annotate(
            "true ↓  predicted →",
            (0, 1),
            (8 - left, top - 16),
            ("axes fraction"),
            "offset pixels",
            color=MUTED,
            fontsize=11,
        )

    return draw(width, height, f"Confusion matrix of {lookup.label(last)}", paint)


def selection(lookup: Lookup) -> Picture | None:
    """Images per class that each student was trained on."""
    students = [(one, one.selection) for one in lookup.students() if one.selection and lookup.first_alike(one) is one]
    panels = [selection_panel(lookup, one, found) for one, found in students]
    caption = (
        "Bars are the training images of each class: labelled, pseudo-labelled after balancing, and copies added by "
        "balancing. The black mark is the count above the confidence threshold before balancing, on top of the "
        "labelled images: a mark beyond the bar means that balancing dropped images. The number at the right is the "
        "share of the kept pseudo-labels that equal the true label, which is used for this score only."
    )
    return Picture("selection", "Images kept per class", caption + lookup.left_out, panels, []) if panels else None


def selection_panel(lookup: Lookup, one: CheckpointRecord, found: SelectionRecord) -> Panel:
    """Stacked bars by class."""
    names = [printable(name, 14) for name in lookup.results.data.classes]
    parts = [("labelled", found.labeled, SERIES[0], 1.0), ("pseudo-labelled", found.kept, SERIES[1], 0.75)]
    parts.append(("copies", found.duplicates, SERIES[1], 0.3))
    height = 96 + 20 * len(found.kept)

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.27, 28 / height, 0.59, 1 - 96 / height))
        rows = range(len(found.kept))
        left = [0] * len(found.kept)
        for name, counts, part_colour, alpha in parts:
            axes.barh(rows, counts, 0.72, left=left, color=part_colour, alpha=alpha, label=name)
            left = [before + n for before, n in zip(left, counts, strict=True)]
        above = [labeled + n for labeled, n in zip(found.labeled, found.above_threshold, strict=True)]
        axes.plot(above, rows, "|", color=INK, markersize=13, markeredgewidth=2, label="above threshold")
        axes.set_yticks(rows, names if len(names) == len(found.kept) else list(map(str, rows)), fontsize=11.5)
        axes.set(ylim=(len(found.kept) - 0.5, -0.5))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(visible=False, axis="y")
        heading(axes, lookup.label(one))
        right_column(axes, found)
        handles = axes.get_legend_handles_labels()[0]
        figure.legend(
            handles=handles[1:] + handles[:1],
            loc="upper left",
            ncols=2,
            fontsize=10.5,
            handlelength=1.2,
            columnspacing=1,
            borderaxespad=0.2,
            labelspacing=0.2,
        )

    axis = ", ".join(
        f"{name} {labeled + kept}" for name, labeled, kept in zip(names, found.labeled, found.kept, strict=False)
    )
    return draw(340, height, f"Images per class for {lookup.label(one)}: {axis}", paint)


def right_column(axes: Axes, found: SelectionRecord) -> None:
    """The share of each class's pseudo-labels that are right, as numbers beside the bars."""
    place: Any = {"textcoords": "offset pixels", "ha": "right", "annotation_clip": False}
    for row, right in enumerate(found.class_accuracy):
        text = UNDEFINED if right is None else f"{right * 100:.0f}"
        axes.annotate(
            text, (1, row), (42, 0), axes.get_yaxis_transform(), va="center", color=INK, fontsize=11.5, **place
        )
    axes.annotate("right, %", (1, 1), (42, 8), "axes fraction", color=MUTED, fontsize=11, **place)
