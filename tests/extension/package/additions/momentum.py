"""MI-FGSM, an attack whose steps have momentum: Dong et al. 2018, arXiv:1710.06081, algorithm 1."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nsbench.extend import Attack, register_attack

DECAY = 1.0


def perturb(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    strengths: Sequence[float],
    steps: int,
    _numbers: Tensor | None,
) -> list[Tensor]:
    """Steps of strength / steps along the sign of the gradients' running sum."""
    return [climb(network, pixels, labels, strength, steps) for strength in strengths]


def climb(network: nn.Module, pixels: Tensor, labels: Tensor, strength: float, steps: int) -> Tensor:
    """The pixels at one strength, float32 (N, 3, H, W) in [0, 1]."""
    moved, velocity = pixels, torch.zeros_like(pixels)
    for _ in range(steps):
        with torch.enable_grad():
            moved = moved.detach().requires_grad_()
            (slope,) = torch.autograd.grad(cross_entropy(network(moved), labels, reduction="sum"), moved)
        velocity = DECAY * velocity + slope / slope.abs().sum((1, 2, 3), keepdim=True).clamp(min=1e-12)
        moved = moved.detach() + strength / steps * velocity.sign()
        moved = moved.clamp(pixels - strength, pixels + strength).clamp(0, 1)
    return moved


MOMENTUM = Attack(
    name="momentum",
    heading="MI-FGSM",
    title="MI-FGSM",
    account="MI-FGSM, {steps} of {size} eps",
    travel=1.0,
    beats=("fgsm", "noise"),
    perturb=perturb,
)

register_attack(MOMENTUM)
