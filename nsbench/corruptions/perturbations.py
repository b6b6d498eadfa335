"""The sequences of CIFAR-10-P made on the device.

Definitions and constants: Hendrycks and Dietterich 2019 (arXiv:1903.12261), in the CIFAR variant their authors
published. The random draws are our own, so a generated set has a name of its own: `perturbation_set_version()`.
"""

from collections.abc import Sequence

import torch

from nsbench.corruptions.kinds.blurs import BLUR_SEQUENCES
from nsbench.corruptions.kinds.colour import COLOUR_SEQUENCES
from nsbench.corruptions.kinds.motion import MOTION_SEQUENCES
from nsbench.corruptions.kinds.noises import NOISE_SEQUENCES
from nsbench.corruptions.kinds.snow import SNOW_SEQUENCES
from nsbench.corruptions.kinds.spatter import SPATTER_SEQUENCES
from nsbench.corruptions.kinds.warps import WARP_SEQUENCES
from nsbench.corruptions.numerics.pixels import check_batch, slices
from nsbench.corruptions.spec import Draw, Perturbation, check_members, check_side, set_version
from nsbench.errors import UserError
from nsbench.protocols.cifar import CIFAR10_P
from nsbench.seeds import derive_seed

VERSION = "1"
_AT_A_TIME = 32

_FAMILIES = (
    NOISE_SEQUENCES,
    MOTION_SEQUENCES,
    SNOW_SEQUENCES,
    SPATTER_SEQUENCES,
    COLOUR_SEQUENCES,
    BLUR_SEQUENCES,
    WARP_SEQUENCES,
)
_PERTURBATIONS: dict[str, Perturbation] = {name: member for family in _FAMILIES for name, member in family.items()}

GENERATED_PERTURBATIONS = tuple(_PERTURBATIONS)
"""The names `perturb` knows."""


def perturb(images: torch.Tensor, name: str, *, indices: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Make the sequence of each image of a batch, as CIFAR-10-P does.

    Args:
        images: uint8 (B, S, S, 3), with an S that the perturbation is defined for.
        name: one of GENERATED_PERTURBATIONS.
        indices: int64 (B,), the indices of the images in their data set; with `seed` and name they fix every random
            number, so an image has the same sequence in any batch.
        seed: seed of the generated set.

    Returns:
        uint8 (B, T, S, S, 3) on the device of `images`, which are left alone.

    Raises:
        UserError: no such perturbation, or it is not defined for images of this size.
        ValueError: wrong shapes or types.
    """
    if name not in _PERTURBATIONS:
        raise UserError(f"Perturbation {name!r} cannot be generated: choose from {', '.join(_PERTURBATIONS)}.")
    check_batch(images, indices)
    perturbation = _PERTURBATIONS[name]
    check_side(name, perturbation, images.shape[1])
    batch, *shape = images.shape
    sequences = torch.empty((batch, len(perturbation.constants), *shape), dtype=torch.uint8, device=images.device)
    key, indices = derive_seed(seed, "perturbation", name), indices.to(images.device)
    for part in slices(images, _AT_A_TIME):
        draw = Draw(key, indices[part])
        for position, frame in enumerate(perturbation.frames(images[part], perturbation.constants, draw)):
            sequences[part, position] = frame
    return sequences


def check_perturbations(names: Sequence[str], side: int) -> None:
    """Raise unless these perturbations can be made of images of S x S pixels; errors as of `check_corruptions`."""
    check_members(_PERTURBATIONS, CIFAR10_P, names)
    for name in names:
        check_side(name, _PERTURBATIONS[name], side)


def perturbation_set_version() -> str:
    """The name of the set `perturb` makes, such as `nsbench-p v1 3f9a2c`; a changed constant changes it."""
    return set_version("nsbench-p", VERSION, _PERTURBATIONS)
