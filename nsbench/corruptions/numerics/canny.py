"""Canny's edge detector, in integers, for batches of small images.

Canny 1986 (doi:10.1109/TPAMI.1986.4767851) as OpenCV's `Canny` defines it: Sobel derivatives, the magnitude
|dx| + |dy|, thinning along the gradient's direction, and hysteresis between two thresholds.

Images are laid out (row, column, image) here, so that every neighbour is one contiguous run away.
"""

import torch

from nsbench.corruptions.numerics.borders import with_border
from nsbench.corruptions.numerics.pixels import SIDE

_TANGENT_BITS = 15
_TANGENT_22_5 = round((2**0.5 - 1) * 2**_TANGENT_BITS)
"""tan(22.5 degrees) in fixed point; tan(67.5 degrees) is 2 more."""

_LONGEST_CHAIN = SIDE * SIDE // 2 - 1
"""Steps that hysteresis can take. Of the four pixels of a 2 x 2 block, which all touch, a shortest chain passes two at
most, for with three it could skip one: so it has no more than half of the pixels."""

_STEPS_BETWEEN_LOOKS = 8


def _derivatives(levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sobel's derivatives across and down, with edge pixels repeated outside: int16 (32, 32, B) in -1020..1020."""
    padded = with_border(levels.to(torch.int16), inset=0)
    smooth_down = padded[:-2] + padded[2:]
    smooth_down += padded[1:-1] * 2
    smooth_across = padded[:, :-2] + padded[:, 2:]
    smooth_across += padded[:, 1:-1] * 2
    return smooth_down[:, 2:] - smooth_down[:, :-2], smooth_across[2:] - smooth_across[:-2]


def _ridges(across: torch.Tensor, down: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find where the magnitude of the gradient is largest along its direction, to the nearest 45 degrees.

    Args:
        across: int16 (32, 32, B), the derivative along a row.
        down: the derivative along a column.

    Returns:
        The magnitudes, int16 (32, 32, B), and whether each is a local maximum. Outside the image they are 0. Of two
        equal ones the first counts in a row or a column, and neither on a diagonal.
    """
    run, rise = across.abs(), down.abs()
    magnitude = run + rise
    around = torch.nn.functional.pad(magnitude, (0, 0, 1, 1, 1, 1))
    height, width, _ = magnitude.shape

    def neighbour(rows: int, columns: int) -> torch.Tensor:
        return around[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    row = (magnitude > neighbour(0, -1)) & (magnitude >= neighbour(0, 1))
    column = (magnitude > neighbour(-1, 0)) & (magnitude >= neighbour(1, 0))
    falling = (magnitude > neighbour(-1, -1)) & (magnitude > neighbour(1, 1))
    rising = (magnitude > neighbour(-1, 1)) & (magnitude > neighbour(1, -1))
    shallow = run.int() * _TANGENT_22_5
    steep = shallow + (run.int() << (_TANGENT_BITS + 1))
    wanted = rise.int() << _TANGENT_BITS
    is_row, is_column, is_falling = wanted < shallow, wanted > steep, (across ^ down) >= 0
    diagonal = (is_falling & falling) | (~is_falling & rising)
    return magnitude, (is_row & row) | (is_column & column) | (~(is_row | is_column) & diagonal)


def _pack(pixels: torch.Tensor) -> torch.Tensor:
    """Write each row of bool (32, 32, B) as the low 32 bits of a word: int64 (32, B)."""
    words = torch.zeros_like(pixels[:, 0], dtype=torch.int64)
    for column in range(SIDE):
        words |= pixels[:, column].long() << column
    return words


def _unpack(words: torch.Tensor) -> torch.Tensor:
    """Undo `_pack`."""
    columns = torch.arange(SIDE, device=words.device)[:, None]
    return (words[:, None] >> columns & 1).bool()


def _hysteresis(candidates: torch.Tensor, strong: torch.Tensor) -> torch.Tensor:
    """Find the candidates that a chain of touching candidates, corners included, joins to a strong one.

    All reached pixels reach their neighbours in each step. There are as many steps as the longest chain can need; a
    CPU, where looking costs no waiting, stops when nothing changes any more.

    Args:
        candidates: int64 (32, B), as `_pack` gives them.
        strong: some of the candidates.

    Returns:
        int64 (32, B), packed likewise.
    """
    reached = torch.nn.functional.pad(strong, (0, 0, 1, 1))
    inside = reached[1:-1]
    wide, aside, spread = torch.empty_like(reached), torch.empty_like(reached), torch.empty_like(inside)
    before = inside.clone()
    for step in range(1, _LONGEST_CHAIN + 1):
        torch.bitwise_left_shift(reached, 1, out=wide)
        torch.bitwise_right_shift(reached, 1, out=aside)
        wide |= aside
        wide |= reached
        torch.bitwise_or(wide[:-2], wide[1:-1], out=spread)
        spread |= wide[2:]
        torch.bitwise_and(spread, candidates, out=inside)
        if step % _STEPS_BETWEEN_LOOKS == 0 and inside.device.type == "cpu":
            if torch.equal(inside, before):
                break
            before.copy_(inside)
    return inside


def canny_edges(levels: torch.Tensor, low: int, high: int) -> torch.Tensor:
    """Mark the edges of grey images.

    Args:
        levels: uint8 (32, 32, B), laid out (row, column, image).
        low: edges have a magnitude above it,
        high: and are joined to a pixel whose magnitude is above this.

    Returns:
        bool (32, 32, B).
    """
    magnitude, ridge = _ridges(*_derivatives(levels))
    candidates = _pack(ridge & (magnitude > low))
    return _unpack(_hysteresis(candidates, candidates & _pack(magnitude > high)))
