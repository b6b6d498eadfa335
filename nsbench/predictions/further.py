"""Benchmarks beside a data set's own -C and -P: test sets, and sets of corruptions from files or a generator."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nsbench.config.evaluation import EvaluationConfig
from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.npy.compared import compare_files
from nsbench.data.npy.corruptions import open_corruption_files
from nsbench.data.npy.test_set import compare_test_set, load_test_set
from nsbench.errors import UserError
from nsbench.predictions.shown import GENERATED_SEED, Files, Subset, spread
from nsbench.progress import Reporter
from nsbench.protocols.protocol import Protocol
from nsbench.protocols.registry import find_protocol
from nsbench.seeds import derive_seed


@dataclass(frozen=True, eq=False)
class TestSet:
    """A further test set, read."""

    protocol: Protocol
    images: ImageSet

    @property
    def identity(self) -> str:
        """Identity of its images and labels."""
        return content_checksum(self.images)


class Corruptions:
    """A further set of corrupted images of the test set.

    Attributes:
        protocol: the benchmark.
        reads: whether its images wait for a disk.
    """

    def __init__(self, protocol: Protocol, files: Files | None, made: dict[tuple[str, int], str]) -> None:
        self.protocol, self.reads = protocol, files is not None
        self._files, self._made = files, made

    def identity(self, name: str, severity: int) -> str:
        """What names the images of one member at one severity; it changes when they do."""
        if self._files is not None:
            return self._files.identity("corruption", name)
        return self._made[name, severity]

    def corrupted(self, part: Subset, name: str, severity: int) -> Tensor:
        """uint8 (B, H, W, 3) on the device of `part`."""
        if self._files is not None:
            return self._files.corrupted(part, name, severity)
        images = generated(self.protocol, part.images.cpu().numpy(), part.indices.tolist(), name, severity)
        return torch.from_numpy(images).to(part.device)


Further = TestSet | Corruptions


def open_further(
    config: EvaluationConfig, dataset: Dataset, folder: Path, reporter: Reporter | None = None
) -> tuple[Further, ...]:
    """The benchmarks that a configuration names, checked before any work.

    Args:
        config: what to measure.
        dataset: the clean images.
        folder: where data files are.
        reporter: shows how far the checksums of files have been compared; None: nothing does.

    Raises:
        UserError: one is of another data set or of images of another size, its files are missing, faulty or not those
            of a known checksum, or its generator fails.
    """
    limit, shown = config.corruption_images, reporter or Reporter(quiet=True)
    return tuple(_open(find_protocol(name), dataset, folder, limit, shown) for name in config.protocols)


def _open(protocol: Protocol, dataset: Dataset, folder: Path, limit: int, reporter: Reporter) -> Further:
    side = dataset.test.images.shape[1]
    if dataset.name not in protocol.data_sets:
        raise UserError(f"{protocol.name} is of {', '.join(protocol.data_sets)}, not of {dataset.name}: leave it out.")
    if protocol.side not in (0, side):
        raise UserError(f"{protocol.name} has images of {protocol.side} pixels, not of {side}: leave it out.")
    if protocol.kind == "test_set":
        found = load_test_set(protocol, dataset, folder)
        compare_test_set(protocol, folder, reporter)
        return TestSet(protocol, found)
    if protocol.generator is not None:
        return Corruptions(protocol, None, _identities(protocol, dataset))
    files = open_corruption_files(folder, dataset, protocol.names, protocol=protocol)
    if len(files) < min(limit or len(dataset.test), len(dataset.test)):
        raise UserError(f"{files.folder} holds {len(files):,} images: set evaluation.corruption_images to as many.")
    compare_files(protocol, files, reporter)
    return Corruptions(protocol, Files((protocol.title, ""), files, None), {})


def _identities(protocol: Protocol, dataset: Dataset) -> dict[tuple[str, int], str]:
    """By member and severity, a checksum over a few images, which are held to look the same in any batch."""
    rows = [row.start for row in spread(len(dataset.test))]
    clean = dataset.test.images[np.array(rows)]
    found = {}
    for name in protocol.names:
        for severity in protocol.severities:
            images = generated(protocol, clean, rows, name, severity)
            alone = [generated(protocol, clean[[at]], [row], name, severity)[0] for at, row in enumerate(rows)]
            if not np.array_equal(images, alone):
                raise UserError(
                    f"{protocol.name}: an image looks different in another batch under {name}: draw the random numbers "
                    "of each image from its own state."
                )
            found[name, severity] = hashlib.sha256(images.tobytes()).hexdigest()
    return found


def generated(
    protocol: Protocol, images: NDArray[np.uint8], rows: Sequence[int], name: str, severity: int
) -> NDArray[np.uint8]:
    """Images as the generator of a benchmark makes them.

    Args:
        protocol: the benchmark, which has a generator.
        images: uint8 (B, H, W, 3), clean.
        rows: their places in the test set; with name and severity they fix every random number.
        name: name of a member.
        severity: its severity.

    Raises:
        UserError: the generator fails, or makes something else than such images.
    """
    assert protocol.generator is not None
    seeds = [derive_seed(GENERATED_SEED, "protocol", protocol.name, name, severity, row) for row in rows]
    states = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
    clean = images.view()
    clean.flags.writeable = False
    try:
        found = np.asarray(protocol.generator(clean, name, severity, states))
    except UserError:
        raise
    except Exception as error:  # the code of a stranger may fail in any way
        raise UserError(f"{protocol.name} fails to make {name} ({type(error).__name__}: {error}): fix it.") from error
    if found.dtype != np.uint8 or found.shape != images.shape:
        raise UserError(
            f"{protocol.name} makes {found.dtype} {found.shape} of uint8 {images.shape} for {name}: fix its generator."
        )
    return np.ascontiguousarray(found)
