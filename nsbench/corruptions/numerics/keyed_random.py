"""Random numbers keyed by what they are for.

Every number is a pure function of (key, stream, image index, element index), so neither the size of a batch nor the
order of its images can change a generated set: image 17 has the same noise alone, in a batch of 500 and in a subset.

Bits and uniform numbers are made of integer and exactly rounded operations only, so they are the same on every device.
A normal number goes through the inverse error function, whose last bit of 53 a device may round its own way; rounding
the result to float32 hides that, save for about one number in 10^8, which then differs by one unit in the last of its
24 bits.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

VERSION = "splitmix64-2"
"""Names the algorithm; a change that changes any number changes it."""


def _signed(word: int) -> int:
    """The int64 with the bits of an unsigned 64-bit word, since torch's wide integers are signed."""
    return int(np.array(word, dtype=np.uint64).view(np.int64))


# splitmix64: Steele, Lea and Flood 2014 (doi:10.1145/2660193.2660195), with David Stafford's variant 13 as finaliser.
_INCREMENT = _signed(0x9E3779B97F4A7C15)
_FIRST_MULTIPLIER = _signed(0xBF58476D1CE4E5B9)
_SECOND_MULTIPLIER = _signed(0x94D049BB133111EB)


def _fold_(words: torch.Tensor, shift: int) -> torch.Tensor:
    """In place, words ^= words >> shift, with zeros shifted in where torch would copy the sign."""
    shifted = words >> shift
    shifted &= (1 << (64 - shift)) - 1
    return words.bitwise_xor_(shifted)


def _mix_(words: torch.Tensor) -> torch.Tensor:
    """In place, the splitmix64 finaliser: a bijection of 64-bit words that flips half the bits if one bit changes."""
    _fold_(words, 30).mul_(_FIRST_MULTIPLIER)
    _fold_(words, 27).mul_(_SECOND_MULTIPLIER)
    return _fold_(words, 31)


def keyed_bits(key: int, images: torch.Tensor, count: int, stream: int = 0) -> torch.Tensor:
    """Return `count` random 64-bit words for each image.

    The words of one image are a splitmix64 sequence; where it starts is a hash of key, stream and image index.

    Args:
        key: an int64, such as `nsbench.seeds.derive_seed` gives.
        images: int64 (B,), the indices of the images in their data set, not in the batch.
        count: words per image.
        stream: separates draws under one key, such as the frames of a sequence.

    Returns:
        int64 (B, count) on the device of `images`, all 2^64 values equally likely.
    """
    if images.dtype != torch.int64 or images.ndim != 1:
        raise ValueError(
            f"image indices must be int64 of shape (B,), not {images.dtype} of shape {tuple(images.shape)}"
        )
    root = _mix_(torch.full((1,), key, dtype=torch.int64, device=images.device).add_(_INCREMENT))
    root = _mix_(root.add_(stream).add_(_INCREMENT))
    starts = _mix_(root + images + _INCREMENT)
    steps = torch.arange(1, count + 1, device=images.device) * _INCREMENT
    return _mix_(starts[:, None] + steps)


def keyed_uniform(key: int, images: torch.Tensor, count: int, stream: int = 0) -> torch.Tensor:
    """Return `count` uniform numbers in the open interval (0, 1) for each image; arguments as for `keyed_bits`.

    The numbers are (n + 1/2) / 2^52 with n the upper 52 bits of a word, so neither 0 nor 1 can come up.

    Returns:
        float64 (B, count).
    """
    words = keyed_bits(key, images, count, stream)
    words >>= 12
    words &= (1 << 52) - 1
    return words.double().add_(0.5).mul_(2.0**-52)


def keyed_normal(key: int, images: torch.Tensor, count: int, stream: int = 0) -> torch.Tensor:
    """Return `count` standard normal numbers for each image; arguments as for `keyed_bits`.

    The inverse of the normal distribution function takes the uniform numbers, in float64; the largest possible
    magnitude is 8.2.

    Returns:
        float32 (B, count).
    """
    centred = keyed_uniform(key, images, count, stream).mul_(2).sub_(1)  # exact: odd multiples of 2^-52
    return torch.erfinv(centred).mul_(math.sqrt(2)).float()


_OUTCOMES = 256
_BIN = 1 << 55
"""256 bins of this size fill the 63 bits that a random word leaves beside its sign."""


def _fill_bins(masses: list[int]) -> list[int]:
    """One row of `alias_table`, for whole masses of sum 256 * _BIN."""
    records = [0] * _OUTCOMES
    small = [outcome for outcome, mass in enumerate(masses) if mass < _BIN]
    large = [outcome for outcome, mass in enumerate(masses) if mass >= _BIN]
    while small:
        outcome, giver = small.pop(), large[-1]
        records[outcome] = masses[outcome] << 8 | (giver - outcome) % _OUTCOMES
        masses[giver] -= _BIN - masses[outcome]
        if masses[giver] < _BIN:
            small.append(large.pop())
    return records


def alias_table(probabilities: NDArray[np.float64]) -> torch.Tensor:
    """Prepare distributions over the numbers 0 to 255 for `keyed_choice`.

    Walker's alias method (1977, doi:10.1145/355744.355749): a distribution is cut into 256 bins of the same mass,
    each of which holds at most two outcomes, so that one look at the table draws a number. Bin n holds outcome n
    below a threshold and one other outcome above it. The masses are whole numbers, so the table has exactly the
    distribution it is given, once that is rounded to multiples of 2^-53.

    Args:
        probabilities: float64 (R, 256), one distribution a row, each of sum 1 but for rounding.

    Returns:
        int64 (R, 256): for each bin the threshold, 55 bits, and how far (modulo 256) the other outcome is, 8 bits.
    """
    cumulative = np.cumsum(probabilities, axis=1)
    cumulative /= cumulative[:, -1:]
    rows = []
    for row in cumulative.tolist():
        edges = [0, *(int(edge * (_BIN * _OUTCOMES)) for edge in row)]
        rows.append(_fill_bins([after - before for before, after in pairwise(edges)]))
    return torch.tensor(rows, dtype=torch.int64)


def keyed_choice(
    key: int, images: torch.Tensor, table: torch.Tensor, rows: torch.Tensor, stream: int = 0
) -> torch.Tensor:
    """Return a number from 0 to 255 for each element of each image; key, images and stream as for `keyed_bits`.

    Args:
        key: as for `keyed_bits`.
        images: as for `keyed_bits`.
        table: int64 (R, 256), the distributions, from `alias_table`.
        rows: uint8 (B, count), which of them each number is drawn from.
        stream: as for `keyed_bits`.

    Returns:
        uint8 (B, count).
    """
    words = keyed_bits(key, images, rows.shape[1], stream)
    numbers = words.to(torch.uint8)
    places = rows.long().mul_(_OUTCOMES).add_(numbers)
    records = table.view(-1).index_select(0, places.view(-1)).view_as(words)
    # The lowest 8 bits chose the bin; as ones they cannot tip the comparison of the 55 above them.
    words |= _OUTCOMES - 1
    words &= _BIN * _OUTCOMES - 1
    return numbers.add_(records.to(torch.uint8).mul_(words >= records))
