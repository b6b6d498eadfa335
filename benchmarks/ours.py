"""nsbench's side: its network, its resident images, its noise and its training, as a run of its own uses them."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nsbench.config.schema import TrainingConfig
from nsbench.data.images import ImageSet
from nsbench.networks.build import build_network
from nsbench.networks.classifier import Classifier, ModelNoise
from nsbench.noise.augment import Augmenter
from nsbench.noise.dense import DenseAugmenter
from nsbench.noise.draws import Draws, InputNoise
from nsbench.noise.draws import draw as draw_parameters
from nsbench.progress import Reporter
from nsbench.training.schedule import Schedule
from nsbench.training.step import Noise, TrainingSet, input_noise
from nsbench.training.trainer import train

FULL_NOISE = InputNoise(operations=2, magnitude=27, crop_padding=4, flip=True)
MODEL_NOISE = ModelNoise(dropout=0.5, survival=0.8)
NO_MODEL_NOISE = ModelNoise()
SIDE, BATCH = 32, 512
Apply = Callable[[Tensor, Draws], Tensor]
Norm = tuple[Sequence[float], Sequence[float]]
Precision = Literal["float32", "bfloat16"]
Execution = Literal["eager", "graph", "compiled"]
EXECUTIONS: tuple[Execution, ...] = ("eager", "graph", "compiled")
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def network(depth: int, norm: Norm, device: torch.device, noise: ModelNoise = MODEL_NOISE) -> Classifier:
    """A ResNet for ten classes, in channels-last memory."""
    made = build_network(f"resnet{depth}", 10, *norm, noise)
    return made.to(device).to(memory_format=torch.channels_last)


def random_images(count: int, seed: int = 0) -> ImageSet:
    """Random pixels and labels in CIFAR-10's shapes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    return ImageSet(images, rng.integers(0, 10, count, dtype=np.int64))


def planar(images: ImageSet, device: torch.device) -> Tensor:
    """uint8 (N, 3, side * side), as images are kept during training."""
    pixels = images.images.reshape(len(images), SIDE * SIDE, 3).transpose(0, 2, 1)
    return torch.from_numpy(pixels.copy()).to(device)


def training_set(images: ImageSet, device: torch.device) -> TrainingSet:
    """All of `images` with hard targets."""
    targets = torch.eye(10)[torch.tensor(images.labels)]
    return TrainingSet(planar(images, device), torch.arange(len(images)), targets.to(device))


def draw(count: int, generator: torch.Generator) -> Draws:
    """Random parameters of full input noise for `count` images, on the CPU."""
    return draw_parameters(count, FULL_NOISE, generator)


def grouped(device: torch.device) -> Apply:
    """Full input noise, images grouped by operation; the draws are on the CPU."""
    return Augmenter(FULL_NOISE, SIDE, device)


def dense(device: torch.device) -> DenseAugmenter:
    """Full input noise, all images at once; the draws are on the device."""
    return DenseAugmenter(FULL_NOISE, SIDE, device)


def run_noise(device: torch.device, execution: Execution) -> Noise:
    """Full input noise as a run applies it on this device."""
    return input_noise(FULL_NOISE, SIDE, device, compiled=execution == "compiled")


def training(
    trained: Classifier,
    data: TrainingSet,
    noise: Noise,
    images: int,
    precision: Precision,
    execution: Execution,
    batch: int = BATCH,
) -> Callable[[], int]:
    """Training for a budget of `images` images, with its random draws and the reading of the loss at the end."""
    settings = TrainingConfig(batch_size=batch, precision=precision, execution=execution)
    plan = Schedule(images, settings, ("benchmark",), "benchmark", save_every=float("inf"))

    def run() -> int:
        with tempfile.TemporaryDirectory() as folder, Reporter(quiet=True).task("benchmark", plan.images) as task:
            train(trained, data, noise, plan, Path(folder) / "state.safetensors", task)
        return plan.images

    return run
