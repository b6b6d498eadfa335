"""Reliability diagrams, with a lighter curve after temperature scaling."""

from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nsbench.report.figures.drawing import (
    INK,
    MUTED,
    PAGE,
    Panel,
    Picture,
    draw,
    heading,
    line_style,
    percent_axis,
    printable,
)
from nsbench.report.lookup import Entry, Lookup
from nsbench.report.quantities import is_unbiased
from nsbench.report.tables.table import Notes, estimate, number_text, places
from nsbench.results.key import Key
from nsbench.results.record import Diagnostics, ReliabilityBin

ECE = Key("clean", "expected_calibration_error")
FEW = 10


def reliability(lookup: Lookup) -> Picture | None:
    """A reliability diagram for each model."""
    pairs = [(one, found) for one in lookup.drawn if (found := lookup.diagnostics(one)) and found.reliability]
    notes = Notes()
    panels = [reliability_panel(lookup, one, found, notes) for one, found in pairs]
    caption = (
        "Accuracy against mean confidence in each bin of top-label confidence. On the diagonal a model is right as "
        "often as it claims; below it, overconfident. The vertical stroke is the gap that the expected calibration "
        "error (ECE) averages, weighted by the strip beneath: the share of images in each bin. Open points hold "
        f"fewer than {FEW} images."
    )
    if any(found.scaled_reliability for _, found in pairs):
        caption += " The thin line with crosses is the same after temperature scaling."
    if is_unbiased(lookup, ECE):
        caption += " The ECE in a title is the median-unbiased value."
    caption += lookup.left_out
    return Picture("reliability", "Reliability diagrams", caption, panels, notes.marked()) if panels else None


def ece_text(lookup: Lookup, one: Entry, notes: Notes) -> str:
    """Expected calibration error in a few words, and after scaling where it was measured."""
    error = estimate(lookup.find(one, ECE))
    if error is None or error.value is None:
        return "ECE not measured"
    marks = f" ({', '.join(notes.mark(error.note))})" if error.note else ""
    after = estimate(lookup.find(one, replace(ECE, kind="scaled")))
    decimals = places(error.n)
    arrow = f" → {number_text(after.value * 100, decimals)}" if after is not None and after.value is not None else ""
    return f"ECE {number_text(error.value * 100, decimals)}{arrow} %{marks}"


def reliability_panel(lookup: Lookup, one: Entry, found: Diagnostics, notes: Notes) -> Panel:
    """Accuracy against confidence, above a strip of bin counts."""
    text = ece_text(lookup, one, notes)
    colour = line_style(lookup, one)["color"]
    bins = [part for part in found.reliability if part.count]

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.12, 0.33, 0.83, 0.54))
        strip = figure.add_axes((0.12, 0.12, 0.83, 0.14), sharex=axes)
        points(axes, bins, colour)
        after_scaling(axes, found.scaled_reliability)
        heading(axes, printable(lookup.label(one), 24), "accuracy, %")
        axes.annotate(text, (1, 1), (0, 22), "axes fraction", "offset pixels", ha="right", fontsize=12.5)
        shares(strip, bins, colour)

    return draw(320, 340, f"Reliability diagram of {lookup.label(one)}: {text}", paint)


def points(axes: Axes, bins: list[ReliabilityBin], colour: str) -> None:
    """Bars of accuracy, the diagonal, and the gap of each bin at its mean confidence."""
    for one in bins:
        if one.accuracy is None or one.confidence is None:
            continue
        width = one.high - one.low
        axes.bar(one.low, one.accuracy, width, align="edge", color=colour, alpha=0.18, edgecolor=PAGE, linewidth=1)
        axes.plot([one.confidence] * 2, [one.confidence, one.accuracy], color=colour, linewidth=2, zorder=3)
        face = PAGE if one.count < FEW else colour
        axes.plot(one.confidence, one.accuracy, "o", color=face, markeredgecolor=colour, markeredgewidth=1.5, zorder=4)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1], yticks=[0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(labelbottom=False, length=0)
    percent_axis(axes)


def after_scaling(axes: Axes, bins: list[ReliabilityBin]) -> None:
    """Accuracy against confidence once more, after temperature scaling; bins of few images are left out."""
    kept = [(one.confidence, one.accuracy) for one in bins if one.count >= FEW and one.confidence is not None]
    if kept:
        confidence, accuracy = zip(*kept, strict=True)
        axes.plot(confidence, accuracy, "x-", color=INK, linewidth=0.8, markersize=5, alpha=0.55)


def shares(strip: Axes, bins: list[ReliabilityBin], colour: str) -> None:
    """The share of all images in each bin."""
    total = sum(one.count for one in bins)
    for one in bins:
        width = one.high - one.low
        strip.bar(one.low, one.count / total, width, align="edge", color=colour, edgecolor=PAGE, linewidth=1)
    tallest = max((one.count / total for one in bins), default=1.0)
    strip.set(ylim=(0, tallest), yticks=[tallest], yticklabels=[f"{tallest * 100:.0f}"])
    strip.grid(visible=False)
    strip.annotate("share of images, %", (0, 1), (6, -11), "axes fraction", "offset pixels", color=MUTED, fontsize=11)
    strip.set_xlabel("confidence, %", color=MUTED, fontsize=11, labelpad=2)
