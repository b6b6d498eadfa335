"""Tables with one row for each corruption, perturbation or class."""

from dataclasses import dataclass, replace

from nsbench.checkpoints.record import CheckpointRecord, SelectionRecord
from nsbench.report.lookup import CLEAN, Entry, Lookup
from nsbench.report.prose.wording import coverage
from nsbench.report.quantities import is_unbiased
from nsbench.report.tables.robustness import INTERVALS, POOLED, SAME_IMAGES, fitted
from nsbench.report.tables.table import (
    UNDEFINED,
    Column,
    Emphasis,
    Notes,
    Row,
    Table,
    TableCell,
    count,
    estimate,
    measured,
    number_text,
    places,
    words,
)
from nsbench.results.key import Key, Kind
from nsbench.results.measured import BenchmarkSet

SCORING = "The true labels of unlabelled images are used for this score only, never in training."
UNKNOWN = " The true labels of some unlabelled images are not known: no share of right labels counts them."
ASIDE = "Validation only, never averaged"
IMAGENET = "mean of ImageNet-P's ten (snow in spatter's place)"


@dataclass(frozen=True)
class Reading:
    """What one table by member shows: a metric of the members and the metric that is its mean."""

    metric: str
    mean: str
    title: str
    caption: str
    ratio: bool
    with_accuracy: bool = False
    other_means: tuple[tuple[str, str], ...] = ()


CORRUPTIONS = (
    Reading(
        "corruption_error",
        "mean_corruption_error",
        "Corruption error by corruption",
        "Top-1 error over all severities divided by the baseline's; below 100 % is better than the baseline.",
        ratio=True,
    ),
    Reading(
        "mean_error",
        "mean_error",
        "Top-1 error by corruption",
        "Mean over the severities, not relative to the baseline.",
        ratio=False,
    ),
    Reading(
        "relative_corruption_error",
        "relative_mean_corruption_error",
        "Relative corruption error by corruption",
        "Growth of the error over clean images divided by the baseline's growth. Ill-conditioned where the baseline "
        "hardly degrades: a wide interval or a note says where. Lower is not simply better.",
        ratio=True,
        other_means=(("ratio of sums over all of these", POOLED),),
    ),
)
PERTURBATIONS = (
    Reading(
        "flip_probability",
        "mean_flip_probability",
        "Flip probability by perturbation",
        "How often the prediction changes along a sequence. No label is used and a constant model scores 0: read it "
        "with the accuracy in the first row.",
        ratio=False,
        with_accuracy=True,
        other_means=((IMAGENET, "imagenet_mean_flip_probability"),),
    ),
    Reading(
        "flip_rate",
        "mean_flip_rate",
        "Flip rate by perturbation",
        "Flip probability divided by the baseline's; below 100 % is steadier than the baseline.",
        ratio=True,
        with_accuracy=True,
        other_means=((IMAGENET, "imagenet_mean_flip_rate"),),
    ),
)
CALIBRATION = Reading(
    "mean_expected_calibration_error",
    "mean_expected_calibration_error",
    "Expected calibration error by corruption",
    "Mean over the severities, without any temperature.",
    ratio=False,
)


def by_member(lookup: Lookup, kind: Kind) -> list[Table]:
    """The tables of one kind of benchmark; those without a single number are left out."""
    benchmark = lookup.benchmark(kind)
    if benchmark is None:
        return []
    readings = CORRUPTIONS if kind == "corruption" else PERTURBATIONS
    return [table for reading in readings if (table := member_table(lookup, benchmark, reading)) is not None]


def calibration(lookup: Lookup) -> Table | None:
    """Expected calibration error of each corruption."""
    benchmark = lookup.benchmark("corruption")
    return member_table(lookup, benchmark, CALIBRATION) if benchmark is not None else None


def member_table(lookup: Lookup, benchmark: BenchmarkSet, reading: Reading) -> Table | None:
    """One row a member, one column a model; members that are never averaged stand apart at the end."""
    notes, kind, mean = Notes(), benchmark.kind, Key(benchmark.kind, reading.mean, benchmark.protocol)

    def row(name: str, key: Key, emphasis: Emphasis = "", heading: str = "") -> Row:
        found = [
            member_cell(lookup, one, key, notes, reading.ratio and lookup.is_baseline(one)) for one in lookup.entries
        ]
        return Row([words(name), *found], emphasis, heading)

    def member(name: str) -> Key:
        return Key(kind, reading.metric, benchmark.protocol, name)

    rows = [row(name, member(name)) for name in benchmark.counted]
    rows.append(row("mean" if benchmark.complete else coverage(benchmark), mean, "mean"))
    others = [(name, replace(mean, metric=metric)) for name, metric in reading.other_means]
    rows += [row(name, key, "mean") for name, key in others if lookup.measured(key)]
    for index, name in enumerate(benchmark.shown):
        rows.append(row(name, member(name), "aside", "" if index else ASIDE))
    if all(cell.text == UNDEFINED for one in rows for cell in one.cells[1:]):
        return None
    if reading.with_accuracy or reading.metric == "mean_error":
        rows.insert(0, clean_row(lookup, benchmark, notes, complement=reading.with_accuracy))
    columns = [Column(kind.capitalize(), numeric=False)]
    columns += [Column(lookup.label(one), "% of baseline" if reading.ratio else "%") for one in lookup.entries]
    caption = f"{reading.caption} {benchmark.name}, n = {benchmark.images:,}; {INTERVALS}."
    if is_unbiased(lookup, mean):
        caption += " The value is the median-unbiased one; plug-in and noise floor follow it."
    return fitted(lookup, Table(reading.metric, reading.title, caption, columns, rows, notes.marked()))


def member_cell(lookup: Lookup, one: Entry, key: Key, notes: Notes, baseline: bool) -> TableCell:
    """One number of one model; a calibration error with its plug-in value and its noise floor in a smaller line."""
    found = lookup.find(one, key)
    digits = places(0 if found is None else found.n)
    cell = measured(estimate(found), notes, digits, baseline=baseline)
    if found is None or found.unbiased is None or found.value is None:
        return cell
    floor = "" if found.floor is None else f", floor {number_text(found.floor * 100, digits)}"
    return replace(cell, aside=f"plug-in {number_text(found.value * 100, digits)}{floor}")


def clean_row(lookup: Lookup, benchmark: BenchmarkSet, notes: Notes, complement: bool) -> Row:
    """Clean accuracy or error of the same images, so that no other number of theirs is read without it.

    A record of an earlier version has it of all test images alone.
    """
    key = Key(benchmark.kind, SAME_IMAGES, benchmark.protocol)
    same = lookup.measured(key)
    found = [lookup.find(one, key if same else CLEAN) for one in lookup.entries]
    n = next((one.n for one in found if one is not None), 0)
    cells = [measured(one, notes, places(n), complement=complement) for one in found]
    which = "same images" if same or n == benchmark.images else f"all {n:,} test images"
    return Row([words(f"clean top-1 {'accuracy' if complement else 'error'}", f"%, {which}"), *cells], "aside")


def selection(lookup: Lookup) -> Table | None:
    """Pseudo-labelled images per class, before and after balancing, for each student."""
    students = [(one, one.selection) for one in lookup.students() if one.selection and lookup.first_alike(one) is one]
    if not students:
        return None
    columns = [Column("Class", numeric=False)]
    for one, _ in students:
        columns += [Column(name, group=lookup.label(one)) for name in ("above", "kept", "copies")]
        columns.append(Column("right", "%", group=lookup.label(one)))
    classes = lookup.results.data.classes
    rows = [
        Row([words(name), *(cell for _, found in students for cell in class_cells(found, index))])
        for index, name in enumerate(classes)
    ]
    rows.append(Row([words("all classes"), *(cell for _, found in students for cell in total_cells(found))], "mean"))
    caption = (
        "By pseudo-label, which need not be the true class. Above: unlabelled images whose confidence exceeds the "
        "threshold, before balancing. Kept: distinct pseudo-labelled images after balancing. Copies: duplicates that "
        f"balancing added. Right: share of the kept pseudo-labels that equal the true label; {UNDEFINED} where none "
        f"was kept. {SCORING} Counts, not estimates, so without intervals."
    )
    if lookup.groups:
        caption += f" Shown for seed {students[0][0].seed} alone; the counts of all are in the table before."
    return Table("selection", "Images per class and generation", caption, columns, rows, [])


def class_cells(found: SelectionRecord, index: int) -> list[TableCell]:
    """Three counts of one class and the share of its pseudo-labels that are right."""
    lists = (found.above_threshold, found.kept, found.duplicates)
    counts = [count(counts[index]) if index < len(counts) else TableCell(UNDEFINED) for counts in lists]
    return [*counts, share(found.class_accuracy[index] if index < len(found.class_accuracy) else None)]


def total_cells(found: SelectionRecord) -> list[TableCell]:
    """The same over all classes."""
    counts = [count(sum(counts)) for counts in (found.above_threshold, found.kept, found.duplicates)]
    return [*counts, share(found.accuracy)]


def pseudo_labels(lookup: Lookup) -> Table | None:
    """How many pseudo-labels passed, and how many of them are right."""
    students: list[tuple[CheckpointRecord, SelectionRecord]] = [
        (one, one.selection) for one in lookup.checkpoints if one.selection is not None
    ]
    if not students:
        return None
    columns = [
        Column("Student", numeric=False),
        Column("Teacher", numeric=False),
        Column("Threshold"),
        Column("Unlabelled"),
    ]
    columns += [
        Column("Above threshold"),
        Column("Share above", "%"),
        Column("Kept"),
        Column("Copies"),
        Column("Kept labels right", "%"),
    ]
    rows = []
    for one, found in students:
        teacher = lookup.checkpoint(found.teacher)
        above = sum(found.above_threshold)
        cells = [words(lookup.label(one)), words(lookup.label(teacher) if teacher else found.teacher)]
        cells += [
            TableCell(f"{found.confidence_threshold:g}", found.confidence_threshold),
            count(found.available),
            count(above),
        ]
        cells += [
            share(above / found.available if found.available else None),
            count(sum(found.kept)),
            count(sum(found.duplicates)),
        ]
        rows.append(Row([*cells, share(found.accuracy)]))
    caption = (
        "What passed the confidence threshold and what balancing made of it. Kept labels right: the share of kept "
        f"pseudo-labels that equal the true label. {SCORING} Counted over all kept images, so without an interval."
    )
    if not all(found.labels_known for _, found in students):
        caption += UNKNOWN
    return Table("pseudo_labels", "Pseudo-labels", caption, columns, rows, [])


def share(value: float | None) -> TableCell:
    """A fraction as percent."""
    return TableCell(UNDEFINED) if value is None else TableCell(f"{value * 100:.1f}", value * 100)
