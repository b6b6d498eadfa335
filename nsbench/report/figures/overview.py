"""Figures of points: the chain at a glance, flips."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.figures.drawing import (
    BASELINE,
    FAINT,
    MUTED,
    PAGE,
    Panel,
    Picture,
    draw,
    heading,
    interval_ends,
    legend,
    legend_height,
    line_style,
    percent_axis,
    printable,
)
from nsbench.report.lookup import CLEAN, Entry, Lookup
from nsbench.report.stamp import MARK
from nsbench.report.tables.table import estimate, number_text, places
from nsbench.results.key import Key
from nsbench.results.measured import BenchmarkSet, Measurement


@dataclass(frozen=True)
class Wanted:
    """A number of a figure with one point a model; an error is shown as an accuracy where `complement` says so."""

    title: str
    below: str
    key: Key
    complement: bool = False

    def turned(self, value: float) -> float:
        """The value as it is drawn."""
        return 1 - value if self.complement else value

    def number(self, lookup: Lookup, one: Entry) -> Measurement | None:
        """The number of a model, or None where it is undefined or was not measured."""
        found = estimate(lookup.find(one, self.key))
        return found if found is not None and found.value is not None else None


def wanted_means(lookup: Lookup) -> list[Wanted]:
    """The four numbers that sum a model up, as far as they were measured."""
    corruption, perturbation = lookup.benchmark("corruption"), lookup.benchmark("perturbation")
    wanted = [
        Wanted("Top-1 accuracy", "%, higher is better", CLEAN, complement=True),
        Wanted("Expected calibration error", "%, lower is better", Key("clean", "expected_calibration_error")),
    ]
    for found, title, metric in (
        (corruption, "Error on corrupted images", "mean_error"),
        (perturbation, "Flip probability", "mean_flip_probability"),
    ):
        if found is not None:
            reach = "mean over the full set" if found.complete else reach_in_short(found)
            wanted.append(Wanted(title, f"%, {reach}", lookup.key(found.kind, metric)))
    return wanted


def reach_in_short(found: BenchmarkSet) -> str:
    """What a mean over less than the full set is over, as short as a small panel needs it."""
    total = len(found.counted) + len(found.missing)
    return f"mean of {len(found.counted)} of {total}, {found.images:,} images"


def overview(lookup: Lookup) -> Picture | None:
    """Four numbers by generation."""
    if not lookup.checkpoints:
        return None
    panels = [panel for one in wanted_means(lookup) if (panel := overview_panel(lookup, one)) is not None]
    caption = "One point for each network, with its 95 % interval; a generation's stand side by side. "
    if any(one.role == "control" for one in lookup.checkpoints):
        caption += "A hollow point is a student's control: its network, noise and image budget, without pseudo-labels. "
    if lookup.checkpoint(lookup.results.baseline) is not None:
        caption += "A dotted line and its grey band are a baseline, trained without self-training, and its interval. "
    caption += "Intervals that overlap do not prove equality: differences are paired, see the comparisons."
    return Picture("overview", "The chain at a glance", caption, panels, []) if panels else None


def places_of(lookup: Lookup) -> list[tuple[str, list[CheckpointRecord]]]:
    """The networks of each generation, students before their controls, under the generation's short name."""
    chain = [one for one in lookup.checkpoints if not lookup.is_reference(one)]
    controls = [one for one in lookup.checkpoints if one.role == "control"]
    found: dict[str, list[CheckpointRecord]] = {}
    for one in chain:
        found.setdefault(lookup.unseeded(one), []).append(one)
    for one in controls:
        last = [student for student in lookup.students() if lookup.control(student) is one]
        found.setdefault(lookup.unseeded(last[-1] if last else one), []).append(one)
    return [
        (name + MARK if any(lookup.test_selected(one) for one in networks) else name, networks)
        for name, networks in found.items()
    ]


def overview_panel(lookup: Lookup, wanted: Wanted) -> Panel | None:
    """One number by generation, baselines as bands."""
    shown = [(one, found) for one in lookup.checkpoints if (found := wanted.number(lookup, one)) is not None]
    if not shown:
        return None
    places_shown = places_of(lookup)

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.15, 0.13, 0.83, 0.68))
        for place, (_, networks) in enumerate(places_shown):
            for at, one in enumerate(networks):
                overview_point(axes, lookup, one, wanted, place + 0.16 * (at - (len(networks) - 1) / 2))
        for one, found in shown:
            if lookup.is_baseline(one) or one.role == "baseline":
                (low,), (high,) = interval_ends([found])
                axes.axhspan(wanted.turned(low), wanted.turned(high), color=BASELINE, alpha=0.13)
                middle = wanted.turned(found.value or 0.0)
                axes.axhline(middle, color=BASELINE, linewidth=1.5, linestyle=(0, (1.2, 1.4)))
        names = [printable(name, 12) for name, _ in places_shown]
        axes.set_xticks(range(len(names)), names, fontsize=12 if len(names) < 5 else 10)
        axes.set_xlim(-0.6, max(len(names), 1) - 0.4)
        axes.margins(y=0.12)
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        percent_axis(axes, "y")
        heading(axes, wanted.title, wanted.below)

    text = ", ".join(
        f"{lookup.label(one)} {number_text(wanted.turned(m.value or 0) * 100, places(m.n))} %" for one, m in shown
    )
    return draw(258, 220, f"{wanted.title}: {text}", paint)


def overview_point(axes: Axes, lookup: Lookup, one: CheckpointRecord, wanted: Wanted, place: float) -> None:
    """One network's number and interval; a control's point is hollow."""
    found = wanted.number(lookup, one)
    if found is None:
        return
    (low,), (high,) = interval_ends([found])
    style = line_style(lookup, one) | {"linestyle": "-", "markersize": 8}
    if one.role == "control":
        style |= {"markerfacecolor": PAGE, "markeredgecolor": style["color"], "markeredgewidth": 1.6}
    axes.plot([place, place], [wanted.turned(low), wanted.turned(high)], color=style["color"], linewidth=2)
    axes.plot([place], [wanted.turned(found.value or 0.0)], **style)


def flips(lookup: Lookup) -> Picture | None:
    """Flip probability of each perturbation, one point for each model."""
    benchmark = lookup.benchmark("perturbation")
    if benchmark is None:
        return None
    names = benchmark.counted + benchmark.shown
    found = {
        (str(one), name): number
        for one in lookup.drawn
        for name in names
        if (number := lookup.find(one, lookup.key("perturbation", "flip_probability", name)))
        and number.value is not None
    }
    if not found:
        return None
    panel = flips_panel(lookup, names, found)
    caption = (
        "How often the prediction changes from frame to frame of a sequence (for noise: from the first frame), with "
        "95 % intervals. Lower is steadier, not more right: read it beside the accuracies of the table."
    )
    return Picture("flips", "Flip probability by perturbation", caption + lookup.left_out, [panel], [])


def flips_panel(lookup: Lookup, names: list[str], found: dict[tuple[str, str], Measurement]) -> Panel:
    """One group of rows for each perturbation."""
    step = 13 * len(lookup.drawn) + 20
    top = legend_height(lookup) + 10
    height = top + 40 + step * len(names)

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.2, 40 / height, 0.77, 1 - (top + 40) / height))
        for place, name in enumerate(names):
            for index, one in enumerate(lookup.drawn):
                if (str(one), name) in found:
                    flip_point(axes, lookup, one, found[str(one), name], place * step + 13 * index, place == 0)
            if place:
                axes.axhline(place * step - 16, color=FAINT, linewidth=1)
        middle = 13 * (len(lookup.drawn) - 1) / 2
        axes.set_yticks([place * step + middle for place in range(len(names))], [printable(name, 18) for name in names])
        axes.set(ylim=(len(names) * step - 16, -16))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("flip probability, %", color=MUTED, fontsize=11)
        percent_axis(axes, "x")
        legend(figure)

    return draw(660, height, f"Flip probability by perturbation and {lookup.noun}", paint)


def flip_point(axes: Axes, lookup: Lookup, one: Entry, found: Measurement, y: float, named: bool) -> None:
    """One point with its interval."""
    style = line_style(lookup, one) | {"linestyle": ""}
    (low,), (high,) = interval_ends([found])
    axes.plot([low, high], [y, y], color=style["color"], linewidth=1.5)
    axes.plot([found.value or 0.0], [y], **style | {"markersize": 7, "label": style["label"] if named else "_"})
