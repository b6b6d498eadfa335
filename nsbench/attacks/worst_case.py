"""An attack's worst result over its restarts, for one batch of images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nsbench.attacks.gradients import frozen
from nsbench.corruptions.numerics.keyed_random import keyed_uniform
from nsbench.errors import UserError
from nsbench.networks.inference import logits, to_float
from nsbench.protocols.attacks import Attack, find_attack
from nsbench.seeds import derive_seed

ROUNDING = 1e-6
"""What float32 adds to a bound."""


def attack(  # noqa: PLR0913 - what is attacked, and all that an attack is defined by
    name: str,
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    epsilons: Sequence[float],
    *,
    steps: int,
    restarts: int,
    indices: Tensor,
    seed: int,
) -> Tensor:
    """Logits of the worst restart at every eps.

    An image that is wrong when clean is not attacked and keeps its clean logits. One that a restart has fooled stays
    fooled and is left alone from then on; of restarts that all fail, the one with the smallest margin counts. Attacks
    without random numbers run once. Random numbers depend on seed, attack, restart and image index alone, so the size
    of a batch cannot change them; a start is the same for every eps, in units of it.

    Args:
        name: name of a stronger attack in `nsbench.protocols.attacks`.
        network: in evaluation mode; images in [0, 1] to logits. Its parameters, their `grad` and `requires_grad` are
            the same afterwards.
        images: uint8 (N, H, W, 3) on the network's device.
        labels: int64 (N,), true classes, on the same device.
        epsilons: bounds of the change of any pixel in [0, 1]; 0 is the clean prediction, to the bit.
        steps: at least 1; `noise` takes none.
        restarts: at least 1.
        indices: int64 (N,), the images' positions in their data set, on the same device.
        seed: seed of the random numbers.

    Returns:
        Float32 logits (E, N, classes).

    Raises:
        UserError: the name is unknown, a gradient is NaN or a logit no finite number, no gradient reaches the pixels,
            or an attack of the user's breaks its bound.
    """
    known = find_attack(name)
    clean = logits(network, images)
    # The caller may be in inference mode, whose tensors autograd refuses to keep.
    with frozen(network), torch.inference_mode(False):
        batch = _Batch(network, to_float(images), labels.clone(), indices)
        worst = clean.expand(len(epsilons), *clean.shape).clone()
        for restart in range(restarts if known.random else 1):
            attempt = partial(_attempt, known, steps, derive_seed(seed, "attack", name, restart))
            for places in _together(epsilons, first=restart == 0):
                rows = (worst[places[0]].argmax(1) == batch.labels).nonzero().flatten()
                if len(rows):
                    found = attempt(batch.select(rows), [epsilons[place] for place in places])
                    if restart:
                        found = _worse(worst[places][:, rows], found, batch.labels[rows])
                    worst[torch.tensor(places)[:, None], rows] = found
    return worst


@dataclass(frozen=True)
class _Batch:
    """Pixels float32 (N, 3, H, W), labels and indices int64 (N,), and the network that sees them."""

    network: nn.Module
    pixels: Tensor
    labels: Tensor
    indices: Tensor

    def select(self, rows: Tensor) -> "_Batch":
        return _Batch(self.network, self.pixels[rows], self.labels[rows], self.indices[rows])


def _together(epsilons: Sequence[float], first: bool) -> list[list[int]]:
    """Places of the positive eps, in groups whose images are the same.

    At first those are the images that are right when clean, and an attack may serve all eps with one search; later
    they are those that no restart has fooled at that eps.
    """
    positive = [place for place, epsilon in enumerate(epsilons) if epsilon > 0]
    return [positive] if first and positive else [[place] for place in positive]


def _attempt(known: Attack, steps: int, key: int, batch: _Batch, epsilons: list[float]) -> Tensor:
    """Logits (E, N, classes) of one run of an attack."""
    numbers = _numbers(key, batch) if known.random else None
    attacked = _moved(known, steps, numbers, batch, epsilons)
    with torch.inference_mode():
        found = torch.stack([batch.network(pixels).float() for pixels in attacked])
    broken = (~found.isfinite()).any(-1).any(0)
    if broken.any():
        raise UserError(
            f"The network's logits are NaN or infinite under {known.name} for {int(broken.sum())} of {len(broken)} "
            "images of a batch: leave the attack out, or fix the network."
        )
    return found


def _moved(known: Attack, steps: int, numbers: Tensor | None, batch: _Batch, epsilons: list[float]) -> Sequence[Tensor]:
    """Pixels (N, 3, H, W) at each eps, by the attack's own arithmetic or by foolbox."""
    if known.perturb is not None:
        moved = known.perturb(batch.network, batch.pixels, batch.labels, epsilons, steps, numbers)
        for pixels, epsilon in zip(moved, epsilons, strict=True):
            _require_within(known.name, batch.pixels, pixels, epsilon)
        return moved
    from nsbench.attacks.foolbox_attacks import BUILDERS, strike  # noqa: PLC0415 - slow to import, and seldom needed

    return strike(BUILDERS[known.name](steps, numbers), batch.network, batch.pixels, batch.labels, epsilons)


def _require_within(name: str, before: Tensor, after: Tensor, epsilon: float) -> None:
    """Raise UserError where an attack of the user's leaves [0, 1] or goes further than eps, but for rounding."""
    furthest = float((after - before).abs().max())
    if furthest > epsilon + ROUNDING or float(after.min()) < 0 or float(after.max()) > 1:
        raise UserError(f"{name} moves a pixel by {furthest:.4g} at eps {epsilon:.4g}, or out of [0, 1]: fix it.")


def _numbers(key: int, batch: _Batch) -> Tensor:
    """Uniform numbers in [-1, 1], float32 of the pixels' shape."""
    flat = keyed_uniform(key, batch.indices, batch.pixels[0].numel())
    return flat.mul_(2).sub_(1).float().view(batch.pixels.shape)


def _worse(before: Tensor, now: Tensor, labels: Tensor) -> Tensor:
    """The worse for the network of two results (E, N, classes), for images that the first did not fool.

    A margin is negative where an image is fooled, so the smaller margin is that of the fooled one, if there is one.
    """
    return torch.where((_margin(now, labels) < _margin(before, labels))[..., None], now, before)


def _margin(values: Tensor, labels: Tensor) -> Tensor:
    """Logit of the true class less the largest other, (E, N)."""
    place = labels.expand(values.shape[:-1])[..., None]
    others = values.scatter(-1, place, -torch.inf).amax(-1)
    return values.gather(-1, place)[..., 0] - others
