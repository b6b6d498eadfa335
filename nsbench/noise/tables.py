"""RandAugment's operations as integer tables, read off Pillow.

The magnitude is fixed for a run, so each operation is one of: an index map of the pixels (geometry), a table of
256 values (point operations), a blend table of 256 x 256 values (enhancements), or a rule on the image's histogram.
Reading the tables off Pillow itself makes the batched operations equal to Pillow's, whatever its version.
Operations and ranges: Cubuk et al. 2019 (arXiv:1909.13719) as the published study runs them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

OPERATIONS = (
    "identity",
    "autocontrast",
    "equalize",
    "invert",
    "rotate",
    "posterize",
    "solarize",
    "solarize_add",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "cutout",
    "translate_x",
    "translate_y",
)
GEOMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
POINTWISE = ("invert", "posterize", "solarize", "solarize_add", "brightness")
MAX_MAGNITUDE = 30
CUTOUT_COLOR = (125, 123, 114)

_RANGES = {
    "rotate": (0.0, 30.0),
    "posterize": (0.0, 4.0),
    "solarize": (0.0, 256.0),
    "solarize_add": (0.0, 110.0),
    "enhance": (0.1, 1.9),
    "shear_x": (0.0, 0.3),
    "shear_y": (0.0, 0.3),
    "cutout": (0.0, 0.2),
    "translate_x": (0.0, 0.33),
    "translate_y": (0.0, 0.33),
}


def strength(operation: str, magnitude: int) -> float:
    """The operation's own parameter at `magnitude` 0..30: linear over its range.

    >>> strength("rotate", 15)
    15.0
    """
    low, high = _RANGES[operation]
    return magnitude / MAX_MAGNITUDE * (high - low) + low


@dataclass(frozen=True)
class Tables:
    """Everything one magnitude needs, for square images of `side` pixels.

    Attributes:
        side: height and width in pixels.
        maps: geometric operation -> (2, side * side) int64: for the positive and the negative sign, the source pixel
            of each target pixel; side * side means outside (black).
        points: point operation -> (256,) uint8.
        blend: (65536,) uint8, entry 256 * degenerate + original: the enhancement factor's blend.
        cutout: the square's extent in pixels.
    """

    side: int
    maps: dict[str, NDArray[np.int64]]
    points: dict[str, NDArray[np.uint8]]
    blend: NDArray[np.uint8]
    cutout: float


def build_tables(magnitude: int, side: int = 32) -> Tables:
    """The tables of one magnitude (0..30)."""
    assert 0 <= magnitude <= MAX_MAGNITUDE, magnitude
    blend = _blend_table(strength("enhance", magnitude))
    return Tables(
        side=side,
        maps={name: _signed_maps(name, magnitude, side) for name in GEOMETRIC},
        points={name: _point_table(name, magnitude, blend) for name in POINTWISE},
        blend=blend.reshape(-1),
        cutout=strength("cutout", magnitude) * side,
    )


@cache
def stretches() -> NDArray[np.uint8]:
    """Autocontrast's table for every lowest and highest value a channel may have; shared, not to be written.

    Returns:
        (65536, 256) uint8, row 256 * low + high: what becomes of each value; a flat channel keeps its own. The
        products are rounded before they are added, as Pillow rounds them.
    """
    values = np.arange(256)
    tables = np.tile(values.astype(np.uint8), (256, 256, 1))
    for low in range(255):
        scale = 255.0 / np.arange(1, 256 - low)[:, None]
        tables[low, low + 1 :] = (values * scale + -low * scale).clip(0, 255).astype(np.uint8)
    return tables.reshape(65536, 256)


def transform(image: Image.Image, operation: str, amount: float, fill: int | None = None) -> Image.Image:
    """One geometric operation by Pillow: nearest neighbour, `fill` (black by default) outside.

    `amount` is signed: degrees for rotate, a slope for shear, a fraction of the width for translate.
    """
    if operation == "rotate":
        return image.rotate(amount, fillcolor=fill)
    affine = {
        "shear_x": (1, amount, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, amount, 1, 0),
        "translate_x": (1, 0, amount * image.size[0], 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, amount * image.size[1]),
    }[operation]
    return image.transform(image.size, Image.Transform.AFFINE, affine, fillcolor=fill)


def _signed_maps(operation: str, magnitude: int, side: int) -> NDArray[np.int64]:
    pixels = np.arange(side * side, dtype=np.int32).reshape(side, side)
    amount = strength(operation, magnitude)
    signed = [transform(Image.fromarray(pixels), operation, sign * amount, fill=side * side) for sign in (1, -1)]
    return np.stack([np.asarray(image, dtype=np.int64).reshape(-1) for image in signed])


def _blend_table(factor: float) -> NDArray[np.uint8]:
    """(256, 256) uint8: rows are the degenerate image's value, columns the original's."""
    rows, columns = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8), indexing="ij")
    return np.asarray(Image.blend(Image.fromarray(rows), Image.fromarray(columns), factor))


def _point_table(operation: str, magnitude: int, blend: NDArray[np.uint8]) -> NDArray[np.uint8]:
    ramp = np.arange(256, dtype=np.uint8)
    rules: dict[str, Callable[[Image.Image], Image.Image]] = {
        "invert": ImageOps.invert,
        "posterize": lambda image: ImageOps.posterize(image, max(1, int(strength("posterize", magnitude)))),
        "solarize": lambda image: ImageOps.solarize(image, strength("solarize", magnitude)),  # type: ignore[arg-type]  # Pillow compares, so a fraction is fine
        "solarize_add": lambda image: ImageOps.solarize(_added(image, magnitude), 128),
        "brightness": lambda _: Image.fromarray(blend[0]),  # the degenerate image of brightness is black
    }
    row = Image.fromarray(ramp[None])
    return np.asarray(rules[operation](row)).reshape(256).copy()


def _added(image: Image.Image, magnitude: int) -> Image.Image:
    raised = np.asarray(image).astype(np.int64) + strength("solarize_add", magnitude)
    return Image.fromarray(np.clip(raised, 0, 255).astype(np.uint8))
