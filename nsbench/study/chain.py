"""A study's chain trained: a supervised teacher, then noisy students, the supervised baseline, and the controls."""

from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from nsbench.checkpoints.initialise import initialise, weights_sha256_of
from nsbench.checkpoints.record import CheckpointRecord, HistoryPoint
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
from nsbench.networks.build import build_network
from nsbench.networks.classifier import Classifier, ModelNoise
from nsbench.networks.cost import count_parameters
from nsbench.networks.inference import predict_logits
from nsbench.noise.draws import InputNoise
from nsbench.progress import Reporter
from nsbench.seeds import derive_seed
from nsbench.study.lessons import Lesson, Lessons, Teacher
from nsbench.study.stages import Stage, stages
from nsbench.training.memory import estimate, shortage
from nsbench.training.objectives import distillation, self_training
from nsbench.training.plan import Plan, Rates
from nsbench.training.precision import settle
from nsbench.training.selection import Examiners, HeldOut
from nsbench.training.step import Noise, input_noise
from nsbench.training.trainer import Outcome, train


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

    def train_all(self, reporter: Reporter) -> list[CheckpointRecord]:
        """Train what is missing and return the record of every network."""
        records: dict[str, CheckpointRecord] = {}
        for stage in stages(self.config):
            parent = records[str(stage.parent)] if stage.parent else None
            key = self._fingerprint(stage, parent)
            found = read_checkpoint(folder_of(self.run, stage.name), key)
            if found is not None:
                reporter.say(f"{stage.name}: already trained")
            records[str(stage.name)] = (found or self._train(stage, parent, key, reporter)).record
        return list(records.values())

    def _fingerprint(self, stage: Stage, parent: CheckpointRecord | None) -> str:
        config = self.config
        parts: list[BaseModel | str | int] = [
            config.data,
            config.seed,
            config.input_noise,
            config.training,
            stage.name,
            stage.role,
            self.dataset.checksum,
        ]
        if stage.noisy:
            parts += [config.model_noise, config.pseudo_labels]
        if parent is not None:
            parts += [config.study.objective, config.distillation, parent.weights_sha256]
        if self._transfers(stage):
            parts += [config.transfer, self._initial_sha256]
        return fingerprint(*parts)

    def _train(self, stage: Stage, parent: CheckpointRecord | None, key: str, reporter: Reporter) -> CheckpointFile:
        lesson = self._lessons.make(stage, self._teacher(stage))
        noise = self._model_noise(stage)
        network = self._network(stage, noise)
        plan = self._plan(stage, key, network)
        memory = estimate(network, lesson.data, plan, self._side)
        reporter.say(f"{stage.name}: needs {memory}")
        lack = shortage(memory, self.device)
        if lack is not None:
            reporter.warn(f"{stage.name}: {lack}")
        folder = folder_of(self.run, stage.name)
        with reporter.task(str(stage.name), plan.images) as task:
            outcome = train(
                network, lesson.data, self._input_noise(plan), plan, folder / TRAINING_STATE, task, self._examiners
            )
        self._check_predictions(network, stage)
        file = CheckpointFile(
            fingerprint=key,
            classes=len(self.dataset.classes),
            mean=self.dataset.mean,
            std=self.dataset.std,
            dropout=noise.dropout,
            survival=noise.survival,
            device=self.device.type,
            record=self._record(stage, parent, network, plan, lesson, outcome),
        )
        return save_checkpoint(folder, network, file)

    def _record(
        self,
        stage: Stage,
        parent: CheckpointRecord | None,
        network: Classifier,
        plan: Plan,
        lesson: Lesson,
        outcome: Outcome,
    ) -> CheckpointRecord:
        settings = plan.settings
        assert settings.precision != "auto"
        return CheckpointRecord(
            **stage.name.model_dump(),
            role=stage.role,
            objective=_objective(stage, self.config),
            parent=str(stage.parent) if stage.parent else None,
            parameters=count_parameters(network),
            images_seen=plan.images,
            training_images=len(lesson.data.rows),
            weights_selection=settings.selection,
            averaged=settings.average_decay > 0,
            precision=settings.precision,
            micro_batch=outcome.micro_batch,
            initial_weights=self._initial_sha256 if self._transfers(stage) else "",
            configuration=self._configuration(stage, parent, plan) | {"micro_batch": outcome.micro_batch},
            weights_sha256="",
            selection=lesson.selection,
            history=[HistoryPoint(**asdict(point)) for point in outcome.history],
        )

    def _configuration(self, stage: Stage, parent: CheckpointRecord | None, plan: Plan) -> dict[str, Any]:
        """All that the weights follow from but seeds: another network of this configuration differs by chance alone."""
        config = self.config
        budgets = {"teacher_images", "student_images", "baseline_images", "execution", "micro_batch"}
        sections: dict[str, BaseModel] = {"data": config.data, "input_noise": config.input_noise}
        if stage.noisy:
            sections |= {"model_noise": config.model_noise, "pseudo_labels": config.pseudo_labels}
        if parent is not None and config.study.objective == "distillation":
            sections |= {"distillation": config.distillation}
        if self._transfers(stage):
            sections |= {"transfer": config.transfer}
        return {
            "network": stage.name.network,
            "objective": _objective(stage, config),
            "images": plan.images,
            "initial_weights": self._initial_sha256 if self._transfers(stage) else "",
            "dataset": self.dataset.checksum,
            "training": plan.settings.model_dump(mode="json", exclude=budgets),
            # Initial weights are named by their checksum above, not by the path of their file.
            **{name: section.model_dump(mode="json", exclude={"weights"}) for name, section in sections.items()},
            "teacher": parent.configuration if parent is not None else None,
        }

    def _plan(self, stage: Stage, key: str, network: Classifier) -> Plan:
        training, transfer, labels = self.config.training, self.config.transfer, self.config.pseudo_labels
        budget = {
            "teacher": training.teacher_images,
            "student": training.student_images,
            "control": training.student_images,
            "baseline": training.baseline_images,
        }[stage.role]
        distilling = stage.parent is not None and self.config.study.objective == "distillation"
        wish = self.config.distillation
        return Plan(
            budget,
            settle(training, budget, network, self.device),
            _seed(stage),
            key,
            self.save_every,
            labels.mixup_alpha if stage.noisy else 0.0,
            distillation(wish.temperature, wish.weight) if distilling else self_training,
            Rates(transfer.body_rate, transfer.head_rate, transfer.train == "head")
            if self._transfers(stage)
            else Rates(),
        )

    def _network(self, stage: Stage, noise: ModelNoise) -> Classifier:
        """The network to train, with its first weights, on the device."""
        torch.manual_seed(derive_seed(*_seed(stage), "weights"))
        classes = len(self.dataset.classes)
        network = build_network(stage.name.network, classes, self.dataset.mean, self.dataset.std, noise)
        if self._transfers(stage):
            initialise(network, Path(self.config.transfer.weights))
        return network.to(self.device)

    def _model_noise(self, stage: Stage) -> ModelNoise:
        noise = self.config.model_noise
        return ModelNoise(noise.dropout, noise.survival, noise.drop == "image") if stage.noisy else ModelNoise()

    def _input_noise(self, plan: Plan) -> Noise:
        noise = self.config.input_noise
        drawn = InputNoise(noise.operations, noise.magnitude, noise.crop_padding, noise.flip)
        return input_noise(drawn, self._side, self.device, compiled=plan.settings.execution == "compiled")

    def _teacher(self, stage: Stage) -> Teacher | None:
        if stage.parent is None:
            return None
        network = load_network(folder_of(self.run, stage.parent), self.device)
        return lambda rows: self._predict(network, self.dataset.train.images[rows])

    def _predict(self, network: Classifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return predict_logits(network, images, self.device, self.config.evaluation.batch_size)

    def _check_predictions(self, network: Classifier, stage: Stage) -> None:
        """Raise UserError when a network whose loss stayed finite has diverged all the same."""
        if not np.isfinite(self._predict(network, self.dataset.train.images[self.split.labeled[:512]])).all():
            raise UserError(
                f"The predictions of {stage.name} are not finite after training: "
                f"lower training.learning_rate (now {self.config.training.learning_rate:g})."
            )

    def _transfers(self, stage: Stage) -> bool:
        return bool(self.config.transfer.weights) and stage.role in self.config.transfer.roles

    @cached_property
    def _initial_sha256(self) -> str:
        return weights_sha256_of(Path(self.config.transfer.weights))

    @cached_property
    def _lessons(self) -> Lessons:
        return Lessons(self.config, self.dataset, self.split, self.device)

    @property
    def _side(self) -> int:
        return int(self.dataset.train.images.shape[1])

    @cached_property
    def _examiners(self) -> Examiners:
        """Images that networks are examined on while they train; the test images only if asked for."""
        size = self.config.evaluation.batch_size
        validation = self.dataset.train.select(self.split.validation)
        test = self.dataset.test if self.config.training.selection == "best-test" else None
        return Examiners(
            HeldOut(validation.images, validation.labels, size) if len(validation) else None,
            HeldOut(test.images, test.labels, size) if test is not None else None,
        )


def _objective(stage: Stage, config: Config) -> Literal["supervised", "self-training", "distillation"]:
    return "supervised" if stage.parent is None else config.study.objective


def _seed(stage: Stage) -> tuple[str | int, ...]:
    return (stage.name.seed, stage.name.study, stage.name.generation, stage.name.network)
