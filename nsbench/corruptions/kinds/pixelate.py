"""Pixelate: an image made smaller and then as large as before, each time with Pillow's box filter.

The published sizes lie between a half and the whole of the side, where an output pixel of the smaller image covers
the centres of one or two input pixels per axis. The box filter weighs these alike, in fixed point with 22 fractional
bits and rounding half up, so two pixels a and b become (a + b + 1) >> 1 to the bit. Enlarging repeats pixels. Pillow
works along the rows first and keeps uint8 between the two axes. So each pixel of the result is the mean of two means,
and with equal neighbours (one pixel covered) a mean changes nothing.
"""

import functools
import math

import torch

from nsbench.corruptions.spec import Corruption, Draw


def covered_pixels(length: int, size: int) -> list[tuple[int, int]]:
    """Return the first and last input pixel under the box of each output pixel, `length` pixels resized to `size`.

    A box is as wide as an output pixel, yet not narrower than an input pixel, and covers the inputs whose centre lies
    in it. At the published sizes no centre lies on an edge, where Pillow's window and its weights would differ.
    """
    scale = length / size
    half = max(scale, 1.0) / 2
    centres = [(place + 0.5) * scale for place in range(size)]
    # The integer part of edge + 1/2 is the first pixel whose centre is at the edge or beyond.
    return [(math.floor(centre - half + 0.5), math.floor(centre + half + 0.5) - 1) for centre in centres]


@functools.cache
def sources(size: int, side: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return for each place of a line of `side` pixels the two whose mean it shows once it had `size` pixels."""
    boxes = covered_pixels(side, size)
    repeated = covered_pixels(size, side)
    assert all(last - first <= 1 for first, last in boxes)
    assert all(last == first for first, last in repeated)
    firsts, lasts = zip(*(boxes[place] for place, _ in repeated), strict=True)
    return firsts, lasts


def _mean_of_pairs(images: torch.Tensor, pairs: tuple[torch.Tensor, torch.Tensor], axis: int) -> torch.Tensor:
    """Return (a + b + 1) >> 1 for the pixels of each pair along `axis`, in uint8 without the carry: a|b - (a^b)/2."""
    first, last = (images.index_select(axis, places) for places in pairs)
    halved = first.bitwise_xor(last).bitwise_right_shift_(1)
    return first.bitwise_or_(last).sub_(halved)


def _pixelate(images: torch.Tensor, factor: float, _: Draw) -> torch.Tensor:
    """Resize to `factor` of the side, rounded down, and back."""
    side = images.shape[1]
    first, last = (torch.tensor(places, device=images.device) for places in sources(int(side * factor), side))
    return _mean_of_pairs(_mean_of_pairs(images, (first, last), 2), (first, last), 1)


PIXELATE: dict[str, Corruption] = {"pixelate": Corruption((0.95, 0.9, 0.85, 0.75, 0.65), _pixelate)}
"""The pixelation; its constants are factors of the side."""
