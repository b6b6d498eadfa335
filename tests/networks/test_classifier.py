"""What holds for every network family: its head, a frozen body, and a training step that never waits for the host."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nsbench.networks.build import build_network
from nsbench.networks.classifier import Classifier, ModelNoise

MEAN, STD = (0.4913, 0.4821, 0.4465), (0.2470, 0.2434, 0.2615)
each_family = pytest.mark.parametrize("name", ["resnet14-w0.5", "efficientnet-b0"])
each_drop = pytest.mark.parametrize("per_image", [False, True], ids=["batch", "image"])
WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique")


def noisy(name: str, per_image: bool = False) -> Classifier:
    """A network with every kind of model noise, in training mode."""
    torch.manual_seed(0)
    return build_network(name, 10, MEAN, STD, ModelNoise(0.3, 0.5, per_image)).train()


def frozen(name: str) -> Classifier:
    """The same with a frozen body, whose normalisation has seen a batch: else its features would vanish."""
    network = noisy(name)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    network(torch.rand(16, 3, 32, 32))
    network.freeze_body()
    return network


def snapshot(network: Classifier) -> dict[str, Tensor]:
    """Copies of all tensors."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def step(network: Classifier, images: Tensor, labels: Tensor) -> None:
    """Forward, backward, and a step along the gradient."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    cross_entropy(network(images), labels).backward()
    optimizer.step()


class Watch(TorchDispatchMode):
    """Notes every operation that makes the host wait, makes float64, or leaves the device."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device, self.operations, self.offences = device, 0, set[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        self.operations += 1
        name = func.__name__.split(".")[0]
        if name in WAITING or any(one.dtype == torch.float64 or one.device.type != self.device for one in made):
            self.offences.add(name)
        return out


@each_family
def test_the_heads_tensors_begin_with_its_prefix_and_no_others_do(name: str) -> None:
    network = noisy(name)
    own = {key for key in network.state_dict() if key.startswith(network.head_prefix)}
    assert own == {f"{network.head_prefix}weight", f"{network.head_prefix}bias"}
    assert network.get_parameter(f"{network.head_prefix}weight") is network.head.weight
    assert network.head.out_features == 10
    assert network.head_dropout.p == 0.3


@each_family
def test_with_a_frozen_body_a_step_changes_the_head_and_nothing_else(name: str) -> None:
    network = frozen(name)
    before = snapshot(network)
    network.train()
    step(network, torch.rand(4, 3, 32, 32), torch.arange(4))
    moved = {key for key, tensor in network.state_dict().items() if not torch.equal(tensor, before[key])}
    assert moved == {f"{network.head_prefix}weight", f"{network.head_prefix}bias"}


@each_family
def test_without_freezing_a_step_changes_the_body_too(name: str) -> None:
    network = noisy(name)
    before = snapshot(network)
    step(network, torch.rand(4, 3, 32, 32), torch.arange(4))
    moved = {key for key, tensor in network.state_dict().items() if not torch.equal(tensor, before[key])}
    assert len(moved) > len(before) // 2


@each_family
def test_a_frozen_body_has_no_noise_but_the_heads_dropout(name: str) -> None:
    network = frozen(name)
    assert network.training
    assert network.head_dropout.training
    images = torch.rand(4, 3, 32, 32)
    assert not torch.equal(network(images), network(images))
    network.head_dropout.p = 0.0
    assert torch.equal(network(images), network(images))
    assert torch.equal(network(images), network.eval()(images))
    assert not network.head_dropout.training


@each_family
@each_drop
def test_a_training_step_makes_no_float64_and_never_waits_for_the_host(name: str, per_image: bool) -> None:
    network = noisy(name, per_image)
    images, labels = torch.rand(2, 3, 32, 32), torch.arange(2)
    with Watch("cpu") as watch:
        cross_entropy(network(images), labels).backward()
    assert watch.operations > 100
    assert watch.offences == set()


@each_family
@each_drop
def test_all_randomness_is_drawn_on_the_networks_device(name: str, per_image: bool) -> None:
    network = noisy(name, per_image).to("meta")
    images = torch.empty(2, 3, 32, 32, device="meta")
    with Watch("meta") as watch:
        network(images)
    assert watch.operations > 100
    assert watch.offences == set()


def test_the_watch_sees_what_it_must() -> None:
    with Watch("cpu") as watch:
        torch.rand(2).sum().item()
        torch.rand(2).double()
    assert watch.offences == {"_local_scalar_dense", "_to_copy"}


@pytest.mark.slow
@each_family
@each_drop
def test_training_mode_compiles_as_one_graph(name: str, per_image: bool) -> None:
    torch._dynamo.reset()
    explained = torch._dynamo.explain(noisy(name, per_image))(torch.rand(2, 3, 32, 32))
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


@pytest.mark.slow
@each_drop
def test_a_compiled_network_computes_what_the_plain_one_does(per_image: bool) -> None:
    torch._dynamo.reset()
    plain, compiled = noisy("resnet14-w0.5", per_image), noisy("resnet14-w0.5", per_image)
    run = torch.compile(compiled, backend="aot_eager", fullgraph=True)
    images, labels = torch.rand(4, 3, 32, 32), torch.arange(4)
    for seed in range(4):
        losses = []
        for network in (plain, run):
            torch.manual_seed(seed)
            losses.append(cross_entropy(network(images), labels))
            losses[-1].backward()
        torch.testing.assert_close(*losses)
    for key, tensor in plain.state_dict().items():
        torch.testing.assert_close(tensor, compiled.state_dict()[key], msg=key)
    for one, two in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)


@each_family
@each_drop
def test_half_precision_training_gives_finite_gradients_and_keeps_every_tensor_float32(
    name: str, per_image: bool
) -> None:
    network = noisy(name, per_image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(torch.rand(4, 3, 32, 32))
    assert logits.dtype == torch.bfloat16
    cross_entropy(logits.float(), torch.arange(4)).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
    kinds = {tensor.dtype for tensor in network.state_dict().values()}
    assert kinds == {torch.float32, torch.int64}


@each_family
def test_weights_are_drawn_from_the_global_generator(name: str) -> None:
    one, two, other = noisy(name), noisy(name), build_network(name, 10, MEAN, STD)
    assert torch.equal(one.head.weight, two.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
