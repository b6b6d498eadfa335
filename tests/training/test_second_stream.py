"""Methods that look twice, see unlabelled images beside their batch, make targets in the step, or ask the average."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from nsbench.networks.classifier import Classifier
from nsbench.noise.augment import Augmenter
from nsbench.noise.dense import DenseAugmenter
from nsbench.noise.draws import InputNoise
from nsbench.training.learner import Learner
from nsbench.training.objectives import Batch, Networks
from nsbench.training.schedule import SecondStream
from nsbench.training.step import Noise, Step, TrainingSet
from nsbench.training.stream import draw_block

Make = Callable[..., Any]
CPU = torch.device("cpu")
WEAK, STRONG = InputNoise(0, 0, 1, flip=True), InputNoise(2, 9, 1, flip=True)
SECOND = SecondStream(ratio=2, views=(WEAK, STRONG))


def confident_targets(networks: Networks, batch: Batch) -> tuple[Tensor, Tensor]:
    """FixMatch (arXiv:2001.07685): the weak view's class is the strong view's target where the network is confident."""
    logits = networks.student(batch.images)
    weak, strong = batch.views
    with torch.no_grad():
        confidence, classes = networks.student(weak).softmax(1).max(1)
    losses = cross_entropy(networks.student(strong), classes, reduction="none") * (confidence > 0.4)
    return cross_entropy(logits, batch.targets) + losses.mean(), logits


def averages_word(networks: Networks, batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean teacher (arXiv:1703.01780): the student agrees with the average of its weights on another view."""
    logits = networks.student(batch.images)
    one, other = batch.views
    consistency = mse_loss(networks.student(other).softmax(1), networks.average(one).softmax(1))
    return cross_entropy(logits, batch.targets) + consistency, logits


OBJECTIVES = {"targets made in the step": confident_targets, "the average asked": averages_word}


def views(augmenter: Callable[..., Any]) -> tuple[Noise, ...]:
    return tuple(Noise(noise, 8, augmenter(noise, 8, CPU)) for noise in SECOND.views)


@pytest.fixture
def half(data: TrainingSet) -> TrainingSet:
    """The data with labels for the first images alone; the rest is the second stream."""
    return replace(data, rows=data.rows[:12], targets=data.targets[:12], unlabeled=torch.arange(12, 40))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_such_a_method_is_captured_and_resumed_like_any_other(
    name: str, half: TrainingSet, run: Make, make_schedule: Make, make_network: Make, same: Make
) -> None:
    changed = {"objective": OBJECTIVES[name], "second": SECOND, "average_decay": 0.9}
    eager, captured = make_network(), make_network()
    expected = run(eager, half, make_schedule(320, **changed), views=views(Augmenter))
    found = run(captured, half, make_schedule(320, execution="graph", **changed), views=views(DenseAugmenter))
    assert found == expected
    assert same(eager, captured)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_such_a_method_reads_nothing_from_the_host(
    name: str, half: TrainingSet, make_schedule: Make, make_network: Make
) -> None:
    meta = torch.device("meta")
    changed = {"objective": OBJECTIVES[name], "second": SECOND, "average_decay": 0.9, "precision": "float32"}
    schedule, network = make_schedule(160, **changed), make_network().to(meta)
    learner = Learner(network, schedule)
    learner.optimizer.step = lambda: None  # type: ignore[method-assign, assignment]  # torch's SGD has no meta kernel
    resident = replace(half, images=half.images.to(meta), targets=half.targets.to(meta))
    noise, *looks = (Noise(one, 8, DenseAugmenter(one, 8, meta)) for one in (STRONG, *SECOND.views))
    step = Step(learner, resident, noise, tuple(looks))
    block = draw_block(schedule, half.rows, STRONG, range(schedule.steps), half.unlabeled).map(lambda one: one.to(meta))
    step(block.gather(torch.zeros(1, dtype=torch.int64, device=meta)))
    assert step.loss.device == meta


def test_the_views_show_the_same_unlabelled_images_under_draws_of_their_own(
    half: TrainingSet, make_schedule: Make, make_network: Make
) -> None:
    still = InputNoise(0, 0, 0, flip=False)
    second = SecondStream(ratio=2, views=(still, STRONG, STRONG))
    schedule = make_schedule(64, second=second)
    block = draw_block(schedule, half.rows, STRONG, range(schedule.steps), half.unlabeled)
    assert block.unlabeled.shape == (4, 32)
    assert int(block.unlabeled.min()) >= 12
    looks = tuple(Noise(one, 8, Augmenter(one, 8, CPU)) for one in second.views)
    step = Step(Learner(make_network(), schedule), half, Noise(STRONG, 8, Augmenter(STRONG, 8, CPU)), looks)
    plain, one, other = step.batch(block.at(0)).views
    assert torch.equal((plain * 255).round().to(torch.uint8).flatten(2), half.images[block.unlabeled[0]])
    assert not torch.equal(one, other)


def test_a_second_stream_leaves_what_the_first_draws_as_it_is(half: TrainingSet, make_schedule: Make) -> None:
    steps = range(4)
    without = draw_block(make_schedule(64), half.rows, STRONG, steps)
    beside = draw_block(make_schedule(64, second=SECOND), half.rows, STRONG, steps, half.unlabeled)
    assert all(torch.equal(one, other) for one, other in zip(without[:-2], beside[:-2], strict=True))
    assert without.unlabeled.shape == (4, 0)


def test_the_average_answers_in_evaluation_mode_with_the_averaged_weights(
    make_schedule: Make, make_network: Make
) -> None:
    network: Classifier = make_network()
    learner = Learner(network, make_schedule(64, average_decay=0.9, precision="float32"))
    images = torch.rand(6, 3, 8, 8)
    before = learner.average_logits(images)
    with torch.no_grad():
        network.linear.bias += 1
    assert torch.equal(learner.average_logits(images), before)
    assert learner.average is not None
    learner.average.update(network, torch.tensor(1.0))
    after = learner.average_logits(images)
    torch.testing.assert_close(after, before + 1)
    with learner.as_kept() as kept:
        torch.testing.assert_close(kept(images), after)


def test_parts_of_a_batch_take_their_share_of_the_views() -> None:
    batch = Batch(torch.arange(6), torch.arange(6), None, (torch.arange(12), torch.arange(12)))
    parts = [batch.part(start, min(start + 4, 6)) for start in (0, 4)]
    assert [len(part.images) for part in parts] == [4, 2]
    assert torch.cat([part.views[1] for part in parts]).tolist() == list(range(12))
