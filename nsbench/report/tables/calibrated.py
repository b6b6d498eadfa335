"""Calibration: errors beside the scores that have no bins, temperature scaling, calibration on corrupted images."""

from nsbench.report.figures.drawing import Picture
from nsbench.report.figures.grids import severity_panel, severity_values
from nsbench.report.lookup import Entry, Lookup
from nsbench.report.prose.wording import mean_heading, sentence_start
from nsbench.report.quantities import is_unbiased
from nsbench.report.tables.robustness import decimals, emphasis
from nsbench.report.tables.table import (
    Column,
    Notes,
    Row,
    Table,
    TableCell,
    alone,
    estimate,
    full_columns,
    measured,
    number_text,
    words,
)
from nsbench.results.key import Key, Kind

ECE = "expected_calibration_error"
TEMPERATURE = Key("scaled", "temperature")
OTHERS = (
    ("Adaptive (equal-mass)", "adaptive_calibration_error"),
    ("Class-wise", "classwise_calibration_error"),
    ("Maximum", "maximum_calibration_error"),
)
SCORES = (("NLL", "negative_log_likelihood"), ("Brier score", "brier_score"))
NOT_FITTED = (
    "No temperature was fitted, because no held-out images were declared: fitting it on the test images would flatter "
    "every number after scaling."
)
HOW = (
    "Unbiased: the median-unbiased value, with a 95 % interval for the true one. Plug-in: the error as Guo et al. "
    "2017 define it, which noise raises. Noise floor: the plug-in value to expect from this network on as many images "
    "were it perfectly calibrated, from its own confidences."
)
PLUG_IN_ALONE = (
    "This record is of an earlier version: its calibration errors are plug-in values, which noise raises, and their "
    "intervals need not hold the true value."
)


def how_to_read(lookup: Lookup, keys: list[Key]) -> str:
    """What the columns of a calibration error are, in a sentence or two."""
    return HOW if any(is_unbiased(lookup, key) for key in keys) else PLUG_IN_ALONE


def error_columns(lookup: Lookup, key: Key, group: str) -> list[Column]:
    """Three columns for one calibration error: unbiased, plug-in, noise floor."""
    first = [Column("unbiased", "%", group)] if is_unbiased(lookup, key) else []
    return [*first, Column("plug-in (Guo et al.)", "%", group), Column("noise floor", "%", group)]


def error_cells(lookup: Lookup, one: Entry, key: Key, notes: Notes, digits: int) -> list[TableCell]:
    """The cells under them; the interval stands with the unbiased value, which alone it is about."""
    found = lookup.find(one, key)
    floor = measured(alone(found, None if found is None else found.floor), notes, digits)
    if not is_unbiased(lookup, key):
        return [measured(found, notes, digits), floor]
    plain = alone(found, None if found is None else found.value)
    return [measured(estimate(found), notes, digits), measured(plain, notes, digits), floor]


def other_columns(lookup: Lookup, images: Kind) -> list[Column]:
    """The further errors, each named as what it is, then the scores."""
    named = [f"{name}, {kind(lookup, Key(images, metric))}" for name, metric in OTHERS]
    return [*(Column(name, "%") for name in named), *(Column(name) for name, _ in SCORES)]


def kind(lookup: Lookup, key: Key) -> str:
    """Whether a number is the median-unbiased one or the plug-in."""
    return "unbiased" if is_unbiased(lookup, key) else "plug-in"


def other_cells(lookup: Lookup, one: Entry, images: Kind, notes: Notes, digits: int) -> list[TableCell]:
    """The cells under them."""
    errors = [measured(estimate(lookup.find(one, Key(images, metric))), notes, digits) for _, metric in OTHERS]
    return errors + [measured(lookup.find(one, Key(images, metric)), notes, 3, 1) for _, metric in SCORES]


def calibration(lookup: Lookup) -> Table | None:
    """Calibration errors beside the scores that have no bins; nothing where none was measured."""
    if not any(lookup.measured(Key("clean", metric)) for metric in (ECE, *(metric for _, metric in OTHERS))):
        return None
    notes, digits = Notes(), decimals(lookup, "clean")
    clean, corrupted = Key("clean", ECE), lookup.key("corruption", f"mean_{ECE}")
    columns = [Column(lookup.noun.capitalize(), numeric=False)]
    columns += [*error_columns(lookup, clean, "Expected calibration error"), *other_columns(lookup, "clean")]
    corruption = lookup.benchmark("corruption")
    if corruption is not None:
        heading = mean_heading(corruption, "mean over the full set", "").removeprefix(", ")
        columns += error_columns(lookup, corrupted, f"ECE on corrupted images, {heading}")
    rows = []
    for one in lookup.entries:
        cells = [words(lookup.label(one)), *error_cells(lookup, one, clean, notes, digits)]
        cells += other_cells(lookup, one, "clean", notes, digits)
        if corruption is not None:
            cells += error_cells(lookup, one, corrupted, notes, decimals(lookup, "corruption"))
        rows.append(Row(cells, emphasis(lookup, one)))
    caption = (
        f"Clean test images, n = {lookup.results.data.test:,}; 95 % intervals in brackets. Lower is better. "
        f"{how_to_read(lookup, [clean, corrupted])} Expected: mean gap of equal-width bins of confidence, weighted by "
        "their images. Adaptive: the same over bins that hold equally many images. Class-wise: the mean over classes "
        "of the gap of each class's own probability. Maximum: the largest gap, often that of a nearly empty bin. NLL "
        "and the Brier score have no bins and no floor."
    )
    return Table("calibration", "Calibration", caption, *full_columns(columns, rows), notes.marked())


def scaled(lookup: Lookup) -> Table | None:
    """Temperature, and calibration after it."""
    if not lookup.measured(TEMPERATURE):
        return None
    notes, digits, key = Notes(), decimals(lookup, "clean"), Key("scaled", ECE)
    columns = [Column(lookup.noun.capitalize(), numeric=False), Column("Temperature")]
    columns += [*error_columns(lookup, key, "Expected calibration error"), *other_columns(lookup, "scaled")]
    rows = []
    for one in lookup.entries:
        cells = [words(lookup.label(one)), measured(lookup.find(one, TEMPERATURE), notes, 3, 1)]
        cells += error_cells(lookup, one, key, notes, digits) + other_cells(lookup, one, "scaled", notes, digits)
        rows.append(Row(cells, emphasis(lookup, one)))
    fitted = lookup.benchmark("scaled")
    on = f"{sentence_start(fitted.name)}. " if fitted is not None else ""
    caption = (
        f"{on}Held-out images chose the temperature by their likelihood, never test images; predictions stay as they "
        "are. A temperature above 1 means that the model was overconfident. The interval of a temperature is over "
        "held-out images; the others are over test images, this temperature given. Lower is better except for the "
        f"temperature; n = {lookup.results.data.test:,}; 95 % intervals in brackets. {how_to_read(lookup, [key])}"
    )
    return Table(
        "scaled", "Calibration after temperature scaling", caption, *full_columns(columns, rows), notes.marked()
    )


def fitting_text(lookup: Lookup) -> list[str]:
    """Why there is nothing after scaling, where there is nothing."""
    missing = lookup.measured(Key("clean", ECE)) and not lookup.measured(TEMPERATURE)
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
        f"darkest cell of all panels is the largest error. No temperature is applied. {floor_text(lookup)}"
        f"{lookup.left_out}"
    )
    return Picture(
        "calibration_severity", "Expected calibration error by corruption and severity", caption, panels, notes.marked()
    )


def floor_text(lookup: Lookup) -> str:
    """How much of a plug-in value would be noise in the cells of the maps, and that it was taken off."""
    floors = [
        one.floor
        for one in lookup.results.measurements
        if one.floor is not None and one.key.metric == ECE and one.key.kind == "corruption" and one.key.standard
    ]
    if not floors:
        return PLUG_IN_ALONE
    low, high = (number_text(end * 100, 1) for end in (min(floors), max(floors)))
    return f"Values are median-unbiased; perfectly calibrated networks would have plug-in values of {low} to {high} %."
