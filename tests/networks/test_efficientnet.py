"""EfficientNet: sizes as published, noise as configured, a stem for small images."""

import subprocess
import sys

import pytest
import torch
import torchvision
from torchvision.models.efficientnet import MBConv

from nsbench.networks.build import build_network
from nsbench.networks.classifier import NO_MODEL_NOISE, ModelNoise
from nsbench.networks.cost import count_parameters
from nsbench.networks.efficientnet import EfficientNet

MEAN, STD = (0.4913, 0.4821, 0.4465), (0.2470, 0.2434, 0.2615)
PUBLISHED = [5_288_548, 7_794_184, 9_109_994, 12_233_232, 19_341_616, 30_389_784, 43_040_704, 66_347_960]


def network(size: int = 0, classes: int = 10, noise: ModelNoise = NO_MODEL_NOISE) -> EfficientNet:
    torch.manual_seed(0)
    built = build_network(f"efficientnet-b{size}", classes, MEAN, STD, noise)
    assert isinstance(built, EfficientNet)
    return built


def settled(classes: int = 10, noise: ModelNoise = NO_MODEL_NOISE) -> EfficientNet:
    """A B0 in evaluation mode whose normalisation has seen a batch: else its features would vanish."""
    model = network(0, classes, noise).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    model(torch.rand(16, 3, 32, 32))
    return model.eval()


def blocks_of(model: EfficientNet) -> list[MBConv]:
    """The residual blocks in order."""
    return [module for module in model.modules() if isinstance(module, MBConv)]


@pytest.mark.parametrize("size", range(8))
def test_parameter_counts_are_the_published_ones(size: int) -> None:
    with torch.device("meta"):
        ours = network(size, classes=1000)
        theirs = getattr(torchvision.models, f"efficientnet_b{size}")(weights=None)
    assert count_parameters(ours) == PUBLISHED[size] == sum(parameter.numel() for parameter in theirs.parameters())


def test_a_small_image_reaches_the_head_as_a_map_of_two_by_two() -> None:
    model = network().eval()
    images = torch.rand(2, 3, 32, 32)
    assert model.features(images).shape == (2, 1280, 2, 2)
    assert model(images).shape == (2, 10)


def test_but_for_the_stride_of_the_stem_predictions_are_torchvisions() -> None:
    model = settled(classes=1000)
    theirs = torchvision.models.efficientnet_b0(weights=None).eval()
    theirs.load_state_dict({key: value for key, value in model.state_dict().items() if not key.startswith("normalize")})
    images = torch.rand(2, 3, 64, 64)
    normalised = torchvision.transforms.functional.normalize(images, MEAN, STD)
    model.features[0][0].stride = (2, 2)
    expected = theirs(normalised)
    assert expected.std() > 0.01
    torch.testing.assert_close(model(images), expected)


def test_survival_falls_linearly_from_one_towards_the_configured_value() -> None:
    model = network(noise=ModelNoise(0.4, 0.8))
    found = [1 - block.stochastic_depth.p for block in blocks_of(model)]
    assert found == pytest.approx([1 - 0.2 * index / 16 for index in range(16)])
    assert model.head_dropout.p == 0.4


def test_no_noise_means_none_of_torchvisions_own_either() -> None:
    model = network()
    assert {block.stochastic_depth.p for block in blocks_of(model)} == {0}
    assert model.head_dropout.p == 0


@pytest.mark.parametrize("per_image", [False, True])
def test_a_branch_is_dropped_for_the_whole_batch_or_image_by_image(per_image: bool) -> None:
    block = blocks_of(network(noise=ModelNoise(0, 0.4, per_image)).train())[-2]
    assert block.use_res_connect
    images = torch.rand(8, block.out_channels, 4, 4)
    torch.manual_seed(0)
    dropped = torch.stack([(block(images.clone()) == images).flatten(1).all(1) for _ in range(60)])
    share = dropped.float().mean(1)
    mixed = ((share > 0) & (share < 1)).sum()
    assert mixed > 50 if per_image else mixed == 0
    assert share.mean().item() == pytest.approx(block.stochastic_depth.p, abs=0.15)


def test_noise_is_silent_in_evaluation_mode() -> None:
    model = settled(noise=ModelNoise(0.5, 0.5))
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(model(images), model(images))
    model.train()
    assert not torch.equal(model(images), model(images))


def test_channels_last_gives_the_same_logits() -> None:
    model = settled()
    images = torch.rand(2, 3, 32, 32)
    expected = model(images)
    assert expected.std() > 0.01
    moved = model.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-4)  # another order of summation, in 50 layers


def test_a_resnet_is_built_without_importing_torchvision() -> None:
    code = (
        "import sys; from nsbench.networks.build import build_network; "
        "build_network('resnet8', 3, [0.5] * 3, [0.5] * 3); sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
