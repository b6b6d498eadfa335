"""Benchmarks beside the data set's own -C and -P, and metrics that a user added: a table for each."""

import re
from dataclasses import replace

from nsbench.report.lookup import Lookup
from nsbench.report.prose.wording import sentence_start
from nsbench.report.quantities import is_unbiased, quantity, unit_text
from nsbench.report.tables.members import CALIBRATION, CORRUPTIONS, PERTURBATIONS, Reading, member_table
from nsbench.report.tables.robustness import INTERVALS, emphasis, fitted
from nsbench.report.tables.table import Column, Notes, Row, Table, estimate, full_columns, measured, words
from nsbench.results.key import Key, Kind
from nsbench.results.measured import BenchmarkSet
from nsbench.results.quantities import built_in, metric

SHARES = ("mean_error", "flip_probability")
READINGS: dict[Kind, list[Reading]] = {
    "corruption": [*(one for one in CORRUPTIONS if one.metric in SHARES), CALIBRATION],
    "perturbation": [one for one in PERTURBATIONS if one.metric in SHARES],
}
ON_TEST_SETS = (
    ("Top-1 error", "top1_error"),
    ("NLL", "negative_log_likelihood"),
    ("Brier score", "brier_score"),
    ("ECE", "expected_calibration_error"),
)


def further(lookup: Lookup) -> list[Table]:
    """Every further test set, set of corruptions or perturbations, and metric; nothing where there is none."""
    tables = [table for one in lookup.further("test_set") if (table := test_set(lookup, one)) is not None]
    for kind, readings in READINGS.items():
        tables += [
            table
            for one in lookup.further(kind)
            for reading in readings
            if (table := members_of(lookup, one, reading)) is not None
        ]
    own = added(lookup)
    return [*tables, own] if own is not None else tables


def members_of(lookup: Lookup, found: BenchmarkSet, reading: Reading) -> Table | None:
    """One row a member of a further benchmark, one column a model, and the mean over the members that count."""
    table = member_table(lookup, found, reading)
    if table is None:
        return None
    return replace(table, identifier=f"{file_name(found)}-{table.identifier}", title=f"{found.protocol}: {table.title}")


def file_name(found: BenchmarkSet) -> str:
    """The name of a benchmark as a part of a file's name, which may come from anywhere."""
    return re.sub(r"[^\w.-]|^\.+", "_", found.protocol)


def test_set(lookup: Lookup, found: BenchmarkSet) -> Table | None:
    """Error, scores and calibration error on a plain test set, one row a model."""
    keys = [(heading, Key("test_set", name, found.protocol)) for heading, name in ON_TEST_SETS]
    notes = Notes()
    columns = [Column(lookup.noun.capitalize(), numeric=False)]
    for heading, key in keys:
        unbiased = ", unbiased" if is_unbiased(lookup, key) else ""
        columns.append(Column(f"{heading}{unbiased}", unit_text(key.metric)))
    rows = []
    for one in lookup.entries:
        cells = [
            measured(estimate(lookup.find(one, key)), notes, shown.decimals, shown.scale)
            for _, key in keys
            for shown in [quantity(lookup, key, found.images)]
        ]
        rows.append(Row([words(lookup.label(one)), *cells], emphasis(lookup, one)))
    if not any(lookup.measured(key) for _, key in keys):
        return None
    caption = (
        f"{sentence_start(found.name)}, n = {found.images:,}; {INTERVALS}. Lower is better. Its images are others than "
        "those of the data set's own test set, so a difference between the two comes from the images, too."
    )
    return Table(file_name(found), found.protocol, caption, *full_columns(columns, rows), notes.marked())


def added(lookup: Lookup) -> Table | None:
    """Metrics on clean images that are not nsbench's own, one row each."""
    of_clean = [one.key for one in lookup.results.measurements if one.key.kind == "clean"]
    keys = [key for key in dict.fromkeys(of_clean) if not built_in(key.metric)]
    if not keys:
        return None
    notes, rows = Notes(), []
    for key in keys:
        found = [lookup.find(one, key) for one in lookup.entries]
        shown = quantity(lookup, key, next(one.n for one in found if one is not None))
        cells = [measured(one, notes, shown.decimals, shown.scale) for one in found]
        rows.append(Row([words(sentence_start(metric(key.metric).title), shown.unit), *cells]))
    columns = [Column("Metric", numeric=False), *(Column(lookup.label(one)) for one in lookup.entries)]
    images = f"Clean test images, n = {lookup.results.data.test:,}; {INTERVALS}."
    caption = f"Metrics that were added to those of nsbench. {images}"
    return fitted(lookup, Table("added_metrics", "Added metrics", caption, columns, rows, notes.marked()))
