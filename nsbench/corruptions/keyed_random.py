"""Random numbers keyed by what they are for.

Every number is a pure function of (key, stream, image index, element index), so neither the size of a batch nor the
order of its images can change a generated set: image 17 has the same noise alone, in a batch of 500 and in a subset.

Bits and uniform numbers are made of integer and exactly rounded operations only, so they are the same on every device.
A normal number goes through a logarithm, whose last bit of 53 a device may round its own way; rounding the result to
float32 hides that, save for about one number in 10^8, which then differs by one unit in the last of its 24 bits.
"""

import numpy as np
import torch

VERSION = "splitmix64-1"
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
        int64 (B, count) on the device of `images`, all 2^64 values alike likely.
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
    normal: torch.Tensor = torch.special.ndtri(keyed_uniform(key, images, count, stream))
    return normal.float()
