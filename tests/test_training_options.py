"""Every input noise of table 6, every optimisation and every execution learns something on the real CIFAR-10."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nsbench.checkpoints.labels import network_folder, read_plan

Train = Callable[..., None]
Accuracy = Callable[[Path], float]

pytestmark = [pytest.mark.slow, pytest.mark.cifar]

TEACHER = "hard/seed0/gen0-resnet8-w0.5"
FROM_THE_START = {
    "RandAugment 27": ["input_noise.operations=2", "input_noise.magnitude=27"],
    "RandAugment 9": ["input_noise.operations=2", "input_noise.magnitude=9"],
    "RandAugment 3": ["input_noise.operations=2", "input_noise.magnitude=3"],
    "no RandAugment": ["input_noise.operations=0"],
    "no noise": [
        "input_noise.operations=0",
        "input_noise.crop_padding=0",
        "input_noise.flip=false",
        "model_noise.dropout=0.0",
        "model_noise.survival=1.0",
    ],
    "the published noise": [
        "input_noise.operations=2",
        "input_noise.magnitude=27",
        "model_noise.dropout=0.5",
        "model_noise.survival=0.8",
    ],
    "cosine": ["training.schedule=cosine", "training.warmup=0.1", "training.nesterov=true"],
    "a moving average": ["training.average_decay=0.99"],
    "the best on validation": ["training.selection=best-validation", "data.validation_fraction=0.1"],
    "the best on test": ["training.selection=best-test"],
    "bfloat16": ["training.precision=bfloat16"],
    "the steps that CUDA captures": ["training.execution=graph"],
    "micro-batches": ["training.micro_batch=16"],
}
BEYOND_CHANCE = 0.2


def student_in(folder: Path) -> Path:
    (student,) = (labels for labels in read_plan(folder) if labels.role == "student")
    return network_folder(folder, str(student))


@pytest.mark.parametrize("name", FROM_THE_START)
def test_a_chain_trained_this_way_learns_far_beyond_chance(
    name: str, train_small: Train, accuracy: Accuracy, tmp_path: Path
) -> None:
    train_small(tmp_path, *FROM_THE_START[name])
    assert accuracy(network_folder(tmp_path, TEACHER)) > BEYOND_CHANCE
    assert accuracy(student_in(tmp_path)) > BEYOND_CHANCE


def test_an_efficientnet_learns_beyond_chance(train_small: Train, accuracy: Accuracy, tmp_path: Path) -> None:
    """250 steps without noise: deep networks start slowly, but the margin is nine standard errors."""
    settings = ["training.batch_size=32", "training.teacher_images=8_000", "training.student_images=64"]
    gentle = ["training.warmup=0.1", "training.nesterov=true", "training.milestones=[0.75]"]
    networks = "study.networks=['efficientnet-b0', 'resnet8-w0.125']"
    few_to_label = "data.labeled_fraction=0.95"
    train_small(tmp_path, networks, few_to_label, *settings, *gentle, *FROM_THE_START["no noise"])
    assert accuracy(network_folder(tmp_path, "hard/seed0/gen0-efficientnet-b0")) > 0.15
