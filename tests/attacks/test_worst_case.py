"""Attacks by foolbox against slow loops, and what holds of every attack."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from foolbox.attacks.deepfool import LinfDeepFoolAttack
from foolbox.models.pytorch import PyTorchModel
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nsbench.attacks.fgsm import fgsm_sweep
from nsbench.attacks.worst_case import attack
from nsbench.corruptions.numerics.keyed_random import keyed_uniform
from nsbench.errors import UserError
from nsbench.networks.inference import logits, to_float
from nsbench.protocols import attacks as protocol_of_attacks
from nsbench.protocols.attacks import Attack, Perturb, attack_names, attacks, register_attack
from nsbench.seeds import derive_seed

EPSILONS = (0.0, 0.01, 0.02)
"""Where about half of the images are fooled by a gradient."""
NOISE_EPSILONS = (0.0, 0.1, 0.3)
"""The same for noise."""
BY_GRADIENT = [name for name in attack_names() if name != "noise"]

Batch = tuple[Tensor, Tensor]
Recording = Callable[[nn.Module], AbstractContextManager[list[Tensor]]]

each_attack = pytest.mark.parametrize("name", attack_names())
each_random_attack = pytest.mark.parametrize("name", [attack.name for attack in attacks() if attack.random])


def attacked(name: str, network: nn.Module, batch: Batch, **other: Any) -> Tensor:
    """Logits under attack, few steps unless said."""
    images, labels = batch
    epsilons = NOISE_EPSILONS if name == "noise" else EPSILONS
    settings = {"steps": 3, "restarts": 1, "indices": torch.arange(len(labels)), "seed": 3, "epsilons": epsilons}
    return attack(name, network, images, labels, **{**settings, **other})


def start(seed: int, name: str, restart: int, indices: Tensor) -> Tensor:
    """The random numbers that an attack must use, float32 (N, 3, 32, 32) in [-1, 1]."""
    numbers = keyed_uniform(derive_seed(seed, "attack", name, restart), indices, 3 * 32 * 32)
    return (2 * numbers - 1).float().reshape(-1, 3, 32, 32)


def ascent(
    network: nn.Module, clean: Tensor, label: Tensor, first: Tensor, epsilon: float, sizes: list[float]
) -> Tensor:
    """Signed steps up the loss of one image (1, 3, 32, 32), each put back into the ball and into [0, 1]."""
    moved = (clean + epsilon * first).clamp(0, 1)
    for size in sizes:
        inputs = moved.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(network(inputs), label[None]), inputs)
        moved = moved + size * epsilon * gradient.sign()
        moved = torch.minimum(torch.maximum(moved, clean - epsilon), clean + epsilon).clamp(0, 1)
    return moved


@pytest.mark.parametrize(("name", "travel"), [("pgd", 2.5), ("bim", 1.25)])
def test_descent_equals_a_loop_over_images_and_steps(name: str, travel: float, exact: nn.Module, digits: Batch) -> None:
    images, labels = digits[0][:12], digits[1][:12]
    indices = torch.arange(100, 112)
    ours = attacked(name, exact, (images, labels), steps=4, indices=indices)
    starts = start(3, name, 0, indices) if name == "pgd" else torch.zeros(12, 3, 32, 32)
    right = logits(exact, images).argmax(1) == labels
    assert right.sum() > 6
    for place, epsilon in enumerate(EPSILONS):
        for row in right.nonzero().flatten().tolist():
            clean = to_float(images[row : row + 1])
            moved = ascent(exact, clean, labels[row], starts[row : row + 1], epsilon, [travel / 4] * 4)
            expected = exact(moved)[0].detach().float()
            torch.testing.assert_close(ours[place, row], expected, rtol=1e-3, atol=1e-3)


def test_one_step_of_bim_is_fgsm(resnet: nn.Module, digits: Batch) -> None:
    one, _ = fgsm_sweep(resnet, *digits, EPSILONS)
    torch.testing.assert_close(attacked("bim", resnet, digits, steps=1), one, rtol=1e-3, atol=1e-3)


def test_deepfool_is_foolboxs(resnet: nn.Module, digits: Batch) -> None:
    images, labels = digits
    right = logits(resnet, images).argmax(1) == labels
    model = PyTorchModel(resnet, bounds=(0, 1), device="cpu")
    _, cut, fooled = LinfDeepFoolAttack(steps=3)(model, to_float(images[right]), labels[right], epsilons=[0.01, 0.02])
    resnet.zero_grad()
    ours = attacked("deepfool", resnet, digits)
    assert torch.equal(ours[1:, right].argmax(-1) != labels[right], fooled)
    torch.testing.assert_close(ours[1:, right], torch.stack([logits_of(resnet, one) for one in cut]))
    assert 0 < fooled[0].sum() < fooled[1].sum()


def logits_of(network: nn.Module, pixels: Tensor) -> Tensor:
    """Logits of float images."""
    with torch.inference_mode():
        found: Tensor = network(pixels)
    return found


def test_noise_is_uniform_and_as_large_as_allowed(resnet: nn.Module, digits: Batch, recording: Recording) -> None:
    grey = (torch.full_like(digits[0], 128), logits(resnet, torch.full_like(digits[0], 128)).argmax(1))
    with recording(resnet) as seen:
        attacked("noise", resnet, grey, epsilons=(0.1,))
    noise = seen[-1] - 128 / 255
    expected = start(3, "noise", 0, torch.arange(40))
    torch.testing.assert_close(noise, 0.1 * expected, rtol=2e-3, atol=2e-4)


class PerImage(nn.Module):
    """A network whose arithmetic cannot depend on the size of a batch: each logit is a sum within its image."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.randn(10, 3072, generator=torch.Generator().manual_seed(0)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        flat = (images - 0.5).flatten(1).contiguous()
        rows = [torch.stack([(image * weight).sum() for weight in self.get_buffer("weights")]) for image in flat]
        return torch.stack(rows)


@each_attack
def test_the_size_of_a_batch_and_the_order_of_images_change_no_bit(name: str) -> None:
    network = PerImage().eval()
    images = torch.randint(0, 256, (7, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    labels = logits(network, images).argmax(1)
    labels[2] = (labels[2] + 1) % 10  # wrong when clean, which shifts the rows that are attacked
    run = partial(attacked, name, network, steps=2, restarts=2, epsilons=(0.001, 0.004))
    whole = run((images, labels))
    for rows in ([0], [1, 2, 3], [6, 5, 4]):
        assert torch.equal(run((images[rows], labels[rows]), indices=torch.tensor(rows)), whole[:, rows])


@each_attack
def test_the_size_of_a_batch_changes_no_outcome_of_a_real_network(name: str, resnet: nn.Module, digits: Batch) -> None:
    whole = attacked(name, resnet, digits, restarts=2)
    parts = [
        attacked(name, resnet, (digits[0][rows], digits[1][rows]), restarts=2, indices=rows)
        for rows in (torch.arange(15), torch.arange(15, 40))
    ]
    # A sum that is rounded otherwise may turn the sign of a gradient that is almost zero.
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0.02, atol=0.02)


@each_random_attack
def test_seed_restart_and_index_each_change_the_start(name: str, resnet: nn.Module, digits: Batch) -> None:
    first = attacked(name, resnet, digits)
    assert torch.equal(attacked(name, resnet, digits), first)
    for other in ({"seed": 4}, {"indices": torch.arange(1, 41)}, {"restarts": 2}):
        assert not torch.equal(attacked(name, resnet, digits, **other), first), other


@each_random_attack
def test_once_fooled_stays_fooled_and_is_left_alone(
    name: str, resnet: nn.Module, digits: Batch, recording: Recording
) -> None:
    _, labels = digits
    one = attacked(name, resnet, digits)
    with recording(resnet) as seen:
        five = attacked(name, resnet, digits, restarts=5)
    fooled = one.argmax(-1) != labels
    assert 0 < fooled[-1].sum() < len(labels)
    assert torch.equal(five[fooled], one[fooled])
    assert min(len(pixels) for pixels in seen) < int((~fooled[0]).sum())


@each_random_attack
def test_of_restarts_that_all_fail_the_smallest_margin_counts(name: str, resnet: nn.Module, digits: Batch) -> None:
    _, labels = digits
    runs = [attacked(name, resnet, digits, restarts=count)[1] for count in (1, 2, 3)]
    safe = runs[-1].argmax(-1) == labels
    margins = [run.topk(2).values.diff().abs()[safe, 0] for run in runs]
    assert (margins[0] >= margins[1]).all()
    assert (margins[1] >= margins[2]).all()
    assert (margins[0] > margins[2]).any()


@each_attack
def test_clean_errors_and_eps_zero_keep_the_clean_logits(
    name: str, resnet: nn.Module, digits: Batch, recording: Recording
) -> None:
    clean = logits(resnet, digits[0])
    wrong = clean.argmax(1) != digits[1]
    assert wrong.any()
    found = attacked(name, resnet, digits, restarts=2)
    assert torch.equal(found[0], clean)
    assert all(torch.equal(under[wrong], clean[wrong]) for under in found)
    assert found.dtype == torch.float32
    with recording(resnet) as seen:
        assert torch.equal(attacked(name, resnet, digits, epsilons=(0.0,))[0], clean)
    assert len(seen) == 1
    assert torch.equal(attacked(name, resnet, (digits[0], clean.argmin(1)))[2], clean)


@each_attack
def test_no_pixel_moves_further_than_eps_or_out_of_range(
    name: str, resnet: nn.Module, digits: Batch, recording: Recording
) -> None:
    images, labels = digits
    right = logits(resnet, images).argmax(1) == labels
    pixels = to_float(images)[right]
    for epsilon in (0.004, 0.05):
        with recording(resnet) as seen:
            attacked(name, resnet, digits, epsilons=(epsilon,))
        final = seen[-1]
        assert (final - pixels).abs().max() <= epsilon + 1e-6
        if name != "deepfool" or epsilon == 0.004:  # DeepFool goes no further than it needs
            assert (final - pixels).abs().max() > 0.9 * epsilon
        assert final.min() >= 0
        assert final.max() <= 1


def test_on_an_honest_network_more_steps_beat_one_and_a_gradient_beats_noise(resnet: nn.Module, digits: Batch) -> None:
    _, labels = digits
    under = {name: attacked(name, resnet, digits, steps=8, epsilons=EPSILONS)[2] for name in attack_names()}
    right = {name: int((values.argmax(-1) == labels).sum()) for name, values in under.items()}
    one_step = int((fgsm_sweep(resnet, *digits, EPSILONS)[0][2].argmax(-1) == labels).sum())
    assert right["pgd"] <= one_step + 1  # an image more: a random start may be an unlucky one
    assert right["bim"] <= one_step
    assert max(right[name] for name in BY_GRADIENT) < right["noise"] - 5


@each_attack
def test_weights_gradients_and_flags_are_left_alone_and_nothing_is_warned_of(
    name: str, resnet: nn.Module, digits: Batch, recwarn: pytest.WarningsRecorder
) -> None:
    before = {key: value.clone() for key, value in resnet.state_dict().items()}
    resnet.zero_grad()
    attacked(name, resnet, digits)
    assert all(torch.equal(value, before[key]) for key, value in resnet.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in resnet.parameters())
    assert not any(module.training for module in resnet.modules())
    assert [str(warning.message) for warning in recwarn] == []


@each_attack
def test_a_caller_in_inference_mode_gets_the_same(name: str, resnet: nn.Module, digits: Batch) -> None:
    expected = attacked(name, resnet, digits)
    with torch.inference_mode():
        assert torch.equal(attacked(name, resnet, (digits[0].clone(), digits[1].clone())), expected)


class Broken(nn.Module):
    """Finite logits whose gradient is NaN: the slope of the root at 0 is infinite, and infinity times 0 is NaN."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        return images.flatten(1)[:, :10] + (images * 0).flatten(1)[:, :10].sqrt()


class Detached(nn.Module):
    """A network that autograd cannot see through."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        return images.detach().flatten(1)[:, ::300] * 2


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_a_gradient_that_is_nan_is_reported(name: str, digits: Batch) -> None:
    images = torch.randint(0, 256, digits[0].shape, dtype=torch.uint8)
    broken = Broken().eval()
    with pytest.raises(UserError, match=r"NaN (at 40 of 40 images|or infinite under deepfool for 40 of 40 images)"):
        attacked(name, broken, (images, logits(broken, images).argmax(1)))


@each_attack
def test_a_network_that_gradients_do_not_pass_is_reported_unless_none_is_needed(name: str, digits: Batch) -> None:
    network = Detached().eval()
    batch = (digits[0], logits(network, digits[0]).argmax(1))
    if name == "noise":
        assert np.isfinite(attacked(name, network, batch).numpy()).all()
        return
    with pytest.raises(UserError, match=r"No gradient reaches the pixels"):
        attacked(name, network, batch)


def test_an_unknown_attack_is_reported(resnet: nn.Module, digits: Batch) -> None:
    with pytest.raises(UserError, match="'cw' is not an attack"):
        attacked("cw", resnet, digits)


def signed_step(
    network: nn.Module, pixels: Tensor, labels: Tensor, epsilons: Sequence[float], steps: int, numbers: Tensor | None
) -> list[Tensor]:
    """FGSM as a user may write it."""
    assert (steps, numbers) == (3, None)
    inputs = pixels.clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(cross_entropy(network(inputs), labels, reduction="sum"), inputs)
    return [(pixels + epsilon * gradient.sign()).clamp(0, 1) for epsilon in epsilons]


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Callable[[Perturb], None]:
    """Registers an attack called `own`, for one test."""
    monkeypatch.setattr(protocol_of_attacks, "_REGISTERED", dict(protocol_of_attacks._REGISTERED))
    return lambda perturb: register_attack(Attack("own", "Own", "an attack of ours", "own, {steps}", perturb=perturb))


def test_an_attack_of_the_users_own_is_run_by_its_own_arithmetic(
    added: Callable[[Perturb], None], resnet: nn.Module, digits: Batch
) -> None:
    added(signed_step)
    images, labels = digits
    expected, _ = fgsm_sweep(resnet, images, labels, EPSILONS)
    torch.testing.assert_close(attacked("own", resnet, digits), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match="another attack called 'own'"):
        added(lambda *_: [])


def too_far(_: nn.Module, pixels: Tensor, __: Tensor, epsilons: Sequence[float], *___: object) -> list[Tensor]:
    return [(pixels + 1.5 * epsilon).clamp(0, 1) for epsilon in epsilons]


def below_black(_: nn.Module, pixels: Tensor, __: Tensor, epsilons: Sequence[float], *___: object) -> list[Tensor]:
    return [pixels - 0.9 * epsilon for epsilon in epsilons]


@pytest.mark.parametrize("perturb", [too_far, below_black])
def test_an_attack_of_the_users_own_that_breaks_its_bound_is_refused(
    perturb: Perturb, added: Callable[[Perturb], None], resnet: nn.Module, digits: Batch
) -> None:
    added(perturb)
    with pytest.raises(UserError, match=r"own moves a pixel by .* at eps 0.01, or out of"):
        attacked("own", resnet, digits)
