"""Images with their labels, the parts of a data set, and the checksum that names them."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nsbench.data.rows.images import Images, in_blocks
from nsbench.data.rows.views import ChosenImages, JoinedImages

Element = TypeVar("Element", bound=np.generic)

UNKNOWN = -1
"""The label of an image whose class is not known."""


class ImageSet:
    """Images with their labels, checked once here and read-only from then on.

    A data set cannot be changed by what it is given to; code that needs to write copies it first
    (`torch.tensor(images)` copies, `torch.from_numpy(images)` warns).

    Args:
        images: uint8 (N, H, W, 3), RGB, 0..255; an array is C-contiguous.
        labels: int64 (N,), a class index each, or UNKNOWN; None where no label is known.

    Attributes:
        images: as given; read them by rows, for they may be on a disk and not fit into memory.
        labels: int64 (N,), UNKNOWN (-1) where the class is not known.
    """

    images: Images
    labels: NDArray[np.int64]

    def __init__(self, images: Images, labels: NDArray[np.int64] | None = None) -> None:
        _check_images(images)
        if labels is None:
            labels = np.full(len(images), UNKNOWN)
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise ValueError(f"labels are {labels.dtype} {labels.shape}, not int64 ({len(images)},)")
        if len(labels) and labels.min() < UNKNOWN:
            raise ValueError(f"a label is {labels.min()}, below 0 and not UNKNOWN, which is {UNKNOWN}")
        self.images = _read_only(images) if isinstance(images, np.ndarray) else images
        self.labels = _read_only(labels)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labeled(self) -> bool:
        """Whether the class of every image is known."""
        return not (self.labels == UNKNOWN).any()

    def select(self, indices: NDArray[np.int64]) -> "ImageSet":
        """The images at `indices`, in that order; an index may repeat.

        Arrays in memory are copied; of other sets nothing is read yet.
        """
        in_memory = isinstance(self.images, np.ndarray) and not isinstance(self.images, np.memmap)
        images = self.images[indices] if in_memory else ChosenImages(self.images, indices)
        return ImageSet(images, self.labels[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with all that a run and its report say about it.

    Attributes:
        name: what the user types, such as `cifar10`.
        title: what a report prints, such as `CIFAR-10`.
        licence: the terms its authors give.
        citation: the work to cite.
        classes: class names; a label is an index into them.
        mean: mean of each channel over the training images, pixels in [0, 1].
        std: standard deviation of each channel, pixels in [0, 1].
        train: training images, all labelled.
        test: test images, all labelled.
        checksum: `content_checksum` of the parts: train, test, and unlabeled where there is one.
        unlabeled: further training images; their labels, as far as they are known, only score pseudo-labels.
        counted: for a model with more outputs than `classes`, the output that each class is, such as 200 of
            ImageNet's 1,000; the other outputs do not count. None: models have as many outputs as there are classes.
    """

    name: str
    title: str
    licence: str
    citation: str
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    train: ImageSet
    test: ImageSet
    checksum: str
    unlabeled: ImageSet | None = None
    counted: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for part in (self.train, self.test, self.unlabeled):
            if part is not None and len(part) and part.labels.max() >= len(self.classes):
                raise ValueError(f"a label is {part.labels.max()}, beyond the {len(self.classes)} classes")
        for name, part in (("training", self.train), ("test", self.test)):
            if not part.labeled:
                raise ValueError(f"a {name} image has no label: put it into `unlabeled`")
        if self.counted is not None and not len(set(self.counted)) == len(self.counted) == len(self.classes):
            raise ValueError(f"{len(set(self.counted))} different outputs count for {len(self.classes)} classes")
        if self.counted is not None and min(self.counted) < 0:
            raise ValueError(f"the output {min(self.counted)} counts, but outputs are numbered from 0")

    @property
    def extra(self) -> int:
        """Training images that come without a label to train on."""
        return 0 if self.unlabeled is None else len(self.unlabeled)

    @cached_property
    def pool_images(self) -> Images:
        """All images that networks may learn from: those of `train`, then those of `unlabeled`."""
        if self.unlabeled is None:
            return self.train.images
        return JoinedImages(self.train.images, self.unlabeled.images)

    @cached_property
    def pool_labels(self) -> NDArray[np.int64]:
        """Their labels, int64; UNKNOWN where the class is not known."""
        if self.unlabeled is None:
            return self.train.labels
        return _read_only(np.concatenate([self.train.labels, self.unlabeled.labels]))


def content_checksum(*parts: ImageSet) -> str:
    """SHA-256 of the shapes, images and labels of `parts`, as 64 hexadecimal digits.

    It names the content: the same whatever files the images came from and whatever machine
    computes it (labels are hashed as little-endian 64-bit integers).
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"uint8 {part.images.shape} int64 {part.labels.shape}".encode())
        for block in in_blocks(part.images):
            digest.update(np.ascontiguousarray(block).reshape(-1).data)
        digest.update(part.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def _check_images(images: Images) -> None:
    dtype = images.dtype if isinstance(images, np.ndarray) else np.dtype(np.uint8)
    if dtype != np.uint8 or len(images.shape) != 4 or images.shape[-1] != 3:
        raise ValueError(f"images are {dtype} {images.shape}, not uint8 (N, H, W, 3)")
    if isinstance(images, np.ndarray) and not images.flags.c_contiguous:
        raise ValueError("images are not C-contiguous")


def _read_only(array: NDArray[Element]) -> NDArray[Element]:
    view = array.view()
    view.flags.writeable = False
    return view
