"""Two compared models as a Markdown table and sentences, or as JSON."""

import json

from nsbench.results.compare.versus import Versus
from nsbench.results.key import Key
from nsbench.results.measured import Comparison
from nsbench.results.quantities import metric

_HEADINGS = (
    "benchmark",
    "metric",
    "n",
    "candidate",
    "baseline",
    "difference",
    "95 % interval",
    "detectable",
    "p",
    "p (Holm)",
    "verdict",
)
_TEXT = 2
"""Columns that are text; those after them are numbers, aligned right, but for the verdict."""


def to_json(found: Versus) -> str:
    """Everything, for programs; each comparison also has its key as the two texts of the table."""
    content = found.model_dump(mode="json")
    for one, row in zip(found.comparisons, content["comparisons"], strict=True):
        row |= {"benchmark": one.key.benchmark, "metric": one.key.metric}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_markdown(found: Versus) -> str:
    """The table, what it means, and what is not in it."""
    lines = [f"# {_named(found.candidate, found.candidate_of)} against {_named(found.baseline, found.baseline_of)}", ""]
    lines += [_row(_HEADINGS), _row(["---"] * _TEXT + ["---:"] * (len(_HEADINGS) - _TEXT - 1) + ["---"])]
    lines += [_row(_cells(one)) for one in found.comparisons]
    lines += ["", _summary(found), "", _legend(len(found.comparisons))]
    if found.not_compared:
        lines += ["", "Not compared:", "", *(f"- {sentence}" for sentence in found.not_compared)]
    return "\n".join(lines) + "\n"


def _named(model: str, of: str) -> str:
    return f"{model} ({of})"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(one: Comparison) -> list[str]:
    return [
        one.key.benchmark,
        one.key.metric,
        f"{one.n:,}",
        _amount(one.candidate_value, one.key),
        _amount(one.baseline_value, one.key),
        _amount(one.difference, one.key, sign="+"),
        f"{_amount(one.ci_low, one.key, sign='+')} to {_amount(one.ci_high, one.key, sign='+')}",
        _amount(one.detectable, one.key),
        _p_value(one.p_value),
        _p_value(one.p_holm),
        one.verdict,
    ]


def _amount(value: float | None, key: Key, sign: str = "") -> str:
    """A fraction in percent, a likelihood or a Brier score as it is."""
    if value is None:
        return "-"
    return f"{value:{sign}.4f}" if metric(key.metric).unit == "plain" else f"{100 * value:{sign}.2f} %"


def _p_value(value: float | None) -> str:
    """A p-value; below what a bootstrap can claim, no more than that."""
    if value is None:
        return "-"
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.001 else f"{value:.3f}"


def _summary(found: Versus) -> str:
    """The verdicts counted, those of the worse named."""
    better, worse, unknown = (
        [str(one.key) for one in found.comparisons if one.verdict == verdict]
        for verdict in ("better", "worse", "no evidence")
    )
    parts = [
        f"better in {len(better)}" + (f" ({', '.join(better)})" if better else ""),
        f"worse in {len(worse)}" + (f" ({', '.join(worse)})" if worse else ""),
        f"without evidence either way in {len(unknown)}",
    ]
    return f"Of {len(found.comparisons)} numbers, {found.candidate} is {', '.join(parts)}."


def _legend(count: int) -> str:
    return (
        "Less is better in every row. Difference: candidate minus baseline on the same images, of percentages in "
        "percentage points, with the interval of the "
        "paired bootstrap; p by McNemar's exact test where a number is a share of misclassified images, else by the "
        "paired bootstrap. Calibration errors are median-unbiased, their difference by MOVER on their two intervals. "
        f"Holm's correction over the {count} rows. Detectable: the true difference that a test so corrected finds in "
        "80 of 100 test sets of this size. A row without p has no image on which the two differ. Each side is one "
        "training: a verdict is on these two models and says nothing about what training either again would give."
    )
