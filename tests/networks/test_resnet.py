"""The CIFAR ResNet: sizes as published, noise as defined."""

import pytest
import torch

from nsbench.config.schema import ModelNoiseConfig
from nsbench.networks.build import build_network
from nsbench.networks.classifier import NO_MODEL_NOISE, ModelNoise
from nsbench.networks.cost import count_parameters
from nsbench.networks.resnet import BasicBlock, ResNet

MEAN, STD = (0.4913, 0.4821, 0.4465), (0.2470, 0.2434, 0.2615)
NORM_TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def network(name: str, noise: ModelNoise = NO_MODEL_NOISE) -> ResNet:
    torch.manual_seed(0)
    built = build_network(name, 10, MEAN, STD, noise)
    assert isinstance(built, ResNet)
    return built


def test_the_last_block_of_a_resnet38_survives_a_little_more_often_than_the_setting_as_its_description_says() -> None:
    last = network("resnet38", ModelNoise(survival=0.8)).blocks[-1]
    assert isinstance(last, BasicBlock)
    assert last.survival == pytest.approx(1 - 0.2 * 17 / 18)
    description = ModelNoiseConfig.model_fields["survival"].description or ""
    assert "1 - (1 - this) * l / L" in description
    assert "counted from 0" in description


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("resnet20", 269_818), ("resnet26", 367_034), ("resnet32", 464_250), ("resnet38", 561_466)],
)
def test_parameter_counts_are_the_published_ones(name: str, parameters: int) -> None:
    assert count_parameters(network(name)) == parameters


@pytest.mark.parametrize("name", ["resnet8", "resnet14", "resnet8-w0.5", "resnet8-w0.125", "resnet8-w2"])
def test_small_and_wide_networks_give_one_logit_a_class(name: str) -> None:
    assert network(name).eval()(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_old_checkpoints_fit_since_no_tensor_was_renamed() -> None:
    norms = [f"{norm}.{part}" for norm in ("norm1", "norm2") for part in NORM_TENSORS]
    blocks = [f"blocks.{index}.{name}" for index in range(3) for name in ("conv1.weight", "conv2.weight", *norms)]
    outer = ["normalize.mean", "normalize.std", "stem.weight", "linear.weight", "linear.bias"]
    assert set(network("resnet8").state_dict()) == {*outer, *blocks, *(f"norm.{part}" for part in NORM_TENSORS)}


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


@pytest.mark.parametrize("per_image", [False, True])
def test_half_precision_leaves_running_statistics_in_float32_and_where_a_branch_was_dropped_unmoved(
    per_image: bool,
) -> None:
    torch.manual_seed(0)
    block = BasicBlock(16, 16, 1, 0.5, per_image).train()
    images = torch.rand(4, 16, 8, 8).bfloat16()
    dropped = 0
    for _ in range(20):
        before = block.norm2.running_var.clone()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = block(images)
        assert out.dtype == torch.bfloat16
        assert out.isfinite().all()
        for norm in (block.norm1, block.norm2):
            assert norm.running_mean.dtype == norm.running_var.dtype == torch.float32
        unmoved = torch.equal(block.norm2.running_var, before)
        assert unmoved == (torch.equal(out, images) and not per_image)
        dropped += unmoved
    assert (dropped > 3) != per_image


def test_half_precision_moves_the_statistics_of_a_kept_branch_as_ordinary_batch_normalisation_does() -> None:
    torch.manual_seed(0)
    gated, plain = BasicBlock(4, 4, 1, 1 - 1e-9).train(), BasicBlock(4, 4, 1, 1.0).train()
    plain.load_state_dict(gated.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images = torch.rand(4, 4, 8, 8).bfloat16()
        assert torch.equal(gated(images), plain(images))
    assert torch.equal(gated.norm2.running_mean, plain.norm2.running_mean)
    assert torch.equal(gated.norm2.running_var, plain.norm2.running_var)
