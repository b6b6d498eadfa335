"""What a network learns: losses of a batch, each a function of logits, targets and the teacher's probabilities."""

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

Objective = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def self_training(logits: Tensor, targets: Tensor, soft: Tensor | None) -> Tensor:  # noqa: ARG001  # an Objective
    """Cross-entropy with the full target distribution, mean over the batch.

    Args:
        logits: float32 (B, classes).
        targets: (B, classes), each row a distribution.
        soft: not used.
    """
    return cross_entropy(logits, targets)


def distillation(temperature: float, weight: float) -> Objective:
    """Hinton et al. 2015 (arXiv:1503.02531): weight * T^2 * KL(teacher, student at T) + (1 - weight) * cross-entropy.

    Args:
        temperature: T > 0; the gradient of the first term would otherwise shrink with 1 / T^2.
        weight: alpha in [0, 1].

    Returns:
        The objective. Its targets are the true labels, a row of zeros where there is none, so that such an image adds
        nothing to the second term; `soft` are the teacher's probabilities (B, classes) at T. Both terms are means over
        the whole batch.
    """

    def loss(logits: Tensor, targets: Tensor, soft: Tensor | None) -> Tensor:
        assert soft is not None
        student = (logits / temperature).log_softmax(1)
        divergence = kl_div(student, soft, reduction="batchmean")
        return weight * temperature**2 * divergence + (1 - weight) * cross_entropy(logits, targets)

    return loss
