"""The table of what was trained: size, budget, training images and how it does on clean images."""

from dataclasses import dataclass

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.lookup import Lookup
from nsbench.report.prose.wording import listed
from nsbench.report.tables.calibrated import ECE, kind
from nsbench.report.tables.robustness import INTERVALS, decimals, emphasis
from nsbench.report.tables.table import (
    UNDEFINED,
    Column,
    Notes,
    Row,
    Table,
    TableCell,
    bounded,
    count,
    estimate,
    full_columns,
    magnitude,
    measured,
    words,
)
from nsbench.report.tables.trained import how_trained
from nsbench.results.key import Key


@dataclass(frozen=True)
class Clean:
    """A number on clean images as this table prints it."""

    heading: str
    metric: str
    unit: str = ""
    decimals: int = 3
    scale: float = 1
    complement: bool = False


def clean_numbers(lookup: Lookup) -> list[Clean]:
    """The numbers of the table, in the order of its columns."""
    digits = decimals(lookup, "clean")
    return [
        Clean("Top-1 accuracy", "top1_error", "%", digits, 100, complement=True),
        Clean("Top-5 accuracy", "top5_error", "%", digits, 100, complement=True),
        Clean("NLL", "negative_log_likelihood"),
        Clean("Brier score", "brier_score"),
        Clean(f"ECE, {kind(lookup, Key('clean', ECE))}", ECE, "%", digits, 100),
    ]


def generations(lookup: Lookup) -> Table:
    """What was trained; networks that differ in their seed alone are one row, the mean over them."""
    rows, notes = [], Notes()
    for one in lookup.checkpoints:
        if lookup.first_alike(one) is one:
            group = lookup.group_of(one)
            rows.append(network_row(lookup, one, notes) if group is None else mean_row(lookup, group))
    caption = f"Clean test images, n = {lookup.results.data.test:,}; {INTERVALS}. {HOW}"
    if lookup.groups:
        counts = sorted({len(members) for members in lookup.groups.values() if members})
        caption = (
            f"Means over {listed([str(count) for count in counts])} seeds, n = {lookup.results.data.test:,}; 95 % "
            f"intervals over both seeds and images in brackets. The single networks are in the next table. {HOW}"
        )
    kept = full_columns(columns(lookup), rows)
    return Table("generations", "Generations", f"{caption} {how_trained(lookup)}", *kept, notes.marked())


HOW = (
    "Images seen: in all of the training, repetitions counted. Copies are duplicates added to balance the classes. NLL "
    "is the negative log-likelihood; the Brier score sums squared differences over classes (0 to 2); ECE is the "
    "expected calibration error. Accuracy: higher is better; everything else: lower. Top-5 is never used to rank."
)


def networks(lookup: Lookup) -> Table | None:
    """Every single network of a run with several seeds; nothing where the table of generations has them."""
    if not lookup.groups:
        return None
    notes = Notes()
    rows = [network_row(lookup, one, notes) for one in lookup.checkpoints]
    caption = f"Clean test images, n = {lookup.results.data.test:,}; {INTERVALS}. {HOW}"
    kept = full_columns(columns(lookup), rows)
    return Table("networks", "Each network on its own", caption, *kept, notes.marked(), folded=True)


def columns(lookup: Lookup) -> list[Column]:
    """Columns of both tables."""
    named = [Column("Checkpoint", numeric=False), Column("Network", numeric=False)]
    named += [Column("Parameters"), Column("Images seen")]
    named += [Column(name, group="Training images") for name in ("labelled", "pseudo", "copies")]
    return [*named, *(Column(one.heading, one.unit) for one in clean_numbers(lookup))]


def network_row(lookup: Lookup, one: CheckpointRecord, notes: Notes) -> Row:
    """One network."""
    found = [(number, lookup.find(one, Key("clean", number.metric))) for number in clean_numbers(lookup)]
    cells = [
        measured(estimate(value), notes, number.decimals, number.scale, complement=number.complement)
        for number, value in found
    ]
    named = [words(lookup.generation(one), role(lookup, one)), words(one.network)]
    return Row([*named, *size_cells(one), *training_cells(lookup, one), *cells], emphasis(lookup, one))


def mean_row(lookup: Lookup, group: str) -> Row:
    """Networks that differ in their seed alone: the means of their numbers and of their counts of images."""
    members = lookup.groups[group]
    first = members[0]
    cells = [mean_cell(lookup, group, number) for number in clean_numbers(lookup)]
    of_each = [training_cells(lookup, one) for one in members]
    images = [mean_count([cells[place] for cells in of_each]) for place in range(3)]
    name = lookup.group_label(group).removesuffix(f" · {first.network}")
    named = [words(name, f"{role(lookup, first)}, {len(members)} seeds"), words(first.network)]
    return Row([*named, *size_cells(first), *images, *cells], emphasis(lookup, first))


def mean_cell(lookup: Lookup, group: str, number: Clean) -> TableCell:
    """One number averaged over seeds."""
    found = lookup.seed_mean(group, Key("clean", number.metric))
    if found is None:
        return TableCell(UNDEFINED)
    ends = (found.value, found.ci_low, found.ci_high)
    value, low, high = (None if end is None else (1 - end if number.complement else end) * number.scale for end in ends)
    return bounded(value, *((high, low) if number.complement else (low, high)), number.decimals)


def mean_count(found: list[TableCell]) -> TableCell:
    """The mean of counts, which may differ with the seed."""
    values = [cell.number for cell in found if cell.number is not None]
    return count(round(sum(values) / len(values))) if len(values) == len(found) else TableCell(UNDEFINED)


def role(lookup: Lookup, one: CheckpointRecord) -> str:
    """What a network is, for the second line of its name."""
    return "supervised" if lookup.is_reference(one) else one.role


def size_cells(one: CheckpointRecord) -> list[TableCell]:
    """Parameters and images seen."""
    return [magnitude(one.parameters), magnitude(one.images_seen)]


def training_cells(lookup: Lookup, one: CheckpointRecord) -> list[TableCell]:
    """Labelled, pseudo-labelled and duplicated images of a training set; balancing makes copies for a control too."""
    chosen = one.selection
    if chosen is None:
        if not lookup.trained_here:
            return [count(one.training_images), TableCell(UNDEFINED), TableCell(UNDEFINED)]
        labeled = min(one.training_images, lookup.results.data.labeled)
        copies = one.training_images - labeled
        return [count(labeled), TableCell(UNDEFINED), count(copies) if copies else TableCell(UNDEFINED)]
    return [count(sum(chosen.labeled)), count(sum(chosen.kept)), count(sum(chosen.duplicates))]
