"""A recipe is all that determines the weights of one network, and its hash is the network's name."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nsbench.config.resolve import resolve
from nsbench.noise.draws import InputNoise
from nsbench.study.plan import Planned, make_plan
from nsbench.study.pseudo_labels import read_logits, select_and_balance
from nsbench.study.recipe import Recipe
from nsbench.training.schedule import Schedule
from nsbench.training.stream import draw_block
from nsbench.training.trainer import ENGINE_VERSION

DATA = "checksum of images and labels"


def planned(*settings: str) -> dict[str, Planned]:
    """The plan of `quick` by role and generation."""
    return {f"{one.role}{one.name.generation}": one for one in make_plan(resolve("quick", settings), DATA)}


@pytest.mark.parametrize(
    ("setting", "others"),
    [
        ("study.name=other", set()),
        ("training.teacher_images=64", {"teacher0", "student1", "student2"}),
        ("training.student_images=64", {"student1", "student2", "control1", "control2"}),
        ("training.baseline_images=64", {"baseline0"}),
        ("method.confidence_threshold=0.5", {"student1", "student2"}),
        ("method.kind=distillation", {"student1", "student2"}),
        ("method.mixup_alpha=0.5", {"student1", "student2", "control1", "control2"}),
        ("method.min_images_per_class=50", {"student1", "student2", "control1", "control2"}),
        ("model_noise.dropout=0.3", {"student1", "student2", "control1", "control2"}),
        ("evaluation.corruption_images=5", set()),
        ("study.seeds=[1]", {"teacher0", "student1", "student2", "baseline0", "control1", "control2"}),
        ("data.split_seed=1", {"teacher0", "student1", "student2", "baseline0", "control1", "control2"}),
        ("training.learning_rate=0.2", {"teacher0", "student1", "student2", "baseline0", "control1", "control2"}),
    ],
)
def test_a_setting_makes_other_networks_of_those_that_it_concerns_and_of_no_others(
    setting: str, others: set[str]
) -> None:
    before, after = planned(), planned(setting)
    assert {role for role, one in after.items() if one.recipe.hash != before[role].recipe.hash} == others


def test_the_seed_of_weights_and_that_of_the_split_are_two_settings() -> None:
    recipe = planned("seed=3")["teacher0"].recipe
    assert (recipe.seed, recipe.data.split_seed) == (3, 0)
    assert planned("data.split_seed=3")["teacher0"].recipe.seed == 0


def test_other_images_make_another_network() -> None:
    config = resolve("quick")
    assert make_plan(config, "one")[0].recipe.hash != make_plan(config, "other")[0].recipe.hash


def test_a_network_is_called_after_network_method_and_hash(tmp_path: Path) -> None:
    student = planned()["student1"]
    assert student.folder(tmp_path) == tmp_path / "networks" / f"resnet8-w0.5-noisy-student-{student.recipe.hash[:10]}"
    assert student.recipe.parent == planned()["teacher0"].recipe


def test_equal_recipes_share_their_configuration_but_for_seeds() -> None:
    one, other = (planned(f"study.seeds=[{seed}]")["student2"].recipe for seed in (0, 1))
    assert one.hash != other.hash
    assert one.configuration() == other.configuration()
    assert "seed" not in str(one.configuration()).replace("split_seed", "")


def test_the_version_of_the_engine_is_part_of_the_hash() -> None:
    recipe = planned()["teacher0"].recipe
    assert recipe.engine == ENGINE_VERSION
    assert Recipe(**{**dict(recipe), "engine": ENGINE_VERSION + 1}).hash != recipe.hash


def test_what_is_drawn_belongs_to_the_version_of_the_engine() -> None:
    """Other draws give other weights: raise ENGINE_VERSION with this checksum, in one change."""
    settings = resolve("quick").training
    schedule = Schedule(640, settings, ("recipe",), "recipe", 60.0, mixup_alpha=1.0)
    block = draw_block(schedule, torch.arange(100), InputNoise(2, 9, 4, flip=True), range(10))
    digest = hashlib.sha256()
    for tensor in block.tensors():
        values = tensor.double().mul(2**16).round() if tensor.is_floating_point() else tensor
        digest.update(values.long().numpy().tobytes())
    assert (ENGINE_VERSION, digest.hexdigest()[:16]) == (2, "30b17d9f4632d3ec")


def test_pseudo_labels_whose_true_label_is_unknown_are_not_scored() -> None:
    known = np.array([0, 1, 0, 1, 1])
    unknown = np.array([0, 1, -1, -1, -1])
    logits = np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0]])

    def chosen(labels: np.ndarray[Any, Any]) -> Any:
        return select_and_balance(
            labels, np.arange(2), np.arange(2, 5), read_logits(logits), classes=2, threshold=0.5, min_per_class=0,
            max_gap=9,
        )  # fmt: skip

    assert chosen(known).accuracy == pytest.approx(2 / 3)
    assert chosen(unknown).accuracy is None
    assert chosen(unknown).class_accuracy == [None, None]
    assert chosen(unknown).rows.tolist() == chosen(known).rows.tolist()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], {"smoothing": 0.0, "mixup_alpha": 0.0}),
        (["method.type=smooth", "method.smoothing=0.2"], {"smoothing": 0.2}),
        (["method.type=soft", "method.smoothing=0.2"], {"smoothing": 0.0}),
        (["method.mixup_alpha=0.7"], {"mixup_alpha": 0.7}),
        (["method.kind=distillation", "method.mixup_alpha=0.7"], {"smoothing": 0.0, "mixup_alpha": 0.7}),
        (["method.max_class_gap=7"], {"max_class_gap": 7, "min_images_per_class": 100}),
    ],
)
def test_a_control_learns_labels_alone_as_its_student_learns_pseudo_labels(
    settings: list[str], expected: dict[str, float]
) -> None:
    control = planned(*settings)["control1"].recipe
    assert control.method.kind == "supervised"
    assert expected.items() <= control.method.model_dump().items()
    assert control.parent is None
