"""Every model shown every benchmark image; each image is made, or read, once for all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor, nn

from nsbench.claims import Claims, work_off
from nsbench.config.evaluation import EvaluationConfig
from nsbench.data.images import Dataset, ImageSet
from nsbench.errors import UserError
from nsbench.models.check import check_model
from nsbench.models.record import ModelRecord
from nsbench.models.subject import Subject
from nsbench.networks.inference import BatchSize, to_float
from nsbench.predictions.ahead import read_ahead
from nsbench.predictions.cells import Cell, Part, cells
from nsbench.predictions.pool import Pool
from nsbench.predictions.shown import Source, Subset
from nsbench.predictions.store import Stored, save_labels
from nsbench.progress import Reporter, Task

PROBE = 100
"""Images that a model is tried on before the work."""

LEAST_PROBE = 8
"""Fewer cannot be cut in half and still be checked."""

Work = list[tuple[Cell, list[Subject]]]


class Evaluation:
    """Collects the predictions of models, cell by cell; what is stored already is not made again.

    Args:
        config: what to measure.
        dataset: whose test images.
        source: of corrupted and perturbed images.
        run: the folder that gets `predictions/`.
        device: where to compute.
        held_out: labelled images that no model has seen, to fit temperatures on.
        claims: on the cells of the folder, where other processes may work on it too; None: of `run`.
    """

    def __init__(
        self,
        config: EvaluationConfig,
        dataset: Dataset,
        source: Source,
        run: Path,
        device: torch.device,
        held_out: ImageSet | None = None,
        claims: Claims | None = None,
    ) -> None:
        self.config, self.dataset, self.source, self.run, self.device = config, dataset, source, run, device
        self.held_out, self.claims = held_out, claims or Claims(run)
        self.batch = BatchSize.choose(config.batch_size, device)
        self.pool = Pool(device, to_float(torch.tensor(dataset.test.images[:2]).to(device)))

    def collect(self, subjects: Sequence[Subject], reporter: Reporter) -> None:
        """Make the predictions that are missing.

        Raises:
            UserError: a model fails on the images, an attack is asked for on one without gradients, or a single image
                is too much for the memory.
        """
        self._try_out(subjects, reporter)
        save_labels(
            self.run, self.dataset.test.labels, self.held_out.labels if self.held_out else self.dataset.test.labels[:0]
        )
        for benchmark, found in groupby(self._cells(), lambda cell: cell.benchmark):
            work: Work = [(cell, missing) for cell in found if (missing := self._missing(cell, subjects))]
            if not work:
                continue
            total = sum(len(cell.subset) * cell.passes * len(missing) for cell, missing in work)
            with reporter.task(f"evaluate {benchmark}", total) as task:
                units = [ShowCell(self, cell, subjects, task) for cell, _ in work]
                work_off(units, self.claims, lambda cell: reporter.say(f"{cell}: another process shows it, waiting"))
                task.log("done")

    def _try_out(self, subjects: Sequence[Subject], reporter: Reporter) -> None:
        """Check, before the work, each model that has not shown yet that it can classify these images.

        What is suspicious in a network of ours is what its training made of it.
        """
        attacks = [cell.benchmark for cell in self._cells() if cell.attacks]
        for subject in subjects:
            if attacks and not subject.differentiable:
                raise UserError(
                    f"{subject.name} cannot be attacked, because its format has no gradients: "
                    f"leave {', '.join(attacks)} out of what it is measured on."
                )
        (clean,) = (cell for cell in self._cells() if cell.name == "clean")
        for subject in self._missing(clean, subjects):
            warnings = self._check(subject, subject.load(self.device), clean.subset.part(slice(0, PROBE)))
            for warning in warnings if isinstance(subject.record, ModelRecord) else ():
                reporter.warn(warning)

    def _check(self, subject: Subject, network: nn.Module, probe: Subset) -> list[str]:
        """What `check_model` says, from as many images as fit into memory."""
        try:
            return check_model(subject, network, probe.images, probe.labels, len(self.dataset.classes))
        except torch.OutOfMemoryError:
            if len(probe) < LEAST_PROBE:
                raise _too_large(subject) from None
        return self._check(subject, network, probe.part(slice(0, len(probe) // 2)))

    def _cells(self) -> Iterator[Cell]:
        test = self._on_device(self.dataset.test)
        held_out = self._on_device(self.held_out) if self.held_out else None
        return cells(self.config, test, held_out, self.dataset.checksum, self.source)

    def _on_device(self, images: ImageSet) -> Subset:
        return Subset(torch.tensor(images.images).to(self.device), torch.tensor(images.labels).to(self.device))

    def _missing(self, cell: Cell, subjects: Sequence[Subject]) -> list[Subject]:
        return [
            subject
            for subject in subjects
            if not Stored(self.run, subject.name).has(cell.name, cell.fingerprint(subject.identity))
        ]

    def missing(self, cell: Cell, subjects: Sequence[Subject]) -> list[Subject]:
        """Those whose predictions for a cell are not stored."""
        return self._missing(cell, subjects)

    def show_cell(self, cell: Cell, subjects: Sequence[Subject], task: Task) -> None:
        """Show a cell to models and keep what they say."""
        kept: dict[str, list[Part]] = {}
        chunks = ((part, cell.make(part)) for part in cell.chunks(self.batch.size))
        for part, images in read_ahead(chunks) if cell.reads else chunks:
            for subject in subjects:
                kept.setdefault(subject.name, []).append(self._show(cell, subject, images, part))
                task.advance(len(part) * cell.passes)
        for subject in subjects:
            self._save(cell, subject, kept.pop(subject.name))

    def _show(self, cell: Cell, subject: Subject, images: Tensor, part: Subset) -> Part:
        try:
            return cell.show(self.pool.get(subject, folded=cell.folded), images, part, self.batch)
        except torch.OutOfMemoryError:
            raise _too_large(subject) from None

    def _save(self, cell: Cell, subject: Subject, parts: list[Part]) -> None:
        Stored(self.run, subject.name).save(
            cell.name, cell.join(parts), cell.fingerprint(subject.identity), cell.images
        )


@dataclass(frozen=True)
class ShowCell:
    """The unit of work that shows one cell to every model that has not seen it."""

    evaluation: Evaluation
    cell: Cell
    subjects: Sequence[Subject]
    task: Task

    @property
    def name(self) -> str:
        """Of the cell."""
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
    return UserError(f"The memory does not suffice for {subject.name} and a few images: use a device with more.")
