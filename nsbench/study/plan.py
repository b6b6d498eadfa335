"""The plan of a study: labels (study, generation, role, seed) given to recipes, in the order they are trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nsbench.checkpoints.initialise import weights_sha256_of
from nsbench.checkpoints.labels import CONTROL, SUPERVISED, Labels, Role, networks_folder
from nsbench.checkpoints.record import CheckpointName
from nsbench.config.method import MethodConfig, SupervisedConfig
from nsbench.config.schema import Config, OptimisationConfig, TransferConfig
from nsbench.study.methods.built_in import METHODS
from nsbench.study.methods.method import open_method
from nsbench.study.recipe import InitialWeights, Recipe

assert METHODS, "the built-in methods are registered by their import"


@dataclass(frozen=True)
class Planned:
    """A network to train: a recipe under its labels.

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
        """Where the network is in a run folder."""
        return networks_folder(run) / self.recipe.name

    @property
    def labels(self) -> Labels:
        """Its entry in `plan.json`."""
        parent = str(self.teacher) if self.teacher is not None else None
        return Labels(**self.name.model_dump(), role=self.role, folder=self.recipe.name, parent=parent)


def make_plan(config: Config, dataset: str) -> list[Planned]:
    """The networks of a run: for each seed the chain, the baseline, and the controls if there are any.

    Args:
        config: configuration of the run.
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
