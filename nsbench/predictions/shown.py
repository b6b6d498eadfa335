"""Where corrupted and perturbed images come from: made here, or read from files in the official layout."""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nsbench.config.evaluation import EvaluationConfig
from nsbench.corruptions.corruptions import check_corruptions, corrupt, corruption_set_version
from nsbench.corruptions.kinds.textures import read_textures
from nsbench.corruptions.perturbations import check_perturbations, perturb, perturbation_set_version
from nsbench.data.images import Dataset
from nsbench.data.npy.compared import compare_files
from nsbench.data.npy.corruptions import CorruptionFiles, open_corruption_files
from nsbench.data.npy.perturbations import PerturbationFiles, open_perturbation_files
from nsbench.data.rows.images import Images
from nsbench.data.rows.views import ChosenImages
from nsbench.errors import UserError
from nsbench.progress import Reporter
from nsbench.protocols.registry import corruption_protocol, perturbation_protocol

GENERATED_SEED = 0
"""The generated sets are the same for every run, so that runs can be compared."""

_SAMPLED = 4


class Subset:
    """Consecutive test images for the device, with their place in the test set.

    Args:
        images: uint8 (N, H, W, 3), a tensor on the device, or a set that is read when `images` is asked for.
        labels: int64 (N,) on the device.
        first: place of the first image in the test set.
    """

    def __init__(self, images: Tensor | Images, labels: Tensor, first: int = 0) -> None:
        assert len(images) == len(labels), (len(images), len(labels))
        self._images, self.labels, self.first = images, labels, first

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def images(self) -> Tensor:
        """uint8 (N, H, W, 3) on the device; of a set that must be read, ask a part that fits into memory."""
        if isinstance(self._images, Tensor):
            return self._images
        found = self._images[:]
        return _sent(found if found.flags.writeable else found.copy(), self.device)

    @property
    def device(self) -> torch.device:
        """Where the images are used."""
        return self.labels.device

    @property
    def resident(self) -> bool:
        """Whether the images are on the device, and need not be read."""
        return isinstance(self._images, Tensor)

    @property
    def image_bytes(self) -> int:
        """Bytes of one image's pixels."""
        return math.prod(self._images.shape[1:])

    @property
    def rows(self) -> slice:
        """Their places in the test set."""
        return slice(self.first, self.first + len(self))

    @property
    def indices(self) -> Tensor:
        """Their places, int64 on the device."""
        return torch.arange(self.first, self.first + len(self), device=self.device)

    def part(self, rows: slice) -> "Subset":
        """Some of the images; nothing is read yet."""
        start, stop, _ = rows.indices(len(self))
        if isinstance(self._images, Tensor):
            return Subset(self._images[start:stop], self.labels[start:stop], self.first + start)
        images = ChosenImages(self._images, np.arange(start, stop))
        return Subset(images, self.labels[start:stop], self.first + start)

    def parts(self, step: int) -> Iterator["Subset"]:
        """All images in order, `step` at a time."""
        for start in range(0, len(self), step):
            yield self.part(slice(start, start + step))


class BenchmarkImages(ABC):
    """Corrupted and perturbed images of a test set.

    Attributes:
        corruptions: name of the set of corrupted images, such as `nsbench-c v1 3f9a2c` or `CIFAR-10-C`.
        perturbations: name of the set of sequences.
        seed: seed of a generated set, None for files.
        reads: whether images wait for a disk, so that it pays to read ahead.
        notes: sentences that a user should read before the work.
        warnings: sentences that a reader of the record must see.
    """

    corruptions: str
    perturbations: str
    seed: int | None
    reads: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @abstractmethod
    def identity(self, kind: Literal["corruption", "perturbation"], name: str) -> str:
        """What names the images of one corruption or perturbation; it changes when they do."""

    @abstractmethod
    def corrupted(self, part: Subset, name: str, severity: int) -> Tensor:
        """uint8 (B, H, W, 3) on the device of `part`."""

    @abstractmethod
    def sequences(self, part: Subset, name: str) -> Tensor:
        """uint8 (B, T, H, W, 3) on the device of `part`."""


class Generated(BenchmarkImages):
    """Images made on the device, nothing on disk.

    Args:
        textures: photographs that frost is cut from; () for our own.
    """

    reads = False

    def __init__(self, textures: tuple[Tensor, ...] = ()) -> None:
        self.corruptions, self.perturbations = corruption_set_version(textures), perturbation_set_version()
        self.seed, self.textures = GENERATED_SEED, textures

    def identity(self, kind: Literal["corruption", "perturbation"], name: str) -> str:
        """The version of the set, and the name."""
        return f"{self.corruptions if kind == 'corruption' else self.perturbations} {name}"

    def corrupted(self, part: Subset, name: str, severity: int) -> Tensor:
        """As `corrupt` makes them."""
        return corrupt(part.images, name, severity, indices=part.indices, seed=GENERATED_SEED, textures=self.textures)

    def sequences(self, part: Subset, name: str) -> Tensor:
        """As `perturb` makes them."""
        return perturb(part.images, name, indices=part.indices, seed=GENERATED_SEED)


class Files(BenchmarkImages):
    """Images read from memory-mapped files; None stands for a kind that is not measured."""

    reads = True

    def __init__(
        self,
        titles: tuple[str, str],
        corruptions: CorruptionFiles | None,
        perturbations: PerturbationFiles | None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.warnings = warnings
        self._corruptions, self._perturbations = corruptions, perturbations
        self.corruptions = _set_name(titles[0], corruptions.generated if corruptions else None)
        self.perturbations = _set_name(titles[1], perturbations.generated if perturbations else None)
        self.seed = None
        self._identities: dict[tuple[str, str], str] = {}
        self.notes = tuple(
            f"{files.folder}: not measured: {', '.join(files.ignored)}"
            for files in (corruptions, perturbations)
            if files is not None and files.ignored
        )

    def corrupted(self, part: Subset, name: str, severity: int) -> Tensor:
        """As the file has them."""
        assert self._corruptions is not None
        return _sent(self._corruptions.read(name, severity, part.rows), part.device)

    def sequences(self, part: Subset, name: str) -> Tensor:
        """As the file has them."""
        assert self._perturbations is not None
        return _sent(self._perturbations.read(name, part.rows), part.device)

    def identity(self, kind: Literal["corruption", "perturbation"], name: str) -> str:
        """A checksum over a few images of the file: reading gigabytes to name it would take longer than using it."""
        if (kind, name) not in self._identities:
            title, samples = (
                (self.corruptions, self._corruption_samples(name))
                if kind == "corruption"
                else (self.perturbations, self._perturbation_samples(name))
            )
            self._identities[kind, name] = _identity(f"{title} {name}", samples)
        return self._identities[kind, name]

    def _corruption_samples(self, name: str) -> Iterator[NDArray[np.uint8]]:
        assert self._corruptions is not None
        for severity in self._corruptions.severities:
            for row in spread(len(self._corruptions)):
                yield self._corruptions.read(name, severity, row)

    def _perturbation_samples(self, name: str) -> Iterator[NDArray[np.uint8]]:
        assert self._perturbations is not None
        for row in spread(len(self._perturbations)):
            yield self._perturbations.read(name, row)


def open_source(
    config: EvaluationConfig, dataset: Dataset, folder: Path, reporter: Reporter | None = None
) -> BenchmarkImages:
    """The source that a configuration names, checked before any work.

    Args:
        config: what to measure.
        dataset: the clean images.
        folder: where data files are.
        reporter: shows how far the checksums of files have been compared; None: nothing does.

    Raises:
        UserError: files are missing or faulty, not those of a known checksum, hold fewer images than asked for, or
            there are none of this data set; what is to be generated is not defined for images of this size.
    """
    if config.source == "generated":
        side = dataset.test.images.shape[1]
        check_corruptions(config.corruptions, side)
        check_perturbations(config.perturbations, side)
        return Generated(read_textures(Path(config.frost_textures).expanduser()) if config.frost_textures else ())
    protocols = corruption_protocol(dataset.name, dataset.title), perturbation_protocol(dataset.name, dataset.title)
    if not all(protocol.published for protocol in protocols):
        raise UserError(f"There are no official files of {dataset.title}: set evaluation.source to 'generated'.")
    test = len(dataset.test)
    corruptions = open_corruption_files(folder, dataset, config.corruptions) if config.corruptions else None
    perturbations = open_perturbation_files(folder, dataset, config.perturbations) if config.perturbations else None
    for files, limit, key in (
        (corruptions, config.corruption_images, "corruption_images"),
        (perturbations, config.perturbation_images, "perturbation_images"),
    ):
        wanted = min(limit, test) if limit else test
        if files is not None and len(files) < wanted:
            raise UserError(
                f"{files.folder} holds {len(files):,} of the {test:,} test images: "
                f"set evaluation.{key} to {len(files)} or fewer."
            )
    shown = reporter or Reporter(quiet=True)
    warnings = [
        sentence
        for protocol, files in zip(protocols, (corruptions, perturbations), strict=True)
        if files is not None
        for sentence in compare_files(protocol, files, shown)
    ]
    return Files((protocols[0].title, protocols[1].title), corruptions, perturbations, tuple(warnings))


def _sent(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Images on the device; to CUDA through pinned memory, so that the host need not wait."""
    found = torch.from_numpy(images)
    return found.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else found


def _set_name(official: str, generated: dict[str, Any] | None) -> str:
    """The official name, or that of a generated set with its seed if it is not the usual one."""
    if generated is None:
        return official
    seed = generated.get("seed", GENERATED_SEED)
    return str(generated.get("set")) + (f" seed {seed}" if seed != GENERATED_SEED else "")


def _identity(name: str, samples: Iterator[NDArray[np.uint8]]) -> str:
    digest = hashlib.sha256(name.encode())
    for sample in samples:
        digest.update(sample.tobytes())
    return digest.hexdigest()


def spread(count: int) -> list[slice]:
    """A few rows of a set, from its first to its last."""
    return [slice(row, row + 1) for row in np.linspace(0, count - 1, _SAMPLED).astype(int).tolist()]
