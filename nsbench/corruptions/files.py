"""Generated sets on disk, in the official layout, so that other tools read them.

A folder holds one array a corruption or perturbation, `labels.npy` for corruptions, and `nsbench-set.json`, which says
what the arrays are: they have the official names and are not the official files.
"""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nsbench.corruptions.corruptions import corrupt, corruption_set_version
from nsbench.corruptions.perturbations import perturb, perturbation_set_version
from nsbench.data.images import Dataset, ImageSet
from nsbench.data.npy.folder import DESCRIPTION
from nsbench.errors import UserError
from nsbench.files import remove_leftovers, write_chunks, write_json
from nsbench.progress import Reporter, Task
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P

BATCH = 250
"""Images made at a time: the fastest on a CPU of the sizes tried, and a small share of the memory allowed."""
SPARE_BYTES = 64 * 2**20
"""Disk space left free."""


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


@dataclass(frozen=True)
class Description:
    """What a folder of generated arrays is; every field is part of its identity."""

    set: str
    data: str
    data_checksum: str
    images: int
    test_images: int
    seed: int
    severities: list[int]

    def first_difference(self, other: dict[str, Any]) -> tuple[str, Any, Any] | None:
        """The first field in which another set differs, with our value and the other's."""
        own = asdict(self)
        return next(((key, own[key], other.get(key)) for key in own if own[key] != other.get(key)), None)


def write_corruption_set(
    dataset: Dataset, contents: Contents, folder: Path, device: torch.device, reporter: Reporter
) -> int:
    """Write CIFAR-10-C's layout: uint8 (S * N, H, W, 3) a corruption, severities as blocks, and `labels.npy`.

    What an earlier call has written is not made again.

    Returns:
        Files written.

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

    writer = _Folder(folder, description, contents.names, lambda _: shape)
    with reporter.task(f"generate {dataset.name} corruptions", len(writer.missing) * shape[0]) as task:
        return writer.write(chunks, task, {"labels.npy": labels})


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

    writer = _Folder(folder, description, contents.names, shape)
    total = sum(len(images) * frames(name) for name in writer.missing)
    with reporter.task(f"generate {dataset.name} perturbations", total) as task:
        return writer.write(chunks, task, {})


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


class _Folder:
    """A folder of arrays and the file that describes them."""

    def __init__(
        self, folder: Path, description: Description, names: tuple[str, ...], shape: Callable[[str], tuple[int, ...]]
    ) -> None:
        self.folder, self.description, self.shape = folder, description, shape
        self.files: dict[str, str] = self._known(names)
        self.missing = [name for name in names if not self._is_there(name)]
        self._check_space()

    def write(
        self,
        chunks: Callable[[str, Task], Iterator[NDArray[np.uint8]]],
        task: Task,
        extra: dict[str, NDArray[np.uint8]],
    ) -> int:
        """Write the arrays that are missing, each followed by the description that names it; returns how many."""
        remove_leftovers(self.folder)
        for name, array in extra.items():
            if name not in self.files:
                self._add(name, array.shape, iter([array]))
        for name in self.missing:
            self._add(f"{name}.npy", self.shape(name), chunks(name, task))
            task.log(name)
        return len(self.missing)

    def _add(self, file: str, shape: tuple[int, ...], arrays: Iterator[NDArray[np.uint8]]) -> None:
        def content() -> Iterator[bytes]:
            yield array_header(shape)
            for array in arrays:
                yield array.tobytes()

        self.files[file] = write_chunks(self.folder / file, content())
        write_json(self.folder / DESCRIPTION, asdict(self.description) | {"files": dict(sorted(self.files.items()))})

    def _known(self, names: tuple[str, ...]) -> dict[str, str]:
        """Checksums of the arrays already there; UserError if the folder holds anything else under these names."""
        path = self.folder / DESCRIPTION
        if path.is_file():
            found = _read(path)
            difference = self.description.first_difference(found)
            if difference:
                key, ours, theirs = difference
                raise UserError(
                    f"{self.folder} holds a set with {key} = {theirs!r}, not {ours!r}: "
                    "choose another folder with --out."
                )
            return {str(name): str(checksum) for name, checksum in found["files"].items()}
        strangers = [f"{name}.npy" for name in names if (self.folder / f"{name}.npy").exists()]
        if strangers:
            raise UserError(
                f"{self.folder} holds {strangers[0]}, which nsbench did not make: choose another folder with --out."
            )
        return {}

    def _is_there(self, name: str) -> bool:
        path = self.folder / f"{name}.npy"
        return path.name in self.files and path.is_file() and path.stat().st_size == self._size(name)

    def _size(self, name: str) -> int:
        shape = self.shape(name)
        return len(array_header(shape)) + int(np.prod(shape))

    def _check_space(self) -> None:
        there = self.folder
        while not there.exists():
            there = there.parent
        needed, free = sum(map(self._size, self.missing)) + SPARE_BYTES, shutil.disk_usage(there).free
        if self.missing and free < needed:
            raise UserError(
                f"{self.folder} needs {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free: "
                "choose another folder with --out, or generate less."
            )


def array_header(shape: tuple[int, ...]) -> bytes:
    """The head of an `.npy` file that holds uint8 in C order."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return head.getvalue()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("files"), dict):
            return found
    except (OSError, ValueError):
        pass
    raise UserError(f"{path} is damaged: delete that folder, or choose another with --out.")
