"""Textures of frost: our own, or the photographs of the published generator.

The photographs that the published generator cuts its frost from are neither ours nor shipped. Our textures are made of
smooth noise and needle-shaped crystals that throw a shadow; only statistics of the photographs went into them: how the
brightness is distributed, how quickly it changes from pixel to pixel, and what colour goes with it. All arithmetic is
in integers, so the textures are the same on every machine.
"""

import hashlib
import math
import warnings
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from nsbench.corruptions.numerics.keyed_random import keyed_bits
from nsbench.corruptions.numerics.pixels import SIDE
from nsbench.data.rows.pictures import BROKEN_IMAGE
from nsbench.errors import UserError

PHOTOGRAPHS = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
"""The published generator names a sixth, frost6.jpg, and never draws it."""
TEXTURES_VERSION = "crystals-1"
"""Names the algorithm of our textures; a change that changes any pixel changes it."""

_SHRINK = 5
"""Photographs are used at a fifth of their size."""
_SMALLEST_SIDE = SIDE * _SHRINK + _SHRINK // 2 + 1
"""Smallest side of a photograph in pixels, so that one crop more than fits exactly remains to draw from."""
_LARGEST_AREA = 50_000_000
_FORMATS = ("JPEG", "PNG", "TIFF")
"""Pillow knows others too, some of which start a program."""

_SIZE = 128
"""Height and width of our textures, which wrap around; a power of two."""
_SHARES = (0, 10, 50, 250, 500, 750, 950, 990, 1000)
"""Thousandths of the pixels that are darker than the levels of a Look."""
_DIRECTIONS = tuple((round(64 * math.sin(k * math.pi / 8)), round(64 * math.cos(k * math.pi / 8))) for k in range(16))
"""Steps of a pixel's length, down and across, in 1/64 pixel; no sine is close enough to a half to round both ways."""


class Look(NamedTuple):
    """What one of our textures looks like."""

    noise: tuple[tuple[int, int], ...]
    """(width of the cells in pixels, a power of two; weight) of each layer of noise."""
    crystals: int
    """Their number,"""
    length: int
    """the length of the longest in pixels, and"""
    shine: int
    """how they stand out, in units of the noise's weights."""
    levels: tuple[int, ...]
    """Brightness, one level for each of _SHARES."""
    tints: tuple[tuple[int, int, int], ...]
    """For red, green, blue: (level at brightness 128, rise in 1/256 level per level, share in 1/256 of the haze)."""


_SNOW = Look(
    ((1, 50), (2, 27), (4, 13), (8, 14), (16, 67), (64, 20)),
    500,
    5,
    -12,
    (80, 154, 172, 196, 209, 219, 229, 235, 246),
    ((124, 248, 0), (126, 256, 0), (133, 261, 0)),
)
_LOOKS = (
    Look(
        ((1, 50), (2, 50), (8, 20), (16, 60), (64, 200)),
        470,
        6,
        16,
        (91, 100, 106, 118, 128, 140, 159, 174, 207),
        ((74, 350, 256), (146, 230, 0), (164, 187, -170)),
    ),
    _SNOW,
    _SNOW,
    Look(
        ((1, 50), (2, 16), (4, 14), (8, 10), (16, 32), (64, 100)),
        460,
        4,
        34,
        (46, 86, 112, 140, 157, 171, 197, 229, 245),
        ((115, 253, 0), (130, 253, 0), (141, 264, 0)),
    ),
    Look(
        ((1, 50), (2, 40), (4, 40), (16, 60), (64, 280)),
        230,
        12,
        46,
        (40, 55, 67, 93, 116, 141, 179, 208, 242),
        ((117, 264, 0), (128, 256, 0), (139, 248, 0)),
    ),
)


def _numbers(texture: int, count: int, stream: int) -> torch.Tensor:
    """Draw whole numbers from 0 to 65535: int64 (count,)."""
    words = keyed_bits(0, torch.tensor([texture]), count, stream).flatten()
    return (words >> 48) & 0xFFFF


def _smooth_noise(texture: int, cell: int) -> torch.Tensor:
    """Draw a number at each corner of square cells and interpolate: int64 (_SIZE, _SIZE) in about +-32768."""
    count = _SIZE // cell
    corners = _numbers(texture, count * count, stream=cell).view(count, count) - 32768
    for axis in (0, 1):
        place = torch.arange(_SIZE)
        shape = (_SIZE, 1) if axis == 0 else (1, _SIZE)
        after = (place % cell).view(shape)
        here = corners.index_select(axis, place // cell)
        following = corners.index_select(axis, (place // cell + 1) % count)
        corners = here * (cell - after) + following * after
    return corners // (cell * cell)


def _crystals(texture: int, look: Look) -> torch.Tensor:
    """Draw needles, bright above, with a shadow below: int64 (_SIZE, _SIZE), 0 where there are none."""
    numbers = _numbers(texture, 4 * look.crystals, stream=0).view(4, look.crystals, 1)
    steps = torch.arange(look.length)
    down, across = torch.tensor(_DIRECTIONS)[numbers[2] % len(_DIRECTIONS)].unbind(-1)
    rows = (numbers[0] % _SIZE) + ((down * steps) >> 6)
    columns = (numbers[1] % _SIZE) + ((across * steps) >> 6)
    shine = (steps <= numbers[3] % look.length) * 32768
    layer = torch.zeros(_SIZE * _SIZE, dtype=torch.int64)
    for offset, share in ((0, 2), (1, -1)):
        places = (rows + offset) % _SIZE * _SIZE + (columns + offset) % _SIZE
        layer.scatter_add_(0, places.flatten(), (shine * share).flatten())
    return layer.view(_SIZE, _SIZE)


def _ranked(field: torch.Tensor, levels: tuple[int, ...]) -> torch.Tensor:
    """Replace the darkest value by levels[0], the brightest by levels[-1], the others by their rank between them.

    Returns:
        int64 of the shape of `field`; the share _SHARES[k] of the pixels is below levels[k].
    """
    order = field.flatten().argsort(stable=True)
    share = torch.arange(len(order)) * 1000 // (len(order) - 1)
    ranks = torch.tensor(_SHARES)
    upper = torch.bucketize(share, ranks[1:-1], right=True) + 1
    low, high = torch.tensor(levels)[upper - 1], torch.tensor(levels)[upper]
    below, above = ranks[upper - 1], ranks[upper]
    brightness = torch.empty_like(order)
    brightness[order] = low + (high - low) * (share - below) // (above - below)
    return brightness.view(field.shape)


def _make(texture: int, look: Look) -> torch.Tensor:
    """Make a texture: uint8 (_SIZE, _SIZE, 3)."""
    field = _crystals(texture, look) * look.shine
    for cell, weight in look.noise:
        field += _smooth_noise(texture, cell) * weight
    brightness = _ranked(field, look.levels) - 128
    haze = _smooth_noise(texture + len(_LOOKS), _SIZE // 4) >> 10
    channels = [middle + ((brightness * rise + haze * share) >> 8) for middle, rise, share in look.tints]
    return torch.stack(channels, dim=-1).clamp_(0, 255).to(torch.uint8)


@cache
def procedural_textures() -> tuple[torch.Tensor, ...]:
    """Make our textures: five of uint8 (128, 128, 3) on the CPU, always the same."""
    return tuple(_make(texture, look) for texture, look in enumerate(_LOOKS))


def textures_checksum(textures: tuple[torch.Tensor, ...]) -> str:
    """Return the SHA-256 of shapes and pixels, in order, as hexadecimal digits."""
    digest = hashlib.sha256()
    for texture in textures:
        digest.update(repr(tuple(texture.shape)).encode())
        digest.update(texture.cpu().numpy().tobytes())
    return digest.hexdigest()


def _read_photograph(path: Path) -> torch.Tensor:
    """Read a photograph at a fifth of its size: uint8 (H, W, 3).

    Bilinear interpolation at a fifth, as OpenCV defines it, takes each fifth pixel, beginning with the third.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > _LARGEST_AREA:
                raise Image.DecompressionBombError
            if min(width, height) < _SMALLEST_SIDE:
                raise UserError(
                    f"Photograph {path} is {width} x {height} pixels: frost needs {_SMALLEST_SIDE} each way or more."
                )
            pixels = np.array(image.convert("RGB"))
    first = _SHRINK // 2
    return torch.from_numpy(pixels[first::_SHRINK, first::_SHRINK].copy())


def read_textures(folder: Path) -> tuple[torch.Tensor, ...]:
    """Read the photographs of the published generator, scaled by 0.2 as it scales them.

    Args:
        folder: holds the files named in PHOTOGRAPHS.

    Returns:
        Five of uint8 (H, W, 3), H and W each 33 or more, on the CPU.

    Raises:
        UserError: a file is missing, no image, too small or far too large.
    """
    textures = []
    for name in PHOTOGRAPHS:
        path = folder / name
        if not path.is_file():
            raise UserError(f"Photograph {path} is missing: put {', '.join(PHOTOGRAPHS)} there, or do without them.")
        try:
            textures.append(_read_photograph(path))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise UserError(f"Photograph {path} has more than {_LARGEST_AREA:,} pixels: make it smaller.") from error
        except PermissionError:
            raise
        except BROKEN_IMAGE as error:
            raise UserError(f"Photograph {path} cannot be read as an image: fetch it again.") from error
    return tuple(textures)
