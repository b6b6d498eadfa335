"""Whether a model does what every benchmark relies on, tried on a few images before the work."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nsbench.errors import UserError, describe
from nsbench.models.counted import CountedOutputs
from nsbench.models.guarded import output_fault, passes
from nsbench.models.subject import Subject
from nsbench.networks.inference import to_float

_SAME = 1e-4
"""What repeated arithmetic in float32 may differ by, as a share of the largest logit."""

_ALIKE = 1e-2
"""What another batch size, and so another algorithm, may differ by, as a share of the largest logit."""

_PAIR = 2
_DEVIATIONS = 3


def check_model(subject: Subject, network: nn.Module, images: Tensor, labels: Tensor, classes: int) -> list[str]:
    """Try a model on a few test images.

    Args:
        subject: to name in sentences.
        network: as `subject.load` gave it, or with those of its outputs that count.
        images: uint8 (N, H, W, 3) on the network's device; a hundred show accuracy above chance, four are the least.
        labels: int64 (N,).
        classes: number of classes of the data set.

    Returns:
        Sentences to show the user, about what is suspicious and may yet be meant.

    Raises:
        UserError: it is not in evaluation mode, fails on the images, does not give one finite logit per image and
            class, changes its images, or gives different logits when asked again or in another batch.
    """
    assert len(images) == len(labels) >= 2 * _PAIR, (images.shape, labels.shape)
    _check_mode(subject, network)
    pixels = to_float(images)
    before = pixels.clone()
    found = _outputs(subject, network, pixels)
    _check_untouched(subject, before, pixels)
    if isinstance(network, CountedOutputs):
        _check_counted(subject, network, found, classes)
    logits = _checked(subject, found, pixels, classes)
    _check_repeatable(subject, logits, _outputs(subject, network, pixels))
    _check_independent(subject, logits, _outputs(subject, network, pixels[:_PAIR]))
    return [*suspicions(subject.name, logits, labels, classes), *_gradients(subject, network, pixels[:_PAIR])]


def suspicions(name: str, logits: Tensor, labels: Tensor, classes: int) -> list[str]:
    """What is suspicious in a model's logits (N, classes) on clean images, in sentences."""
    return [*_probabilities(name, logits), *_chance(name, logits, labels, classes)]


def _check_mode(subject: Subject, network: nn.Module) -> None:
    training = [name for name, module in network.named_modules() if module.training]
    if training:
        raise UserError(
            f"{subject.name} is in training mode after eval() (first in {training[0] or 'the whole network'}): "
            "its train() or eval() must reach every module."
        )


@torch.inference_mode()
def _outputs(subject: Subject, network: nn.Module, pixels: Tensor) -> object:
    try:
        return network(pixels)
    except BaseException as error:
        if passes(error):
            raise
        height, width = pixels.shape[-2:]
        raise UserError(
            f"{subject.name} fails on {len(pixels)} images of {height} x {width} pixels ({describe(error)}): "
            "use a model for images of this size."
        ) from error


def _check_counted(subject: Subject, network: CountedOutputs, out: object, classes: int) -> None:
    if isinstance(out, Tensor) and out.ndim == 2 and out.shape[1] != classes:
        raise UserError(
            f"{subject.name} gives {out.shape[1]} classes, but the data set has {classes}, some of {network.needed} or "
            "more: use a model trained on these classes."
        )


def _checked(subject: Subject, out: object, pixels: Tensor, classes: int) -> Tensor:
    """The output as logits, once it is one finite number per image and class."""
    fault = output_fault(out, pixels, classes)
    if fault is not None:
        raise UserError(f"{subject.name} {fault}")
    assert isinstance(out, Tensor)
    logits = out.float().clone()  # the next answer may be written to the same place
    bad = int((~logits.isfinite()).any(1).sum())
    if bad:
        raise UserError(
            f"{subject.name} gives logits that are NaN or infinite for {bad} of {len(pixels)} images (as float32): "
            "check its weights and its preprocessing."
        )
    return logits


def _check_untouched(subject: Subject, before: Tensor, pixels: Tensor) -> None:
    if not torch.equal(before, pixels):
        raise UserError(
            f"{subject.name} writes to the images that it is given: let it work on new tensors "
            "(x = x - 0.5, not x -= 0.5 or x.sub_(0.5))."
        )


def _check_repeatable(subject: Subject, logits: Tensor, again: object) -> None:
    if _difference(logits, again) > _SAME:
        raise UserError(
            f"{subject.name} is not deterministic, the same images give different logits when asked again: "
            "switch off dropout and other noise in evaluation mode (F.dropout needs training=self.training)."
        )


def _check_independent(subject: Subject, logits: Tensor, pair: object) -> None:
    if _difference(logits[:_PAIR], pair) > _ALIKE:
        raise UserError(
            f"{subject.name} gives an image different logits in another batch, as batch normalisation in training mode "
            "does: put the whole network into evaluation mode before it is exported or returned."
        )


def _difference(logits: Tensor, other: object) -> float:
    """Largest difference as a share of the largest logit; infinite where the other is no such logits."""
    if output_fault(other, logits, logits.shape[1]) is not None or not isinstance(other, Tensor):
        return math.inf
    largest = float(logits.abs().max())
    difference = float((logits - other.float()).abs().max())
    found = difference / largest if largest else difference
    return math.inf if math.isnan(found) else found


def _probabilities(name: str, logits: Tensor) -> Iterator[str]:
    if bool((logits >= 0).all()) and bool(((logits.sum(1) - 1).abs() < 1e-3).all()):
        yield (
            f"{name}: its outputs look like probabilities, not logits (none is negative and each row sums "
            "to 1); calibration, negative log-likelihood and attacks will be wrong: return what goes into the softmax."
        )


def _chance(name: str, logits: Tensor, labels: Tensor, classes: int) -> Iterator[str]:
    """A warning when accuracy is within three standard errors of chance, or below."""
    chance = 1 / classes
    accuracy = float((logits.argmax(1) == labels).float().mean())
    if accuracy <= chance + _DEVIATIONS * math.sqrt(chance * (1 - chance) / len(labels)):
        yield (
            f"{name}: {100 * accuracy:.0f} % of {len(labels):,} clean images are right, which is near chance "
            f"({100 * chance:.0f} %): check the weights, --mean and --std, and the order of the classes."
        )


def _gradients(subject: Subject, network: nn.Module, pixels: Tensor) -> Iterator[str]:
    """A warning when a model that should be differentiable gives its images no gradient."""
    if not subject.differentiable:
        return
    try:
        with torch.enable_grad():
            out = network(pixels.clone().requires_grad_())
    except BaseException as error:
        if passes(error):
            raise
        out = None
    if not isinstance(out, Tensor) or not out.requires_grad:
        yield f"{subject.name}: no gradient reaches its images, so attacks that follow one will fail."
