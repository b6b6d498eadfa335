"""The published pipeline restated from its protocol with Pillow alone, and images to try it on."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from nsbench.data.load import load_dataset

Pixels = NDArray[np.uint8]
Point = Sequence[float]

RANGES = {
    "identity": (0.0, 1.0),
    "autocontrast": (0.0, 1.0),
    "equalize": (0.0, 1.0),
    "invert": (0.0, 1.0),
    "rotate": (0.0, 30.0),
    "posterize": (0.0, 4.0),
    "solarize": (0.0, 256.0),
    "solarize_add": (0.0, 110.0),
    "color": (0.1, 1.9),
    "contrast": (0.1, 1.9),
    "brightness": (0.1, 1.9),
    "sharpness": (0.1, 1.9),
    "shear_x": (0.0, 0.3),
    "shear_y": (0.0, 0.3),
    "cutout": (0.0, 0.2),
    "translate_x": (0.0, 0.33),
    "translate_y": (0.0, 0.33),
}
SIGNED = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


@dataclass(frozen=True)
class Published:
    """One image at a time; `magnitude` is M in 0..30."""

    magnitude: int

    def operation(self, image: Image.Image, name: str, negative: bool, center: Point) -> Image.Image:
        """One operation; `center` is where a cutout lies, x and y as shares of the side."""
        low, high = RANGES[name]
        amount = float(self.magnitude) / 30 * (high - low) + low
        if name in SIGNED:
            return _geometric(image, name, -amount if negative else amount)
        if name == "cutout":
            return _cut_out(image, amount * image.size[0], center)
        rules: dict[str, Callable[[], Image.Image]] = {
            "identity": lambda: image,
            "autocontrast": lambda: ImageOps.autocontrast(image),
            "equalize": lambda: ImageOps.equalize(image),
            "invert": lambda: ImageOps.invert(image),
            "posterize": lambda: ImageOps.posterize(image, max(1, int(amount))),
            "solarize": lambda: ImageOps.solarize(image, amount),
            "solarize_add": lambda: _solarize_add(image, amount),
            "color": lambda: ImageEnhance.Color(image).enhance(amount),
            "contrast": lambda: ImageEnhance.Contrast(image).enhance(amount),
            "brightness": lambda: ImageEnhance.Brightness(image).enhance(amount),
            "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(amount),
        }
        return rules[name]()

    def pipeline(
        self,
        pixels: Pixels,
        rounds: Sequence[tuple[str, bool, Point]],
        padding: int,
        corner: tuple[int, int],
        flip: bool,
    ) -> Pixels:
        """All rounds of RandAugment, then the crop at `corner` (top, left) of the padded image, then the flip."""
        image, side = Image.fromarray(pixels), len(pixels)
        for name, negative, center in rounds:
            image = self.operation(image, name, negative, center)
        top, left = corner
        image = ImageOps.expand(image, padding).crop((left, top, left + side, top + side))
        return np.asarray(ImageOps.mirror(image) if flip else image)


def _geometric(image: Image.Image, name: str, amount: float) -> Image.Image:
    width, height = image.size
    if name == "rotate":
        return image.rotate(amount)
    coefficients = {
        "shear_x": (1, amount, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, amount, 1, 0),
        "translate_x": (1, 0, amount * width, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, amount * height),
    }
    return image.transform(image.size, Image.Transform.AFFINE, coefficients[name])


def _solarize_add(image: Image.Image, addition: float) -> Image.Image:
    raised = np.clip(np.asarray(image).astype(int) + addition, 0, 255).astype(np.uint8)
    return ImageOps.solarize(Image.fromarray(raised), 128)


def _cut_out(image: Image.Image, extent: float, center: Point) -> Image.Image:
    if extent <= 0:
        return image
    width, height = image.size
    left, top = (int(max(0, share * size - extent / 2)) for share, size in zip(center, image.size, strict=True))
    image = image.copy()
    corners = (left, top, min(width, left + extent), min(height, top + extent))
    ImageDraw.Draw(image).rectangle(corners, (125, 123, 114))
    return image


@pytest.fixture(scope="session")
def published() -> type[Published]:
    """The published pipeline; call it with a magnitude."""
    return Published


@pytest.fixture(scope="session")
def published_operations() -> tuple[str, ...]:
    """The names of the 17 operations."""
    return tuple(RANGES)


@pytest.fixture(scope="session")
def varied() -> Callable[[int], Pixels]:
    """Images of a side that go into the corners of the histogram rules: (41, side, side, 3)."""

    def make(side: int) -> Pixels:
        rng = np.random.default_rng(0)
        shape = (side, side, 3)
        noise = rng.integers(0, 256, (14, *shape))
        narrow = rng.integers(100, 140, (4, *shape))
        dark = rng.integers(0, 60, (4, *shape)) ** 2 // 60
        flat = np.broadcast_to(rng.integers(0, 256, (4, 1, 1, 3)), (4, *shape))
        black_and_white = np.broadcast_to(np.array([0, 255])[:, None, None, None], (2, *shape))
        two = rng.choice([17, 200], (4, *shape))
        ramp = np.linspace(0, 255, side * side * 3).reshape(1, *shape)
        few = np.where(rng.random((6, *shape)) < 0.95, 3, rng.integers(0, 256, (6, *shape)))
        # half of the pixels and one more are at the top: equalize's step is 2 there and its last entry 256, clipped
        values = np.append(np.arange(side * side // 2 - 1) % 200, np.full(side * side // 2 + 1, 230))
        clipped = np.broadcast_to(values.reshape(side, side, 1), (1, *shape))
        mixed = np.concatenate([noise[:1, ..., :1], flat[:1, ..., :1], two[:1, ..., :1]], axis=3)
        groups = (noise, narrow, dark, flat, black_and_white, two, ramp, few, clipped, mixed)
        return np.concatenate(groups).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def real() -> Callable[[int, int], Pixels]:
    """Real CIFAR-10 training images, (count, 32, 32, 3): `count` spread evenly over the set, from the `first` on."""
    images = load_dataset("cifar10", Path(os.environ["NSBENCH_TEST_CIFAR10"])).train.images
    return lambda count, first: images[first :: len(images) // count][:count]


@pytest.fixture(scope="session")
def planar() -> Callable[[Pixels], torch.Tensor]:
    """(N, side, side, 3) to planar (N, 3, side * side)."""
    return lambda images: torch.tensor(images.reshape(len(images), -1, 3).transpose(0, 2, 1).copy())


@pytest.fixture(scope="session")
def interleaved() -> Callable[[torch.Tensor, int], Pixels]:
    """Planar images to (N, side, side, 3)."""
    return lambda images, side: images.numpy().transpose(0, 2, 1).reshape(-1, side, side, 3)
