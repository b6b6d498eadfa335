"""The tables of a report, built from the record."""

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.cells import (
    UNDEFINED,
    Cell,
    Column,
    Emphasis,
    Notes,
    Row,
    Table,
    count,
    measured,
    places,
    words,
)
from nsbench.report.lookup import Lookup
from nsbench.report.trained import how_trained
from nsbench.report.wording import READINGS, SIGNIFICANT, mean_heading, opponents, verdict

CONTROL_TEXT = (
    "The control is the last student's network trained on the labelled images alone, with a student's input noise, "
    "model noise and image budget: what separates the two is the teacher's labels and luck in training."
)
INTERVALS = "95 % bootstrap intervals in brackets"


def decimals(lookup: Lookup, kind: str) -> int:
    """Decimals of percentages measured on one set of images."""
    benchmark = lookup.benchmark(kind)
    return places(benchmark.images if benchmark is not None else lookup.results.data.test)


def emphasis(lookup: Lookup, one: CheckpointRecord) -> Emphasis:
    """How a checkpoint's row is set."""
    return "reference" if lookup.is_reference(one) else ""


def training_cells(lookup: Lookup, one: CheckpointRecord) -> list[Cell]:
    """Labelled, pseudo-labelled and duplicated images of a training set; balancing makes copies for a control too."""
    chosen = one.selection
    if chosen is None:
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


def teachers(lookup: Lookup) -> Table | None:
    """Each student against the teacher that labelled its images, the first one, baseline and control."""
    if not lookup.students():
        return None
    notes = Notes()
    columns = [
        Column("Student", numeric=False),
        Column("Compared with", numeric=False),
        Column("Top-1 error, student minus other", "points"),
        Column("McNemar p"),
        Column("Student is", numeric=False),
    ]
    pairs = [(one, other) for one in lookup.students() for other in opponents(lookup, one)]
    rows = [_paired_row(lookup, one, other, notes) for one, other in pairs]
    caption = (
        f"Paired on the same test images, n = {lookup.results.data.test:,}; 95 % paired bootstrap interval in "
        "brackets. Negative: the student makes fewer errors. A difference is called one when the interval excludes "
        f"zero and p < {SIGNIFICANT}; p-values are two-sided and not corrected for several comparisons."
    )
    title = "Each student against its teacher, the first teacher and the baseline"
    if any(one.role == "control" for one in lookup.checkpoints):
        title += ", the last one also against the control"
        caption += f" {CONTROL_TEXT}"
    return Table("teachers", title, caption, columns, rows, notes.marked())


def _paired_row(lookup: Lookup, student: CheckpointRecord, other: str, notes: Notes) -> Row:
    difference = lookup.find(student, "clean", "top1_error_difference", other)
    test = measured(lookup.find(student, "clean", "mcnemar_p_value", other), notes, 3, 1)
    if test.number is not None and test.number < 0.001:
        test = Cell("<0.001", test.number, marks=test.marks)
    against = lookup.checkpoint(other)
    return Row(
        [
            words(lookup.label(student)),
            words(lookup.label(against) if against else other),
            measured(difference, notes, decimals(lookup, "clean"), signed=True),
            test,
            words(READINGS[verdict(lookup, student, other)]),
        ]
    )


def robustness(lookup: Lookup) -> Table | None:
    """Mean corruption errors and flip rates, one row a checkpoint."""
    corruption, perturbation = lookup.benchmark("corruption"), lookup.benchmark("perturbation")
    wanted: list[tuple[str, str, str, bool]] = []
    if corruption is not None:
        partial = ("Top-1 error on corrupted images", "Corruption error", "Relative corruption error")
        full = ("Mean error (uCE)", "mCE", "Relative mCE")
        metrics = ("mean_error", "mean_corruption_error", "relative_mean_corruption_error")
        for metric, long, short in zip(metrics, full, partial, strict=True):
            wanted.append((mean_heading(corruption, long, short), "corruption", metric, metric != "mean_error"))
    if perturbation is not None:
        for metric, long, short in (
            ("mean_flip_probability", "Mean flip probability", "Flip probability"),
            ("mean_flip_rate", "mFR", "Flip rate"),
        ):
            wanted.append((mean_heading(perturbation, long, short), "perturbation", metric, metric == "mean_flip_rate"))
    if not wanted:
        return None
    notes = Notes()
    columns = [Column("Checkpoint", numeric=False), Column("Clean top-1 error", "%")]
    columns += [Column(title, "% of baseline" if ratio else "%") for title, _, _, ratio in wanted]
    rows = []
    for one in lookup.checkpoints:
        base = lookup.is_baseline(one)
        cells = [
            words(lookup.label(one)),
            measured(lookup.find(one, "clean", "top1_error"), notes, decimals(lookup, "clean")),
        ]
        for _, kind, metric, ratio in wanted:
            cells.append(
                measured(lookup.find(one, kind, metric), notes, decimals(lookup, kind), baseline=base and ratio)
            )
        rows.append(Row(cells, emphasis(lookup, one)))
    sets = [f"{one.name} (n = {one.images:,})" for one in (corruption, perturbation) if one is not None]
    caption = (
        f"Measured on {' and '.join(sets)}; {INTERVALS}. Lower is better, with two cautions: a relative corruption "
        "error is ill-conditioned where the baseline hardly degrades, and flips do not ask for the right answer. The "
        "baseline is 100 % by definition."
    )
    return Table("robustness", "Robustness", caption, columns, rows, notes.marked())


def calibration(lookup: Lookup) -> Table:
    """Calibration errors beside the scores that have no bins."""
    notes, digits = Notes(), decimals(lookup, "clean")
    columns = [Column("Checkpoint", numeric=False)]
    columns += [
        Column(name, "%")
        for name in ("Expected calibration error", "Maximum calibration error", "All-class calibration error")
    ]
    columns += [Column("NLL"), Column("Brier score")]
    rows = []
    for one in lookup.checkpoints:
        errors = [
            measured(lookup.find(one, "clean", f"{name}_calibration_error"), notes, digits)
            for name in ("expected", "maximum", "paper")
        ]
        scores = [
            measured(lookup.find(one, "clean", name), notes, 3, 1)
            for name in ("negative_log_likelihood", "brier_score")
        ]
        rows.append(Row([words(lookup.label(one)), *errors, *scores], emphasis(lookup, one)))
    caption = (
        f"n = {lookup.results.data.test:,}; {INTERVALS}. Lower is better. Expected: mean gap of the bins, weighted by "
        "their images. Maximum: the largest gap, often that of a nearly empty bin. All-class: the unweighted mean "
        "over ten bins of every class probability, printed only to stand beside published values computed that way; "
        "it does not compare with the first."
    )
    return Table("calibration", "Calibration", caption, columns, rows, notes.marked())


def strength_text(eps: float) -> str:
    """FGSM strength as it is usually written.

    >>> strength_text(0.0), strength_text(0.03), strength_text(8 / 255)
    ('0', '0.03', '8/255')
    """
    steps = eps * 255
    whole = steps >= 1 and abs(steps - round(steps)) < 1e-4
    return f"{round(steps)}/255" if whole else f"{eps:.4g}"


def attack(lookup: Lookup) -> Table | None:
    """Accuracy under FGSM, one row a strength, one column a checkpoint."""
    if not lookup.epsilons():
        return None
    notes, digits = Notes(), decimals(lookup, "fgsm")
    rows = []
    for eps in lookup.epsilons():
        found = [lookup.find(one, f"fgsm/{eps}", "top1_error") for one in lookup.checkpoints]
        rows.append(
            Row(
                [
                    words(f"ε = {strength_text(float(eps))}"),
                    *(measured(one, notes, digits, complement=True) for one in found),
                ]
            )
        )
    zero = [measured(lookup.find(one, "fgsm", "zero_gradients"), notes, digits) for one in lookup.checkpoints]
    rows.append(Row([words("zero gradients"), *zero], "aside", "Share of images whose gradient is all zero"))
    columns = [Column("Strength", numeric=False), *(Column(lookup.label(one), "%") for one in lookup.checkpoints)]
    benchmark = lookup.benchmark("fgsm")
    n = benchmark.images if benchmark is not None else lookup.results.data.test
    caption = (
        f"Top-1 accuracy under FGSM, n = {n:,}; {INTERVALS}. ε is the largest change of a pixel in [0, 1]. An image "
        "whose gradient is all zero cannot be attacked this way: a large share of them means gradient masking."
    )
    return Table("fgsm", "Accuracy under FGSM", caption, columns, rows, notes.marked())
