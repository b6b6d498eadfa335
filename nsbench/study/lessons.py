"""What each network of a run is taught: its training set, made from labels and from its teacher's predictions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nsbench.checkpoints.record import SelectionRecord
from nsbench.config.schema import Config
from nsbench.data.images import Dataset
from nsbench.data.splits import Split
from nsbench.study.pseudo_labels import PseudoLabels, TrainingRows, make_targets, read_logits, select_and_balance
from nsbench.study.stages import Stage
from nsbench.training.step import TrainingSet

Indices = NDArray[np.int64]
Teacher = Callable[[Indices], NDArray[np.float32]]


@dataclass(frozen=True)
class Lesson:
    """A training set, and for a student the record of how its images were chosen."""

    data: TrainingSet
    selection: SelectionRecord | None


class Lessons:
    """Makes the training set of each stage; the images lie on the device once for all of them.

    Args:
        config: the run.
        dataset: its images.
        split: which training images keep their labels.
        device: where networks train.
    """

    def __init__(self, config: Config, dataset: Dataset, split: Split, device: torch.device) -> None:
        self.config, self.dataset, self.split, self.device = config, dataset, split, device
        images = torch.tensor(dataset.train.images)
        self.images = images.permute(0, 3, 1, 2).reshape(len(images), 3, -1).contiguous().to(device)

    def make(self, stage: Stage, teacher: Teacher | None) -> Lesson:
        """The lesson of one stage.

        Args:
            stage: what is to be trained.
            teacher: gives logits (n, classes) for n rows of the training images; None where there is none.
        """
        distilling = teacher is not None and self.config.study.objective == "distillation"
        unlabeled = self.split.unlabeled if teacher is not None else self.split.unlabeled[:0]
        temperature = (self.config.distillation if distilling else self.config.pseudo_labels).temperature
        pseudo = read_logits(self._logits(teacher, unlabeled), temperature)
        rows = self._rows(stage, unlabeled, pseudo)
        targets = make_targets(
            "hard" if distilling else self._kind(stage), rows, unlabeled, pseudo, self.config.pseudo_labels.smoothing
        )
        soft = None
        if distilling:
            targets[np.isin(rows.rows, unlabeled)] = 0
            soft = self._softened(rows, pseudo, read_logits(self._logits(teacher, self.split.labeled), temperature))
        return Lesson(self._on_device(rows, targets, soft), self._record(stage, rows, len(unlabeled)))

    def _logits(self, teacher: Teacher | None, rows: Indices) -> NDArray[np.float32]:
        if teacher is None or not len(rows):
            return np.empty((0, len(self.dataset.classes)), dtype=np.float32)
        return teacher(rows)

    def _rows(self, stage: Stage, unlabeled: Indices, pseudo: PseudoLabels) -> TrainingRows:
        settings = self.config.pseudo_labels
        return select_and_balance(
            self.dataset.train.labels,
            self.split.labeled,
            unlabeled,
            pseudo,
            classes=len(self.dataset.classes),
            threshold=settings.confidence_threshold,
            min_per_class=settings.min_images_per_class if stage.noisy else 0,
            max_gap=settings.max_class_gap if stage.noisy else len(self.dataset.train),
        )

    def _kind(self, stage: Stage) -> str:
        """The label type; a control, like students, learns smooth labels where those are asked for."""
        kind = self.config.pseudo_labels.type
        return kind if stage.noisy and (stage.parent is not None or kind == "smooth") else "hard"

    def _softened(self, rows: TrainingRows, pseudo: PseudoLabels, known: PseudoLabels) -> NDArray[np.float32]:
        """The teacher's probabilities for each row of a training set, (n, classes)."""
        table = np.zeros((len(self.dataset.train), len(self.dataset.classes)), dtype=np.float32)
        table[self.split.unlabeled] = pseudo.soft
        table[self.split.labeled] = known.soft
        return table[rows.rows]

    def _on_device(
        self, rows: TrainingRows, targets: NDArray[np.float32], soft: NDArray[np.float32] | None
    ) -> TrainingSet:
        return TrainingSet(
            self.images,
            torch.from_numpy(rows.rows),
            torch.from_numpy(targets).to(self.device),
            None if soft is None else torch.from_numpy(soft).to(self.device),
        )

    def _record(self, stage: Stage, rows: TrainingRows, available: int) -> SelectionRecord | None:
        if stage.parent is None:
            return None
        return SelectionRecord(
            teacher=str(stage.parent),
            confidence_threshold=self.config.pseudo_labels.confidence_threshold,
            available=available,
            above_threshold=rows.above_threshold.tolist(),
            kept=rows.kept.tolist(),
            duplicates=rows.duplicates.tolist(),
            labeled=rows.labeled.tolist(),
            accuracy=rows.accuracy,
            class_accuracy=rows.class_accuracy,
        )
