"""Images in files of their own, JPEG or PNG, decoded when they are read.

The resize and crop are those that ImageNet classifiers are measured with: the shorter side becomes `resize` pixels
(bilinear, with the wider filter that avoids aliasing where an image shrinks), then the middle square of `side` pixels
is cut out. An image that has this size already keeps its pixels. Grey and palette images become RGB; a note of the
camera's orientation is not followed, as torchvision does not follow it.
"""

import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nsbench.data.images import ImageSet
from nsbench.data.npy.arrays import readable
from nsbench.data.rows.images import Rows
from nsbench.errors import UserError, printable

BROKEN_IMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""Pillow's many ways to say that an image cannot be decoded."""

MOST_PIXELS = 100_000_000
"""Pixels of an image that is decoded; a small file can claim any number."""
_ENDINGS = {".jpg", ".jpeg", ".png"}


class PictureFiles:
    """Images in JPEG or PNG files.

    Args:
        files: one an image, in order.
        side: height and width in pixels of the images to give.
        resize: length in pixels of the shorter side before the crop, at least `side`; None for `side`.

    Reading raises UserError naming a file that is missing or cannot be decoded.
    """

    def __init__(self, files: Sequence[Path], side: int, resize: int | None = None) -> None:
        self._files, self._side, self._resize = tuple(files), side, resize or side
        if not 0 < side <= self._resize:
            raise ValueError(f"a crop of {side} pixels out of {self._resize}")
        self.shape: tuple[int, ...] = (len(self._files), side, side, 3)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, rows: Rows, /) -> NDArray[np.uint8]:
        wanted = np.arange(len(self))[rows].tolist()
        found = np.empty((len(wanted), *self.shape[1:]), dtype=np.uint8)

        def put(place: int) -> None:
            found[place] = self._decode(self._files[wanted[place]])

        with ThreadPoolExecutor() as pool:  # Pillow decodes without the interpreter's lock
            for _ in pool.map(put, range(len(wanted))):
                pass
        return found

    def _decode(self, path: Path) -> NDArray[np.uint8]:
        try:
            with Image.open(path, formats=("JPEG", "PNG")) as image:
                _check_size(image, self._resize)
                return np.asarray(_cropped(image.convert("RGB"), self._side, self._resize))
        except UnidentifiedImageError as error:
            raise UserError(f"{path} is neither JPEG nor PNG: replace it, or take it out of the folder.") from error
        except BROKEN_IMAGE as error:
            raise UserError(f"{path} cannot be decoded ({error}): replace it, or take it out of the folder.") from error


def find_pictures(folder: Path) -> list[Path]:
    """The JPEG and PNG files below a folder, in the order of their paths."""
    with readable(folder):
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS and path.is_file())


def open_picture_folder(folder: Path, side: int, resize: int | None = None) -> tuple[ImageSet, tuple[str, ...]]:
    """Labelled images in one folder a class, and the classes, which are the folders' names in alphabetical order.

    Args:
        folder: folder of the classes' folders.
        side: as for `PictureFiles`.
        resize: as for `PictureFiles`.

    Raises:
        UserError: there is no such folder, or a class has no image.
    """
    with readable(folder):
        classes = sorted(path for path in folder.iterdir() if path.is_dir())
    for path in classes:
        if not path.name.isprintable():
            raise UserError(f"{printable(str(path))} cannot be the name of a class: rename that folder.")
    if not classes:
        raise UserError(f"{folder} has no folders in it: put the images of each class into a folder of its own.")
    files = [find_pictures(path) for path in classes]
    for path, found in zip(classes, files, strict=True):
        if not found:
            raise UserError(f"{path} holds no JPEG or PNG file: put images there, or delete the folder.")
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(found) for found in files])
    images = PictureFiles([path for found in files for path in found], side, resize)
    return ImageSet(images, labels), tuple(path.name for path in classes)


def _check_size(image: Image.Image, resize: int) -> None:
    """Raise ValueError for an image that would fill the memory, as it is or with its shorter side resized."""
    width, height = image.size
    scaled = resize * resize * max(image.size) // max(min(image.size), 1)
    if max(width * height, scaled) > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels are too many, or too long and narrow")


def _cropped(image: Image.Image, side: int, resize: int) -> Image.Image:
    """The middle square of an image whose shorter side has become `resize` pixels."""
    shorter = min(image.size)
    width, height = (max(resize, resize * length // shorter) for length in image.size)
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - side) / 2), round((height - side) / 2)
    return image.crop((left, top, left + side, top + side))
