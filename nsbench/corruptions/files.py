"""Generated sets on disk, in the official layout, so that other tools read them.

A folder holds one array a corruption or perturbation, `labels.npy` for corruptions, and `nsbench-set.json`, which says
what the arrays are: they have the official names and are not the official files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nsbench.corruptions.corruptions import corrupt, corruption_set_version
from nsbench.corruptions.folder import Array, Description, fill
from nsbench.corruptions.perturbations import perturb, perturbation_set_version
from nsbench.data.images import Dataset, ImageSet
from nsbench.errors import UserError
from nsbench.progress import Reporter, Task
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P

BATCH = 250
"""Images made at a time: the fastest on a CPU of the sizes tried, and a small share of the memory allowed."""


@dataclass(frozen=True)
class Contents:
    """What to generate.

    Attributes:
        names: names of corruptions or perturbations.
        images: the first test images; 0 means all.
        seed: seed of the set.
        severities: severities of corruptions.
        textures: photographs that frost is cut from; () for our own.
    """

    names: tuple[str, ...]
    images: int = 0
    seed: int = 0
    severities: tuple[int, ...] = CIFAR10_C.severities
    textures: tuple[Tensor, ...] = ()


def write_corruption_set(
    dataset: Dataset, contents: Contents, folder: Path, device: torch.device, reporter: Reporter
) -> int:
    """Write CIFAR-10-C's layout: uint8 (S * N, H, W, 3) a corruption, severities as blocks, and `labels.npy`.

    What an earlier call has written is not made again, and what another process writes is left to it.

    Returns:
        Arrays written by this process, the labels not counted.

    Raises:
        UserError: the folder holds something else, or the disk has no room.
    """
    images = _first(dataset.test, contents.images)
    description = _describe(
        corruption_set_version(contents.textures), dataset, contents, len(images), contents.severities
    )
    shape = (len(contents.severities) * len(images), *images.images.shape[1:])
    labels = np.tile(images.labels.astype(np.uint8), len(contents.severities))

    def chunks(name: str, task: Task) -> Iterator[NDArray[np.uint8]]:
        for severity in contents.severities:
            for part, indices in _batches(images, device):
                yield (
                    corrupt(part, name, severity, indices=indices, seed=contents.seed, textures=contents.textures)
                    .cpu()
                    .numpy()
                )
                task.advance(len(part))

    made = [Array(f"{name}.npy", shape, partial(chunks, name)) for name in contents.names]
    arrays = [Array("labels.npy", labels.shape, lambda _: iter([labels])), *made]
    written = fill(folder, description, arrays, f"generate {dataset.name} corruptions", reporter)
    return sum(array in written for array in made)


def write_perturbation_set(
    dataset: Dataset, contents: Contents, folder: Path, device: torch.device, reporter: Reporter
) -> int:
    """Write CIFAR-10-P's layout: uint8 (N, T, H, W, 3) a perturbation; otherwise as `write_corruption_set`."""
    images = _first(dataset.test, contents.images)
    description = _describe(perturbation_set_version(), dataset, contents, len(images), ())

    def frames(name: str) -> int:
        return CIFAR10_P.member(name).frames

    def shape(name: str) -> tuple[int, ...]:
        return (len(images), frames(name), *images.images.shape[1:])

    def chunks(name: str, task: Task) -> Iterator[NDArray[np.uint8]]:
        for part, indices in _batches(images, device):
            yield perturb(part, name, indices=indices, seed=contents.seed).cpu().numpy()
            task.advance(len(part) * frames(name))

    arrays = [Array(f"{name}.npy", shape(name), partial(chunks, name)) for name in contents.names]
    return len(fill(folder, description, arrays, f"generate {dataset.name} perturbations", reporter))


def _describe(
    version: str, dataset: Dataset, contents: Contents, images: int, severities: tuple[int, ...]
) -> Description:
    return Description(
        version, dataset.name, dataset.checksum, images, len(dataset.test), contents.seed, list(severities)
    )


def _first(images: ImageSet, limit: int) -> ImageSet:
    if limit > len(images):
        raise UserError(f"There are {len(images):,} test images, not {limit:,}: ask for fewer with --limit.")
    return images.select(np.arange(limit)) if limit else images


def _batches(images: ImageSet, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(images), BATCH):
        stop = min(start + BATCH, len(images))
        yield torch.tensor(images.images[start:stop]).to(device), torch.arange(start, stop, device=device)
