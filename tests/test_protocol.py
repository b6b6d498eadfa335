"""Every label type and every noise ablation of the study learns something on the real CIFAR-10."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from nsbench.checkpoints.store import load_network
from nsbench.config.resolve import resolve
from nsbench.data.load import load_dataset
from nsbench.networks.inference import predict_logits
from nsbench.pipeline import Options, Run

pytestmark = [pytest.mark.slow, pytest.mark.cifar]

SMALL = (
    "study.networks=['resnet8-w0.5', 'resnet8-w0.5']",
    "study.baseline=resnet8-w0.125",
    "pseudo_labels.confidence_threshold=0.4",
    "training.teacher_images=30_000",
    "training.student_images=20_000",
    "training.baseline_images=64",
    "training.batch_size=64",
)
TEACHER = "hard/seed0/gen0-resnet8-w0.5"
STUDENT = "hard/seed0/gen1-resnet8-w0.5"
LABELS = {
    "hard": [],
    "soft": ["pseudo_labels.type=soft"],
    "smooth": ["pseudo_labels.type=smooth"],
    "mixup and hard": ["pseudo_labels.mixup_alpha=1.0"],
    "mixup and soft": ["pseudo_labels.type=soft", "pseudo_labels.mixup_alpha=1.0"],
    "mixup and smooth": ["pseudo_labels.type=smooth", "pseudo_labels.mixup_alpha=1.0"],
}
NOISES = {
    "dropout 0.5": ["model_noise.dropout=0.5"],
    "no dropout": ["model_noise.dropout=0.0"],
    "no stochastic depth": ["model_noise.survival=1.0"],
    "stochastic depth image by image": ["model_noise.drop=image", "model_noise.survival=0.8"],
    "no model noise": ["model_noise.dropout=0.0", "model_noise.survival=1.0"],
    "cosine": ["training.schedule=cosine", "training.warmup=0.1", "training.nesterov=true"],
}


def options(folder: Path) -> Options:
    return Options(folder, Path(os.environ["NSBENCH_TEST_CIFAR10"]), "cpu", quiet=True)


def accuracy(checkpoint: Path) -> float:
    test = load_dataset("cifar10", Path(os.environ["NSBENCH_TEST_CIFAR10"])).test
    logits = predict_logits(load_network(checkpoint, torch.device("cpu")), test.images[:3000], torch.device("cpu"), 500)
    return float((logits.argmax(1) == test.labels[:3000]).mean())


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder whose teacher is trained; label type and model noise do not concern it."""
    folder = tmp_path_factory.mktemp("teacher")
    Run(resolve("cifar10-small", [*SMALL, *LABELS["hard"]]), options(folder)).train()
    return folder


@pytest.mark.parametrize("name", [*LABELS, *NOISES])
def test_a_student_learns_far_beyond_chance(name: str, teacher: Path, tmp_path: Path) -> None:
    """Chance is 10 %, with a standard error of 0.6 points on 3,000 images."""
    settings = {**LABELS, **NOISES}[name]
    if name != "cosine":
        shutil.copytree(teacher / TEACHER, tmp_path / TEACHER)
    Run(resolve("cifar10-small", [*SMALL, *settings]), options(tmp_path)).train()
    assert accuracy(tmp_path / STUDENT) > 0.2
    if name != "cosine":
        same = (tmp_path / TEACHER / "weights.safetensors").read_bytes()
        assert same == (teacher / TEACHER / "weights.safetensors").read_bytes()
