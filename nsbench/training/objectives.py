"""What a network learns: the loss of a batch, made inside the step from the networks' predictions for its images."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div


class Batch(NamedTuple):
    """What one step learns from, on the device.

    Attributes:
        images: float32 (B, 3, H, W) in [0, 1], noisy.
        targets: float32 (B, classes), each row a distribution, or zeros.
        soft: float32 (B, classes), the teacher's probabilities; None where the method has none.
        views: views of the second stream, float32 (U, 3, H, W) each: the same U unlabelled images under other draws of
            noise; () where there is no such stream.
    """

    images: Tensor
    targets: Tensor
    soft: Tensor | None = None
    views: tuple[Tensor, ...] = ()

    def part(self, start: int, stop: int) -> "Batch":
        """Images start..stop-1, and as large a share of the views."""
        size = len(self.images)
        views = tuple(view[start * len(view) // size : stop * len(view) // size] for view in self.views)
        rows = slice(start, stop)
        return Batch(self.images[rows], self.targets[rows], None if self.soft is None else self.soft[rows], views)


class Networks(Protocol):
    """The two networks that a step may ask; both give float32 logits (B, classes) and wait for nothing."""

    def student(self, images: Tensor) -> Tensor:
        """Logits of the network in training, with gradients."""
        ...

    def average(self, images: Tensor) -> Tensor:
        """Logits of the moving average of its weights, in evaluation mode, without gradients."""
        ...


Objective = Callable[[Networks, Batch], tuple[Tensor, Tensor]]
"""Gives the loss, a scalar that is a mean over the batch, and the student's logits of `batch.images`.

It may make targets itself. It must read nothing back to the host: no `item`, no branch on a tensor.
"""

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""A scalar of logits, targets and the teacher's probabilities."""


def of_labelled(loss: Loss) -> Objective:
    """The objective of a loss on the images that have targets."""

    def objective(networks: Networks, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = networks.student(batch.images)
        return loss(logits, batch.targets, batch.soft), logits

    return objective


def self_training(logits: Tensor, targets: Tensor, soft: Tensor | None) -> Tensor:  # noqa: ARG001  # a Loss
    """Cross-entropy with the full target distribution, mean over the batch.

    Args:
        logits: float32 (B, classes).
        targets: (B, classes), each row a distribution.
        soft: not used.
    """
    return cross_entropy(logits, targets)


SELF_TRAINING = of_labelled(self_training)


def distillation(temperature: float, weight: float) -> Loss:
    """Hinton et al. 2015 (arXiv:1503.02531): weight * T^2 * KL(teacher, student at T) + (1 - weight) * cross-entropy.

    Args:
        temperature: T > 0; the gradient of the first term would otherwise shrink with 1 / T^2.
        weight: alpha in [0, 1].

    Returns:
        The loss. Its targets are the true labels, a row of zeros where there is none, so that such an image adds
        nothing to the second term; `soft` are the teacher's probabilities (B, classes) at T. Both terms are means over
        the whole batch.
    """

    def loss(logits: Tensor, targets: Tensor, soft: Tensor | None) -> Tensor:
        assert soft is not None
        student = (logits / temperature).log_softmax(1)
        divergence = kl_div(student, soft, reduction="batchmean")
        return weight * temperature**2 * divergence + (1 - weight) * cross_entropy(logits, targets)

    return loss
