"""Gradients at the pixels: one forward pass and one backward pass that stops at the input."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nsbench.errors import UserError

Objective = Callable[[Tensor, Tensor], Tensor]
"""Float32 logits (N, classes) and labels (N,) to what an attack raises, summed over the images."""


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let no parameter require a gradient; afterwards each requires one again if it did.

    So a backward pass computes none for them, keeps less for it, and adds nothing to a user's `grad`.
    """
    requiring = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in requiring:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in requiring:
            parameter.requires_grad_(True)


def input_gradient(network: nn.Module, pixels: Tensor, labels: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """Logits of a batch, and the gradient of an objective at its pixels.

    Args:
        network: in evaluation mode; images in [0, 1] to logits.
        pixels: float32 (N, 3, H, W) in [0, 1].
        labels: int64 (N,), true classes.
        objective: what to differentiate.

    Returns:
        Float32 logits (N, classes), the clean prediction, and the gradient (N, 3, H, W), which may hold NaN: see
        `require_numbers`.

    Raises:
        UserError: no gradient reaches the pixels.
    """
    assert not network.training, "an attack is measured in evaluation mode"
    # The caller may be in inference mode, whose tensors autograd refuses to keep.
    with frozen(network), torch.inference_mode(False), torch.enable_grad():
        inputs = pixels.detach().clone().requires_grad_()
        logits = network(inputs).float()
        require_path(logits)
        (gradient,) = torch.autograd.grad(objective(logits, labels.clone()), inputs)
    return logits.detach(), gradient


def require_path(logits: Tensor) -> None:
    """Raise UserError unless autograd can go back from the logits."""
    if not logits.requires_grad:
        raise UserError(
            "No gradient reaches the pixels through this network (an ONNX file, integer arithmetic, or a forward pass "
            "under no_grad): leave the attacks that need one out, or give the network as PyTorch code."
        )


def require_numbers(gradient: Tensor) -> None:
    """Raise UserError if a gradient (N, ...) holds NaN, whose sign is 0 to torch: the image would look robust.

    On CUDA the host waits here.
    """
    broken = gradient.isnan().flatten(1).any(1)
    if broken.any():
        raise UserError(
            f"The network's gradient is NaN at {int(broken.sum())} of {len(broken)} images of a batch, so attacks by "
            "gradient measure nothing: leave them out, or fix the layer that divides by zero."
        )
