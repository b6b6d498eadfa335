"""Models by what a user calls them: our own, names, preprocessing, and what cannot be meant."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nsbench.checkpoints.labels import network_folder, plan_text
from nsbench.checkpoints.record import TrainedNetwork
from nsbench.checkpoints.store import CheckpointFile, load_network, save_checkpoint
from nsbench.config.resolve import resolve, to_toml
from nsbench.config.survey import ModelConfig
from nsbench.config.trust import Trust
from nsbench.errors import UserError
from nsbench.models.open import open_models
from nsbench.models.subject import Subject
from nsbench.networks.build import build_network
from nsbench.networks.cost import count_parameters
from nsbench.study.plan import make_plan

One = Callable[..., Subject]
Refusal = Callable[..., str]
Logits = Callable[[Subject, Tensor], Tensor]
NAMED = Trust(named=True)
NETWORK = "resnet8-w0.125"
TEACHER, STUDENT, BASELINE = (
    f"{name}-{NETWORK}" for name in ("hard/seed0/gen0", "hard/seed0/gen1", "supervised/seed0/gen0")
)


def save(folder: Path, generation: int, seed: int, teacher: str = "before") -> None:
    """A network of that many teachers before it, whose recipe says nothing else but that students have model noise."""
    recipe: dict[str, Any] = {"parent": None}
    for _ in range(generation):
        recipe = {"parent": recipe, "model_noise": {}}
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    torch.manual_seed(seed)
    network = build_network(NETWORK, 10, mean, std)
    record = TrainedNetwork(
        network=NETWORK,
        seed=0,
        method="noisy-student" if generation else "supervised",
        parameters=count_parameters(network),
        images_seen=1,
        training_images=1,
        weights_selection="last",
        averaged=False,
        precision="float32",
        micro_batch=0,
        initial_weights="",
        weights_sha256="",
        selection=None,
        history=[],
    )
    file = CheckpointFile(
        recipe=recipe,
        teacher=teacher if generation else None,
        classes=10,
        mean=mean,
        std=std,
        dropout=0,
        survival=1,
        device="cpu",
        record=record,
    )
    save_checkpoint(folder, network, file)


def make_run(folder: Path, seed: int = 0) -> Path:
    """A run folder with three checkpoints."""
    small = [f"study.networks=['{NETWORK}', '{NETWORK}']", "training.baseline_images=64"]
    config = resolve("quick", ["study.name=hard", *small, "study.control=false"])
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(to_toml(config))
    plan = make_plan(config, "data")
    (folder / "plan.json").write_text(plan_text([planned.labels for planned in plan]))
    for number, planned in enumerate(plan):
        parent = planned.recipe.parent
        save(planned.folder(folder), planned.name.generation, 10 * seed + number, parent.name if parent else "")
    return folder


def names(*configs: ModelConfig) -> list[str]:
    return [subject.name for subject in open_models(configs, trust=NAMED)]


def test_a_run_folder_gives_its_checkpoints_in_order(tmp_path: Path, pixels: Tensor, logits: Logits) -> None:
    run = make_run(tmp_path / "run")
    subjects = open_models([ModelConfig(source=str(run))])
    assert [subject.name for subject in subjects] == [TEACHER, STUDENT, BASELINE]
    assert [str(subject.record) for subject in subjects] == [TEACHER, STUDENT, BASELINE]
    assert len({subject.identity for subject in subjects}) == 3
    with torch.inference_mode():
        expected = load_network(network_folder(run, STUDENT), torch.device("cpu"))(pixels)
    torch.testing.assert_close(logits(subjects[1], pixels), expected)


def test_a_checkpoint_folder_is_opened_wherever_it_lies(
    tmp_path: Path, pixels: Tensor, one: One, logits: Logits
) -> None:
    save(tmp_path / "elsewhere", 1, 0)
    subject = one(tmp_path / "elsewhere", inside=False)
    assert subject.name == f"noisy-student/seed0/gen1-{NETWORK}"
    assert logits(subject, pixels).shape == (8, 10)
    assert not any(parameter.requires_grad for parameter in subject.load(torch.device("cpu")).parameters())


def test_a_network_with_model_noise_and_no_teacher_is_opened_alone(tmp_path: Path, one: One) -> None:
    """As a control is, or a student of a method without teachers."""
    save(tmp_path, 0, 0)
    path = tmp_path / "checkpoint.json"
    file = CheckpointFile.model_validate_json(path.read_bytes())
    path.write_text(file.model_copy(update={"recipe": {"model_noise": {}}}).sealed().model_dump_json())
    assert one(tmp_path, inside=False).name == f"supervised/seed0/gen0-{NETWORK}"


def test_a_checkpoint_that_is_missing_from_a_run_is_reported(tmp_path: Path, refusal: Refusal) -> None:
    run = make_run(tmp_path / "run")
    (network_folder(run, STUDENT) / "checkpoint.json").unlink()
    assert f"{network_folder(run, STUDENT)} has no checkpoint" in refusal(run, inside=False)


@pytest.mark.parametrize(
    "stated",
    [{"mean": (0.5, 0.5, 0.5)}, {"std": (0.5, 0.5, 0.5)}, {"inside": True}, {"weights": "w.pt"}],
    ids=lambda stated: next(iter(stated)),
)
def test_a_checkpoint_of_ours_takes_no_preprocessing_and_no_weights(
    tmp_path: Path, stated: dict[str, object], refusal: Refusal
) -> None:
    save(tmp_path, 1, 0)
    assert f"leave out --{next(iter(stated))}" in refusal(tmp_path, **{"inside": False, **stated})


def test_a_folder_that_is_neither_run_nor_checkpoint_is_reported(tmp_path: Path, refusal: Refusal) -> None:
    assert "is neither a run folder (it has no plan.json) nor a checkpoint" in refusal(tmp_path, inside=False)


def test_what_is_nothing_at_all_is_reported_with_the_nearest_or_with_what_there_is(
    tmp_path: Path, refusal: Refusal
) -> None:
    make_run(tmp_path / "quick")
    assert f"did you mean {tmp_path / 'quick'}?" in refusal(tmp_path / "quik")
    assert "name a run folder, a checkpoint folder, package.module:function" in refusal("nothing-like-it")


def test_a_model_needs_its_preprocessing_declared(nets: Path, refusal: Refusal) -> None:
    stated = refusal(f"{nets}:small", inside=False)
    assert "has no declared preprocessing" in stated
    assert "--mean 0.4914,0.4822,0.4465" in stated


@pytest.mark.parametrize(
    ("declared", "stated"),
    [
        ({"mean": (0.5, 0.5, 0.5)}, "--std has 0 values, but images have 3 channels"),
        ({"std": (0.5, 0.5, 0.5)}, "--mean has 0 values, but images have 3 channels"),
        ({"mean": (0.5,), "std": (0.5,)}, "--mean has 1 values"),
        ({"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.0, 0.5)}, "--std 0.5,0,0.5 is not above 0"),
        ({"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "inside": True}, "exclude each other"),
    ],
)
def test_preprocessing_that_cannot_be_meant_is_reported(
    nets: Path, declared: dict[str, object], stated: str, refusal: Refusal
) -> None:
    assert stated in refusal(f"{nets}:small", **{"inside": False, **declared})


def test_names_are_made_unique_and_the_first_keeps_its_own(nets: Path, tmp_path: Path, small: nn.Module) -> None:
    configs = [ModelConfig(source=f"{nets}:small", inside=True)]
    for name in ("small-a", "b"):
        file = tmp_path / f"{name}.pt"
        torch.save({key: value + len(name) for key, value in small.state_dict().items()}, file)
        configs.append(ModelConfig(source=f"{nets}:small", weights=str(file), inside=True))
    configs.append(ModelConfig(source=f"{nets}:small", mean=(0, 0, 0), std=(1, 1, 1)))
    assert names(*configs) == ["small", "small-a", "small-b", "small-2"]
    subjects = open_models(configs, trust=NAMED)
    assert [str(subject.record) for subject in subjects] == [subject.name for subject in subjects]


def test_a_users_name_is_kept_and_others_make_way(nets: Path) -> None:
    plain = ModelConfig(source=f"{nets}:viewer", inside=True)
    named = ModelConfig(source=f"{nets}:small", inside=True, name="Viewer")
    assert names(plain, named) == ["viewer-2", "Viewer"]


def test_checkpoints_of_two_runs_are_distinguished_by_the_runs_folder(tmp_path: Path) -> None:
    configs = [
        ModelConfig(source=str(make_run(tmp_path / name, seed))) for seed, name in enumerate(("first", "second"))
    ]
    assert names(*configs)[::3] == [TEACHER, f"second/{TEACHER}"]
    mine = [config.model_copy(update={"name": f"run{number}"}) for number, config in enumerate(configs)]
    assert names(*mine)[::3] == [f"run0/{TEACHER}", f"run1/{TEACHER}"]


def test_a_checkpoint_that_is_part_of_a_run_named_before_is_given_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert names(ModelConfig(source=str(run)), ModelConfig(source=str(run / STUDENT))) == [TEACHER, STUDENT, BASELINE]


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "a b", "-x", "x" * 81])
def test_a_name_that_no_path_can_contain_is_refused(nets: Path, name: str, refusal: Refusal) -> None:
    assert "cannot be used" in refusal(f"{nets}:small", name=name)


def test_one_name_for_two_models_is_reported(nets: Path) -> None:
    config = ModelConfig(source=f"{nets}:small", inside=True, name="a")
    with pytest.raises(UserError, match="Two models are named A"):
        open_models([config, config.model_copy(update={"name": "A"})], trust=NAMED)
