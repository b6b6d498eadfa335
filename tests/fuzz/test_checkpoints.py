"""Damaged weights, training states and checkpoints are refused in one sentence or change nothing."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from nsbench.checkpoints.initialise import initialise
from nsbench.checkpoints.store import sha256
from nsbench.models.weights import open_weights
from nsbench.noise.augment import Augmenter
from nsbench.noise.draws import InputNoise
from nsbench.progress import Reporter, Task
from nsbench.training.schedule import Schedule
from nsbench.training.step import Noise, TrainingSet
from nsbench.training.trainer import train
from tests.conftest import Command
from tests.fuzz.damage import ARRAYS, TREE, Change, aimed, changes, in_tree, json_bytes, places
from tests.fuzz.judge import Tally, UnsoundError, Workshop, answered, profile, ran
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

    @profile(0.015)
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
                raise UnsoundError(f"other bytes: {sorted(touched)}")
            came("the same")

    case()
    tally.close(record_property)


def test_a_strangers_checkpoint_is_refused_in_one_sentence_or_measured_in_the_folder_that_was_named(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    """Its description is changed and says nothing of a checksum, or its weights are, and their checksum is right."""
    tally = Tally("checkpoints, a stranger's")
    strange = workshop.base / "strange"
    shutil.copytree(next((workshop.base / "run" / "networks").glob("*noisy-student*")), strange)
    made = Workshop(workshop.base)
    words = ["evaluate", str(strange), "--data-set", "digits", "--on", "clean", "--device", "cpu", "--quiet"]
    words += ["--out", str(workshop.base / "out")]

    @profile(0.01)
    @given(changes(TREE), changes(ARRAYS, most=2), st.booleans())
    def case(described: list[Change], weighed: list[Change], in_weights: bool) -> None:
        with tally.case(weighed if in_weights else described) as came, made.case("out/"):
            tree, weights = json.loads(made.original("strange/checkpoint.json")), "strange/weights.safetensors"
            if in_weights:
                made.write(weights, damaged(made.original(weights), ("arrays", weighed)))
                tree["record"]["weights_sha256"] = sha256(made.base / weights)
            else:
                for change in described:
                    tree = in_tree(tree, change)
            if isinstance(tree, dict):
                tree.pop("checksum", None)
            made.write("strange/checkpoint.json", json_bytes(aimed(tree, str(made.outside))))
            came("refused" if ran(nsbench, *words) is None else "measured")

    try:
        case()
    finally:
        shutil.rmtree(strange)
    tally.close(record_property)


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_damaged_state_dicts_are_refused_in_one_sentence_or_copied(
    ending: str, workshop: Workshop, record_property: Record
) -> None:
    """Into a network of ours that training starts from, and into one of a user's that is measured."""
    tally = Tally(f"checkpoints, state dict .{ending}")
    source, wanted = dict(build_tiny_network(seed=1).state_dict()), build_tiny_network()
    buffer = io.BytesIO()
    torch.save(source, buffer)
    content = buffer.getvalue() if ending == "pt" else save(source)
    name = f"outside/x/weights.{ending}"

    @profile(0.06)
    @given(damage, st.booleans())
    def case(done: Damage, to_train: bool) -> None:
        with tally.case(done, to_train) as came, workshop.case("nothing"):
            workshop.write(name, damaged(content, done if ending == "safetensors" else ("bytes", _bytes_of(done))))
            copy = initialise if to_train else _measured
            came("refused" if answered(copy, wanted, workshop.base / name) is None else "copied")

    case()
    tally.close(record_property)


def _measured(network: Classifier, file: Path) -> bool:
    weights = open_weights(str(file))
    assert weights is not None
    weights.into(network)
    return True


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

    @profile(0.02)
    @given(damage)
    def case(done: Damage) -> None:
        with tally.case(done) as came, workshop.case("outside/x/training.safetensors"):
            path.write_bytes(damaged(content, done))
            network = build_tiny_network()
            if answered(_trained, network, schedule, path) is None:
                raise UnsoundError("refused, although it can begin again")
            if not _same(network, whole):
                raise UnsoundError("other weights")
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
