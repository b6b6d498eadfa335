"""The published code of the study, imported from a folder of the user's: its input noise, its loader and its loop.

Get it with `git clone` of the public repository lego0901/embedded-noisystudent. Nothing of it is copied here. It was
written for NumPy 1.18; the names that NumPy removed since are given back to it before it is imported.
"""

import contextlib
import importlib
import os
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms  # type: ignore[import-untyped]  # torchvision ships no types
from torchvision.transforms import functional  # type: ignore[import-untyped]  # torchvision ships no types

from nsbench.data.images import ImageSet
from nsbench.noise.draws import Draws
from nsbench.noise.tables import OPERATIONS

MAGNITUDE, OPERATIONS_PER_IMAGE, PADDING, BATCH = 27, 2, 4, 512
Norm = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class PublishedCode:
    """Two of its modules: `augmentations` with RandAugment; `utils` with data set, training loop and network."""

    augmentations: ModuleType
    utils: ModuleType

    def network(self, depth: int, survival: float, dropout: float) -> nn.Module:
        """Its ResNet."""
        made: nn.Module = self.utils.make_model(depth, prob_0_L=(1.0, survival), dropout_prob=dropout)
        return made

    def noise(self, norm: Norm) -> Callable[[NDArray[np.uint8]], torch.Tensor]:
        """Its input noise, from one uint8 image (H, W, 3) to normalised floats."""
        chain: Callable[[NDArray[np.uint8]], torch.Tensor] = transforms.Compose(
            [
                transforms.ToPILImage(),
                self.augmentations.RandAugment(OPERATIONS_PER_IMAGE, MAGNITUDE),
                transforms.RandomCrop(32, padding=PADDING),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(*norm),
            ]
        )
        return chain


def folder(text: str) -> Path:
    """The folder of the published code, for a command line."""
    path = Path(text).expanduser()
    if not (path / "augmentations.py").is_file():
        raise ArgumentTypeError(
            f"{text} holds no augmentations.py: clone the public repository lego0901/embedded-noisystudent"
        )
    return path


def load(path: Path) -> PublishedCode:
    """Import the published code."""
    for name, kind in (("int", int), ("float", float)):
        if name not in vars(np):
            setattr(np, name, kind)
    sys.path.insert(0, str(path))
    return PublishedCode(importlib.import_module("augmentations"), importlib.import_module("utils"))


def training(
    code: PublishedCode, network: nn.Module, images: ImageSet, norm: Norm, workers: int, device: torch.device
) -> Callable[[], int]:
    """Its training loop for one epoch of `images`, from loading to the optimiser's step; returns their number.

    As for a student, the targets are distributions. The loop tests after each epoch, here on a single image, and
    starts the loader's workers anew for each.
    """
    pixels = torch.from_numpy(images.images.copy()).permute(0, 3, 1, 2)
    pairs = list(zip(pixels, images.labels.tolist(), strict=True))
    data = code.utils.DatasetApplyTransform(pairs, code.noise(norm))
    data.label = np.eye(10)[data.label]
    # Forked, as where the code was written; a process that was itself spawned would spawn them.
    loader: DataLoader[Any] = DataLoader(
        data, batch_size=BATCH, shuffle=True, num_workers=workers, multiprocessing_context="fork"
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    test = [(torch.rand(1, 3, 32, 32), torch.tensor([3]))]

    def epoch() -> int:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            code.utils.train_model(network, loader, test, device, optimizer, epochs=1, onehot=True)
        return len(images)

    return epoch


def replay(code: PublishedCode, images: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    """Its input noise on uint8 images (N, 32, 32, 3), every random number taken from `draws`."""
    published = {name.lower(): entry for entry in code.augmentations.augment_list() for name in [entry[0].__name__]}
    chosen = [published[name.replace("_", "")] for name in OPERATIONS]
    noise = code.augmentations.RandAugment(OPERATIONS_PER_IMAGE, MAGNITUDE)
    results = []
    for index, image in enumerate(images):
        with _scripted(code.augmentations, chosen, draws, index):
            noisy = noise(functional.to_pil_image(image))
        top, left = draws.crops[index].tolist()
        noisy = functional.crop(functional.pad(noisy, PADDING), top, left, 32, 32)
        results.append(np.asarray(functional.hflip(noisy) if draws.flips[index] else noisy))
    return np.stack(results)


@contextlib.contextmanager
def _scripted(module: Any, entries: Sequence[Any], draws: Draws, index: int) -> Iterator[None]:
    """`random` and `numpy.random` of the published module, answering with one image's draws."""
    kept = module.random, module.np
    turn = -1
    signs, centers = draws.negative[index].tolist(), draws.centers[index].double().tolist()
    axes: list[float] = []

    def begin(position: int) -> Callable[[Any, float], Any]:
        entry = entries[int(draws.operations[index, position])][0]

        def operation(image: Any, amount: float) -> Any:
            nonlocal turn
            turn = position
            axes[:] = centers[position]
            return entry(image, amount)

        return operation

    def choices(_: Any, k: int) -> list[Any]:
        picked = [entries[int(draws.operations[index, position])] for position in range(k)]
        return [(begin(position), low, high) for position, (_, low, high) in enumerate(picked)]

    numbers = SimpleNamespace(uniform=lambda width: axes.pop(0) * width)
    module.random = SimpleNamespace(random=lambda: 1.0 if signs[turn] else 0.0, choices=choices)
    module.np = SimpleNamespace(array=np.array, clip=np.clip, uint8=np.uint8, int=int, random=numbers)
    try:
        yield
    finally:
        module.random, module.np = kept
