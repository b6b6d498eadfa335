"""Every model shown every benchmark image; each image is made, or read, once for all of them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from nsbench.claims import Claims, work_off
from nsbench.config.evaluation import EvaluationConfig
from nsbench.data.images import Dataset, ImageSet
from nsbench.data.rows.images import image_bytes
from nsbench.devices import is_out_of_memory
from nsbench.errors import UserError
from nsbench.models.check import check_model
from nsbench.models.counted import CountedOutputs
from nsbench.models.guarded import Guarded, foreign, named
from nsbench.models.record import ModelRecord
from nsbench.models.subject import Subject
from nsbench.networks.inference import BatchSize, to_float
from nsbench.predictions.cell import Cell, Part
from nsbench.predictions.cells import Clean, cells
from nsbench.predictions.further import Corruptions, Further, TestSet
from nsbench.predictions.gathered import HELD, Gathered
from nsbench.predictions.pool import Pool
from nsbench.predictions.shown import BenchmarkImages, Subset
from nsbench.predictions.store import Stored, refuse_folder, save_labels, test_set_cell
from nsbench.progress import Reporter, Task

PROBE = 100
"""Images that a model is tried on before the work."""

LEAST_PROBE = 8
"""Fewer cannot be cut in half and still be checked."""

RESIDENT = 2**30
"""Bytes of a set of images that is kept on the device as a whole, 1 GB; a larger one is read a chunk at a time."""

SAID = 3
"""Damaged cells of a model that are named one by one."""

T = TypeVar("T")
Work = list[tuple[Cell, list[Subject]]]


class Evaluation:
    """Collects the predictions of models, cell by cell; what is stored already is not made again.

    Args:
        config: what to measure.
        dataset: whose test images.
        source: source of corrupted and perturbed images.
        run: the folder that gets `predictions/`.
        device: where to compute.
        held_out: labelled images that no model has seen, to fit temperatures on.
        claims: on the cells of the folder, where other processes may work on it too; None: of `run`.
        further: benchmarks beside the data set's own -C and -P.
    """

    def __init__(
        self,
        config: EvaluationConfig,
        dataset: Dataset,
        source: BenchmarkImages,
        run: Path,
        device: torch.device,
        held_out: ImageSet | None = None,
        claims: Claims | None = None,
        further: Sequence[Further] = (),
    ) -> None:
        self.config, self.dataset, self.source, self.run, self.device = config, dataset, source, run, device
        self.held_out, self.claims, self.further = held_out, claims or Claims(run), further
        self.resident, self.held = RESIDENT, HELD
        self.batch = BatchSize.choose(config.batch_size, device)

    @cached_property
    def pool(self) -> Pool:
        """The networks in memory."""
        return Pool(self.device, to_float(torch.tensor(self.dataset.test.images[:2]).to(self.device)))

    def collect(self, subjects: Sequence[Subject], reporter: Reporter) -> None:
        """Make the predictions that are missing.

        Raises:
            UserError: a model fails on the images, an attack is asked for on one without gradients, or a single image
                is too much for the memory. What other models said of the same images is stored before.
        """
        self._report_damage(subjects, reporter)
        self._try_out(subjects, reporter)
        self._save_labels()
        for benchmark, found in groupby(self._cells, lambda cell: cell.benchmark):
            work: Work = [(cell, missing) for cell in found if (missing := self.missing(cell, subjects))]
            if not work:
                continue
            total = sum(len(cell.subset) * cell.passes * len(missing) for cell, missing in work)
            with reporter.task(f"evaluate {benchmark}", total) as task:
                units = [ShowCell(self, cell, subjects, task) for cell, _ in work]
                work_off(units, self.claims, lambda cell: reporter.say(f"{cell}: another process shows it, waiting"))
                task.log("done")

    def _report_damage(self, subjects: Sequence[Subject], reporter: Reporter) -> None:
        """Say which cells will be made again because what is stored of them cannot be used."""
        for subject in subjects:
            stored = Stored(self.run, subject.name)
            faults = [
                f"predictions/{subject.name}/{cell.name} is damaged ({fault}): made again"
                for cell in self._cells
                if (fault := self._fault(cell, subject, stored)) is not None
            ]
            for sentence in faults[:SAID]:
                reporter.warn(sentence)
            if len(faults) > SAID:
                reporter.warn(f"{len(faults) - SAID} more cells of {subject.name} are damaged: made again")

    def _fault(self, cell: Cell, subject: Subject, stored: Stored) -> str | None:
        """What is wrong with a cell; None for one that is good, not there, or of another model or other images."""
        path = stored.path(cell.name)
        refuse_folder(path)
        if not path.exists():
            return None
        damage = stored.damage(cell.name)
        if damage is not None or not stored.has(cell.name, cell.fingerprint(subject.identity)):
            return damage
        return stored.fault(cell.name, len(cell.subset), len(self.dataset.classes), cell.passes)

    def _save_labels(self) -> None:
        test = self.dataset.test.labels
        further = {test_set_cell(one.protocol.name): one.images.labels for one in self._test_sets}
        save_labels(self.run, test, self.held_out.labels if self.held_out else test[:0], further)

    @property
    def _test_sets(self) -> list[TestSet]:
        return [one for one in self.further if isinstance(one, TestSet)]

    def _try_out(self, subjects: Sequence[Subject], reporter: Reporter) -> None:
        """Check, before the work, each model that has not shown yet that it can classify these images.

        What is suspicious in a network of ours is what its training made of it.
        """
        attacks = [cell.benchmark for cell in self._cells if cell.attacks]
        for subject in subjects:
            if attacks and not subject.differentiable:
                raise UserError(
                    f"{subject.name} cannot be attacked, because its format has no gradients: "
                    f"leave {', '.join(attacks)} out of what it is measured on."
                )
        (clean,) = (cell for cell in self._cells if cell.name == "clean")
        for subject in self.missing(clean, subjects):
            network = self._counting(subject.load(self.device))
            warnings = self._check(subject, network, clean.subset.part(slice(0, PROBE)))
            for warning in warnings if isinstance(subject.record, ModelRecord) else ():
                reporter.warn(warning)

    def _check(self, subject: Subject, network: nn.Module, probe: Subset) -> list[str]:
        """What `check_model` says, from as many images as fit into memory."""
        try:
            return check_model(subject, network, probe.images, probe.labels, len(self.dataset.classes))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(probe) < LEAST_PROBE:
                raise _too_large(subject) from None
        return self._check(subject, network, probe.part(slice(0, len(probe) // 2)))

    @cached_property
    def _cells(self) -> list[Cell]:
        test = self._on_device(self.dataset.test)
        held_out = self._on_device(self.held_out) if self.held_out else None
        corruptions = [one for one in self.further if isinstance(one, Corruptions)]
        found = cells(self.config, test, held_out, self._identity(), self.source, corruptions)
        return [*found, *map(self._test_set, self._test_sets)]

    def _test_set(self, one: TestSet) -> Cell:
        name = one.protocol.name
        return Clean(test_set_cell(name), self._on_device(one.images), one.identity, name)

    def _identity(self) -> str:
        """Identity of the images and of the classes that count."""
        counted = self.dataset.counted
        return self.dataset.checksum if counted is None else f"{self.dataset.checksum} counted {counted}"

    def _on_device(self, images: ImageSet) -> Subset:
        """Images that fit are there as a whole; others are read a chunk at a time."""
        labels = torch.tensor(images.labels).to(self.device)
        if len(images) * image_bytes(images.images) > self.resident:
            return Subset(images.images, labels)
        return Subset(torch.tensor(images.images[:]).to(self.device), labels)

    def missing(self, cell: Cell, subjects: Sequence[Subject]) -> list[Subject]:
        """Those whose predictions for a cell are not stored, or cannot be used."""
        return [subject for subject in subjects if not self._has(cell, subject)]

    def _has(self, cell: Cell, subject: Subject) -> bool:
        stored = Stored(self.run, subject.name)
        made = stored.has(cell.name, cell.fingerprint(subject.identity))
        return made and self._fault(cell, subject, stored) is None

    def show_cell(self, cell: Cell, subjects: Sequence[Subject], task: Task) -> None:
        """Show a cell to models and keep what they say.

        Raises UserError where a model fails; what the others said is stored before.
        """
        gathered = [Gathered(cell, Stored(self.run, subject.name), subject.identity, self.held) for subject in subjects]
        chunks = ((part, cell.make(part)) for part in cell.chunks(self.batch.size))
        try:
            for part, images in read_ahead(chunks) if cell.waits else chunks:
                said: dict[str, Part | UserError] = {}  # by identity: one network may have two names
                for subject, own in zip(subjects, gathered, strict=True):
                    if own.failure is None:
                        if subject.identity not in said:
                            said[subject.identity] = self._said(cell, subject, images, part)
                        own.take(said[subject.identity])
                    task.advance(len(part) * cell.passes)
                if all(own.failure for own in gathered):
                    break
            for own in gathered:
                own.finish()
        finally:
            for own in gathered:
                own.discard()
        for own in gathered:
            if own.failure is not None:
                raise own.failure

    def _said(self, cell: Cell, subject: Subject, images: Tensor, part: Subset) -> Part | UserError:
        """What a model says of a chunk, or why it says nothing."""
        try:
            return self._show(cell, subject, images, part)
        except UserError as error:
            return error

    def _show(self, cell: Cell, subject: Subject, images: Tensor, part: Subset) -> Part:
        try:
            with named(subject.name, cell.name):
                with foreign("it cannot be made ready"):
                    network = self._counting(self.pool.get(subject, folded=cell.folded))
                return cell.show(Guarded(network, len(self.dataset.classes)), images, part, self.batch)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise _too_large(subject) from None

    def _counting(self, network: nn.Module) -> nn.Module:
        """The network, with no other outputs than the data set counts."""
        counted = self.dataset.counted
        return network if counted is None else CountedOutputs(network, counted, self.device)


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made in a thread while the one before it is in use; never more than two are held."""
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        upcoming = thread.submit(_next, items)
        while found := upcoming.result():
            upcoming = thread.submit(_next, items)
            yield found[0]


def _next(items: Iterator[T]) -> tuple[T] | None:
    for item in items:
        return (item,)
    return None


@dataclass(frozen=True)
class ShowCell:
    """The unit of work that shows one cell to every model that has not seen it."""

    evaluation: Evaluation
    cell: Cell
    subjects: Sequence[Subject]
    task: Task

    @property
    def name(self) -> str:
        """The name of the cell."""
        return self.cell.name

    def done(self) -> bool:
        """Whether the predictions of all models are stored."""
        return not self.evaluation.missing(self.cell, self.subjects)

    def ready(self) -> bool:
        """Always: it needs nothing but the models."""
        return True

    def do(self) -> None:
        """Show it to those that have not seen it."""
        self.evaluation.show_cell(self.cell, self.evaluation.missing(self.cell, self.subjects), self.task)


def _too_large(subject: Subject) -> UserError:
    return UserError(f"There is not enough memory for {subject.name} and a few images: use a device with more.")
