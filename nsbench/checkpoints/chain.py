"""A study's chain: a supervised teacher, then noisy students, and the supervised baseline."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nsbench.checkpoints.record import CheckpointName, CheckpointRecord, HistoryPoint, SelectionRecord
from nsbench.checkpoints.store import (
    TRAINING_STATE,
    CheckpointFile,
    folder_of,
    load_network,
    read_checkpoint,
    save_checkpoint,
)
from nsbench.config.resolve import fingerprint
from nsbench.config.schema import Config
from nsbench.data.images import Dataset
from nsbench.data.splits import Split
from nsbench.errors import UserError
from nsbench.networks.inference import predict_logits
from nsbench.networks.names import parse_network_name
from nsbench.networks.resnet import ModelNoise, ResNet, count_parameters
from nsbench.noise.augment import Augmenter
from nsbench.noise.draws import InputNoise
from nsbench.progress import Reporter
from nsbench.seeds import derive_seed
from nsbench.training.pseudo_labels import make_targets, read_logits, select_and_balance
from nsbench.training.trainer import Plan, Point, TrainingSet, train

SUPERVISED = "supervised"


@dataclass(frozen=True)
class Stage:
    """One network to train."""

    name: CheckpointName
    role: Literal["teacher", "student", "baseline"]
    parent: CheckpointName | None


def stages(config: Config) -> list[Stage]:
    """The networks of a run in the order they are trained: the chain, then the baseline."""
    chain: list[Stage] = []
    for generation, network in enumerate(config.study.networks):
        name = CheckpointName(study=config.study.name, generation=generation, network=network, seed=config.seed)
        parent = chain[-1].name if chain else None
        chain.append(Stage(name, "student" if parent else "teacher", parent))
    baseline = CheckpointName(study=SUPERVISED, generation=0, network=config.baseline_network, seed=config.seed)
    return [*chain, Stage(baseline, "baseline", None)]


class Chain:
    """Trains the networks of one run, each once.

    Args:
        config: the run.
        dataset: its images.
        split: which training images keep their labels.
        run: the run folder.
        device: where to train.
        save_every: least seconds between two saved states of a training in progress.
    """

    def __init__(
        self, config: Config, dataset: Dataset, split: Split, run: Path, device: torch.device, save_every: float = 60.0
    ) -> None:
        self.config, self.dataset, self.split, self.run, self.device = config, dataset, split, run, device
        self.save_every = save_every
        self._resident: Tensor | None = None

    def train_all(self, reporter: Reporter) -> list[CheckpointRecord]:
        """Train what is missing and return the record of every network."""
        records: dict[str, CheckpointRecord] = {}
        for stage in stages(self.config):
            parent = records[str(stage.parent)] if stage.parent else None
            key = self._fingerprint(stage, parent)
            found = read_checkpoint(folder_of(self.run, stage.name), key)
            if found is not None:
                reporter.say(f"{stage.name}: already trained")
            records[str(stage.name)] = (found or self._train(stage, key, reporter)).record
        return list(records.values())

    def _fingerprint(self, stage: Stage, parent: CheckpointRecord | None) -> str:
        config = self.config
        shared = (config.data, config.input_noise, config.training, stage.name, stage.role, self.dataset.checksum)
        if parent is None:
            return fingerprint(*shared)
        return fingerprint(*shared, config.model_noise, config.pseudo_labels, parent.weights_sha256)

    def _train(self, stage: Stage, key: str, reporter: Reporter) -> CheckpointFile:
        noise = self._model_noise(stage)
        data, selection = self._training_set(stage)
        seed = (self.config.seed, stage.name.study, stage.name.generation, stage.name.network)
        torch.manual_seed(derive_seed(*seed, "weights"))
        network = ResNet(
            parse_network_name(stage.name.network),
            len(self.dataset.classes),
            self.dataset.mean,
            self.dataset.std,
            noise,
        ).to(self.device)
        mixup = 0.0 if stage.parent is None else self.config.pseudo_labels.mixup_alpha
        plan = Plan(self._budget(stage.role), self.config.training, seed, key, self.save_every, mixup)
        folder = folder_of(self.run, stage.name)
        with reporter.task(str(stage.name), plan.images) as task:
            history = train(network, data, self._augmenter(), plan, folder / TRAINING_STATE, task)
        self._check_predictions(network, stage)
        record = CheckpointRecord(
            **stage.name.model_dump(),
            role=stage.role,
            parent=str(stage.parent) if stage.parent else None,
            parameters=count_parameters(network),
            images_seen=plan.images,
            training_images=len(data.rows),
            weights_selection="average" if self.config.training.average_decay else "last",
            weights_sha256="",
            selection=selection,
            history=self._history(history, network),
        )
        file = CheckpointFile(
            fingerprint=key,
            classes=len(self.dataset.classes),
            mean=self.dataset.mean,
            std=self.dataset.std,
            dropout=noise.dropout,
            survival=noise.survival,
            device=self.device.type,
            record=record,
        )
        return save_checkpoint(folder, network, file)

    def _check_predictions(self, network: ResNet, stage: Stage) -> None:
        """Raise UserError when a network whose loss stayed finite has diverged all the same."""
        images = self.dataset.train.images[self.split.labeled[:512]]
        if not np.isfinite(predict_logits(network, images, self.device, self.config.evaluation.batch_size)).all():
            raise UserError(
                f"The predictions of {stage.name} are not finite after training: "
                f"lower training.learning_rate (now {self.config.training.learning_rate:g})."
            )

    def _model_noise(self, stage: Stage) -> ModelNoise:
        if stage.role != "student":
            return ModelNoise()
        noise = self.config.model_noise
        return ModelNoise(noise.dropout, noise.survival, per_image=noise.drop == "image")

    def _budget(self, role: str) -> int:
        training = self.config.training
        return {
            "teacher": training.teacher_images,
            "student": training.student_images,
            "baseline": training.baseline_images,
        }[role]

    def _training_set(self, stage: Stage) -> tuple[TrainingSet, SelectionRecord | None]:
        """What a stage learns: the labelled images, and what the teacher adds to them."""
        settings, supervised = self.config.pseudo_labels, stage.parent is None
        unlabeled = self.split.unlabeled[:0] if supervised else self.split.unlabeled
        pseudo = read_logits(self._logits(stage.parent, unlabeled), settings.temperature)
        rows = select_and_balance(
            self.dataset.train.labels,
            self.split.labeled,
            unlabeled,
            pseudo,
            classes=len(self.dataset.classes),
            threshold=settings.confidence_threshold,
            min_per_class=0 if supervised else settings.min_images_per_class,
            max_gap=len(self.dataset.train) if supervised else settings.max_class_gap,
        )
        kind = "hard" if supervised else settings.type
        targets = torch.from_numpy(make_targets(kind, rows, unlabeled, pseudo, settings.smoothing))
        data = TrainingSet(self._images(), torch.from_numpy(rows.rows), targets.to(self.device))
        if stage.parent is None:
            return data, None
        return data, SelectionRecord(
            teacher=str(stage.parent),
            confidence_threshold=settings.confidence_threshold,
            available=len(unlabeled),
            above_threshold=rows.above_threshold.tolist(),
            kept=rows.kept.tolist(),
            duplicates=rows.duplicates.tolist(),
            labeled=rows.labeled.tolist(),
            accuracy=rows.accuracy,
        )

    def _logits(self, teacher: CheckpointName | None, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        if teacher is None or not len(rows):
            return np.empty((0, len(self.dataset.classes)), dtype=np.float32)
        network = load_network(folder_of(self.run, teacher), self.device)
        return predict_logits(network, self.dataset.train.images[rows], self.device, self.config.evaluation.batch_size)

    def _images(self) -> Tensor:
        """All training images on the device, planar, made once."""
        if self._resident is None:
            images = torch.tensor(self.dataset.train.images)
            self._resident = images.permute(0, 3, 1, 2).reshape(len(images), 3, -1).contiguous().to(self.device)
        return self._resident

    def _augmenter(self) -> Augmenter:
        noise = self.config.input_noise
        return Augmenter(
            InputNoise(noise.operations, noise.magnitude, noise.crop_padding, noise.flip),
            self.dataset.train.images.shape[1],
            self.device,
        )

    def _history(self, points: list[Point], network: ResNet) -> list[HistoryPoint]:
        history = [HistoryPoint(**asdict(point)) for point in points]
        if len(self.split.validation):
            held_out = self.dataset.train.select(self.split.validation)
            logits = predict_logits(network, held_out.images, self.device, self.config.evaluation.batch_size)
            accuracy = float((logits.argmax(1) == held_out.labels).mean())
            history[-1] = history[-1].model_copy(update={"validation_accuracy": accuracy})
        return history


def warnings_of(record: CheckpointRecord, classes: tuple[str, ...]) -> Iterator[str]:
    """Sentences a reader must see about one network's training set."""
    selection = record.selection
    if selection is None:
        return
    if not selection.available:
        yield f"{record}: there is no unlabelled image, so this student was trained on labelled images alone."
        return
    if not any(selection.above_threshold):
        yield (
            f"{record}: no unlabelled image was above the confidence threshold {selection.confidence_threshold:g}, "
            "so this student was trained on labelled images alone."
        )
        return
    empty = [name for name, count in zip(classes, selection.above_threshold, strict=True) if count == 0]
    if empty:
        yield (
            f"{record}: no unlabelled image of {', '.join(empty)} was above the confidence threshold "
            f"{selection.confidence_threshold:g}; balancing filled those classes with copies of labelled images."
        )
