"""Figures of points: the chain at a glance, reliability diagrams, flips."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.cells import Notes, number_text, places
from nsbench.report.drawing import BASELINE, FAINT, MUTED, PAGE, Panel, Picture, draw, heading, percent_axis, printable
from nsbench.report.lookup import Lookup
from nsbench.report.marks import interval_ends, legend, line_style
from nsbench.report.wording import mean_heading
from nsbench.results.record import Diagnostics, Measurement, ReliabilityBin

FEW = 10


def overview(lookup: Lookup) -> Picture | None:
    """Four numbers by generation."""
    corruption, perturbation = lookup.benchmark("corruption"), lookup.benchmark("perturbation")
    wanted = [
        ("Top-1 accuracy", "%, higher is better", "clean", "top1_error", True),
        ("Expected calibration error", "%, lower is better", "clean", "expected_calibration_error", False),
    ]
    if corruption is not None:
        full = mean_heading(corruption, "mean over the full set", "error").replace("error, ", "")
        wanted.append(("Error on corrupted images", f"%, {full}", "corruption", "mean_error", False))
    if perturbation is not None:
        full = mean_heading(perturbation, "mean over the full set", "flips").replace("flips, ", "")
        wanted.append(("Flip probability", f"%, {full}", "perturbation", "mean_flip_probability", False))
    panels = [panel for one in wanted if (panel := overview_panel(lookup, *one)) is not None]
    caption = (
        "One point for each generation, with its 95 % interval. The dotted line and grey band are the baseline, "
        "trained without self-training, and its interval. Intervals that overlap do not prove equality: differences "
        "are paired, see the comparison with the teacher."
    )
    if any(one.role == "control" for one in lookup.checkpoints):
        caption += " The control had the last student's noise and image budget, and no pseudo-labels."
    return Picture("overview", "The chain at a glance", caption, panels, []) if panels else None


def overview_panel(
    lookup: Lookup, title: str, below: str, benchmark: str, metric: str, complement: bool
) -> Panel | None:
    """One number by generation, with the baseline as a band."""
    found = {str(one): lookup.find(one, benchmark, metric) for one in lookup.checkpoints}
    shown = [(one, number) for one in lookup.checkpoints if (number := found[str(one)]) and number.value is not None]
    if not shown:
        return None

    def turned(value: float) -> float:
        return 1 - value if complement else value

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.15, 0.13, 0.83, 0.68))
        chain = [(one, number) for one, number in shown if not lookup.is_baseline(one)]
        for place, (one, number) in enumerate(chain):
            (low,), (high,) = interval_ends([number])
            style = line_style(lookup, one) | {"linestyle": "-"}
            axes.plot([place, place], [turned(low), turned(high)], color=style["color"], linewidth=2)
            axes.plot([place], [turned(number.value or 0.0)], **style | {"markersize": 9})
        for one, number in shown:
            if lookup.is_baseline(one):
                (low,), (high,) = interval_ends([number])
                axes.axhspan(turned(low), turned(high), color=BASELINE, alpha=0.16)
                axes.axhline(turned(number.value or 0.0), color=BASELINE, linewidth=1.5, linestyle=(0, (1.2, 1.4)))
        names = [printable(lookup.generation(one), 12) for one, _ in chain]
        axes.set_xticks(range(len(chain)), names, fontsize=12 if len(chain) < 5 else 10)
        axes.set_xlim(-0.5, max(len(chain), 1) - 0.5)
        axes.margins(y=0.12)
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        percent_axis(axes, "y")
        heading(axes, title, below)

    words = ", ".join(
        f"{lookup.label(one)} {number_text(turned(m.value or 0) * 100, places(m.n))} %" for one, m in shown
    )
    return draw(258, 220, f"{title}: {words}", paint)


def reliability(lookup: Lookup) -> Picture | None:
    """A reliability diagram for each checkpoint."""
    pairs = [(one, found) for one in lookup.checkpoints if (found := lookup.diagnostics(one)) and found.reliability]
    notes = Notes()
    panels = [reliability_panel(lookup, one, found, notes) for one, found in pairs]
    caption = (
        "Accuracy against mean confidence in each bin of top-label confidence. On the diagonal a model is right as "
        "often as it claims; below it, overconfident. The vertical stroke is the gap that the expected calibration "
        "error (ECE) averages, weighted by the strip beneath: the share of images in each bin. Open points hold "
        f"fewer than {FEW} images."
    )
    return Picture("reliability", "Reliability diagrams", caption, panels, notes.marked()) if panels else None


def reliability_panel(lookup: Lookup, checkpoint: CheckpointRecord, found: Diagnostics, notes: Notes) -> Panel:
    """Accuracy against confidence, above a strip of bin counts."""
    error = lookup.find(checkpoint, "clean", "expected_calibration_error")
    told = "ECE not measured"
    if error is not None and error.value is not None:
        marks = f" ({', '.join(notes.mark(error.note))})" if error.note else ""
        told = f"ECE {number_text(error.value * 100, places(error.n))} %{marks}"
    colour = line_style(lookup, checkpoint)["color"]
    bins = [one for one in found.reliability if one.count]

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.12, 0.33, 0.83, 0.54))
        strip = figure.add_axes((0.12, 0.12, 0.83, 0.14), sharex=axes)
        reliability_points(axes, bins, colour)
        heading(axes, lookup.label(checkpoint), "accuracy, %")
        axes.annotate(told, (1, 1), (0, 22), "axes fraction", "offset pixels", ha="right", fontsize=12.5)
        total = sum(one.count for one in bins)
        for one in bins:
            strip.bar(
                one.low, one.count / total, one.high - one.low, align="edge", color=colour, edgecolor=PAGE, linewidth=1
            )
        tallest = max((one.count / total for one in bins), default=1.0)
        strip.set(ylim=(0, tallest), yticks=[tallest], yticklabels=[f"{tallest * 100:.0f}"])
        strip.grid(visible=False)
        strip.annotate(
            "share of images, %", (0, 1), (6, -11), "axes fraction", "offset pixels", color=MUTED, fontsize=11
        )
        strip.set_xlabel("confidence, %", color=MUTED, fontsize=11, labelpad=2)

    return draw(320, 340, f"Reliability diagram of {lookup.label(checkpoint)}: {told}", paint)


def reliability_points(axes: Axes, bins: list[ReliabilityBin], colour: str) -> None:
    """Bars of accuracy, the diagonal, and the gap of each bin at its mean confidence."""
    for one in bins:
        if one.accuracy is None or one.confidence is None:
            continue
        axes.bar(
            one.low,
            one.accuracy,
            one.high - one.low,
            align="edge",
            color=colour,
            alpha=0.18,
            edgecolor=PAGE,
            linewidth=1,
        )
        axes.plot([one.confidence] * 2, [one.confidence, one.accuracy], color=colour, linewidth=2, zorder=3)
        face = PAGE if one.count < FEW else colour
        axes.plot(one.confidence, one.accuracy, "o", color=face, markeredgecolor=colour, markeredgewidth=1.5, zorder=4)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1], yticks=[0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(labelbottom=False, length=0)
    percent_axis(axes)


def flips(lookup: Lookup) -> Picture | None:
    """Flip probability of each perturbation, one point for each checkpoint."""
    benchmark = lookup.benchmark("perturbation")
    if benchmark is None:
        return None
    names = benchmark.counted + benchmark.shown
    found = {
        (str(one), name): number
        for one in lookup.checkpoints
        for name in names
        if (number := lookup.find(one, f"perturbation/{name}", "flip_probability")) and number.value is not None
    }
    if not found:
        return None
    step = 13 * len(lookup.checkpoints) + 20
    height = 90 + step * len(names)

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.2, 40 / height, 0.77, 1 - 90 / height))
        for place, name in enumerate(names):
            for index, one in enumerate(lookup.checkpoints):
                if (str(one), name) in found:
                    flip_point(axes, lookup, one, found[str(one), name], place * step + 13 * index, place == 0)
            if place:
                axes.axhline(place * step - 16, color=FAINT, linewidth=1)
        middle = 13 * (len(lookup.checkpoints) - 1) / 2
        axes.set_yticks([place * step + middle for place in range(len(names))], [printable(name, 18) for name in names])
        axes.set(ylim=(len(names) * step - 16, -16))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("flip probability, %", color=MUTED, fontsize=11)
        percent_axis(axes, "x")
        legend(figure)

    caption = (
        "How often the prediction changes from frame to frame of a sequence (for noise: from the first frame), with "
        "95 % intervals. Lower is steadier, not more right: read it beside the accuracies of the table."
    )
    panel = draw(660, height, "Flip probability by perturbation and checkpoint", paint)
    return Picture("flips", "Flip probability by perturbation", caption, [panel], [])


def flip_point(axes: Axes, lookup: Lookup, one: CheckpointRecord, found: Measurement, y: float, named: bool) -> None:
    """One point with its interval."""
    style = line_style(lookup, one) | {"linestyle": ""}
    (low,), (high,) = interval_ends([found])
    axes.plot([low, high], [y, y], color=style["color"], linewidth=1.5)
    axes.plot([found.value or 0.0], [y], **style | {"markersize": 7, "label": style["label"] if named else "_"})
