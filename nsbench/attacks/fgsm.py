"""The FGSM sweep: Goodfellow et al. 2015 (arXiv:1412.6572), equation of section 4.

x' = clip(x + eps * sign(grad_x CE(f(x), y)), 0, 1) with x in [0, 1] pixels and normalisation inside the model. The
sign does not depend on eps, so one gradient serves the whole sweep, and the forward pass that it needs is the clean
prediction. An image that is wrong when clean is not attacked: it stays wrong, and its logits stay the clean ones.

On a CPU the other images alone go through the network again. On CUDA all do, and the clean logits are put back: to
choose rows, the host would have to wait for the device, and each batch would have a shape of its own. Everywhere the
host waits once a batch, at its end, to learn whether a gradient was NaN.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, nll_loss

from nsbench.attacks.gradients import Objective, input_gradient, require_numbers
from nsbench.networks.inference import to_float


def fgsm_sweep(network: nn.Module, images: Tensor, labels: Tensor, epsilons: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Logits under FGSM at every eps.

    Args:
        network: in evaluation mode; images in [0, 1] to logits. Its parameters, their `grad` and `requires_grad` are
            the same afterwards.
        images: uint8 (N, H, W, 3) on the network's device.
        labels: int64 (N,), true classes.
        epsilons: step sizes on pixels in [0, 1]; 0 is the clean prediction, to the bit.

    Returns:
        Float32 logits (E, N, classes), and bool (N,): images whose gradient is zero in every pixel, which no eps can
        move (a saturated model looks robust that way).

    Raises:
        UserError: a gradient is NaN, or none reaches the pixels.
    """
    return _sweep(network, images, labels, epsilons, _cross_entropy)


def paper_fgsm_sweep(
    network: nn.Module, images: Tensor, labels: Tensor, epsilons: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Logits under the study's attack: as `fgsm_sweep`, but along the gradient of minus the true class's logit.

    The study's code hands logits to a loss that expects log-probabilities. The other classes then have no say in the
    direction, and saturation cannot make the gradient vanish.
    """
    return _sweep(network, images, labels, epsilons, _negative_logit)


def attacked_pixels(pixels: Tensor, direction: Tensor, epsilon: float) -> Tensor:
    """Pixels (N, 3, H, W) in [0, 1] after a step of `epsilon` along `direction`, whose entries are -1, 0 or 1."""
    return torch.add(pixels, direction, alpha=epsilon).clamp_(0, 1)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(logits, labels, reduction="sum")


def _negative_logit(logits: Tensor, labels: Tensor) -> Tensor:
    return nll_loss(logits, labels, reduction="sum")


def _sweep(
    network: nn.Module, images: Tensor, labels: Tensor, epsilons: Sequence[float], objective: Objective
) -> tuple[Tensor, Tensor]:
    pixels = to_float(images)
    clean, gradient = input_gradient(network, pixels, labels, objective)
    direction = gradient.sign()
    correct = clean.argmax(1) == labels
    rows = _rows_shown(correct)
    starts, directions = pixels[rows], direction[rows]

    def under(epsilon: float) -> Tensor:
        if epsilon == 0 or len(rows) == 0:
            return clean
        logits = network(attacked_pixels(starts, directions, epsilon)).float()
        return torch.where(correct[:, None], clean.index_copy(0, rows, logits), clean)

    with torch.inference_mode():
        attacked = torch.stack([under(epsilon) for epsilon in epsilons])
    require_numbers(gradient)
    return attacked, (direction == 0).flatten(1).all(1)


def _rows_shown(correct: Tensor) -> Tensor:
    """Rows (M,) of a batch that the network sees again: on a CPU the correct ones, elsewhere all."""
    if correct.device.type == "cpu":
        return correct.nonzero().flatten()
    return torch.arange(len(correct), device=correct.device)
