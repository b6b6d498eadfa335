"""FGSM against foolbox, image by image."""

import foolbox
import numpy as np
import pytest
import torch
from torch import nn

from nsbench.attacks.fgsm import fgsm_sweep, gradient_sign
from nsbench.networks.build import build_network
from nsbench.networks.classifier import Classifier
from nsbench.networks.inference import to_float

EPSILONS = (0.0, 0.01, 0.05, 0.1)


@pytest.fixture
def trained() -> tuple[Classifier, torch.Tensor, torch.Tensor]:
    """A network with moved running statistics, images and labels."""
    torch.manual_seed(0)
    network = build_network("resnet8-w0.25", 10, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    images = torch.randint(0, 256, (40, 32, 32, 3), dtype=torch.uint8)
    network.train()(to_float(images))
    return network.eval(), images, torch.randint(0, 10, (40,))


def test_attacked_logits_equal_foolbox(trained: tuple[Classifier, torch.Tensor, torch.Tensor]) -> None:
    network, images, labels = trained
    ours, _ = fgsm_sweep(network, images, labels, EPSILONS)
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfFastGradientAttack(random_start=False)
    with torch.inference_mode(mode=False):
        _, theirs, _ = attack(model, to_float(images).clone(), labels, epsilons=list(EPSILONS))
    for epsilon, logits, adversarial in zip(EPSILONS, ours, theirs, strict=True):
        with torch.inference_mode():
            expected = network(adversarial)
        np.testing.assert_allclose(logits.numpy(), expected.numpy(), atol=1e-4, err_msg=str(epsilon))


def test_eps_zero_is_the_clean_prediction_exactly(trained: tuple[Classifier, torch.Tensor, torch.Tensor]) -> None:
    network, images, labels = trained
    attacked, _ = fgsm_sweep(network, images, labels, (0.0,))
    with torch.inference_mode():
        assert torch.equal(attacked[0], network(to_float(images)))


def test_the_gradient_points_up_the_loss(trained: tuple[Classifier, torch.Tensor, torch.Tensor]) -> None:
    network, images, labels = trained
    attacked, zero = fgsm_sweep(network, images, labels, (0.0, 0.002))
    loss = nn.CrossEntropyLoss()
    assert loss(attacked[1], labels) > loss(attacked[0], labels)
    assert not zero.any()


def test_a_saturated_model_is_counted_as_having_no_gradient() -> None:
    class Constant(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)[:, :2] * 0 + torch.tensor([1000.0, 0.0])

    images = torch.randint(0, 256, (3, 4, 4, 3), dtype=torch.uint8)
    _, zero = fgsm_sweep(Constant().eval(), images, torch.zeros(3, dtype=torch.int64), (0.1,))
    assert zero.all()


def test_weights_and_input_are_left_alone(trained: tuple[Classifier, torch.Tensor, torch.Tensor]) -> None:
    network, images, labels = trained
    before, pixels = {name: value.clone() for name, value in network.state_dict().items()}, images.clone()
    gradient_sign(network, to_float(images), labels)
    fgsm_sweep(network, images, labels, EPSILONS)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(images, pixels)
