"""The distance to the nearest marked pixel, measured in steps of three kinds.

Borgefors 1986 (doi:10.1016/S0734-189X(86)80047-0): a step to the side counts 1, one to a corner 1.4, a chess knight's
2.1969. These are the weights of OpenCV's `distanceTransform` with a mask of 5 x 5; in units of 1 / 10,000 the
distances are whole numbers, and no order of additions changes them.
"""

import torch

UNIT = 10_000
"""Units in the side of a pixel."""
_SIDE_STEP, _CORNER_STEP, _KNIGHT_STEP = 10_000, 14_000, 21_969

_MARGIN = 2
"""Pixels a step reaches."""


def _along_rows(marked: torch.Tensor, far: int) -> torch.Tensor:
    """Distances to the nearest marked pixel of the same row: int32 (H, W, B), `far` where there is none nearer."""
    distance = (~marked).int().mul_(far)
    reach = 1
    while reach < distance.shape[1]:
        from_left = distance[:, :-reach] + reach * _SIDE_STEP
        from_right = distance[:, reach:] + reach * _SIDE_STEP
        torch.minimum(distance[:, reach:], from_left, out=distance[:, reach:])
        torch.minimum(distance[:, :-reach], from_right, out=distance[:, :-reach])
        reach *= 2
    return distance


def _downwards(distance: torch.Tensor, far: int) -> torch.Tensor:
    """Shorten distances by steps to lower rows, from the top row down: int32 (H, W, B), as long as `far` at most."""
    padded = torch.nn.functional.pad(distance, (0, 0, _MARGIN, _MARGIN, _MARGIN, 0), value=far)
    width = distance.shape[1]

    def shifted(row: torch.Tensor, columns: int) -> torch.Tensor:
        return row[_MARGIN + columns : _MARGIN + columns + width]

    for row in range(_MARGIN, len(padded)):
        here, above, higher = shifted(padded[row], 0), padded[row - 1], padded[row - 2]
        corners = torch.minimum(shifted(above, -1), shifted(above, 1))
        knights = torch.minimum(shifted(above, -2), shifted(above, 2))
        torch.minimum(knights, shifted(higher, -1), out=knights)
        torch.minimum(knights, shifted(higher, 1), out=knights)
        for start, step in ((shifted(above, 0), _SIDE_STEP), (corners, _CORNER_STEP), (knights, _KNIGHT_STEP)):
            torch.minimum(here, start + step, out=here)
    return padded[_MARGIN:, _MARGIN:-_MARGIN]


def chamfer_distance(marked: torch.Tensor, far: int) -> torch.Tensor:
    """Measure each pixel's distance to the nearest marked pixel.

    A shortest way consists of two kinds of steps whose directions are neighbours, so it can begin with its steps
    along the row and go on with steps that all lead down, or all up: up is down in images upside down.

    Args:
        marked: bool (H, W, B).
        far: a limit in units; longer distances, and those of images without a marked pixel, are this.

    Returns:
        int32 (H, W, B) in units of 1 / UNIT pixel.
    """
    images = marked.shape[2]
    start = _along_rows(marked, far)
    both = _downwards(torch.cat([start, start.flip(0)], dim=2), far)
    return torch.minimum(both[..., :images], both[..., images:].flip(0))
