"""`plan.json`: the labels (study, generation, role, seed) of the networks in a run folder, read without torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from nsbench.checkpoints.record import CheckpointName, CheckpointRecord, Record, TrainedNetwork
from nsbench.config.fields import FolderName, ModelName
from nsbench.config.resolve import read_toml
from nsbench.errors import UserError

if TYPE_CHECKING:
    from nsbench.checkpoints.store import CheckpointFile

SUPERVISED = "supervised"
CONTROL = "control"
"""What takes the study's place in the labels of a baseline and of a control."""
Role = Literal["teacher", "student", "baseline", "control"]
_NOISED = ("student", "control")
"""Roles of the networks that are trained with model noise; it is part of their recipes, if only of strength 0."""


def networks_folder(run: Path) -> Path:
    """Where the networks of a run are, each in a folder named after its recipe."""
    return run / "networks"


class Labels(CheckpointName):
    """One entry of `plan.json`."""

    role: Role
    folder: FolderName
    parent: ModelName | None

    def on(self, file: "CheckpointFile", plan: Sequence["Labels"] = ()) -> CheckpointRecord:
        """The record of a trained network under these labels; raises UserError where they are another network's.

        Args:
            file: describes the network.
            plan: all labels of its run, these among them; none where they were made from the network's own recipe.
        """
        network = file.record
        if (self.network, self.seed) != (network.network, network.seed):
            raise UserError(
                f"plan.json says that {self.folder} holds {self}, but it holds {network.network} of seed "
                f"{network.seed}: delete that folder and train again."
            )
        fault = plan and self._fault(file, {str(one): one.folder for one in plan})
        if fault:
            raise UserError(
                f"plan.json says that {self.folder} holds {self}, the {self.role}, but that network {fault}: "
                "train again, which writes plan.json anew."
            )
        labels = self.model_dump(exclude={"folder", "network", "seed"})
        selection = network.selection
        if selection is not None:
            selection = selection.model_copy(update={"teacher": self.parent or ""})
        content = {key: getattr(network, key) for key in TrainedNetwork.model_fields}
        return CheckpointRecord(**labels, **content | {"selection": selection})

    def _fault(self, file: "CheckpointFile", folders: Mapping[str, str]) -> str:
        """Why a network is not what these labels call it; empty where it is."""
        parent = folders[self.parent] if self.parent is not None else None
        if file.teacher != parent:
            return f"learnt from {file.teacher or 'no teacher'}, not from {parent or 'labels alone'}"
        if file.teacher is not None and _generation(file.recipe) != self.generation:
            return f"is of generation {_generation(file.recipe)}"
        if (file.recipe.get("model_noise") is not None) != (self.role in _NOISED):
            return "was trained as a teacher or baseline" if self.role in _NOISED else "was trained as a student"
        return "" if self.role in _NOISED or file.record.method == SUPERVISED else f"learnt by {file.record.method}"


def _generation(recipe: Mapping[str, Any]) -> int:
    """How many teachers there were before, one taught by the other."""
    generation = 0
    while isinstance(before := recipe.get("parent"), dict):
        generation, recipe = generation + 1, before
    return generation


class PlanFile(Record):
    """The content of `plan.json`: labels, and the folders of the networks that they are given to."""

    format: Literal["nsbench-plan"] = "nsbench-plan"
    format_version: Literal[1] = 1
    networks: list[Labels] = Field(max_length=100_000)

    @model_validator(mode="after")
    def _is_a_plan(self) -> Self:
        """Raise ValueError where labels are given twice, or a teacher does not come before its student."""
        known: set[str] = set()
        for labels in self.networks:
            if str(labels) in known or not (labels.parent is None or labels.parent in known):
                raise ValueError(f"{labels} comes twice, or before its teacher")
            known.add(str(labels))
            if not _consistent(labels):
                raise ValueError(f"{labels} is no {labels.role}")
        return self


def _consistent(labels: Labels) -> bool:
    """Whether the parts of an entry go together, as they do in every plan of a run."""
    own = {"baseline": SUPERVISED, "control": CONTROL}.get(labels.role, "")
    if (labels.study if labels.study in (SUPERVISED, CONTROL) else "") != own:
        return False
    if (labels.generation > 0) != (labels.role in _NOISED):
        return False
    before = f"{labels.study}/seed{labels.seed}/gen{labels.generation - 1}-"
    return labels.parent is None or (labels.role == "student" and labels.parent.startswith(before))


def plan_text(labels: Sequence[Labels]) -> str:
    """The content of `plan.json`, from which the networks of a run folder are found without its configuration."""
    return json.dumps(PlanFile(networks=list(labels)).model_dump(mode="json"), indent=1) + "\n"


def read_plan(run: Path) -> list[Labels]:
    """The labels of a run's networks.

    Raises UserError when there is no plan, or it is damaged.
    """
    path = run / "plan.json"
    try:
        return PlanFile.model_validate_json(path.read_bytes()).networks
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{run} is not a run folder (it has no plan.json): name one that `nsbench train` made."
        ) from None
    except ValidationError:
        raise UserError(f"{path} is damaged: delete it and run the same command again.") from None


def planned_labels(folder: Path) -> Labels | None:
    """The first labels that the plan of the run around a network's folder gives to it; None where there is none."""
    return next((labels for labels in plan_around(folder) if labels.folder == folder.resolve().name), None)


def plan_around(folder: Path) -> list[Labels]:
    """The plan of the run around a network's folder; empty where there is none."""
    run = folder.resolve().parent.parent
    return read_plan(run) if (run / "plan.json").is_file() else []


def labels_of(folder: Path, network: TrainedNetwork, recipe: dict[str, Any], teacher: str | None) -> Labels:
    """The labels of one network's folder: its plan's, else some made from its recipe."""
    found = planned_labels(folder)
    if found is not None:
        return found
    return Labels(
        study=network.method,
        generation=_generation(recipe),
        network=network.network,
        seed=network.seed,
        role="student" if teacher else "teacher",
        folder=f"{network.network}-{network.method}",  # the user may have called it anything
        parent=teacher,
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


def named_folder(path: Path) -> Path:
    """The folder that a user means: `RUN/hard/seed0/gen1-resnet26` is where the network with these labels is.

    Any other path is given back as it is.
    """
    for run in path.parents[:3]:
        if not path.exists() and (run / "plan.json").is_file():
            return network_folder(run, path.relative_to(run).as_posix())
    return path
