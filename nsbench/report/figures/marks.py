"""How a model looks in every figure: colour, dash, marker, legend."""

from math import ceil
from typing import Any

from matplotlib.figure import Figure

from nsbench.report.figures.drawing import BASELINE, DASHES, MARKERS, PAGE, SERIES, printable
from nsbench.report.lookup import Entry, Lookup
from nsbench.results.measured import Measurement


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
