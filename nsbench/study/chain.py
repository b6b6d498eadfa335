"""The networks of a plan trained, each once, by as many processes as work on the folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nsbench.checkpoints.labels import Labels, networks_folder
from nsbench.checkpoints.record import CheckpointRecord, SelectionRecord
from nsbench.checkpoints.store import check_place, has_checkpoint, read_checkpoint
from nsbench.claims import Claims, work_off
from nsbench.errors import UserError
from nsbench.files import remove_leftovers
from nsbench.progress import Reporter
from nsbench.study.plan import Planned
from nsbench.study.train import RecipeTrainer


@dataclass(frozen=True)
class TrainOne:
    """The unit of work that trains one network of a plan."""

    planned: Planned
    trainer: RecipeTrainer
    reporter: Reporter

    @property
    def name(self) -> str:
        """The name of the network's folder."""
        return self.planned.recipe.name

    def done(self) -> bool:
        """Whether its checkpoint is written."""
        return has_checkpoint(self.trainer.networks / self.name)

    def ready(self) -> bool:
        """Whether its teacher is trained."""
        teacher = self.planned.recipe.parent
        return teacher is None or has_checkpoint(self.trainer.networks / teacher.name)

    def do(self) -> None:
        """Train it."""
        check_place(self.trainer.networks / self.name)
        remove_leftovers(self.trainer.networks / self.name)
        self.trainer.train(self.planned.recipe, str(self.planned.name), self.reporter)


def train_plan(
    plan: Sequence[Planned], trainer: RecipeTrainer, claims: Claims, reporter: Reporter
) -> list[CheckpointRecord]:
    """Train what is missing and return the record of every network, under its labels.

    Raises:
        UserError: training fails, or a checkpoint is damaged.
    """
    run = trainer.networks.parent
    for planned in plan:
        if has_checkpoint(planned.folder(run)):
            reporter.say(f"{planned.name}: already trained")
    units = [TrainOne(planned, trainer, reporter) for planned in plan]
    names = {unit.name: str(unit.planned.name) for unit in units}
    work_off(units, claims, lambda unit: reporter.say(f"{names[unit]}: another process trains it, waiting"))
    return read_networks(run, [planned.labels for planned in plan])


def read_networks(run: Path, plan: Sequence[Labels]) -> list[CheckpointRecord]:
    """The records of a plan's networks, their weights verified.

    Raises UserError when one is missing or damaged.
    """
    records = []
    for labels in plan:
        folder = networks_folder(run) / labels.folder
        file = read_checkpoint(folder)
        if file is None:
            raise UserError(f"{folder} has no checkpoint: run `nsbench train` first.")
        records.append(labels.on(file, plan))
    return records


def warnings_of(record: CheckpointRecord, classes: tuple[str, ...]) -> Iterator[str]:
    """Sentences a reader must see about one network's training."""
    if record.micro_batch:
        yield (
            f"{record}: batches were learnt in parts of {record.micro_batch:,} images to save memory; "
            "batch normalisation saw the parts, so another micro-batch gives other weights."
        )
    if record.selection is not None:
        yield from _selection_warnings(str(record), record.selection, classes)


def _selection_warnings(name: str, selection: SelectionRecord, classes: tuple[str, ...]) -> Iterator[str]:
    if not selection.available:
        yield f"{name}: there is no unlabelled image, so this student was trained on labelled images alone."
        return
    if not any(selection.above_threshold):
        yield (
            f"{name}: no unlabelled image was above the confidence threshold {selection.confidence_threshold:g}, "
            "so this student was trained on labelled images alone."
        )
        return
    empty = [name for name, count in zip(classes, selection.above_threshold, strict=True) if count == 0]
    if empty:
        yield (
            f"{name}: no unlabelled image of {', '.join(empty)} was above the confidence threshold "
            f"{selection.confidence_threshold:g}; balancing filled those classes with copies of labelled images."
        )
