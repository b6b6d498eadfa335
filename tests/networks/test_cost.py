"""Cost against closed forms and published figures."""

import pytest
import torch
import torchvision

from nsbench.networks.build import build_network
from nsbench.networks.catalog import EXAMPLES, catalog, format_catalog
from nsbench.networks.classifier import NO_MODEL_NOISE, Classifier, ModelNoise
from nsbench.networks.cost import activation_bytes, count_multiply_adds, count_parameters
from nsbench.networks.names import parse_network_name


def network(name: str, noise: ModelNoise = NO_MODEL_NOISE) -> Classifier:
    return build_network(name, 10, (0.5,) * 3, (0.25,) * 3, noise)


def multiply_adds_of_resnet(depth: int) -> int:
    """Layer by layer: 9 * inputs * outputs for each pixel of a convolution's output."""
    total, incoming = 9 * 3 * 16 * 32 * 32, 16
    for channels, side in ((16, 32), (32, 16), (64, 8)):
        for _ in range((depth - 2) // 6):
            total += 9 * (incoming + channels) * channels * side * side
            incoming = channels
    return total + 64 * 10


@pytest.mark.parametrize(("depth", "millions"), [(20, 40.55), (38, 83.02)])
def test_multiply_adds_of_a_resnet_are_those_of_its_layers(depth: int, millions: float) -> None:
    counted = count_multiply_adds(network(f"resnet{depth}"))
    assert counted == multiply_adds_of_resnet(depth)
    assert counted / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize(("size", "side", "billions", "within"), [(0, 224, 0.39, 0.01), (7, 600, 37, 1)])
def test_multiply_adds_of_efficientnet_are_those_of_its_paper(
    size: int, side: int, billions: float, within: float
) -> None:
    with torch.device("meta"):
        published = torchvision.models.get_model(f"efficientnet_b{size}", weights=None)
    assert count_multiply_adds(published, side) / 1e9 == pytest.approx(billions, abs=within)


@pytest.mark.parametrize("depth", [8, 20])
def test_a_resnet_keeps_its_convolutions_inputs_and_normalisations_inputs_for_the_backward_pass(depth: int) -> None:
    blocks = (depth - 2) // 6
    maps = [16 * 32 * 32, 32 * 16 * 16, 64 * 8 * 8]
    # the image and the stem's output; in each block two normalisations' inputs and two ReLUs; the head's ReLU and mean
    numbers = 3 * 32 * 32 + maps[0] + 4 * blocks * sum(maps) + maps[2] + 64
    statistics = 2 * (4 * blocks * (16 + 32 + 64) + 64)
    assert activation_bytes(network(f"resnet{depth}"), batch=64) == pytest.approx(4 * numbers, abs=4 * statistics / 64)


def test_noise_adds_little_to_what_is_kept() -> None:
    plain = activation_bytes(network("resnet20"))
    for per_image in (False, True):
        assert 0 <= activation_bytes(network("resnet20", ModelNoise(0.5, 0.8, per_image))) - plain < 0.01 * plain


def test_a_frozen_body_keeps_almost_nothing() -> None:
    model = network("resnet20")
    before = activation_bytes(model)
    model.freeze_body()
    assert activation_bytes(model) < before / 100


@pytest.mark.parametrize("name", ["resnet8", "efficientnet-b0"])
def test_counting_disturbs_neither_the_network_nor_the_random_numbers(name: str) -> None:
    model = network(name, ModelNoise(0.5, 0.8)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    count_multiply_adds(model)
    activation_bytes(model.eval())
    assert not any(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), generator)
    for key, value in model.state_dict().items():
        assert value.device.type == "cpu"
        assert torch.equal(value, before[key])


def test_the_catalog_counts_what_a_real_network_has() -> None:
    (entry,) = catalog(["resnet8-w0.5"])
    real = network("resnet8-w0.5")
    assert (entry.name, entry.family) == ("resnet8-w0.5", "ResNet")
    assert entry.parameters == count_parameters(real)
    assert entry.multiply_adds == count_multiply_adds(real)


def test_the_catalogs_examples_are_networks_of_both_families_each_once() -> None:
    assert [str(parse_network_name(name)) for name in EXAMPLES] == list(EXAMPLES)
    assert len(set(EXAMPLES)) == len(EXAMPLES) == 19
    assert [entry.family for entry in catalog(EXAMPLES[-9:-7])] == ["ResNet", "EfficientNet"]


def test_the_table_is_aligned_and_says_how_names_are_formed() -> None:
    *table, empty, last = format_catalog(catalog(["resnet20", "resnet20-w4"])).splitlines()
    assert len(table) == 3
    assert len({len(line) for line in table}) == 1
    assert table[1].split() == ["resnet20", "ResNet", "269,818", "40,551,040"]
    assert empty == ""
    assert "Names: resnetDEPTH, " in last
