"""Damaged weights, training states and checkpoints are refused in one sentence or change nothing."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from nsbench.checkpoints.initialise import initialise
from nsbench.noise.augment import Augmenter
from nsbench.noise.draws import InputNoise
from nsbench.progress import Reporter, Task
from nsbench.training.schedule import Schedule
from nsbench.training.step import Noise, TrainingSet
from nsbench.training.trainer import train
from tests.conftest import Command
from tests.fuzz.damage import Change, places
from tests.fuzz.judge import Tally, Unsound, Workshop, answered, profile, ran
from tests.fuzz.test_predictions import Damage, damage, damaged
from tests.fuzz.test_records import damage as damage_record
from tests.fuzz.test_records import damaged as record_changes
from tests.training.conftest import build_schedule, build_tiny_network

pytestmark = [pytest.mark.slow, pytest.mark.training]

Record = Callable[[str, object], None]
Classifier = torch.nn.Module
PREDICTION = "run/predictions/hard/seed0/gen1-resnet8-w0.125/clean.safetensors"
DRAWN = InputNoise(2, 9, 1, flip=True)
NOISE = Noise(DRAWN, 8, Augmenter(DRAWN, 8, torch.device("cpu")))


def test_damaged_checkpoints_are_refused_in_one_sentence_or_give_the_same_predictions(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("checkpoints, evaluate")
    weights = [name for name in workshop.names("run/networks/") if "noisy-student" in name]
    words = ["evaluate", str(workshop.base / "run"), "--device", "cpu", "--quiet"]

    @profile(0.03)
    @given(places, damage, record_changes)
    def case(which: int, done: Damage, changed: list[Change]) -> None:
        name = weights[which % len(weights)]
        described = name.endswith(".json")
        with tally.case(name, changed if described else done) as came, workshop.case("run/"):
            if described:
                damage_record(workshop, name, changed)
            else:
                workshop.write(name, damaged(workshop.original(name), done))
            (workshop.base / PREDICTION).unlink()
            if ran(nsbench, *words) is None:
                came("refused")
                return
            touched = set(workshop.changed()) - {"run/environment.json"}
            if touched:
                raise Unsound(f"other bytes: {sorted(touched)}")
            came("the same")

    case()
    tally.close(record_property)


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_damaged_state_dicts_are_refused_in_one_sentence_or_copied(
    ending: str, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally(f"checkpoints, state dict .{ending}")
    source, wanted = build_tiny_network(seed=1).state_dict(), build_tiny_network()
    buffer = io.BytesIO()
    torch.save(dict(source), buffer)
    content = buffer.getvalue() if ending == "pt" else save(dict(source))
    path = workshop.base / f"outside/x/weights.{ending}"

    @profile(0.04)
    @given(damage)
    def case(done: Damage) -> None:
        with tally.case(done) as came, workshop.case("nothing"):
            workshop.write(f"outside/x/weights.{ending}", damaged(content, done if ending == "safetensors" else ("bytes", _bytes_of(done))))
            came("refused" if answered(initialise, wanted, path) is None else "copied")

    case()
    tally.close(record_property)


def test_a_damaged_training_state_is_said_and_the_training_ends_with_the_same_weights(
    workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("checkpoints, training.safetensors")
    schedule, path = build_schedule(96, save_every=0), workshop.base / "outside" / "x" / "training.safetensors"
    whole = build_tiny_network()
    _trained(whole, schedule, workshop.base / "unused")
    with pytest.raises(KeyboardInterrupt):
        _trained(build_tiny_network(), schedule, path, stop=48)
    content = path.read_bytes()
    path.unlink()
    (workshop.base / "unused").unlink(missing_ok=True)

    @profile(0.03)
    @given(damage)
    def case(done: Damage) -> None:
        with tally.case(done) as came, workshop.case("outside/x/training.safetensors"):
            path.write_bytes(damaged(content, done))
            network = build_tiny_network()
            if answered(_trained, network, schedule, path) is None:
                came("refused")
                return
            if not _same(network, whole):
                raise Unsound("other weights")
            came("the same weights")

    case()
    tally.close(record_property)


class _Stopped(Task):
    """Progress that interrupts the training after some images."""

    limit = 10**9

    def advance(self, count: int) -> None:
        """Stop once enough images were seen."""
        super().advance(count)
        if self.done > self.limit:
            raise KeyboardInterrupt


def _trained(network: Classifier, schedule: Schedule, state: Path, stop: int = 10**9) -> bool:
    task = _Stopped(Reporter(quiet=True), "test", schedule.images, "images", None)
    task.limit = stop
    train(network, _data(), NOISE, schedule, state, task)
    return True


def _data() -> TrainingSet:
    """Forty 8x8 images of three classes."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (40, 3, 64), generator=generator).to(torch.uint8)
    return TrainingSet(images, torch.arange(40), torch.nn.functional.one_hot(torch.arange(40) % 3, 3).float())


def _same(one: Classifier, two: Classifier) -> bool:
    return all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())


def _bytes_of(done: Damage) -> list[Change]:
    """Changes of bytes, whatever family was drawn."""
    return done[1] if done[0] == "bytes" else [Change("flip", one.place, one.other, b"") for one in done[1]]
