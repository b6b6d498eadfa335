"""Training: budget, schedule, order, and resuming to the bit."""

import math
from pathlib import Path

import pytest
import torch

from nsbench.config.schema import TrainingConfig
from nsbench.errors import UserError
from nsbench.networks.names import parse_network_name
from nsbench.networks.resnet import ModelNoise, ResNet
from nsbench.noise.augment import Augmenter
from nsbench.noise.draws import InputNoise
from nsbench.progress import Reporter, Task
from nsbench.training.average import WeightAverage
from nsbench.training.trainer import Plan, Point, TrainingSet, _order, train

CPU = torch.device("cpu")
SETTINGS = TrainingConfig(batch_size=16, learning_rate=0.05)


def plan(budget: int, *, save_every: float = 1e9, settings: TrainingConfig = SETTINGS, fingerprint: str = "x") -> Plan:
    return Plan(budget, settings, (0, "test"), fingerprint, save_every)


def network() -> ResNet:
    torch.manual_seed(0)
    noise = ModelNoise(dropout=0.3, survival=0.5)
    return ResNet(parse_network_name("resnet8-w0.125"), 3, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), noise)


@pytest.fixture
def data() -> TrainingSet:
    """Forty 8x8 images of three classes that differ in brightness, one image twice."""
    torch.manual_seed(1)
    classes = torch.arange(40) % 3
    images = (torch.randint(0, 80, (40, 3, 64)) + 80 * classes[:, None, None]).to(torch.uint8)
    rows = torch.cat([torch.arange(40), torch.tensor([0])])
    return TrainingSet(images, rows, torch.nn.functional.one_hot(classes[rows], 3).float())


def run(model: ResNet, data: TrainingSet, how: Plan, state: Path) -> list[Point]:
    augment = Augmenter(InputNoise(2, 9, 1, flip=True), 8, CPU)
    with Reporter(quiet=True).task("test", how.images) as task:
        return train(model, data, augment, how, state, task)


class Killer(Task):
    """A progress task that kills the training after some images."""

    limit = 0

    def advance(self, count: int) -> None:
        """Stop the training once enough images were seen."""
        super().advance(count)
        if self.done > self.limit:
            raise KeyboardInterrupt


def same(one: ResNet, two: ResNet) -> bool:
    return all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())


def test_the_loss_falls_on_images_that_can_be_told_apart(data: TrainingSet, tmp_path: Path) -> None:
    history = run(network(), data, plan(3000), tmp_path / "state")
    assert history[-1].loss < 0.9 * history[0].loss
    assert history[-1].accuracy > 0.6 > history[0].accuracy


def test_the_same_plan_gives_the_same_weights_and_another_seed_others(data: TrainingSet, tmp_path: Path) -> None:
    models = [network() for _ in range(3)]
    run(models[0], data, plan(400), tmp_path / "a")
    run(models[1], data, plan(400), tmp_path / "b")
    run(models[2], data, Plan(400, SETTINGS, (1, "test"), "x", 1e9), tmp_path / "c")
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


@pytest.mark.parametrize(("limit", "mixup", "decay"), [(100, 0.0, 0.9), (500, 1.0, 0.0), (1100, 0.0, 0.0)])
def test_a_killed_training_resumes_to_the_same_weights_and_history(
    limit: int, mixup: float, decay: float, data: TrainingSet, tmp_path: Path
) -> None:
    whole, settings = network(), SETTINGS.model_copy(update={"average_decay": decay})
    history = run(whole, data, Plan(1200, settings, (0, "test"), "x", 1e9, mixup), tmp_path / "whole")
    state = tmp_path / "state"
    reporter, how = Reporter(quiet=True), Plan(1200, settings, (0, "test"), "x", 0, mixup)
    killer = Killer(reporter, "test", how.images, "images", None)
    killer.limit = limit
    with pytest.raises(KeyboardInterrupt):
        train(network(), data, Augmenter(InputNoise(2, 9, 1, flip=True), 8, CPU), how, state, killer)
    assert state.is_file()
    torch.manual_seed(99)
    resumed = ResNet(parse_network_name("resnet8-w0.125"), 3, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), ModelNoise(0.3, 0.5))
    assert run(resumed, data, how, state) == history
    assert same(resumed, whole)


def test_a_state_of_another_configuration_is_not_used(data: TrainingSet, tmp_path: Path) -> None:
    state = tmp_path / "state"
    run(network(), data, plan(400, save_every=0), state)
    assert state.is_file()
    other, fresh = network(), network()
    run(other, data, plan(400, fingerprint="y"), state)
    run(fresh, data, plan(400), tmp_path / "none")
    assert same(other, fresh)


def test_a_damaged_state_is_not_used(data: TrainingSet, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_bytes(b"not a state")
    other, fresh = network(), network()
    run(other, data, plan(400), state)
    run(fresh, data, plan(400), tmp_path / "none")
    assert same(other, fresh)


def test_the_budget_is_rounded_up_to_whole_batches() -> None:
    assert (plan(100).steps, plan(100).images) == (7, 112)
    assert (plan(96).steps, plan(96).images) == (6, 96)


def test_a_segment_is_an_epoch_or_a_fiftieth_of_the_budget() -> None:
    assert plan(16_000).segment_steps(480) == 30
    assert plan(16_000).segment_steps(16) == 20
    assert plan(16).segment_steps(16) == 1


def test_the_learning_rate_falls_at_half_and_at_three_quarters() -> None:
    how = plan(1600)
    rates = [how.learning_rate(step) for step in range(how.steps)]
    assert rates == pytest.approx([0.05] * 50 + [0.005] * 25 + [0.0005] * 25)


def test_cosine_and_warm_up_are_the_formulas() -> None:
    how = plan(1600, settings=TrainingConfig(batch_size=16, learning_rate=0.4, schedule="cosine", warmup=0.1))
    rates = [how.learning_rate(step) for step in range(how.steps)]
    assert rates[:10] == pytest.approx([0.04 * (step + 1) for step in range(10)])
    assert rates[10:] == pytest.approx([0.2 * (1 + math.cos(math.pi * step / 90)) for step in range(90)])


def test_nesterov_momentum_changes_the_weights(data: TrainingSet, tmp_path: Path) -> None:
    plain, ahead = network(), network()
    run(plain, data, plan(200), tmp_path / "a")
    run(ahead, data, plan(200, settings=SETTINGS.model_copy(update={"nesterov": True})), tmp_path / "b")
    assert not same(plain, ahead)


def test_the_average_is_the_recursion_written_out() -> None:
    model = network()
    average, name = WeightAverage(model, 0.5), "linear.bias"
    expected = model.state_dict()[name].clone()
    for step in range(8):
        with torch.no_grad():
            model.linear.bias.add_(step + 1.0)
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.state_dict()[name]
    average.put_into(model)
    assert torch.allclose(model.linear.bias, expected)
    assert model.norm.num_batches_tracked == 0


def test_the_average_is_what_is_kept(data: TrainingSet, tmp_path: Path) -> None:
    last, averaged = network(), network()
    run(last, data, plan(400), tmp_path / "a")
    run(averaged, data, plan(400, settings=SETTINGS.model_copy(update={"average_decay": 0.9})), tmp_path / "b")
    assert not same(last, averaged)
    assert not averaged.training


def test_every_epoch_shows_every_image_once_wherever_it_is_cut() -> None:
    stream = _order(41, 0, 41 * 5, (0, "x"))
    for epoch in range(5):
        assert sorted(stream[epoch * 41 : (epoch + 1) * 41].tolist()) == list(range(41))
    pieces = torch.cat([_order(41, start, min(start + 16, 205), (0, "x")) for start in range(0, 205, 16)])
    assert torch.equal(pieces, stream)
    assert not torch.equal(stream[:41], stream[41:82])


def test_a_loss_that_is_not_finite_stops_with_the_remedy(data: TrainingSet, tmp_path: Path) -> None:
    broken = TrainingSet(data.images, data.rows, data.targets * float("nan"))
    with pytest.raises(UserError, match=r"The loss of test is nan after .* images: lower training.learning_rate"):
        run(network(), broken, plan(400), tmp_path / "state")
