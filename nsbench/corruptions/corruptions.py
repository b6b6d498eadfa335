"""The corruptions of CIFAR-10-C made on the device.

Definitions and constants: Hendrycks and Dietterich 2019 (arXiv:1903.12261), in the CIFAR variant their authors
published. The random draws are our own, so a generated set has a name of its own: `corruption_set_version()`.
docs/fidelity.md compares it with what the published program makes.
"""

from collections.abc import Sequence

import torch

from nsbench.corruptions.kinds.blurs import BLURS
from nsbench.corruptions.kinds.colour import COLOURS
from nsbench.corruptions.kinds.elastic import ELASTIC
from nsbench.corruptions.kinds.fog import FOG
from nsbench.corruptions.kinds.frost import FROST
from nsbench.corruptions.kinds.jpeg import JPEG
from nsbench.corruptions.kinds.motion import MOTION
from nsbench.corruptions.kinds.noises import NOISES
from nsbench.corruptions.kinds.pixelate import PIXELATE
from nsbench.corruptions.kinds.snow import SNOW
from nsbench.corruptions.kinds.spatter import SPATTER
from nsbench.corruptions.kinds.textures import textures_checksum
from nsbench.corruptions.kinds.zoom import ZOOMS
from nsbench.corruptions.numerics.pixels import check_batch, slices
from nsbench.corruptions.spec import Corruption, Draw, check_members, check_side, set_version
from nsbench.errors import UserError
from nsbench.protocols.cifar import CIFAR10_C
from nsbench.seeds import derive_seed

VERSION = "1"
_AT_A_TIME = 64

_FAMILIES = (NOISES, BLURS, MOTION, ZOOMS, SNOW, FROST, FOG, COLOURS, ELASTIC, PIXELATE, JPEG, SPATTER)
_CORRUPTIONS: dict[str, Corruption] = {name: member for family in _FAMILIES for name, member in family.items()}

GENERATED_CORRUPTIONS = tuple(_CORRUPTIONS)
"""The names `corrupt` knows."""


def corrupt(
    images: torch.Tensor,
    name: str,
    severity: int,
    *,
    indices: torch.Tensor,
    seed: int = 0,
    textures: tuple[torch.Tensor, ...] = (),
) -> torch.Tensor:
    """Corrupt a batch of images as CIFAR-10-C does.

    Args:
        images: uint8 (B, S, S, 3), with an S that the corruption is defined for.
        name: one of GENERATED_CORRUPTIONS.
        severity: 1 to 5.
        indices: int64 (B,), the indices of the images in their data set; with `seed`, name and severity they fix
            every random number, so an image looks the same in any batch.
        seed: seed of the generated set.
        textures: photographs that frost is cut from, uint8 (H, W, 3) each; () for our own.

    Returns:
        uint8 (B, S, S, 3) on the device of `images`, which are left alone.

    Raises:
        UserError: no such corruption or severity, or it is not defined for images of this size.
        ValueError: wrong shapes or types.
    """
    if name not in _CORRUPTIONS:
        raise UserError(f"Corruption {name!r} cannot be generated: choose from {', '.join(_CORRUPTIONS)}.")
    if severity not in CIFAR10_C.severities:
        raise UserError(f"Severity {severity!r} of {name} does not exist: choose from 1 to {CIFAR10_C.severities[-1]}.")
    check_batch(images, indices)
    corruption = _CORRUPTIONS[name]
    check_side(name, corruption, images.shape[1])
    key = derive_seed(seed, "corruption", name, severity)
    indices, textures = indices.to(images.device), tuple(texture.to(images.device) for texture in textures)
    corrupted = torch.empty_like(images)
    for part in slices(images, _AT_A_TIME):
        draw = Draw(key, indices[part], textures)
        corrupted[part] = corruption.apply(images[part], corruption.constants[severity - 1], draw)
    return corrupted


def check_corruptions(names: Sequence[str], side: int) -> None:
    """Raise unless these corruptions can be made of images of S x S pixels: before any work, not after it.

    Raises:
        UserError: one is not defined for such images.
        ValueError: one is not made as the benchmark has it.
    """
    check_members(_CORRUPTIONS, CIFAR10_C, names)
    for name in names:
        check_side(name, _CORRUPTIONS[name], side)


def corruption_set_version(textures: tuple[torch.Tensor, ...] = ()) -> str:
    """The name of the set `corrupt` makes, such as `nsbench-c v1 3f9a2c`; a changed constant changes it."""
    version = set_version("nsbench-c", VERSION, _CORRUPTIONS)
    return f"{version} with frost {textures_checksum(textures)[:6]}" if textures else version
