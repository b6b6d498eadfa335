"""The plan of a study: labels (study, generation, role, seed) given to recipes, in the order they are trained."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from nsbench.checkpoints.initialise import weights_sha256_of
from nsbench.checkpoints.record import CheckpointName, CheckpointRecord, Record, TrainedNetwork
from nsbench.checkpoints.store import CheckpointFile, networks_folder
from nsbench.config.method import MethodConfig, SupervisedConfig
from nsbench.config.resolve import read_toml
from nsbench.config.schema import Config, OptimisationConfig, TransferConfig
from nsbench.errors import UserError
from nsbench.files import write_text
from nsbench.study.methods.built_in import METHODS
from nsbench.study.methods.method import open_method
from nsbench.study.recipe import InitialWeights, Recipe

assert METHODS, "the built-in methods are registered by their import"

SUPERVISED = "supervised"
CONTROL = "control"
"""What takes the study's place in the labels of a baseline and of a control."""

Role = Literal["teacher", "student", "baseline", "control"]


@dataclass(frozen=True)
class Planned:
    """A network to be: a recipe under its labels.

    Attributes:
        name: study, generation, network and seed.
        role: what it is for.
        recipe: all that determines its weights.
        teacher: labels of the network that it learns from; None where its method has no teacher.
    """

    name: CheckpointName
    role: Role
    recipe: Recipe
    teacher: CheckpointName | None = None

    def folder(self, run: Path) -> Path:
        """Where the network lies in a run folder."""
        return networks_folder(run) / self.recipe.name

    @property
    def labels(self) -> "Labels":
        """Its entry in `plan.json`."""
        parent = str(self.teacher) if self.teacher is not None else None
        return Labels(**self.name.model_dump(), role=self.role, folder=self.recipe.name, parent=parent)


def make_plan(config: Config, dataset: str) -> list[Planned]:
    """The networks of a run: for each seed the chain, the baseline, and the controls if there are any.

    Args:
        config: of the run.
        dataset: checksum of all images and labels.

    Raises:
        UserError: the weights to start from cannot be read.
    """
    sha256 = weights_sha256_of(Path(config.transfer.weights)) if config.transfer.weights else ""
    return [planned for seed in config.weight_seeds for planned in _of_seed(config, dataset, sha256, seed)]


def _of_seed(config: Config, dataset: str, sha256: str, seed: int) -> list[Planned]:
    recipe = partial(_recipe, config, dataset, sha256, seed)
    method = open_method(config.method)
    first, *later = config.study.networks
    name = CheckpointName(study=config.study.name, generation=0, network=first, seed=seed)
    chain = [Planned(name, "teacher", recipe(first, "teacher", SupervisedConfig()))]
    for generation, network in enumerate(later, start=1):
        teacher = chain[-1] if method.needs_teacher else None
        name = CheckpointName(study=config.study.name, generation=generation, network=network, seed=seed)
        made = recipe(network, "student", config.method, parent=teacher.recipe if teacher else None)
        chain.append(Planned(name, "student", made, teacher.name if teacher else None))
    network = config.baseline_network
    name = CheckpointName(study=SUPERVISED, generation=0, network=network, seed=seed)
    baseline = Planned(name, "baseline", recipe(network, "baseline", SupervisedConfig()))
    control = method.control() if config.study.control else None
    controls = [
        Planned(one.model_copy(update={"study": CONTROL}), "control", recipe(one.network, "control", control))
        for one in _first_students(chain)
        if control is not None
    ]
    return [*chain, baseline, *controls]


def _first_students(chain: Sequence[Planned]) -> list[CheckpointName]:
    """The first student of each network, after which its control is named."""
    first: dict[str, CheckpointName] = {}
    for student in chain[1:]:
        first.setdefault(student.name.network, student.name)
    return list(first.values())


def _recipe(  # what a recipe is made of
    config: Config,
    dataset: str,
    sha256: str,
    seed: int,
    network: str,
    role: Role,
    method: MethodConfig,
    parent: Recipe | None = None,
) -> Recipe:
    budget = {
        "teacher": config.training.teacher_images,
        "student": config.training.student_images,
        "control": config.training.student_images,
        "baseline": config.training.baseline_images,
    }[role]
    settings = config.training.model_dump(include=set(OptimisationConfig.model_fields))
    return Recipe(
        dataset=dataset,
        data=config.data,
        network=network,
        method=method,
        input_noise=config.input_noise,
        model_noise=config.model_noise if role in ("student", "control") else None,
        images=budget,
        optimisation=OptimisationConfig(**settings),
        initial=_initial(config.transfer, sha256)
        if config.transfer.weights and role in config.transfer.roles
        else None,
        parent=parent,
        seed=seed,
    )


def _initial(transfer: TransferConfig, sha256: str) -> InitialWeights:
    return InitialWeights(
        sha256=sha256, train=transfer.train, body_rate=transfer.body_rate, head_rate=transfer.head_rate
    )


class Labels(CheckpointName):
    """One entry of `plan.json`."""

    role: Role
    folder: str
    parent: str | None

    def on(self, network: TrainedNetwork) -> CheckpointRecord:
        """The record of a trained network under these labels."""
        labels = self.model_dump(exclude={"folder", "network", "seed"})
        selection = network.selection
        if selection is not None:
            selection = selection.model_copy(update={"teacher": self.parent or ""})
        content = {key: getattr(network, key) for key in TrainedNetwork.model_fields}
        return CheckpointRecord(**labels, **content | {"selection": selection})


class PlanFile(Record):
    """The content of `plan.json`: labels, and the folders of the networks that they are given to."""

    format: Literal["nsbench-plan"] = "nsbench-plan"
    format_version: Literal[1] = 1
    networks: list[Labels]


def write_plan(run: Path, plan: Sequence[Planned]) -> None:
    """Write `plan.json`, from which the networks of a run folder are found without its configuration."""
    file = PlanFile(networks=[one.labels for one in plan])
    text = json.dumps(file.model_dump(mode="json"), indent=1)
    write_text(run / "plan.json", text + "\n")


def read_plan(run: Path) -> list[Labels]:
    """The labels of a run's networks.

    Raises UserError when there is no plan, or it is damaged.
    """
    path = run / "plan.json"
    try:
        return PlanFile.model_validate_json(path.read_text()).networks
    except OSError:
        raise UserError(
            f"{run} is not a run folder (it has no plan.json): name one that `nsbench train` made."
        ) from None
    except (ValidationError, UnicodeDecodeError):
        raise UserError(f"{path} is damaged: delete it and run the same command again.") from None


def labels_of(folder: Path, file: CheckpointFile) -> Labels:
    """The labels of one network's folder: those of the plan of the run it lies in, else some made from its recipe."""
    run = folder.resolve().parent.parent
    if (run / "plan.json").is_file():
        for labels in read_plan(run):
            if labels.folder == folder.resolve().name:
                return labels
    generation, recipe = 0, file.recipe
    while recipe["parent"] is not None:
        generation, recipe = generation + 1, recipe["parent"]
    return Labels(
        study=file.record.method,
        generation=generation,
        network=file.record.network,
        seed=file.record.seed,
        role="student" if file.teacher else "teacher",
        folder=folder.resolve().name,
        parent=file.teacher,
    )


def refuse_earlier(run: Path) -> None:
    """Raise UserError for a run folder of an earlier version, whose networks were named after their study."""
    path = run / "config.toml"
    if path.is_file() and not (run / "plan.json").is_file() and "study" in read_toml(path):
        raise UserError(
            f"{run} was made by an earlier version of nsbench, which named networks otherwise: choose another folder "
            "with --out and train again; its results.json is still read, by `nsbench report` too."
        )


def network_folder(run: Path, name: str) -> Path:
    """The folder of the network that a run's plan calls by these labels, such as `hard/seed0/gen1-resnet26`.

    Raises UserError when the plan has no such labels.
    """
    known = {str(labels): labels.folder for labels in read_plan(run)}
    if name not in known:
        raise UserError(f"{run} has no network {name!r}: name one of {', '.join(known)}.")
    return networks_folder(run) / known[name]
