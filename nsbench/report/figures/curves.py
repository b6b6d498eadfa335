"""Figures of lines: accuracy under attack, training."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nsbench.checkpoints.record import CheckpointRecord, HistoryPoint
from nsbench.report.figures.drawing import (
    DASHES,
    INK,
    MARKERS,
    MUTED,
    PAGE,
    SERIES,
    Panel,
    Picture,
    draw,
    heading,
    interval_ends,
    legend,
    legend_height,
    line_style,
    percent_axis,
)
from nsbench.report.lookup import Entry, Lookup
from nsbench.report.quantities import attack_text
from nsbench.report.stamp import TEST_SELECTED
from nsbench.report.tables.attacks import UNLIKE, unlike
from nsbench.results.key import Key
from nsbench.results.measured import Measurement

STRENGTH = "ε, largest change of a pixel in [0, 1]"
SMALL_LEGEND: dict[str, Any] = {"ncols": 2, "fontsize": 10, "handlelength": 2.4, "handletextpad": 0.5}
SMALL_LEGEND |= {"columnspacing": 1.0, "borderaxespad": 0.2}

Line = tuple[list[float], list[Measurement]]


def sweep(lookup: Lookup, one: Entry, name: str, strengths: list[float]) -> Line:
    """Strengths and errors of one attack on one model, as far as they were measured."""
    keys = [Key("attack", "top1_error", member=name, strength=eps) for eps in strengths]
    found = [(eps, lookup.find(one, key)) for eps, key in zip(strengths, keys, strict=True)]
    kept = [(eps, number) for eps, number in found if number is not None and number.value is not None]
    return [eps for eps, _ in kept], [number for _, number in kept]


def draw_line(axes: Axes, line: Line, style: dict[str, Any]) -> None:
    """Accuracy against strength with a band for its interval."""
    eps, found = line
    low, high = interval_ends(found)
    axes.fill_between(eps, [1 - end for end in high], [1 - end for end in low], color=style["color"], alpha=0.13)
    axes.plot(eps, [1 - (number.value or 0.0) for number in found], **style)


def attack(lookup: Lookup) -> Picture | None:
    """Accuracy under FGSM against its strength."""
    swept = [(one, sweep(lookup, one, "fgsm", lookup.attacks().get("fgsm", []))) for one in lookup.drawn]
    lines = [(one, line) for one, line in swept if line[0]]
    if not lines:
        return None
    top = legend_height(lookup) + 28
    height = 312 + top

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.065, 49 / height, 0.915, 1 - (top + 49) / height))
        for one, line in lines:
            draw_line(axes, line, line_style(lookup, one))
        axes.set_xlabel(STRENGTH, color=MUTED, fontsize=11)
        axes.set_ylim(0, 1)
        axes.margins(x=0.02)
        percent_axis(axes, "y")
        heading(axes, "", "top-1 accuracy under attack, %")
        legend(figure)

    caption = (
        "One signed gradient step of size ε on every pixel; ε = 0 is clean accuracy. Bands are 95 % intervals. "
        "Beware of gradient masking: label smoothing, mixup or saturated outputs can make this curve look good while "
        f"a stronger attack still succeeds. FGSM accuracy is not robustness.{lookup.left_out}"
    )
    panel = draw(660, height, f"Top-1 accuracy under FGSM against epsilon, one line for each {lookup.noun}", paint)
    return Picture("fgsm", "Accuracy under the fast gradient sign method (FGSM)", caption, [panel], [])


def attacks(lookup: Lookup) -> Picture | None:
    """FGSM beside the other attacks, a panel for each model; nothing where FGSM stands alone."""
    found = lookup.attacks()
    if len(found) < 2:
        return None
    panels = [panel for one in lookup.drawn if (panel := attacks_panel(lookup, one, found)) is not None]
    caption = (
        "The same accuracies, one line for each attack: the lowest line is what the model is known to keep. An attack "
        "of many steps that stands above FGSM is a sign of gradient masking. Bands are 95 % intervals."
    )
    if unlike(lookup, found):
        caption += f" {UNLIKE}"
    return Picture("attacks", "Attacks side by side", caption + lookup.left_out, panels, []) if panels else None


def attacks_panel(lookup: Lookup, one: Entry, attacks: dict[str, list[float]]) -> Panel | None:
    """Accuracy of one model against strength, one line for each attack."""
    lines = [(name, sweep(lookup, one, name, strengths)) for name, strengths in attacks.items()]
    if not any(line[0] for _, line in lines):
        return None
    top = 52 + 17 * ceil(len(lines) / 2)
    height = 210 + top

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.11, 40 / height, 0.86, 1 - (top + 40) / height))
        for place, (name, line) in enumerate(lines):
            if line[0]:
                draw_line(axes, line, attack_style(place, attack_text(name)))
        axes.set_xlabel(STRENGTH, color=MUTED, fontsize=11, labelpad=2)
        axes.set_ylim(0, 1)
        percent_axis(axes, "y")
        heading(axes, lookup.label(one), "top-1 accuracy under attack, %")
        figure.legend(loc="upper left", bbox_to_anchor=(0, 1), **SMALL_LEGEND)

    return draw(340, height, f"Top-1 accuracy of {lookup.label(one)} under each attack against epsilon", paint)


def attack_style(place: int, label: str) -> dict[str, Any]:
    """Colour, dash and marker of an attack; FGSM, the first, in ink, since colours name models elsewhere."""
    colour = SERIES[(place - 1) % len(SERIES)] if place else INK
    style = {"marker": MARKERS[place % len(MARKERS)], "linestyle": DASHES[place % len(DASHES)], "color": colour}
    return style | {"markeredgecolor": PAGE, "markeredgewidth": 1, "label": label}


def training(lookup: Lookup) -> Picture | None:
    """Loss and accuracy against images seen."""
    trained = [one for one in lookup.checkpoints if one.history and lookup.first_alike(one) is one]
    if not trained:
        return None
    drawn = [panel for curve in CURVES if (panel := history_panel(lookup, trained, curve)) is not None]
    caption = (
        "Against images seen, duplicates counted. Loss and training accuracy are measured on noisy training images, a "
        "student's against pseudo-labels and with noise inside: these curves do not test one against another."
    )
    if any(point.validation_accuracy is not None for one in trained for point in one.history):
        caption += " Validation accuracy is measured without noise on labelled images held out of training."
    if any(point.test_accuracy is not None for one in trained for point in one.history):
        caption += f" Test accuracy chose the weights that were kept: {TEST_SELECTED}."
    return Picture("training", "Training curves", caption + lookup.left_out, drawn, [])


@dataclass(frozen=True)
class Curve:
    """A quantity of a training history and how its panel is titled."""

    title: str
    below: str
    quantity: Callable[[HistoryPoint], float | None]
    percent: bool = True


CURVES = (
    Curve("Training loss", "each network's objective, on noisy images", lambda point: point.loss, percent=False),
    Curve("Training accuracy", "% of noisy images, against targets", lambda point: point.accuracy),
    Curve("Validation accuracy", "% of held-out labelled images", lambda point: point.validation_accuracy),
    Curve("Test accuracy", f"%, {TEST_SELECTED}", lambda point: point.test_accuracy),
)


def history_panel(lookup: Lookup, trained: list[CheckpointRecord], curve: Curve) -> Panel | None:
    """One training quantity for every checkpoint that has it; nothing where none has."""
    found = {
        str(one): [(point.images, value) for point in one.history if (value := curve.quantity(point)) is not None]
        for one in trained
    }
    shown = [one for one in trained if found[str(one)]]
    if not shown:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.13, 0.12, 0.83, 0.54))
        for one in shown:
            images, values = zip(*found[str(one)], strict=True)
            axes.plot(images, values, **line_style(lookup, one), markevery=max(len(images) // 6, 1))
        axes.set_xlabel("images seen", color=MUTED, fontsize=11, labelpad=2)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(lambda value, _: short_count(value))
        axes.set_ylim(bottom=0)
        if curve.percent:
            axes.set_ylim(0, 1)
            percent_axis(axes, "y")
        heading(axes, curve.title, curve.below)
        figure.legend(loc="upper left", bbox_to_anchor=(0, 1), **SMALL_LEGEND)

    return draw(340, 320, f"{curve.title} against images seen, one line for each checkpoint", paint)


def short_count(value: float) -> str:
    """A count with k or M.

    >>> short_count(0), short_count(2500), short_count(15_000_000)
    ('0', '2.5k', '15M')
    """
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
