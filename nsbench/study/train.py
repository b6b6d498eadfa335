"""One recipe made into a trained network."""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nsbench.checkpoints.initialise import initialise
from nsbench.checkpoints.record import HistoryPoint, TrainedNetwork
from nsbench.checkpoints.store import TRAINING_STATE, CheckpointFile, load_network, read_checkpoint, save_checkpoint
from nsbench.config.schema import InputNoiseConfig
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
from nsbench.study.methods.method import Lesson, Material, Method, Teacher, open_method
from nsbench.study.recipe import Recipe
from nsbench.training.memory import estimate, shortage
from nsbench.training.precision import settle
from nsbench.training.schedule import Rates, Schedule
from nsbench.training.selection import Examiners, HeldOut
from nsbench.training.step import Noise, TrainingSet, input_noise
from nsbench.training.trainer import Outcome, train


@dataclass(frozen=True, eq=False)
class RecipeTrainer:
    """Trains recipes on one data set.

    Attributes:
        dataset: the images.
        split: which training images keep their labels.
        networks: the folder that has a folder for each network.
        device: where to train.
        initial: checkpoint folder or file of the weights that recipes start from; None: none does.
        batch_size: images per forward pass outside training; 0: what suits the device.
        save_every: least seconds between two saved states of training in progress.
    """

    dataset: Dataset
    split: Split
    networks: Path
    device: torch.device
    initial: Path | None = None
    batch_size: int = 0
    save_every: float = 60.0

    def train(self, recipe: Recipe, title: str, reporter: Reporter) -> CheckpointFile:
        """Train a network and write its checkpoint; interrupted training is continued.

        Args:
            recipe: recipe of the network; its teacher is trained already.
            title: what the network is called in messages.
            reporter: shows progress.

        Raises:
            UserError: the training diverges, or the device's memory is too small for one image.
        """
        method, folder = open_method(recipe.method), self.networks / recipe.name
        lesson = method.lesson(self._material, self._teacher(recipe))
        data = self._on_device(lesson)
        network = self._network(recipe)
        schedule = self._schedule(recipe, method, network)
        memory = estimate(network, data, schedule, self._side)
        reporter.say(f"{title}: needs {memory}")
        short = shortage(memory, self.device)
        if short is not None:
            reporter.warn(f"{title}: {short}")
        noise, *views = self._noises(recipe, schedule)
        with reporter.task(title, schedule.images) as task:
            state = folder / TRAINING_STATE
            outcome = train(network, data, noise, schedule, state, task, self._examiners(recipe), tuple(views))
        self._check_predictions(network, title, recipe)
        return save_checkpoint(folder, network, self._file(recipe, network, schedule, lesson, outcome))

    def _file(
        self, recipe: Recipe, network: Classifier, schedule: Schedule, lesson: Lesson, outcome: Outcome
    ) -> CheckpointFile:
        noise = _model_noise(recipe)
        return CheckpointFile(
            recipe=recipe.model_dump(mode="json"),
            teacher=recipe.parent.name if recipe.parent else None,
            classes=len(self.dataset.classes),
            mean=self.dataset.mean,
            std=self.dataset.std,
            dropout=noise.dropout,
            survival=noise.survival,
            device=self.device.type,
            record=self._record(recipe, network, schedule, lesson, outcome),
        )

    def _record(
        self, recipe: Recipe, network: Classifier, schedule: Schedule, lesson: Lesson, outcome: Outcome
    ) -> TrainedNetwork:
        settings = schedule.settings
        assert settings.precision != "auto"
        teacher = read_checkpoint(self.networks / recipe.parent.name) if recipe.parent else None
        arithmetic = {"precision": settings.precision, "micro_batch": outcome.micro_batch}
        parent = {"parent": teacher.record.configuration} if teacher else {}
        return TrainedNetwork(
            network=recipe.network,
            seed=recipe.seed,
            recipe=recipe.hash,
            method=recipe.method.kind,
            parameters=count_parameters(network),
            images_seen=schedule.images,
            training_images=len(lesson.rows),
            weights_selection=settings.selection,
            averaged=settings.average_decay > 0,
            precision=settings.precision,
            micro_batch=outcome.micro_batch,
            initial_weights=recipe.initial.sha256 if recipe.initial else "",
            configuration=recipe.configuration() | arithmetic | parent,
            weights_sha256="",
            selection=lesson.selection,
            history=[HistoryPoint(**asdict(point)) for point in outcome.history],
        )

    def _schedule(self, recipe: Recipe, method: Method, network: Classifier) -> Schedule:  # type: ignore[type-arg]  # any
        start = recipe.initial
        return Schedule(
            recipe.images,
            settle(recipe.optimisation, recipe.images, network, self.device),
            (recipe.hash,),
            recipe.hash,
            self.save_every,
            method.mixup_alpha,
            method.objective(),
            Rates(start.body_rate, start.head_rate, start.train == "head") if start else Rates(),
            method.second_stream(drawn_noise(recipe.input_noise)),
        )

    def _network(self, recipe: Recipe) -> Classifier:
        """The network to train, with its first weights, on the device."""
        torch.manual_seed(derive_seed(recipe.hash, "weights"))
        dataset = self.dataset
        network = build_network(recipe.network, len(dataset.classes), dataset.mean, dataset.std, _model_noise(recipe))
        if recipe.initial is not None:
            assert self.initial is not None
            initialise(network, self.initial)
        return network.to(self.device)

    def _noises(self, recipe: Recipe, schedule: Schedule) -> list[Noise]:
        """Input noise of the training images, then of each view of the second stream."""
        views = schedule.second.views if schedule.second else ()
        compiled = schedule.settings.execution == "compiled"
        every = (drawn_noise(recipe.input_noise), *views)
        return [input_noise(one, self._side, self.device, compiled=compiled) for one in every]

    def _teacher(self, recipe: Recipe) -> Teacher | None:
        if recipe.parent is None:
            return None
        network = load_network(self.networks / recipe.parent.name, self.device)
        return lambda rows: self._predict(network, self.dataset.pool_images[rows])

    def _predict(self, network: Classifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return predict_logits(network, images, self.device, self.batch_size)

    def _check_predictions(self, network: Classifier, title: str, recipe: Recipe) -> None:
        """Raise UserError when a network has diverged although its loss stayed finite."""
        if not np.isfinite(self._predict(network, self.dataset.train.images[self.split.labeled[:512]])).all():
            raise UserError(
                f"The predictions of {title} are not finite after training: "
                f"lower training.learning_rate (now {recipe.optimisation.learning_rate:g})."
            )

    def _on_device(self, lesson: Lesson) -> TrainingSet:
        return TrainingSet(
            self._images,
            torch.from_numpy(lesson.rows),
            torch.from_numpy(lesson.targets).to(self.device),
            None if lesson.soft is None else torch.from_numpy(lesson.soft).to(self.device),
            None if lesson.unlabeled is None else torch.from_numpy(lesson.unlabeled),
        )

    @cached_property
    def _images(self) -> Tensor:
        """All training images on the device, uint8 (N, 3, side * side), once for all networks."""
        images = torch.tensor(self.dataset.pool_images[:])
        return images.permute(0, 3, 1, 2).reshape(len(images), 3, -1).contiguous().to(self.device)

    @cached_property
    def _material(self) -> Material:
        return Material(self.dataset.pool_labels, self.split.labeled, self.split.unlabeled, len(self.dataset.classes))

    @property
    def _side(self) -> int:
        return int(self.dataset.pool_images.shape[1])

    def _examiners(self, recipe: Recipe) -> Examiners:
        """Images that a network is examined on while it trains; the test images only if asked for."""
        validation = self.dataset.train.select(self.split.validation)
        test = self.dataset.test if recipe.optimisation.selection == "best-test" else None
        return Examiners(
            HeldOut(validation.images, validation.labels, self.batch_size) if len(validation) else None,
            HeldOut(test.images, test.labels, self.batch_size) if test is not None else None,
        )


def drawn_noise(noise: InputNoiseConfig) -> InputNoise:
    """Input noise as configured, in the engine's terms."""
    return InputNoise(noise.operations, noise.magnitude, noise.crop_padding, noise.flip)


def _model_noise(recipe: Recipe) -> ModelNoise:
    noise = recipe.model_noise
    return ModelNoise(noise.dropout, noise.survival, noise.drop == "image") if noise is not None else ModelNoise()
