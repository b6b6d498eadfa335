"""What a cell of an evaluation is: some images, and what is kept of the predictions for them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nsbench.config.resolve import fingerprint
from nsbench.networks.inference import BatchSize
from nsbench.predictions.kinds import LARGEST_LOGIT, Arrays
from nsbench.predictions.shown import Subset

CHUNK = 10_000
"""Images held at a time, unless they are large: 30 MB at 32 x 32 pixels."""

CHUNK_BYTES = 2**28
"""Bytes of images held at a time, 256 MB: 1,783 images of 224 x 224 pixels."""

PIECE = 2_000
"""About as many images are read at a time, so that those to come are read while these are predicted; whole batches, so
that batches are the same as of images that need not be read."""

Part = dict[str, Tensor]

FINITE = "finite"
"""The entry of a part that says, where logits are not kept, whether they were numbers; it is not kept either."""


def are_numbers(logits: Tensor) -> Tensor:
    """Whether none of an image's logits (..., K) is NaN, infinite or beyond what metrics can work with; bool (...)."""
    return (logits.abs() <= LARGEST_LOGIT).all(-1)


class Cell(ABC):
    """Some images, and what is kept of the predictions for them.

    Attributes:
        name: name of its file.
        benchmark: heading under which progress is shown.
        subset: the clean test images that it is made from.
        image_identity: identity of the images it shows.
        passes: images shown to a network for each image of the subset.
        reads: whether its images come from a disk.
        attacks: whether it needs gradients.
        folded: whether it is shown to networks without batch normalisation, which are faster and whose logits differ
            by rounding. The cells that keep classes are; those that keep logits, and attacks, see a network as it is.
    """

    reads = False
    attacks = False
    folded = False

    def __init__(self, name: str, benchmark: str, subset: Subset, image_identity: str, passes: int = 1) -> None:
        self.name, self.benchmark, self.subset, self.passes = name, benchmark, subset, passes
        self.image_identity = fingerprint(image_identity, len(subset))

    def fingerprint(self, identity: str) -> str:
        """A hash that names the predictions of a model with this identity."""
        return fingerprint(identity, self.name, self.image_identity, *self.settings(), *("folded",) * self.folded)

    def settings(self) -> tuple[str, ...]:
        """What else determines the predictions."""
        return ()

    def chunks(self, batch: int) -> Iterator[Subset]:
        """The subset in parts whose images fit into memory; attacks, which take long, in batches."""
        held = min(CHUNK, CHUNK_BYTES // self.subset.image_bytes)
        if self.waits and self._frames == 1:
            held = min(held, max(batch, PIECE // batch * batch))
        return self.subset.parts(batch if self.attacks else max(1, held // self._frames))

    @property
    def waits(self) -> bool:
        """Whether any of its images come from a disk, so that it pays to read ahead."""
        return self.reads or not self.subset.resident

    _frames = 1

    def make(self, part: Subset) -> Tensor:
        """The uint8 images (n, H, W, 3) to show, on the device."""
        return part.images

    @abstractmethod
    def show(self, network: nn.Module, images: Tensor, part: Subset, batch: BatchSize) -> Part:
        """What is kept of a chunk, on the device; where that is not logits, FINITE too."""

    @property
    def shown(self) -> str:
        """How many pictures of which kind a network answers for, in words."""
        return f"{len(self.subset) * self._frames:,} {'images' if self._frames == 1 else 'frames'}"

    def finite(self, part: Part) -> Tensor:
        """Whether every logit of each image, under every strength, or of each frame is a number; bool."""
        if FINITE in part:
            return part[FINITE]
        rows = are_numbers(part["logits"])
        return rows.all(0) if rows.ndim > 1 else rows

    def join(self, parts: list[Part]) -> Arrays:
        """Consecutive chunks of a cell together, in host memory."""
        return {key: torch.cat([part[key] for part in parts], self.axis(key)).cpu().numpy() for key in parts[0]}

    def axis(self, key: str) -> int:  # noqa: ARG002  # attacks need it
        """Along which an array has one row for each image."""
        return 0
