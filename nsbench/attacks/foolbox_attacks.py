"""Foolbox's L-infinity attacks with random numbers that are handed in, and gradients that are looked at.

This module imports foolbox, which takes a third of a second: import it where an attack runs.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nsbench.attacks.gradients import require_numbers, require_path
from nsbench.protocols.attacks import step_size

with warnings.catch_warnings():
    # Foolbox 3.3.4, its last release, imports a function that we never call from a namespace that scipy 2 will drop.
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    from eagerpy.astensor import astensor
    from eagerpy.tensor.tensor import Tensor as Eager
    from foolbox.attacks.additive_noise import LinfAdditiveUniformNoiseAttack
    from foolbox.attacks.base import AttackWithDistance
    from foolbox.attacks.basic_iterative_method import LinfBasicIterativeAttack
    from foolbox.attacks.deepfool import LinfDeepFoolAttack
    from foolbox.attacks.gradient_descent_base import LinfBaseGradientDescent
    from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
    from foolbox.models.pytorch import PyTorchModel
    from foolbox.types import Bounds


class Watched(LinfBaseGradientDescent):
    """Steps along the sign of a gradient; one that is NaN is an error instead of being taken for zero."""

    def normalize(self, gradients: Eager, *, x: Eager, bounds: Bounds) -> Eager:
        """Signs of the gradients (N, 3, H, W)."""
        require_numbers(gradients.raw)
        signs: Eager = super().normalize(gradients, x=x, bounds=bounds)
        return signs


class WatchedBIM(Watched, LinfBasicIterativeAttack):
    """The basic iterative method."""


class KeyedPGD(Watched, LinfProjectedGradientDescentAttack):
    """Projected gradient descent from a start that is handed in.

    Args:
        start: float32 (N, 3, H, W) in [-1, 1], in units of eps.
        steps: how many.
    """

    def __init__(self, start: Tensor, steps: int) -> None:
        super().__init__(rel_stepsize=step_size("pgd", steps), steps=steps, random_start=True)
        self._start = start

    def get_random_start(self, x0: Eager, epsilon: float) -> Eager:
        """The images (N, 3, H, W) moved to the start."""
        moved: Eager = x0 + epsilon * astensor(self._start)
        return moved


class KeyedNoise(LinfAdditiveUniformNoiseAttack):
    """Uniform noise that is handed in; foolbox scales it so that the largest change is eps.

    Args:
        noise: float32 (N, 3, H, W) in [-1, 1].
    """

    def __init__(self, noise: Tensor) -> None:
        self._noise = noise

    def sample_noise(self, x: Eager) -> Eager:  # noqa: ARG002 - foolbox's signature
        """The noise."""
        noise: Eager = astensor(self._noise)
        return noise


class _Logits(nn.Module):
    """A network as foolbox wants it: float32 logits, with a way back to the pixels wherever one is asked for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = False  # `eval()` would reach into the user's network

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch."""
        logits: Tensor = self.network(pixels).float()
        if pixels.requires_grad:
            require_path(logits)
        return logits


def _pgd(steps: int, numbers: Tensor | None) -> AttackWithDistance:
    assert numbers is not None
    return KeyedPGD(numbers, steps)


def _bim(steps: int, _: Tensor | None) -> AttackWithDistance:
    return WatchedBIM(rel_stepsize=step_size("bim", steps), steps=steps, random_start=False)


def _deepfool(steps: int, _: Tensor | None) -> AttackWithDistance:
    return LinfDeepFoolAttack(steps=steps)


def _noise(_: int, numbers: Tensor | None) -> AttackWithDistance:
    assert numbers is not None
    return KeyedNoise(numbers)


BUILDERS: dict[str, Callable[[int, Tensor | None], AttackWithDistance]] = {
    "pgd": _pgd,
    "bim": _bim,
    "deepfool": _deepfool,
    "noise": _noise,
}
"""(steps, numbers) -> an attack, by its name; numbers, float32 (N, 3, H, W) in [-1, 1], for those that are random."""


def strike(
    attack: AttackWithDistance, network: nn.Module, pixels: Tensor, labels: Tensor, epsilons: list[float]
) -> list[Tensor]:
    """Pixels (N, 3, H, W) under attack at each eps, no further than eps from `pixels` and in [0, 1]."""
    model = PyTorchModel(_Logits(network), bounds=(0, 1), device=pixels.device)
    with torch.enable_grad():
        _, attacked, _ = attack(model, pixels, labels, epsilons=epsilons)
    return list(attacked)
