"""The tables of a report, built from the record."""

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.models.record import ModelRecord
from nsbench.report.cells import (
    UNDEFINED,
    Cell,
    Column,
    Emphasis,
    Notes,
    Row,
    Table,
    count,
    full_columns,
    measured,
    places,
    turned,
    words,
)
from nsbench.report.comparisons import READINGS, difference, holm, probability
from nsbench.report.lookup import Entry, Lookup
from nsbench.report.quantities import RATIOS, quantity
from nsbench.report.students import opponents, verdict
from nsbench.report.trained import how_trained
from nsbench.report.wording import mean_heading, sentence_start
from nsbench.results.record import BenchmarkSet, Comparison

CONTROL_TEXT = (
    "The control is the last student's network trained on the labelled images alone, with a student's input noise, "
    "model noise and image budget: what separates the two is the teacher's labels and luck in training."
)
MOST_COLUMNS = 8
INTERVALS = "95 % bootstrap intervals in brackets"


def decimals(lookup: Lookup, kind: str) -> int:
    """Decimals of percentages measured on one set of images."""
    benchmark = lookup.benchmark(kind)
    return places(benchmark.images if benchmark is not None else lookup.results.data.test)


def emphasis(lookup: Lookup, one: Entry) -> Emphasis:
    """How a model's row is set."""
    return "reference" if lookup.is_reference(one) else ""


def fitted(lookup: Lookup, table: Table, naming: int = 1) -> Table:
    """A table with one column a model, turned where models are too many for columns."""
    if len(lookup.entries) <= MOST_COLUMNS:
        return table
    emphases = [emphasis(lookup, one) for one in lookup.entries]
    return turned(table, lookup.noun.capitalize(), emphases, naming)


def training_cells(lookup: Lookup, one: CheckpointRecord) -> list[Cell]:
    """Labelled, pseudo-labelled and duplicated images of a training set; balancing makes copies for a control too."""
    chosen = one.selection
    if chosen is None:
        if not lookup.trained_here:
            return [count(one.training_images), Cell(UNDEFINED), Cell(UNDEFINED)]
        labeled = min(one.training_images, lookup.results.data.labeled)
        copies = one.training_images - labeled
        return [count(labeled), Cell(UNDEFINED), count(copies) if copies else Cell(UNDEFINED)]
    return [count(sum(chosen.labeled)), count(sum(chosen.kept)), count(sum(chosen.duplicates))]


def generations(lookup: Lookup) -> Table:
    """What was trained, and how it does on clean images."""
    notes, digits = Notes(), decimals(lookup, "clean")
    columns = [Column("Checkpoint", numeric=False), Column("Network", numeric=False), Column("Parameters")]
    columns += [Column(name, group="Training images") for name in ("labelled", "pseudo", "copies")]
    columns += [
        Column("Top-1 accuracy", "%"),
        Column("Top-5 accuracy", "%"),
        Column("NLL"),
        Column("Brier score"),
        Column("ECE", "%"),
    ]
    rows = []
    for one in lookup.checkpoints:
        clean = [measured(lookup.find(one, "clean", f"top{k}_error"), notes, digits, complement=True) for k in (1, 5)]
        clean += [
            measured(lookup.find(one, "clean", name), notes, 3, 1)
            for name in ("negative_log_likelihood", "brier_score")
        ]
        clean.append(measured(lookup.find(one, "clean", "expected_calibration_error"), notes, digits))
        named = [
            words(lookup.generation(one), "supervised" if lookup.is_reference(one) else one.role),
            words(one.network),
            count(one.parameters),
        ]
        rows.append(Row([*named, *training_cells(lookup, one), *clean], emphasis(lookup, one)))
    caption = (
        f"Clean test images, n = {lookup.results.data.test:,}; {INTERVALS}. Copies are duplicates added to balance "
        "the classes. NLL is the negative log-likelihood; the Brier score sums squared differences over classes (0 "
        "to 2); ECE is the expected calibration error. Accuracy: higher is better; all else: lower. Top-5 is never "
        f"used to rank. {how_trained(lookup)}"
    )
    return Table("generations", "Generations", caption, columns, rows, notes.marked())


def teacher_comparisons(lookup: Lookup) -> list[Comparison]:
    """Each student's clean error against that of the networks it is measured by."""
    pairs = [(one, other) for one in lookup.students() for other in opponents(lookup, one)]
    return [found for one, other in pairs if (found := lookup.comparison(one, other))]


def teachers(lookup: Lookup) -> Table | None:
    """Each student against the teacher that labelled its images, the first one, baseline and control."""
    if not lookup.students():
        return None
    columns = [
        Column("Student", numeric=False),
        Column("Compared with", numeric=False),
        Column("Top-1 error, student minus other", "points"),
        Column("McNemar p (Holm)"),
        Column("Student is", numeric=False),
    ]
    rows = [_paired_row(lookup, one, other) for one in lookup.students() for other in opponents(lookup, one)]
    caption = (
        f"Paired on the same test images, n = {lookup.results.data.test:,}; 95 % paired bootstrap interval in "
        f"brackets. Negative: the student makes fewer errors. {sentence_start(holm(lookup))}."
    )
    title = "Each student against its teacher, the first teacher and the baseline"
    if any(one.role == "control" for one in lookup.checkpoints):
        title += ", the last one also against the control"
        caption += f" {CONTROL_TEXT}"
    return Table("teachers", title, caption, columns, rows, [])


def _paired_row(lookup: Lookup, student: CheckpointRecord, other: str) -> Row:
    found = lookup.comparison(student, other)
    change, test = Cell(UNDEFINED), Cell(UNDEFINED)
    if found is not None:
        change = difference(found, quantity(lookup, "clean", "top1_error", found.n))
        test = probability(found.p_holm)
    outcome = READINGS[verdict(lookup, student, other)]
    return Row([words(lookup.label(student)), words(lookup.label_of(other)), change, test, words(outcome)])


CORRUPTION_MEANS = (
    ("mean_error", "Mean error (uCE)", "Top-1 error on corrupted images"),
    ("mean_corruption_error", "mCE", "Corruption error"),
    ("relative_mean_corruption_error", "Relative mCE", "Relative corruption error"),
    ("pooled_relative_corruption_error", "Pooled relative corruption error", "Pooled relative corruption error"),
)
PERTURBATION_MEANS = (
    ("mean_flip_probability", "Mean flip probability", "Flip probability"),
    ("mean_flip_rate", "mFR", "Flip rate"),
)


def means(found: BenchmarkSet | None) -> list[tuple[str, str, str]]:
    """Heading, kind and metric of the means over a set; none where it was not measured."""
    if found is None:
        return []
    known = CORRUPTION_MEANS if found.kind == "corruption" else PERTURBATION_MEANS
    return [(mean_heading(found, full, partial), found.kind, metric) for metric, full, partial in known]


def robustness(lookup: Lookup) -> Table | None:
    """Mean corruption errors and flip rates, one row a model."""
    sets = [found for kind in ("corruption", "perturbation") if (found := lookup.benchmark(kind)) is not None]
    wanted = [mean for found in sets for mean in means(found)]
    if not wanted:
        return None
    notes = Notes()
    columns = [Column(lookup.noun.capitalize(), numeric=False), Column("Clean top-1 error", "%")]
    columns += [Column(title, "% of baseline" if metric.endswith(RATIOS) else "%") for title, _, metric in wanted]
    rows = []
    for one in lookup.entries:
        base = lookup.is_baseline(one)
        clean = measured(lookup.find(one, "clean", "top1_error"), notes, decimals(lookup, "clean"))
        cells = [
            measured(
                lookup.find(one, kind, metric), notes, decimals(lookup, kind), baseline=base and metric.endswith(RATIOS)
            )
            for _, kind, metric in wanted
        ]
        rows.append(Row([words(lookup.label(one)), clean, *cells], emphasis(lookup, one)))
    names = " and ".join(f"{one.name} (n = {one.images:,})" for one in sets)
    caption = (
        f"Measured on {names}; {INTERVALS}. Lower is better, "
        "with the caution that flips do not ask for the right answer."
    )
    if lookup.baseline is not None:
        caption += (
            f" Relative to the baseline{baseline_name(lookup)}, which is 100 % by definition; a relative corruption "
            "error is ill-conditioned where the baseline hardly degrades."
        )
    return Table("robustness", "Robustness", caption, *full_columns(columns, rows), notes.marked())


def baseline_name(lookup: Lookup) -> str:
    """The baseline's name where it is not simply called the baseline."""
    found = lookup.baseline
    return f" {found}" if isinstance(found, ModelRecord) else ""
