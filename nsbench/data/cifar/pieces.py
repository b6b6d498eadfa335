"""Images and labels that arrive in pieces, put one after the other."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nsbench.data.images import ImageSet
from nsbench.data.library.manifests import Manifest
from nsbench.errors import UserError


class Piece(NamedTuple):
    """Some consecutive images and labels, and the file they came from."""

    path: Path
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def assemble(pieces: Iterable[Piece], count: int, manifest: Manifest, folder: Path) -> ImageSet:
    """Copy the pieces of `folder` one after the other into `count` images.

    Raises:
        UserError: they are not as many, or a label is not one of the manifest's classes.
    """
    images = np.empty((count, *manifest.image_shape), dtype=np.uint8)
    labels = np.empty(count, dtype=np.int64)
    done = 0
    for piece in pieces:
        _check_labels(piece, manifest)
        end = done + len(piece.labels)
        if end > count:
            raise UserError(f"{piece.path} goes beyond the {count} images of {manifest.title}: download it again.")
        images[done:end] = piece.images
        labels[done:end] = piece.labels
        done = end
    if done < count:
        raise UserError(f"{folder} holds {done} images where {manifest.title} has {count}: download the files again.")
    return ImageSet(images, labels)


def _check_labels(piece: Piece, manifest: Manifest) -> None:
    outside = piece.labels[(piece.labels < 0) | (piece.labels >= len(manifest.classes))]
    if len(outside):
        last = len(manifest.classes) - 1
        raise UserError(f"{piece.path} has the label {outside[0]}, outside 0..{last}: download {manifest.title} again.")
