"""A record as pandas frames: one row a measurement, a comparison, a comparison over seeds.

`metrics.csv` and the two files of comparisons are these frames with the texts that a row needs where it travels alone.
pandas is imported by the functions, so that reading a record or rendering its report stays light.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.results.key import Key
from nsbench.results.measured import BenchmarkSet, Comparison, Keyed, Measurement, SeedComparison

if TYPE_CHECKING:
    import pandas as pd

KEY = ("kind", "protocol", "member", "severity", "strength")
TEXTS = ("benchmark", "metric")
NETWORK = ("study", "generation", "network", "seed", "role")
COLUMNS = (
    "model",
    *NETWORK,
    *KEY,
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "unbiased",
    "floor",
    "n",
    "baseline",
    "note",
)
"""Columns of the tidy frame.

Text is `string`; `generation`, `seed` and `severity` are `Int64`, `n` is `int64`, all else is `float64`. What does not
apply to a row is missing; a mean has an empty `member`."""
_NAMED = ("model", "study", "generation", "network", "seed", *TEXTS, "value", "ci_low", "ci_high", "n", "baseline")
CSV_COLUMNS = (*_NAMED, "weights_selection", "measured_on", *KEY)
_INTEGERS = ("generation", "seed", "severity")
_OWN = ("strength", "value", "ci_low", "ci_high", "unbiased", "floor")
_FLOATS = (*_OWN, "candidate_value", "baseline_value", "difference", "p_value", "p_holm", "detectable")


def measurement_frame(found: Sequence[Measurement], networks: Iterable[CheckpointRecord]) -> "pd.DataFrame":
    """The tidy frame with `COLUMNS`: one row a measurement, in the order of the record."""
    ours = {str(one): one.model_dump(include={*NETWORK}) for one in networks}
    return _frame(COLUMNS, (ours.get(one.model, {}) | _row(one) for one in found))


def csv_frame(
    frame: "pd.DataFrame",
    found: Sequence[Measurement],
    networks: Iterable[CheckpointRecord],
    sets: Iterable[BenchmarkSet],
) -> "pd.DataFrame":
    """The rows of `metrics.csv`, with `CSV_COLUMNS`.

    A row travels without its record. So a mean over less than the canonical set says so in its benchmark, such as
    `corruption (5 of 15)` or `corruption (first 600 images)`; `measured_on` has the set's whole name; and
    `weights_selection` says where test images chose the weights. What only a network of ours has is empty for any
    other model.

    Args:
        frame: the tidy one.
        found: its measurements.
        networks: networks that nsbench trained.
        sets: sets of images, among them that of every measurement.
    """
    by_key = {(one.kind, one.protocol, one.attack): one for one in sets}
    keys = [one.key for one in found]
    on = [by_key[key.kind, key.protocol, key.member if key.kind == "attack" else ""] for key in keys]
    chosen = {str(one): one.weights_selection for one in networks}
    extended = frame.assign(
        benchmark=[_label(key, images) for key, images in zip(keys, on, strict=True)],
        measured_on=[images.name for images in on],
        weights_selection=frame["model"].map(chosen),
    )
    return extended[list(CSV_COLUMNS)]


def comparison_frame(found: Sequence[Comparison]) -> "pd.DataFrame":
    """The rows of `comparisons.csv`: the fields of `Comparison`, their key as text and then by its parts."""
    return _compared(Comparison, found)


def seed_comparison_frame(found: Sequence[SeedComparison]) -> "pd.DataFrame":
    """The rows of `seed_comparisons.csv`; seeds are separated by spaces."""
    return _compared(SeedComparison, found)


def _compared(record: type[Keyed], found: Sequence[Comparison | SeedComparison]) -> "pd.DataFrame":
    fields = [name for name in record.model_fields if name != "key"]
    behind = fields.index("family") + 1
    return _frame((*fields[:behind], *TEXTS, *fields[behind:], *KEY), map(_row, found))


def harmless(text: str) -> str:
    """A text cell of a CSV file that no spreadsheet takes for a formula; numbers stay as they are.

    >>> harmless("=HYPERLINK(1)"), harmless("-0.5"), harmless("fog")
    ("'=HYPERLINK(1)", '-0.5', 'fog')
    """
    if not text.startswith(("=", "+", "-", "@", "\t", "\r")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _row(one: Keyed) -> dict[str, Any]:
    fields = {name: getattr(one, name) for name in type(one).model_fields if name != "key"}
    if isinstance(one, SeedComparison):
        fields["seeds"] = " ".join(map(str, one.seeds))
    return fields | vars(one.key) | {"benchmark": one.key.benchmark}


def _label(key: Key, images: BenchmarkSet) -> str:
    """The text of a number; that of a mean says what keeps it from being one over the whole set."""
    if key.member or images.complete or not images.counted:
        return key.benchmark
    if not images.missing:
        return f"{key.benchmark} (first {images.images} images)"
    return f"{key.benchmark} ({len(images.counted)} of {len(images.counted) + len(images.missing)})"


def _frame(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415  # a report is rendered without it

    frame = pd.DataFrame([[row.get(column) for column in columns] for row in rows], columns=list(columns))
    return frame.astype({column: _dtype(column) for column in columns})


def _dtype(column: str) -> str:
    if column in _INTEGERS:
        return "Int64"
    return "float64" if column in _FLOATS else "int64" if column == "n" else "string"
