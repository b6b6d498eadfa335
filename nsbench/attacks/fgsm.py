"""The FGSM sweep: Goodfellow et al. 2015 (arXiv:1412.6572), equation of section 4.

x' = clip(x + eps * sign(grad_x CE(f(x), y)), 0, 1) with x in [0, 1] pixels and normalisation inside the model. The
sign does not depend on eps, so one gradient serves the whole sweep.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nsbench.networks.inference import to_float


def gradient_sign(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Sign of the cross-entropy's gradient at float images (N, 3, H, W): -1, 0 or 1, same shape."""
    assert not network.training, "an attack is measured in evaluation mode"
    with torch.enable_grad():
        inputs = images.detach().clone().requires_grad_()
        loss = cross_entropy(network(inputs), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, inputs)
    return gradient.sign()


def fgsm_sweep(network: nn.Module, images: Tensor, labels: Tensor, epsilons: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Logits under attack at every eps.

    Args:
        network: in evaluation mode; images in [0, 1] to logits.
        images: uint8 (N, H, W, 3) on the network's device.
        labels: int64 (N,), true classes.
        epsilons: step sizes on pixels in [0, 1]; 0 is the clean image exactly.

    Returns:
        Float32 logits (E, N, classes), and bool (N,): images whose gradient is zero in every pixel, which no eps can
        move (a saturated model looks robust that way).
    """
    pixels = to_float(images)
    sign = gradient_sign(network, pixels, labels)
    with torch.inference_mode():
        attacked = [network((pixels + epsilon * sign).clamp(0, 1)).float() for epsilon in epsilons]
    return torch.stack(attacked), (sign == 0).flatten(1).all(1)
