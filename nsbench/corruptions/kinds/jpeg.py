"""JPEG compression: what a baseline JPEG encoder and decoder make of an image, without the file between them.

The steps are those of ITU-T T.81 in the integer arithmetic of libjpeg (T. Lane's, kept to the bit by libjpeg-turbo and
so by Pillow), with its default settings: colours in 16-bit fixed point, chroma at half the resolution, the accurate
integer cosine transform, and chroma enlarged again with a triangle filter. Entropy coding loses nothing and is skipped.

Each step is a small constant matrix applied along one axis, then a rounding. Entries are integers over a power of two,
so every sum is exact in float64, in any order and on any device, and the rounding is that of the integer program.
Planes keep the image axis last, where a matrix product over any other axis reads and writes whole rows of images.
"""

import functools

import numpy as np
import torch
from numpy.typing import NDArray

from nsbench.corruptions.numerics.pixels import SIDE
from nsbench.corruptions.spec import Corruption, Draw

_BLOCK = 8
_HALF_SIDE = SIDE // 2

_Matrix = NDArray[np.float64]

# Y, Cb, Cr from R, G, B and back, times 2^16: ITU-R BT.601 rounded so that grey stays grey.
_TO_LUMA_CHROMA = ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329))
_FROM_CHROMA = ((0, 91881), (-22554, -46802), (116130, 0))

# The 8-point cosine transform of Loeffler, Ligtenberg and Moschytz 1989 (doi:10.1109/ICASSP.1989.266596), its 13-bit
# constants multiplied out: rows 0, 2, 4, 6 act on the sums of opposite samples, rows 1, 3, 5, 7 on their differences.
# Neighbours such as 10703 and 10704 would be equal but for the rounding of the constants.
_COSINES_OF_SUMS = (
    (8192, 8192, 8192, 8192),
    (10703, 4433, -4433, -10703),
    (8192, -8192, -8192, 8192),
    (4433, -10704, 10704, -4433),
)
_COSINES_OF_DIFFERENCES = (
    (11363, 9633, 6437, 2260),
    (9633, -2259, -11362, -6436),
    (6437, -11362, 2261, 9633),
    (2260, -6436, 9633, -11363),
)

# T.81, tables K.1 and K.2: quantisation of luma and chroma at quality 50, by vertical and horizontal frequency.
_LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *4 * ((99, 99, 99, 99, 99, 99, 99, 99),),
)


@functools.cache
def _cosines() -> _Matrix:
    """Return the cosine transform times 2^13 sqrt(8), (frequency, sample)."""
    matrix = np.empty((_BLOCK, _BLOCK))
    sums, differences = np.array(_COSINES_OF_SUMS), np.array(_COSINES_OF_DIFFERENCES)
    matrix[0::2] = np.concatenate([sums, sums[:, ::-1]], axis=1)
    matrix[1::2] = np.concatenate([differences, -differences[:, ::-1]], axis=1)
    return matrix


@functools.cache
def _halving() -> _Matrix:
    """Return what averages neighbouring pairs, (16, 32)."""
    matrix: _Matrix = np.kron(np.eye(_HALF_SIDE), np.array([[0.5, 0.5]]))
    return matrix


@functools.cache
def _doubling() -> _Matrix:
    """Return what enlarges with a triangle: 3/4 of the nearer and 1/4 of the farther sample, edges kept, (32, 16)."""
    matrix: _Matrix = np.kron(np.eye(_HALF_SIDE), np.array([[0.75], [0.75]]))
    for place in range(SIDE):
        farther = place // 2 + (1 if place % 2 else -1)
        matrix[place, min(max(farther, 0), _HALF_SIDE - 1)] += 0.25
    return matrix


def quantisation_steps(table: tuple[tuple[int, ...], ...], quality: int) -> NDArray[np.int64]:
    """Scale a quantisation table of quality 50 to `quality` in 1..100, as libjpeg does; entries stay in 1..255."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps: NDArray[np.int64] = np.clip((np.array(table) * percent + 50) // 100, 1, 255)
    return steps


def _along_rows(matrix: _Matrix, planes: torch.Tensor) -> torch.Tensor:
    """Apply a matrix (m, n) to each run of n rows of planes (P, H, W, B)."""
    count, height, width, batch = planes.shape
    runs = planes.reshape(-1, matrix.shape[1], width * batch)
    product = torch.from_numpy(matrix).to(planes.device) @ runs
    return product.view(count, height * matrix.shape[0] // matrix.shape[1], width, batch)


def _along_columns(matrix: _Matrix, planes: torch.Tensor) -> torch.Tensor:
    """Apply a matrix (m, n) to each run of n columns of planes (P, H, W, B)."""
    count, height, _, batch = planes.shape
    runs = planes.reshape(-1, matrix.shape[1], batch)
    product = torch.from_numpy(matrix).to(planes.device) @ runs
    return product.view(count, height, -1, batch)


def _round_up_halves_(values: torch.Tensor) -> torch.Tensor:
    """Round to the nearest whole number in place, halves upwards: what adding a half and shifting right does."""
    return values.add_(0.5).floor_()


def _uneven_rounding(even: float, odd: float, columns: int, device: torch.device) -> torch.Tensor:
    """Return what even and odd columns are rounded with, (W, 1): libjpeg alternates, lest the mean should drift."""
    return torch.tensor([even, odd], dtype=torch.float64, device=device).repeat(columns // 2)[:, None]


def _luma_and_chroma(planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Convert R, G, B (3, 32, 32, B) to Y (1, 32, 32, B) and Cb, Cr (2, 16, 16, B), all less 128."""
    matrix = torch.from_numpy(np.array(_TO_LUMA_CHROMA) / 2.0**16).to(planes.device)
    converted = (matrix @ planes.view(3, -1)).view(planes.shape)
    luma = _round_up_halves_(converted[:1]).sub_(128)
    # A half less the last bit: where blue or red alone is 255, a half would round up to 256.
    chroma = converted[1:].add_(0.5 - 2.0**-16).floor_()
    small = _along_columns(_halving(), _along_rows(_halving(), chroma))
    return luma, small.add_(_uneven_rounding(0.25, 0.5, _HALF_SIDE, planes.device)).floor_()


def _quantise_(coefficients: torch.Tensor, steps: NDArray[np.int64]) -> torch.Tensor:
    """Round coefficients (P, H, W, B), 8 times too large, to multiples of their steps in place, halves from zero."""
    _, height, width, _ = coefficients.shape
    grid = np.tile(steps, (height // _BLOCK, width // _BLOCK))[..., None].astype(np.float64)
    size = torch.from_numpy(grid).to(coefficients.device)
    levels = coefficients.div_(size * 8)
    return levels.add_(levels.sign().mul_(0.5)).trunc_().mul_(size)


def _through_blocks(planes: torch.Tensor, steps: NDArray[np.int64]) -> torch.Tensor:
    """Transform blocks of 8 x 8, quantise, and transform back; samples less 128 in, 0..255 out, (P, H, W, B)."""
    forward, backward = _cosines(), _cosines().T
    across = _round_up_halves_(_along_columns(forward / 2**11, planes))
    coefficients = _quantise_(_round_up_halves_(_along_rows(forward / 2**15, across)), steps)
    down = _round_up_halves_(_along_rows(backward / 2**11, coefficients))
    return _round_up_halves_(_along_columns(backward / 2**18, down)).add_(128).clamp_(0, 255)


def _enlarge_chroma(small: torch.Tensor) -> torch.Tensor:
    """Enlarge Cb, Cr (2, 16, 16, B) to (2, 32, 32, B)."""
    large = _along_columns(_doubling(), _along_rows(_doubling(), small))
    return large.add_(_uneven_rounding(8 / 16, 7 / 16, SIDE, small.device)).floor_()


def _to_rgb(luma: torch.Tensor, chroma: torch.Tensor) -> torch.Tensor:
    """Convert Y (1, 32, 32, B) and Cb, Cr (2, 32, 32, B) to R, G, B (3, 32, 32, B)."""
    matrix = torch.from_numpy(np.array(_FROM_CHROMA) / 2.0**16).to(luma.device)
    difference = matrix @ chroma.sub_(128).view(2, -1)
    return _round_up_halves_(difference).view(3, *luma.shape[1:]).add_(luma).clamp_(0, 255)


def _jpeg_compression(images: torch.Tensor, quality: int, _: Draw) -> torch.Tensor:
    """Encode as JPEG of a quality in 1..100 and decode again."""
    planes = images.permute(3, 1, 2, 0).contiguous().double()
    luma, chroma = _luma_and_chroma(planes)
    luma = _through_blocks(luma, quantisation_steps(_LUMA_STEPS, quality))
    chroma = _through_blocks(chroma, quantisation_steps(_CHROMA_STEPS, quality))
    return _to_rgb(luma, _enlarge_chroma(chroma)).to(torch.uint8).permute(3, 1, 2, 0).contiguous()


JPEG: dict[str, Corruption] = {"jpeg_compression": Corruption((80, 65, 58, 50, 40), _jpeg_compression, sides=(SIDE,))}
"""The JPEG corruption; its constants are qualities."""
