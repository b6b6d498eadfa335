"""Every label type, every model noise and every objective learns something on the real CIFAR-10."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nsbench.checkpoints.labels import network_folder, read_plan
from tests.conftest import MadeOnce

Train = Callable[..., None]
Accuracy = Callable[[Path], float]

pytestmark = [pytest.mark.slow, pytest.mark.cifar]

TEACHER = "hard/seed0/gen0-resnet8-w0.5"
STUDENT = "hard/seed0/gen1-resnet8-w0.5"
LABELS = {
    "hard": [],
    "soft": ["method.type=soft"],
    "soft, at a temperature": ["method.type=soft", "method.temperature=2.0"],
    "smooth": ["method.type=smooth"],
    "mixup and hard": ["method.mixup_alpha=1.0"],
    "mixup and soft": ["method.type=soft", "method.mixup_alpha=1.0"],
    "mixup and smooth": ["method.type=smooth", "method.mixup_alpha=1.0"],
}
MODEL_NOISES = {
    "dropout 0.5": ["model_noise.dropout=0.5"],
    "dropout 0.2": ["model_noise.dropout=0.2"],
    "no dropout": ["model_noise.dropout=0.0"],
    "no stochastic depth": ["model_noise.survival=1.0"],
    "stochastic depth image by image": ["model_noise.drop=image", "model_noise.survival=0.8"],
    "no model noise": ["model_noise.dropout=0.0", "model_noise.survival=1.0"],
}
OBJECTIVES = {
    "distillation": ["method.kind=distillation", "method.confidence_threshold=0.0"],
    "distillation and mixup": ["method.kind=distillation", "method.mixup_alpha=1.0"],
    "distillation into a smaller network": [
        "method.kind=distillation",
        "study.networks=['resnet8-w0.5', 'resnet8-w0.375']",
    ],
}
BEYOND_CHANCE = 0.2


def student_in(folder: Path) -> Path:
    (student,) = (labels for labels in read_plan(folder) if labels.role == "student")
    return network_folder(folder, str(student))


@pytest.fixture(scope="session")
def teacher(train_small: Train, made_once: MadeOnce) -> Path:
    """A run folder whose teacher is trained; label type, model noise and objective do not concern it."""
    return made_once("teacher", train_small)


@pytest.mark.parametrize("name", [*LABELS, *MODEL_NOISES, *OBJECTIVES])
def test_a_student_learns_far_beyond_chance(
    name: str, teacher: Path, train_small: Train, accuracy: Accuracy, tmp_path: Path
) -> None:
    shutil.copytree(teacher / "networks", tmp_path / "networks")
    train_small(tmp_path, *{**LABELS, **MODEL_NOISES, **OBJECTIVES}[name])
    same = (network_folder(tmp_path, TEACHER) / "weights.safetensors").read_bytes()
    assert same == (network_folder(teacher, TEACHER) / "weights.safetensors").read_bytes()
    assert accuracy(student_in(tmp_path)) > BEYOND_CHANCE


def test_the_control_learns_from_labels_and_noise_alone(
    teacher: Path, train_small: Train, accuracy: Accuracy, tmp_path: Path
) -> None:
    shutil.copytree(teacher / "networks", tmp_path / "networks")
    train_small(tmp_path, "study.control=true")
    assert accuracy(network_folder(tmp_path, "control/seed0/gen1-resnet8-w0.5")) > BEYOND_CHANCE


@pytest.mark.parametrize("part", ["all", "head"])
def test_a_network_that_starts_from_trained_weights_keeps_what_it_knew(
    part: str, teacher: Path, train_small: Train, accuracy: Accuracy, tmp_path: Path
) -> None:
    """A tenth of the teacher's budget, which is not enough from scratch, at a tenth of its learning rate."""
    known = accuracy(network_folder(teacher, TEACHER))
    settings = ["training.teacher_images=3_000", "training.student_images=64", "training.learning_rate=0.01"]
    train_small(tmp_path / "scratch", *settings)
    transfer = [
        f"transfer.weights={network_folder(teacher, TEACHER)}",
        f"transfer.train={part}",
        "transfer.head_rate=2.0",
    ]
    train_small(tmp_path / "transfer", *settings, *transfer)
    assert accuracy(network_folder(tmp_path / "transfer", TEACHER)) > max(
        known - 0.05, accuracy(network_folder(tmp_path / "scratch", TEACHER)) + 0.1
    )
