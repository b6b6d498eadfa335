"""FGSM against foolbox, image by image, and against loops over images."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch
from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack
from foolbox.models.pytorch import PyTorchModel
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nsbench.attacks.fgsm import fgsm_sweep, paper_fgsm_sweep
from nsbench.attacks.gradients import frozen, input_gradient
from nsbench.errors import UserError
from nsbench.networks.build import build_network
from nsbench.networks.inference import logits, to_float

pytestmark = pytest.mark.training

EPSILONS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.5)

Batch = tuple[Tensor, Tensor]
Recording = Callable[[nn.Module], AbstractContextManager[list[Tensor]]]


@pytest.fixture(params=["resnet", "stranger"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    """A trained network: one of ours, and an arbitrary module."""
    found: nn.Module = request.getfixturevalue(request.param)
    found.zero_grad()  # foolbox leaves some
    return found


def wrong_when_clean(network: nn.Module, batch: Batch) -> Tensor:
    """Which images of a batch are misclassified, bool (N,); some are and most are not."""
    wrong = logits(network, batch[0]).argmax(1) != batch[1]
    assert 0 < wrong.sum() < len(wrong) / 2
    return wrong


def test_adversarial_images_and_logits_equal_foolbox(network: nn.Module, digits: Batch, recording: Recording) -> None:
    images, labels = digits
    right = ~wrong_when_clean(network, digits)
    with recording(network) as seen:
        attacked, _ = fgsm_sweep(network, images, labels, EPSILONS)
    model = PyTorchModel(network, bounds=(0, 1), device="cpu")
    attack = LinfFastGradientAttack(random_start=False)
    _, adversarial, fooled = attack(model, to_float(images), labels, epsilons=list(EPSILONS))
    for shown, theirs in zip(seen[1:], adversarial[1:], strict=True):
        np.testing.assert_allclose(shown.numpy(), theirs[right].numpy(), rtol=0, atol=1e-6)
    with torch.inference_mode():
        expected = torch.stack([network(theirs) for theirs in adversarial])
    np.testing.assert_allclose(attacked[:, right].numpy(), expected[:, right].numpy(), rtol=1e-4, atol=1e-4)
    assert torch.equal((attacked.argmax(-1) != labels)[:, right], fooled[:, right])
    assert fooled[-1][right].float().mean() > fooled[0][right].float().mean() + 0.3  # the attack does something


def test_efficientnet_is_attacked_as_foolbox_attacks_it(digits: Batch) -> None:
    torch.manual_seed(0)
    images, _ = digits
    network = build_network("efficientnet-b0", 10, (0.5,) * 3, (0.25,) * 3).eval()
    labels = logits(network, images).argmax(1)[:6]
    attacked, _ = fgsm_sweep(network, images[:6], labels, (0.05,))
    attack = LinfFastGradientAttack(random_start=False)
    model = PyTorchModel(network, bounds=(0, 1), device="cpu")
    adversarial, _, _ = attack(model, to_float(images[:6]), labels, epsilons=0.05)
    with torch.inference_mode():
        np.testing.assert_allclose(attacked[0].numpy(), network(adversarial).numpy(), rtol=1e-4, atol=1e-4)


def test_the_papers_attack_equals_a_loop_over_images(exact: nn.Module, digits: Batch) -> None:
    images, labels = digits
    ours, _ = paper_fgsm_sweep(exact, images, labels, EPSILONS)
    usual, _ = fgsm_sweep(exact, images, labels, EPSILONS)
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        pixels = (image.double() / 255).float().permute(2, 0, 1)[None].requires_grad_()
        clean = exact(pixels)
        (-clean[0, label]).backward()
        assert pixels.grad is not None
        for place, epsilon in enumerate(EPSILONS):
            moved = (pixels.detach() + epsilon * pixels.grad.sign()).clamp(0, 1)
            expected = exact(moved) if clean.argmax() == label else clean
            np.testing.assert_allclose(ours[place, number].numpy(), expected[0].detach().numpy(), rtol=1e-4, atol=1e-4)
    exact.zero_grad()
    assert not torch.allclose(ours, usual, atol=1e-2)


@pytest.mark.parametrize("sweep", [fgsm_sweep, paper_fgsm_sweep])
def test_eps_zero_is_the_clean_prediction_exactly(sweep: Any, network: nn.Module, digits: Batch) -> None:
    attacked, _ = sweep(network, *digits, (0.1, 0.0, 0.0))
    assert torch.equal(attacked[1], logits(network, digits[0]))
    assert torch.equal(attacked[1], attacked[2])
    assert attacked.dtype == torch.float32


def test_an_image_that_is_wrong_when_clean_keeps_its_logits_and_is_not_shown_again(
    network: nn.Module, digits: Batch, recording: Recording
) -> None:
    wrong, clean = wrong_when_clean(network, digits), logits(network, digits[0])
    with recording(network) as seen:
        attacked, _ = fgsm_sweep(network, *digits, EPSILONS)
    assert all(torch.equal(under[wrong], clean[wrong]) for under in attacked)
    right = int((~wrong).sum())
    assert [len(pixels) for pixels in seen] == [len(wrong)] + [right] * (len(EPSILONS) - 1)


def test_a_batch_that_is_all_wrong_is_left_as_it_is(network: nn.Module, digits: Batch) -> None:
    clean = logits(network, digits[0])
    attacked, _ = fgsm_sweep(network, digits[0], clean.argmin(1), EPSILONS)
    assert all(torch.equal(under, clean) for under in attacked)


def test_the_gradient_points_up_the_loss(network: nn.Module, digits: Batch) -> None:
    attacked, zero = fgsm_sweep(network, *digits, (0.0, 0.002))
    assert cross_entropy(attacked[1], digits[1]) > cross_entropy(attacked[0], digits[1])
    assert not zero.any()


class Scaled(nn.Module):
    """A network with its logits multiplied: so saturated, where the factor is large, that no gradient is left."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        logits: Tensor = self.network(images) * self.factor
        return logits


def test_images_without_a_gradient_are_counted_and_stay_as_they_are(network: nn.Module, digits: Batch) -> None:
    saturated = Scaled(network, 1e5).eval()
    attacked, zero = fgsm_sweep(saturated, *digits, (0.0, 0.5))
    right = ~wrong_when_clean(network, digits)
    assert zero[right].float().mean() > 0.8
    torch.testing.assert_close(attacked[1, zero], attacked[0, zero], rtol=1e-3, atol=1.0)
    assert not paper_fgsm_sweep(saturated, *digits, (0.5,))[1].any()  # a logit does not saturate


class Broken(nn.Module):
    """Finite logits whose gradient is NaN: the slope of the root at 0 is infinite, and infinity times 0 is NaN."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        return images.flatten(1)[:, :10] + (images * 0).flatten(1)[:, :10].sqrt()


class Detached(nn.Module):
    """A network that autograd cannot see through."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        return images.detach().flatten(1)[:, :10] * 2


def test_a_gradient_that_is_nan_is_reported(digits: Batch) -> None:
    with pytest.raises(UserError, match=r"gradient is NaN at 40 of 40 images"):
        fgsm_sweep(Broken().eval(), *digits, (0.1,))


def test_a_network_that_gradients_do_not_pass_is_reported(digits: Batch) -> None:
    with pytest.raises(UserError, match=r"No gradient reaches the pixels"):
        fgsm_sweep(Detached().eval(), *digits, (0.1,))


def test_weights_flags_and_images_are_left_alone(network: nn.Module, digits: Batch) -> None:
    before, images = {name: value.clone() for name, value in network.state_dict().items()}, digits[0].clone()
    odd = next(network.parameters()).requires_grad_(False)
    flags = [parameter.requires_grad for parameter in network.parameters()]
    fgsm_sweep(network, *digits, EPSILONS)
    assert [parameter.requires_grad for parameter in network.parameters()] == flags
    odd.requires_grad_(True)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.training
    assert torch.equal(digits[0], images)


def test_flags_are_restored_after_an_error(stranger: nn.Module) -> None:
    with pytest.raises(RuntimeError, match="expected"), frozen(stranger):
        stranger(torch.zeros(1, 7, 7))
    assert all(parameter.requires_grad for parameter in stranger.parameters())


class Asked(torch.autograd.Function):
    """A product that notes which of its gradients a backward pass wants."""

    wanted: tuple[bool, ...] = ()

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor) -> Tensor:
        """Product of the two."""
        ctx.save_for_backward(images, weight)
        return images @ weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Gradient of the images alone."""
        Asked.wanted = ctx.needs_input_grad
        return gradients[0] @ ctx.saved_tensors[1].T, None


class Asking(nn.Module):
    """A network of that product."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3072, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        found: Tensor = Asked.apply(images.flatten(1), self.weight)
        return found


def test_no_gradient_of_a_parameter_is_computed(digits: Batch) -> None:
    fgsm_sweep(Asking().eval(), *digits, (0.1,))
    assert Asked.wanted == (True, False)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_caller_in_inference_mode_gets_the_same(mode: Any, network: nn.Module, digits: Batch) -> None:
    expected, _ = fgsm_sweep(network, *digits, EPSILONS)
    with mode():
        images, labels = digits[0].clone(), digits[1].clone()
        assert torch.equal(fgsm_sweep(network, images, labels, EPSILONS)[0], expected)


def test_a_network_in_training_mode_is_refused(stranger: nn.Module, digits: Batch) -> None:
    images, labels = digits
    stranger.train()
    try:
        with pytest.raises(AssertionError, match="evaluation mode"):
            input_gradient(stranger, to_float(images), labels, cross_entropy)
    finally:
        stranger.eval()
