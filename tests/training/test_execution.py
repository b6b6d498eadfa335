"""Every way of executing a step learns the same; nothing in it waits for the host; memory that runs out is made do."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from nsbench.errors import UserError
from nsbench.networks.classifier import Classifier, ModelNoise
from nsbench.noise.dense import DenseAugmenter
from nsbench.noise.draws import InputNoise
from nsbench.training.learner import Learner
from nsbench.training.objectives import distillation, of_labelled, self_training
from nsbench.training.precision import fast_execution, fast_precision, settle
from nsbench.training.schedule import Rates, Schedule
from nsbench.training.step import Noise, Step, TrainingSet
from nsbench.training.stream import Inputs, draw_block

Make = Callable[..., Any]
CPU = torch.device("cpu")
DRAWN = InputNoise(2, 9, 1, flip=True)
DENSE = Noise(DRAWN, 8, DenseAugmenter(DRAWN, 8, CPU))
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "mixup": {"mixup_alpha": 1.0},
    "average and Nesterov": {"average_decay": 0.99, "nesterov": True},
    "micro-batches": {"micro_batch": 6},
    "only the head": {"rates": Rates(head=0.5, head_only=True)},
    "bfloat16": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("case", CASES)
def test_the_step_that_cuda_captures_learns_the_same_as_steps_one_by_one(
    case: str, data: TrainingSet, run: Make, make_schedule: Make, make_network: Make, same: Make
) -> None:
    """Dense noise and inputs read at a position on the device, against grouped noise and inputs cut by the host."""
    eager, captured = make_network(), make_network()
    expected = run(eager, data, make_schedule(700, **CASES[case]))
    assert run(captured, data, make_schedule(700, execution="graph", **CASES[case]), noise=DENSE) == expected
    assert same(eager, captured)


def test_distillation_is_captured_too(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make, same: Make
) -> None:
    taught = TrainingSet(data.images, data.rows, data.targets, (data.targets + 0.1) / 1.3)
    eager, captured = make_network(), make_network()
    changed = {"objective": of_labelled(distillation(4.0, 0.9)), "mixup_alpha": 0.5}
    expected = run(eager, taught, make_schedule(700, **changed))
    assert run(captured, taught, make_schedule(700, execution="graph", **changed), noise=DENSE) == expected
    assert same(eager, captured)


def inputs_of(schedule: Schedule, data: TrainingSet) -> Inputs:
    return draw_block(schedule, data.rows, DRAWN, range(schedule.steps))


@pytest.mark.parametrize("mode", ["batch", "image"])
def test_a_training_step_compiles_without_a_graph_break(
    mode: str, data: TrainingSet, make_schedule: Make, make_network: Make
) -> None:
    """Gathering, dense noise, mixup, the noisy network and the loss are one graph each, and are not compiled twice."""
    schedule = make_schedule(160, mixup_alpha=1.0)
    network = make_network(ModelNoise(0.5, 0.5, per_image=mode == "image")).train()
    step, block = Step(Learner(network, schedule), data, DENSE), inputs_of(schedule, data)

    def loss(inputs: Inputs) -> Tensor:
        batch = step.batch(inputs)
        return self_training(network(batch.images).float(), batch.targets, batch.soft)

    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(loss, backend=counter, fullgraph=True, dynamic=False)
    for number in range(4):
        compiled(block.gather(torch.tensor([number]))).backward()
    assert counter.frame_count == 1


def test_a_step_reads_nothing_from_the_host(data: TrainingSet, make_schedule: Make, make_network: Make) -> None:
    """On a device without data every question about a value is an error, and so is a tensor left on the CPU.

    In float32: there is no mixed precision on such a device.
    """
    meta = torch.device("meta")
    schedule = make_schedule(160, precision="float32", mixup_alpha=1.0, average_decay=0.9)
    network = make_network().to(meta)
    resident = TrainingSet(data.images.to(meta), data.rows, data.targets.to(meta))
    noise = DenseAugmenter(DRAWN, 8, meta)
    learner = Learner(network, schedule)
    learner.optimizer.step = lambda: None  # type: ignore[method-assign, assignment]  # torch's SGD has no meta kernel
    step = Step(learner, resident, Noise(DRAWN, 8, noise))
    block = inputs_of(schedule, data).map(lambda tensor: tensor.to(meta))
    step(block.gather(torch.zeros(1, dtype=torch.int64, device=meta)))
    assert step.loss.device == meta


class Greedy(Classifier):
    """A network that runs out of memory when it is shown too many images at once."""

    head_prefix = "linear."

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit, self.norm, self.linear = limit, nn.BatchNorm2d(3, affine=False), nn.Linear(3 * 64, 3)
        self.sizes: list[int] = []

    @property
    def head_dropout(self) -> nn.Dropout:
        """There is none to speak of."""
        return nn.Dropout(0)

    @property
    def head(self) -> nn.Linear:
        """The only layer."""
        return self.linear

    def forward(self, images: Tensor) -> Tensor:
        """Logits, unless there are too many images."""
        self.sizes.append(len(images))
        features = self.norm(images)
        if len(images) > self.limit:
            raise torch.OutOfMemoryError("too many images")
        logits: Tensor = self.linear(features.flatten(1))
        return logits


def test_when_memory_runs_out_batches_are_learnt_in_halves(
    data: TrainingSet, run: Make, make_schedule: Make, same: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    greedy = Greedy(limit=4)
    asked = copy.deepcopy(greedy)
    outcome = run(greedy, data, make_schedule(160))
    assert (greedy.sizes[:3], set(greedy.sizes[3:])) == ([16, 8, 4], {4})
    assert outcome.micro_batch == 4
    assert "batches of 16 are learnt in parts of 4" in " ".join(capsys.readouterr().err.split())
    run(asked, data, make_schedule(160, micro_batch=4))
    assert same(greedy, asked)


def test_a_network_that_cannot_learn_from_one_image_is_reported(
    data: TrainingSet, run: Make, make_schedule: Make
) -> None:
    with pytest.raises(UserError, match="runs out of memory with a single image: choose a smaller network"):
        run(Greedy(limit=0), data, make_schedule(160))


def test_accumulated_gradients_are_those_of_the_whole_batch(
    data: TrainingSet, make_schedule: Make, make_network: Make
) -> None:
    """Without batch normalisation's statistics, which see the parts, the parts add up."""
    grads = []
    for size in (16, 5, 1):
        network = make_network(ModelNoise())
        learner = Learner(network, make_schedule(16, precision="float32", micro_batch=size, mixup_alpha=0.5))
        learner.network.eval()
        block = inputs_of(make_schedule(16), data)
        step = Step(learner, data, DENSE)
        step(block.at(0))
        grads.append([parameter.grad.clone() for parameter in network.parameters()])
    for other in grads[1:]:
        for whole, parts in zip(grads[0], other, strict=True):
            torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_optimiser_is_sgd_with_rates_apart_for_body_and_head(
    nesterov: bool, data: TrainingSet, make_schedule: Make, make_network: Make
) -> None:
    """Against torch's own SGD, one optimiser for each part, with the schedule's learning rates."""
    schedule = make_schedule(160, precision="float32", nesterov=nesterov, rates=Rates(body=0.1, head=3.0))
    ours, theirs = make_network(ModelNoise()), make_network(ModelNoise())
    learner, block = Learner(ours, schedule), inputs_of(schedule, data)
    step = Step(learner, data, DENSE)
    theirs.train().to(memory_format=torch.channels_last)
    parts = [
        ([value for name, value in theirs.named_parameters() if not name.startswith("linear.")], 0.1),
        (list(theirs.linear.parameters()), 3.0),
    ]
    common = {"momentum": 0.9, "weight_decay": 1e-4, "nesterov": nesterov}
    optimizers = [(torch.optim.SGD(values, lr=1.0, **common), factor) for values, factor in parts]
    for number in range(10):
        inputs = block.at(number)
        images, targets, *_ = step.batch(inputs)
        step(inputs)
        theirs.zero_grad()
        torch.nn.functional.cross_entropy(theirs(images), targets).backward()
        for optimizer, factor in optimizers:
            optimizer.param_groups[0]["lr"] = schedule.learning_rate(number) * factor
            optimizer.step()
    for (name, value), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-4, atol=1e-5, msg=name)


def test_training_only_the_head_leaves_every_other_number_as_it_was(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make
) -> None:
    network = make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run(network, data, make_schedule(160, rates=Rates(head_only=True)))
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"linear.weight", "linear.bias"}


def test_auto_is_settled_by_the_device_and_the_network(make_schedule: Make, make_network: Make) -> None:
    network, depthwise = make_network(), nn.Conv2d(8, 8, 3, groups=8)
    settings = make_schedule(16, precision="auto", execution="auto").settings
    settled = settle(settings, 10**7, network, CPU)
    assert (settled.precision, settled.execution) == (fast_precision(network, CPU), "eager")
    assert fast_precision(depthwise, CPU) == "float32"
    asked = make_schedule(16, precision="bfloat16", execution="graph").settings
    assert settle(asked, 10**7, depthwise, CPU) == asked
    cuda = torch.device("cuda")
    assert [fast_execution(cuda, budget) for budget in (10**4, 10**7)] == ["graph", "compiled"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"_is_amx_tile_supported": True, "_is_avx512_bf16_supported": True}, "bfloat16"),
        ({"_is_amx_tile_supported": True, "_is_avx512_bf16_supported": False}, "bfloat16"),
        ({"_is_amx_tile_supported": False, "_is_avx512_bf16_supported": True}, "bfloat16"),
        ({"_is_amx_tile_supported": False, "_is_avx512_bf16_supported": False}, "float32"),
        ({"_is_avx512_bf16_supported": True}, "bfloat16"),
        ({"_is_amx_tile_supported": False}, "float32"),
        ({}, "float32"),
    ],
)
def test_a_cpu_trains_in_bfloat16_if_it_has_either_kind_of_instructions_for_it(
    flags: dict[str, bool], expected: str, make_network: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's answers stand in for processors, and an answer that is not there for another PyTorch."""
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    for name, value in flags.items():
        monkeypatch.setattr(torch.cpu, name, lambda value=value: value, raising=False)
    assert fast_precision(make_network(), CPU) == expected
    assert fast_precision(nn.Conv2d(8, 8, 3, groups=8), CPU) == "float32"


@pytest.mark.gpu
@pytest.mark.parametrize("execution", ["graph", "compiled"])
def test_on_cuda_the_captured_graph_learns_what_eager_steps_learn(
    execution: str, data: TrainingSet, run: Make, make_schedule: Make, make_network: Make
) -> None:
    """Without dropped blocks, whose draws differ between the two, the weights agree to rounding."""
    cuda = torch.device("cuda")
    resident = TrainingSet(data.images.to(cuda), data.rows, data.targets.to(cuda))
    noise = Noise(DRAWN, 8, DenseAugmenter(DRAWN, 8, cuda))
    one, other = (make_network(ModelNoise()).to(cuda) for _ in range(2))
    run(one, resident, make_schedule(160), noise=noise)
    run(other, resident, make_schedule(160, execution=execution), noise=noise)
    for (name, value), expected in zip(other.state_dict().items(), one.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-4, msg=name)
