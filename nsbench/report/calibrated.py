"""Calibration: errors beside the scores that have no bins, temperature scaling, calibration on corrupted images."""

from nsbench.report.cells import Column, Notes, Row, Table, full_columns, measured, words
from nsbench.report.drawing import Picture
from nsbench.report.grids import severity_panel, severity_values
from nsbench.report.lookup import Entry, Lookup
from nsbench.report.tables import INTERVALS, decimals, emphasis
from nsbench.report.wording import mean_heading, sentence_start

ECE = "expected_calibration_error"
ERRORS = (
    ("Expected calibration error", ECE),
    ("Adaptive (equal-mass)", "adaptive_calibration_error"),
    ("Class-wise", "classwise_calibration_error"),
    ("Maximum", "maximum_calibration_error"),
)
SCORES = (("NLL", "negative_log_likelihood"), ("Brier score", "brier_score"))
NOT_FITTED = (
    "No temperature was fitted, because no held-out images were declared: fitting it on the test images would flatter "
    "every number after scaling."
)


def calibration(lookup: Lookup) -> Table | None:
    """Calibration errors beside the scores that have no bins; nothing where none was measured."""
    if not any(lookup.measured("clean", metric) for _, metric in ERRORS):
        return None
    notes, digits = Notes(), decimals(lookup, "clean")
    columns = [Column(lookup.noun.capitalize(), numeric=False)]
    columns += [*(Column(name, "%") for name, _ in ERRORS), *(Column(name) for name, _ in SCORES)]
    corruption = lookup.benchmark("corruption")
    if corruption is not None:
        heading = mean_heading(corruption, "mean over the full set", "")
        columns.append(Column("ECE on corrupted images, " + heading.removeprefix(", "), "%"))
    rows = []
    for one in lookup.entries:
        errors = [measured(lookup.find(one, "clean", metric), notes, digits) for _, metric in ERRORS]
        scores = [measured(lookup.find(one, "clean", metric), notes, 3, 1) for _, metric in SCORES]
        cells = [words(lookup.label(one)), *errors, *scores]
        if corruption is not None:
            found = lookup.find(one, "corruption", f"mean_{ECE}")
            cells.append(measured(found, notes, decimals(lookup, "corruption")))
        rows.append(Row(cells, emphasis(lookup, one)))
    caption = (
        f"Clean test images, n = {lookup.results.data.test:,}; {INTERVALS}. Lower is better. Expected: mean gap of "
        "equal-width bins of confidence, weighted by their images. Adaptive: the same over bins that hold equally many "
        "images. Class-wise: the mean over classes of the gap of each class's own probability. Maximum: the largest "
        "gap, often that of a nearly empty bin."
    )
    return Table("calibration", "Calibration", caption, *full_columns(columns, rows), notes.marked())


def scaled(lookup: Lookup) -> Table | None:
    """Temperature, and calibration after it."""
    if not lookup.measured("scaled", "temperature"):
        return None
    notes, digits = Notes(), decimals(lookup, "clean")
    columns = [Column(lookup.noun.capitalize(), numeric=False), Column("Temperature")]
    columns += [*(Column(name, "%") for name, _ in ERRORS), *(Column(name) for name, _ in SCORES)]
    rows = []
    for one in lookup.entries:
        cells = [words(lookup.label(one)), measured(lookup.find(one, "scaled", "temperature"), notes, 3, 1)]
        cells += [measured(lookup.find(one, "scaled", metric), notes, digits) for _, metric in ERRORS]
        cells += [measured(lookup.find(one, "scaled", metric), notes, 3, 1) for _, metric in SCORES]
        rows.append(Row(cells, emphasis(lookup, one)))
    fitted = lookup.benchmark("scaled")
    on = f"{sentence_start(fitted.name)}. " if fitted is not None else ""
    caption = (
        f"{on}Held-out images chose the temperature by their likelihood, never test images; predictions stay as they "
        "are. A temperature above 1 means that the model was overconfident. The interval of a temperature is over "
        "held-out images; the others are over test images, this temperature given. Lower is better but for the "
        f"temperature; n = {lookup.results.data.test:,}; {INTERVALS}."
    )
    return Table(
        "scaled", "Calibration after temperature scaling", caption, *full_columns(columns, rows), notes.marked()
    )


def fitting_text(lookup: Lookup) -> list[str]:
    """Why there is nothing after scaling, where there is nothing."""
    missing = lookup.measured("clean", ECE) and not lookup.measured("scaled", "temperature")
    return [NOT_FITTED] if missing else []


def severity_maps(lookup: Lookup) -> Picture | None:
    """Expected calibration error by corruption and severity for each model, all shaded on one scale."""
    benchmark = lookup.benchmark("corruption")
    if benchmark is None:
        return None
    notes = Notes()
    found: list[tuple[Entry, dict[tuple[str, int], tuple[float, str]]]] = [
        (one, values) for one in lookup.drawn if (values := severity_values(lookup, benchmark, one, ECE, notes))
    ]
    if not found:
        return None
    largest = max(value for _, values in found for value, _ in values.values()) or 1.0
    panels = [
        severity_panel(benchmark, lookup.severities(benchmark), (lookup.label(one), "ECE, %"), values, largest)
        for one, values in found
    ]
    caption = (
        f"Rows are corruptions, columns severities; {benchmark.name}, n = {benchmark.images:,} a cell. The "
        f"darkest cell of all panels is the largest error. No temperature is applied.{lookup.left_out}"
    )
    return Picture(
        "calibration_severity", "Expected calibration error by corruption and severity", caption, panels, notes.marked()
    )
