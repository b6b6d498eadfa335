"""Models that nsbench did not train: what they are, how they do on clean images, and all of them at a glance."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nsbench.models.record import ModelRecord
from nsbench.report.figures.drawing import (
    BASELINE,
    PAGE,
    SERIES,
    Panel,
    Picture,
    draw,
    heading,
    interval_ends,
    line_style,
    percent_axis,
    printable,
)
from nsbench.report.figures.overview import Wanted, wanted_means
from nsbench.report.lookup import CLEAN, MOST, Entry, Lookup
from nsbench.report.tables.calibrated import ECE, kind
from nsbench.report.tables.robustness import INTERVALS, decimals, emphasis
from nsbench.report.tables.table import (
    Column,
    Notes,
    Row,
    Table,
    count,
    estimate,
    full_columns,
    measured,
    number_text,
    places,
    words,
)
from nsbench.results.key import Key
from nsbench.results.measured import Measurement

ROW = 19


def models(lookup: Lookup) -> Table | None:
    """Name, size, origin and preprocessing of each model, and its scores on clean images."""
    if not lookup.results.models:
        return None
    notes, digits = Notes(), decimals(lookup, "clean")
    columns = [Column("Model", numeric=False), Column("Parameters"), Column("Source", numeric=False)]
    columns += [Column("Preprocessing", numeric=False), Column("Top-1 accuracy", "%"), Column("NLL")]
    columns += [Column("Brier score"), Column(f"ECE, {kind(lookup, Key('clean', ECE))}", "%")]
    rows = []
    for one in lookup.results.models:
        cells = [
            words(str(one), "baseline" if lookup.is_baseline(one) else ""),
            count(one.parameters),
            words(one.source),
            words(preprocessing(one)),
            measured(lookup.find(one, CLEAN), notes, digits, complement=True),
            measured(lookup.find(one, Key("clean", "negative_log_likelihood")), notes, 3, 1),
            measured(lookup.find(one, Key("clean", "brier_score")), notes, 3, 1),
            measured(estimate(lookup.find(one, Key("clean", ECE))), notes, digits),
        ]
        rows.append(Row(cells, emphasis(lookup, one)))
    caption = (
        f"Clean test images, n = {lookup.results.data.test:,}; {INTERVALS}. Preprocessing is what was declared: pixels "
        "in [0, 1] minus the mean, divided by the standard deviation, for each channel. NLL is the negative "
        "log-likelihood; the Brier score sums squared differences over classes (0 to 2); ECE is the expected "
        "calibration error, its bias from noise and its floor are in the section on calibration. Accuracy: higher is "
        "better; everything else: lower."
    )
    return Table("models", "Models", caption, *full_columns(columns, rows), notes.marked())


def preprocessing(one: ModelRecord) -> str:
    """The declared normalisation of the pixels."""
    if one.mean is None or one.std is None:
        return "inside the model"
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (one.mean, one.std))
    return f"mean {mean}; std {std}"


def glance(lookup: Lookup) -> Picture | None:
    """Four numbers, one row a model; nothing where one model stands alone."""
    if not lookup.results.models or len(lookup.entries) < 2:
        return None
    panels = [panel for one in wanted_means(lookup) if (panel := glance_panel(lookup, one)) is not None]
    caption = (
        "One point for each model, with its 95 % interval. Intervals that overlap do not prove equality: differences "
        "are paired, see the comparisons."
    )
    if lookup.baseline is not None:
        caption += " The dotted line and grey band are the baseline and its interval."
    return Picture("glance", "The models at a glance", caption, panels, []) if panels else None


def glance_panel(lookup: Lookup, wanted: Wanted) -> Panel | None:
    """One number of every model, names at the left."""
    shown = [(one, found) for one in lookup.entries if (found := wanted.number(lookup, one)) is not None]
    if not shown:
        return None
    names = [printable(lookup.label(one), 30) for one, _ in shown]
    left = 16 + 6.7 * max(map(len, names))
    width, height = max(258, int(left + 165)), 78 + ROW * len(shown)

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((left / width, 26 / height, 0.97 - left / width, 1 - 72 / height))
        for place, (one, found) in enumerate(shown):
            glance_point(lookup, one, found, place, axes, wanted)
        axes.set_yticks(range(len(shown)), names, fontsize=11.5)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.margins(x=0.08)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        percent_axis(axes, "x")
        heading(axes, wanted.title, wanted.below, left - 4)

    text = ", ".join(
        f"{lookup.label(one)} {number_text(wanted.turned(m.value or 0) * 100, places(m.n))} %" for one, m in shown
    )
    return draw(width, height, f"{wanted.title}: {text}", paint)


def glance_point(lookup: Lookup, one: Entry, found: Measurement, place: int, axes: Axes, wanted: Wanted) -> None:
    """A point with its interval; the baseline's also as a line and a band over all rows."""
    (low,), (high,) = interval_ends([found])
    ends, value = [wanted.turned(low), wanted.turned(high)], wanted.turned(found.value or 0.0)
    style = line_style(lookup, one) if len(lookup.entries) <= MOST else plain_style(lookup, one)
    if lookup.is_baseline(one):
        axes.axvspan(*ends, color=BASELINE, alpha=0.16)
        axes.axvline(value, color=BASELINE, linewidth=1.5, linestyle=(0, (1.2, 1.4)))
    axes.plot(ends, [place, place], color=style["color"], linewidth=2)
    axes.plot([value], [place], **style | {"linestyle": "", "markersize": 8})


def plain_style(lookup: Lookup, one: Entry) -> dict[str, Any]:
    """One colour for all where there are more models than colours; the names stand beside the points."""
    baseline = lookup.is_baseline(one)
    colour, marker = (BASELINE, "X") if baseline else (SERIES[0], "o")
    return {"color": colour, "marker": marker, "markeredgecolor": PAGE, "markeredgewidth": 1}
