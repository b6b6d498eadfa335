"""Labelled images as arrays, and the checksum that names them."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their labels, checked once here and read-only from then on.

    Nobody can change the data set it was given; who needs to write copies first
    (`torch.tensor(images)` copies, `torch.from_numpy(images)` warns).

    Attributes:
        images: uint8 (N, H, W, 3), C-contiguous, RGB, 0..255.
        labels: int64 (N,), a class index each, at least 0.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[-1] != 3:
            raise ValueError(f"images are {self.images.dtype} {self.images.shape}, not uint8 (N, H, W, 3)")
        if not self.images.flags.c_contiguous:
            raise ValueError("images are not C-contiguous")
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"labels are {self.labels.dtype} {self.labels.shape}, not int64 ({len(self.images)},)")
        if len(self.labels) and self.labels.min() < 0:
            raise ValueError(f"a label is {self.labels.min()}, below 0")
        for name in ("images", "labels"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.images)

    def select(self, indices: NDArray[np.int64]) -> "ImageSet":
        """The images at `indices`, in that order; an index may repeat."""
        return ImageSet(self.images[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with all that a run and its report say about it.

    Attributes:
        name: what the user types, such as `cifar10`.
        title: what a report prints, such as `CIFAR-10`.
        licence: the terms its authors give.
        citation: the work to cite.
        classes: class names; a label is an index into them.
        mean: of each channel over the training images, pixels in [0, 1].
        std: standard deviation of each channel, pixels in [0, 1].
        train: training images.
        test: test images.
        checksum: `content_checksum(train, test)`.
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

    def __post_init__(self) -> None:
        for part in (self.train, self.test):
            if len(part) and part.labels.max() >= len(self.classes):
                raise ValueError(f"a label is {part.labels.max()}, beyond the {len(self.classes)} classes")


def content_checksum(*parts: ImageSet) -> str:
    """SHA-256 of the shapes, images and labels of `parts`, as 64 hexadecimal digits.

    It names the content: the same whatever files the images came from and whatever machine
    computes it (labels are hashed as little-endian 64-bit integers).
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"uint8 {part.images.shape} int64 {part.labels.shape}".encode())
        digest.update(part.images.reshape(-1).data)
        digest.update(part.labels.astype("<i8").tobytes())
    return digest.hexdigest()
