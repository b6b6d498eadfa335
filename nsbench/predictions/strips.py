"""Example images for the report: strips of what training and the benchmarks show a network."""

import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from nsbench.config.evaluation import EvaluationConfig
from nsbench.config.schema import Config
from nsbench.data.images import Dataset
from nsbench.files import write_bytes
from nsbench.noise.augment import Augmenter
from nsbench.noise.draws import InputNoise
from nsbench.predictions.shown import BenchmarkImages, Subset
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P
from nsbench.seeds import derive_seed

ROWS = 3
COLUMNS = 8
GAP = 1

Strip = NDArray[np.uint8]


def write_noise_strip(config: Config, dataset: Dataset, run: Path) -> None:
    """Write `samples/noise.png`, the same bytes every time."""
    _write(run / "samples" / "noise.png", noise_strip(config, dataset))


def write_benchmark_strips(config: EvaluationConfig, dataset: Dataset, source: BenchmarkImages, run: Path) -> None:
    """Write `samples/corruption-*.png` and `samples/perturbation-*.png`, the same bytes every time."""
    folder = run / "samples"
    part = Subset(torch.tensor(dataset.test.images[:ROWS]), torch.tensor(dataset.test.labels[:ROWS]))
    for name in config.corruptions:
        cells = [source.corrupted(part, name, severity) for severity in CIFAR10_C.severities]
        _write(folder / f"corruption-{name}.png", torch.stack([part.images, *cells], 1).numpy())
    for moving in config.perturbations:
        frames = source.sequences(part, moving)
        _write(folder / f"perturbation-{moving}.png", frames[:, shown_frames(moving)].numpy())


def shown_frames(name: str) -> list[int]:
    """Indices of the frames that a strip shows, first and last included."""
    return [int(frame) for frame in np.linspace(0, CIFAR10_P.member(name).frames - 1, COLUMNS).round()]


def noise_strip(config: Config, dataset: Dataset) -> Strip:
    """(ROWS, COLUMNS, H, W, 3): training images, and the same images under draws of the run's input noise."""
    settings, side = config.input_noise, dataset.train.images.shape[1]
    noise = InputNoise(settings.operations, settings.magnitude, settings.crop_padding, settings.flip)
    augment = Augmenter(noise, side, torch.device("cpu"))
    images = torch.tensor(dataset.train.images[:ROWS])
    copies = images.repeat_interleave(COLUMNS - 1, 0).permute(0, 3, 1, 2).reshape(-1, 3, side * side).contiguous()
    draws = augment.draw(len(copies), torch.Generator().manual_seed(derive_seed(config.seed, "samples")))
    noisy = augment(copies, draws).reshape(len(images), COLUMNS - 1, 3, side, side).permute(0, 1, 3, 4, 2)
    return torch.cat([images[:, None], noisy], 1).numpy()


def _write(path: Path, strip: Strip) -> None:
    """(rows, columns, H, W, 3) as one PNG, white lines between the images."""
    rows, columns, height, width, _ = strip.shape
    tiles = np.pad(strip, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(rows * (height + GAP), columns * (width + GAP), 3)[:-GAP, :-GAP]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(sheet)).save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())
