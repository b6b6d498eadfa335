"""Training: budget, schedule, order, and resuming to the bit."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from nsbench.cli.boundary import sentence_for
from nsbench.errors import UserError
from nsbench.networks.inference import predict_logits
from nsbench.noise.augment import Augmenter
from nsbench.noise.draws import InputNoise
from nsbench.progress import Reporter, Task
from nsbench.training.average import WeightAverage, share
from nsbench.training.selection import Examiners, HeldOut
from nsbench.training.step import Noise, TrainingSet
from nsbench.training.stream import order
from nsbench.training.trainer import train

Make = Callable[..., Any]
DRAWN = InputNoise(2, 9, 1, flip=True)
NOISE = Noise(DRAWN, 8, Augmenter(DRAWN, 8, torch.device("cpu")))


class Killer(Task):
    """A progress task that kills the training after some images."""

    limit = 0

    def advance(self, count: int) -> None:
        """Stop the training once enough images were seen."""
        super().advance(count)
        if self.done > self.limit:
            raise KeyboardInterrupt


def test_the_loss_falls_on_images_that_can_be_distinguished(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make
) -> None:
    history = run(make_network(), data, make_schedule(3000)).history
    assert history[-1].loss < 0.9 * history[0].loss
    assert history[-1].accuracy > 0.6 > history[0].accuracy


def test_the_same_plan_gives_the_same_weights_and_another_seed_others(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make, same: Make
) -> None:
    models = [make_network() for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        run(model, data, make_schedule(400, seed=seed))
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


@pytest.mark.parametrize(
    ("limit", "changed"),
    [
        (100, {"average_decay": 0.9}),
        (350, {"mixup_alpha": 1.0}),
        (500, {"selection": "best-validation"}),
        (1100, {"micro_batch": 5}),
    ],
)
def test_a_training_killed_at_any_step_resumes_to_the_same_weights_and_history(
    limit: int, changed: dict[str, Any], data: TrainingSet, run: Make, make_schedule: Make, make_network: Make,
    same: Make, tmp_path: Path,
) -> None:  # fmt: skip
    examiners = Examiners(held_out(data)) if "selection" in changed else Examiners()
    whole = make_network()
    outcome = run(whole, data, make_schedule(1200, **changed), examiners=examiners)
    how, state = make_schedule(1200, save_every=0, **changed), tmp_path / "state"
    killer = Killer(Reporter(quiet=True), "test", how.images, "images", None)
    killer.limit = limit
    with pytest.raises(KeyboardInterrupt):
        train(make_network(), data, NOISE, how, state, killer, examiners)
    assert state.is_file()
    resumed = make_network(seed=99)
    assert run(resumed, data, how, state, examiners=examiners) == outcome
    assert same(resumed, whole)


def test_a_state_is_saved_where_the_learning_rate_falls(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make, tmp_path: Path
) -> None:
    """However long the time between two saved states is: the last one left is that of the second milestone."""
    run(make_network(), data, make_schedule(1600), tmp_path / "state")
    with safe_open(tmp_path / "state", framework="pt") as file:
        assert file.metadata()["step"] == "75"


def held_out(data: TrainingSet) -> HeldOut:
    """The training images themselves, as an examiner sees them."""
    images = data.images.view(-1, 3, 8, 8).permute(0, 2, 3, 1).contiguous().numpy()
    return HeldOut(images, data.targets[:40].argmax(1).numpy(), 16)


def test_a_state_of_another_configuration_is_not_used(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make, same: Make, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    run(make_network(), data, make_schedule(400, save_every=0), state)
    assert state.is_file()
    other, fresh = make_network(), make_network()
    run(other, data, make_schedule(400, fingerprint="y"), state)
    run(fresh, data, make_schedule(400))
    assert same(other, fresh)


def test_a_damaged_state_is_not_used(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make, same: Make, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.write_bytes(b"not a state")
    other, fresh = make_network(), make_network()
    run(other, data, make_schedule(400), state)
    run(fresh, data, make_schedule(400))
    assert same(other, fresh)


def fails(*_: Any) -> Any:
    """The objective of a method that a user has written."""
    return {}["weight"]


def test_a_method_of_a_user_that_raises_is_a_sentence_with_its_place(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make
) -> None:
    with pytest.raises(KeyError) as raised:
        run(make_network(), data, make_schedule(400, objective=fails))
    sentence = sentence_for(raised.value)
    assert sentence is not None
    assert re.search(r"not part of nsbench failed \(test_trainer\.py, line \d+\): KeyError: 'weight'", sentence)


def test_the_budget_is_rounded_up_to_whole_batches(make_schedule: Make) -> None:
    assert (make_schedule(100).steps, make_schedule(100).images) == (7, 112)
    assert (make_schedule(96).steps, make_schedule(96).images) == (6, 96)


def test_a_segment_is_an_epoch_or_a_fiftieth_of_the_budget(make_schedule: Make) -> None:
    assert make_schedule(16_000).segment(31, 480) == range(30, 60)
    assert make_schedule(16_000).segment(999, 16) == range(980, 1000)
    assert make_schedule(16).segment(0, 16) == range(1)


def test_where_test_images_choose_the_weights_readings_come_after_every_epoch_as_in_the_study(
    make_schedule: Make,
) -> None:
    assert make_schedule(16_000).reading(999, 16) == range(980, 1000)
    schedule = make_schedule(16_000, selection="best-test")
    assert schedule.reading(999, 16) == range(999, 1000)
    assert schedule.reading(31, 480) == range(30, 60)
    assert schedule.block(999, 16) == make_schedule(16_000).block(999, 16)


@pytest.mark.slow
def test_reading_after_every_epoch_changes_no_draw(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make
) -> None:
    """Four hundred steps: an epoch has three, a segment eight, so that readings fall within blocks."""
    plain = run(make_network(), data, make_schedule(6400)).history
    examiners = Examiners(test=held_out(data))
    read = run(make_network(), data, make_schedule(6400, selection="best-test"), examiners=examiners).history
    assert (len(plain), len(read)) == (50, 134)
    losses = {point.images: point.loss for point in read}
    assert sum(point.loss * 8 for point in plain) == pytest.approx(
        sum(loss * 3 for loss in losses.values()) - 2 * losses[6400], rel=1e-4
    )


def test_blocks_cut_segments_the_same_way_wherever_one_asks(make_schedule: Make) -> None:
    schedule = make_schedule(
        16 * 10_000, batch_size=16
    )  # segments of 200 steps would be 50 of them; blocks hold 2,048 steps
    assert schedule.block(0, 16) == schedule.block(199, 16) == range(200)
    schedule = make_schedule(4096 * 1000, batch_size=4096)  # segments of 20 steps, blocks of 8
    assert [schedule.block(step, 1) for step in (0, 7, 8, 15, 16, 19, 20)] == [
        range(8), range(8), range(8, 16), range(8, 16), range(16, 20), range(16, 20), range(20, 28)
    ]  # fmt: skip


def test_the_learning_rate_falls_at_half_and_at_three_quarters(make_schedule: Make) -> None:
    how = make_schedule(1600)
    rates = [how.learning_rate(step) for step in range(how.steps)]
    assert rates == pytest.approx([0.05] * 50 + [0.005] * 25 + [0.0005] * 25)


def test_cosine_and_warm_up_are_the_formulas(make_schedule: Make) -> None:
    how = make_schedule(1600, learning_rate=0.4, schedule="cosine", warmup=0.1)
    rates = [how.learning_rate(step) for step in range(how.steps)]
    assert rates[:10] == pytest.approx([0.04 * (step + 1) for step in range(10)])
    assert rates[10:] == pytest.approx([0.2 * (1 + math.cos(math.pi * step / 90)) for step in range(90)])


def test_the_average_is_the_recursion_written_out(make_network: Make) -> None:
    model = make_network()
    average, name = WeightAverage(model), "linear.bias"
    expected = model.state_dict()[name].clone()
    for step in range(8):
        with torch.no_grad():
            model.linear.bias.add_(step + 1.0)
        average.update(model, torch.tensor(share(0.5, step)))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.state_dict()[name]
    average.put_into(model)
    assert torch.allclose(model.linear.bias, expected)
    assert model.norm.num_batches_tracked == 0


def test_the_average_is_what_is_kept(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make, same: Make
) -> None:
    last, averaged = make_network(), make_network()
    run(last, data, make_schedule(400))
    run(averaged, data, make_schedule(400, average_decay=0.9))
    assert not same(last, averaged)
    assert not averaged.training


def test_every_epoch_shows_every_image_once_wherever_it_is_cut() -> None:
    stream = order(41, 0, 41 * 5, (0, "x"))
    for epoch in range(5):
        assert sorted(stream[epoch * 41 : (epoch + 1) * 41].tolist()) == list(range(41))
    pieces = torch.cat([order(41, start, min(start + 16, 205), (0, "x")) for start in range(0, 205, 16)])
    assert torch.equal(pieces, stream)
    assert not torch.equal(stream[:41], stream[41:82])


def test_a_loss_that_is_not_finite_stops_with_the_remedy(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make
) -> None:
    broken = TrainingSet(data.images, data.rows, data.targets * float("nan"))
    with pytest.raises(UserError, match=r"The loss of test is nan after .* images: lower training.learning_rate"):
        run(make_network(), broken, make_schedule(400))


@pytest.mark.slow
def test_the_best_on_validation_is_kept_and_the_last_is_not_touched_by_looking(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make, same: Make
) -> None:
    plain, watched, best = make_network(), make_network(), make_network()
    examiners = Examiners(held_out(data))
    run(plain, data, make_schedule(3000))
    history = run(watched, data, make_schedule(3000), examiners=examiners).history
    assert same(plain, watched)
    scores = [point.validation_accuracy for point in history]
    assert run(best, data, make_schedule(3000, selection="best-validation"), examiners=examiners).history == history
    assert held_out(data).accuracy(best, torch.device("cpu")) == max(scores)


def test_the_weights_kept_are_those_of_the_first_best_reading(
    data: TrainingSet, run: Make, make_schedule: Make, make_network: Make, same: Make
) -> None:
    """Training that ends at the reading that was best gives the same weights.

    The labels of the examination are what the network says in the middle of its training: nothing later beats that.
    """
    middle, best, short = make_network(), make_network(), make_network()
    settings = {"milestones": (), "learning_rate": 0.3}
    run(middle, data, make_schedule(768, **settings))  # 48 steps: readings come after every three
    images = held_out(data).images
    said = predict_logits(middle, images, torch.device("cpu"), 16).argmax(1)
    examiners = Examiners(test=HeldOut(images, said, 16))
    history = run(best, data, make_schedule(1600, selection="best-test", **settings), examiners=examiners).history
    scores = [point.test_accuracy for point in history]
    first = history[scores.index(max(scores))]
    assert (max(scores), first != history[-1]) == (1, True)
    run(short, data, make_schedule(first.images, **settings))
    assert same(best, short)
    assert all(point.validation_accuracy is None for point in history)
