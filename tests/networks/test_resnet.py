"""The CIFAR ResNet: sizes as published, noise as defined."""

import pytest
import torch

from nsbench.errors import UserError
from nsbench.networks.names import parse_network_name
from nsbench.networks.resnet import BasicBlock, ModelNoise, ResNet, count_parameters

MEAN, STD = (0.4913, 0.4821, 0.4465), (0.2470, 0.2434, 0.2615)


def network(name: str, noise: ModelNoise | None = None) -> ResNet:
    torch.manual_seed(0)
    return ResNet(parse_network_name(name), 10, MEAN, STD, noise or ModelNoise())


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("resnet20", 269_818), ("resnet26", 367_034), ("resnet32", 464_250), ("resnet38", 561_466)],
)
def test_parameter_counts_are_the_published_ones(name: str, parameters: int) -> None:
    assert count_parameters(network(name)) == parameters


@pytest.mark.parametrize("name", ["resnet8", "resnet14", "resnet8-w0.5", "resnet8-w0.125", "resnet8-w2"])
def test_small_and_wide_networks_give_one_logit_a_class(name: str) -> None:
    assert network(name).eval()(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert str(parse_network_name(name)) == name


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet21", "not 6n \\+ 2"),
        ("resnet2", "not 6n \\+ 2"),
        ("vgg16", "is not a network"),
        ("resnet20-w0.3", "width factor"),
        ("resnet20-w0", "width factor"),
        ("../resnet20", "is not a network"),
    ],
)
def test_a_name_that_is_no_network_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_network_name(name)


def test_normalisation_is_inside_the_model() -> None:
    model = network("resnet8").eval()
    grey = torch.tensor(MEAN).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    assert torch.allclose(model.normalize(grey), torch.zeros(1, 3, 32, 32), atol=1e-6)


def test_survival_falls_linearly_from_one_towards_the_configured_value() -> None:
    blocks = [block for block in network("resnet20", ModelNoise(0.5, 0.8)).blocks if isinstance(block, BasicBlock)]
    expected = [1 - 0.2 * index / 9 for index in range(9)]
    assert [block.survival for block in blocks] == pytest.approx(expected)


def test_the_shortcut_takes_every_second_pixel_and_pads_channels_on_both_sides() -> None:
    block = BasicBlock(16, 32, 2, 1.0).eval()
    torch.nn.init.zeros_(block.norm2.weight)
    images = torch.rand(1, 16, 8, 8)
    out = block(images)
    assert torch.equal(out[:, 8:24], images[:, :, ::2, ::2])
    assert out[:, :8].abs().sum() == 0
    assert out[:, 24:].abs().sum() == 0


def test_a_dropped_branch_leaves_the_shortcut_and_the_running_statistics() -> None:
    torch.manual_seed(0)
    block = BasicBlock(16, 16, 1, 0.5).train()
    images = torch.rand(4, 16, 8, 8)
    outcomes = []
    for _ in range(40):
        before = block.norm1.running_mean.clone()
        out = block(images)
        dropped = torch.equal(out, images)
        assert torch.equal(block.norm1.running_mean, before) == dropped
        outcomes.append(dropped)
    assert 8 < sum(outcomes) < 32


def test_running_statistics_of_a_kept_branch_move_as_in_ordinary_batch_normalisation() -> None:
    torch.manual_seed(0)
    gated = BasicBlock(4, 4, 1, 1 - 1e-9).train()
    plain = BasicBlock(4, 4, 1, 1.0).train()
    plain.load_state_dict(gated.state_dict())
    images = torch.rand(4, 4, 8, 8)
    assert torch.equal(gated(images), plain(images))
    for name in ("norm1", "norm2"):
        assert torch.equal(getattr(gated, name).running_mean, getattr(plain, name).running_mean)
        assert torch.equal(getattr(gated, name).running_var, getattr(plain, name).running_var)


def test_images_draw_their_own_coins_when_asked_to() -> None:
    torch.manual_seed(0)
    block = BasicBlock(16, 16, 1, 0.5, per_image=True).train()
    images = torch.rand(400, 16, 4, 4)
    out = block(images)
    dropped = (out == images).flatten(1).all(1)
    assert 150 < int(dropped.sum()) < 250
    assert not torch.equal(block.norm1.running_mean, torch.zeros(16))


def test_inference_scales_the_branch_by_its_survival() -> None:
    torch.manual_seed(0)
    block = BasicBlock(4, 4, 1, 0.6).eval()
    images = torch.rand(2, 4, 8, 8)
    assert torch.allclose(block(images), (images + 0.6 * block._branch(images)).relu())


def test_convolutions_start_with_the_published_variance() -> None:
    weight = network("resnet38").blocks[-1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)


def test_dropout_and_stochastic_depth_are_silent_in_evaluation_mode() -> None:
    model = network("resnet14", ModelNoise(0.5, 0.5)).eval()
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(model(images), model(images))
    model.train()
    assert not torch.equal(model(images), model(images))
