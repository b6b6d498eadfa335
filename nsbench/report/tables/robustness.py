"""What all tables of a report share, and the table of robustness."""

from nsbench.models.record import ModelRecord
from nsbench.report.lookup import CLEAN, Entry, Lookup
from nsbench.report.prose.wording import mean_heading
from nsbench.report.quantities import unit_text
from nsbench.report.tables.table import (
    Column,
    Emphasis,
    Notes,
    Row,
    Table,
    TableCell,
    full_columns,
    measured,
    places,
    turned,
    words,
)
from nsbench.results import quantities
from nsbench.results.key import Kind
from nsbench.results.measured import BenchmarkSet

MOST_COLUMNS = 8
INTERVALS = "95 % intervals in brackets"


def decimals(lookup: Lookup, kind: Kind) -> int:
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


POOLED = "pooled_relative_corruption_error"
CORRUPTION_MEANS = (
    ("mean_error", "Mean error (uCE)", "Top-1 error on corrupted images"),
    ("mean_corruption_error", "mCE", "Corruption error"),
    ("relative_mean_corruption_error", "Relative mCE", "Relative corruption error"),
    (POOLED, "Relative error, ratio of sums", "Relative corruption error, ratio of sums"),
)
PERTURBATION_MEANS = (
    ("mean_flip_probability", "Mean flip probability", "Flip probability"),
    ("mean_flip_rate", "mFR", "Flip rate"),
)
SAME_IMAGES = "clean_error"
BENCHMARKS: tuple[Kind, ...] = ("corruption", "perturbation")


def means(lookup: Lookup, found: BenchmarkSet) -> list[tuple[Column, str]]:
    """Column and metric of the means over a set, after the clean error of the same images where it differs."""
    known = CORRUPTION_MEANS if found.kind == "corruption" else PERTURBATION_MEANS
    group = f"{found.kind.capitalize()}s, {found.images:,} images"
    wanted = []
    for metric, full, partial in known:
        heading = mean_heading(found, full, partial)
        heading = heading.replace("mean of", "over") if metric == POOLED else heading
        wanted.append((Column(heading, unit_text(metric), group), metric))
    if found.images < lookup.results.data.test:
        wanted.insert(0, (Column("Clean error on the same images", "%", group), SAME_IMAGES))
    return wanted


def robustness(lookup: Lookup) -> Table | None:
    """Mean corruption errors and flip rates, one row a model."""
    sets = [found for kind in BENCHMARKS if (found := lookup.benchmark(kind)) is not None]
    wanted = [(found.kind, *mean) for found in sets for mean in means(lookup, found)]
    if not wanted:
        return None
    notes = Notes()
    columns = [Column(lookup.noun.capitalize(), numeric=False), Column("Clean top-1 error", "%")]
    columns += [column for _, column, _ in wanted]
    rows = []
    for one in lookup.entries:
        clean = measured(lookup.find(one, CLEAN), notes, decimals(lookup, "clean"))
        cells = [mean_cell(lookup, one, kind, metric, notes) for kind, _, metric in wanted]
        rows.append(Row([words(lookup.label(one)), clean, *cells], emphasis(lookup, one)))
    names = " and ".join(f"{one.name} (n = {one.images:,})" for one in sets)
    caution = "flips ignore the right answer"
    caption = f"Measured on {names}; {INTERVALS}. Lower is better, with the caution that {caution}."
    if any(one.images < lookup.results.data.test for one in sets):
        caption += f" The clean top-1 error is over all {lookup.results.data.test:,} test images."
    if lookup.baseline is not None:
        caption += (
            f" Relative to the baseline{baseline_name(lookup)}, which is 100 % by definition. A relative corruption "
            "error divides by the growth of the baseline's error: it is ill-conditioned where that is small. "
            "Averaged, such ratios follow the smallest growth; a ratio of sums follows the largest. Lower is not "
            "simply better."
        )
    return Table("robustness", "Robustness", caption, *full_columns(columns, rows), notes.marked())


def mean_cell(lookup: Lookup, one: Entry, kind: Kind, metric: str, notes: Notes) -> TableCell:
    """One mean of one model."""
    base = lookup.is_baseline(one) and quantities.metric(metric).unit == "ratio"
    return measured(lookup.find(one, lookup.key(kind, metric)), notes, decimals(lookup, kind), baseline=base)


def baseline_name(lookup: Lookup) -> str:
    """The baseline's name where it is not simply called the baseline."""
    found = lookup.baseline
    return f" {found}" if isinstance(found, ModelRecord) else ""
