"""Frost: a piece of a frosty texture added to the darkened image.

Definition and constants: Hendrycks and Dietterich 2019 (arXiv:1903.12261), in the CIFAR variant their authors
published. Their photographs are used where the user has them, textures of our own otherwise.
"""

from functools import cache

import torch

from nsbench.corruptions.kinds.textures import TEXTURES_VERSION, procedural_textures
from nsbench.corruptions.numerics.keyed_random import keyed_bits
from nsbench.corruptions.numerics.pixels import SIDE
from nsbench.corruptions.spec import Corruption, Draw


@cache
def _our_textures(device: torch.device) -> tuple[torch.Tensor, ...]:
    """Our textures on a device."""
    return tuple(texture.to(device) for texture in procedural_textures())


def draw_places(draw: Draw, textures: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw a texture for each image, and the upper left corner of a piece of it.

    All textures are equally likely, and in a texture all corners but those of the last row and column that would
    fit, as published. Each is a random word of 62 bits modulo what there is to choose from: for a hundred choices, the
    chances differ by less than 10^-16 of themselves.

    Returns:
        The texture, row and column of each image, int64 (B,).
    """
    device = draw.indices.device
    words = (keyed_bits(draw.key, draw.indices, 3) >> 2) & ((1 << 62) - 1)
    choices = torch.tensor([texture.shape[:2] for texture in textures], device=device) - SIDE
    texture = words[:, 0] % len(textures)
    row, column = (words[:, 1:] % choices[texture]).unbind(1)
    return texture, row, column


def cut(textures: tuple[torch.Tensor, ...], places: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Cut pieces of 32 x 32 pixels out of textures: uint8 (B, 32, 32, 3); `places` as `draw_places` gives them.

    All textures lie in one buffer, pixel after pixel, so that a row of a piece is one run of it.
    """
    texture, row, column = places
    sizes = torch.tensor([found.shape[:2].numel() for found in textures], device=row.device)
    widths = torch.tensor([found.shape[1] for found in textures], device=row.device)[texture]
    starts = (sizes.cumsum(0) - sizes)[texture] + row * widths + column
    rows = starts[:, None] + torch.arange(SIDE, device=row.device) * widths[:, None]
    runs = torch.cat([found.flatten() for found in textures]).unfold(0, SIDE * 3, 3)
    return runs[rows].view(-1, SIDE, SIDE, 3)


def _frost(images: torch.Tensor, constant: tuple[float, float], draw: Draw) -> torch.Tensor:
    """Add to the first constant's share of the image the second's of a texture, in float64, and drop the fraction."""
    kept, added = constant
    textures = draw.textures or _our_textures(images.device)
    pieces = cut(textures, draw_places(draw, textures)).double().mul_(added)
    return pieces.add_(images.double().mul_(kept)).clamp_(max=255).to(torch.uint8)


FROST = {
    "frost": Corruption(
        ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)), _frost, (TEXTURES_VERSION,), sides=(SIDE,)
    ),
}
