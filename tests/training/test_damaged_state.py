"""A training that was saved and is not as it was written begins again, says so, and ends in the same bytes."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from nsbench.training import state as states
from nsbench.training.learner import Learner
from nsbench.training.selection import Best
from nsbench.training.state import load_state
from nsbench.training.step import Step, TrainingSet
from tests.training.conftest import GROUPED

Make = Callable[..., Any]
Change = Callable[[dict[str, Tensor], dict[str, str]], None]


@dataclass
class Saved:
    """A saved training, and what it would be loaded into."""

    path: Path
    schedule: Any
    network: Any
    step: Step

    def load(self) -> tuple[int, list[str]]:
        """The step that a training would begin with, and the warnings."""
        warnings: list[str] = []
        return load_state(self.path, self.schedule, self.step, warnings.append).step, warnings

    def rewrite(self, change: Change, *, sealed: bool) -> None:
        """Change the file; with a checksum that fits if it is sealed, as whoever crafts it would."""
        with safe_open(self.path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        change(tensors, metadata)
        if sealed:
            metadata["sha256"] = states._checksum(tensors, metadata)
        save_file(tensors, self.path, metadata)


@pytest.fixture
def saved(data: TrainingSet, run: Make, make_schedule: Make, make_network: Make, tmp_path: Path) -> Saved:
    """Saved at step 24 of 25, and a fresh network that looks otherwise."""
    how, path = make_schedule(400, save_every=0), tmp_path / "training.safetensors"
    run(make_network(), data, how, path)
    network = make_network(seed=5)
    return Saved(path, how, network, Step(Learner(network, how), data, GROUPED))


def test_a_saved_training_that_is_whole_is_continued_without_a_word(saved: Saved) -> None:
    assert saved.load() == (24, [])


def assert_begins_again(saved: Saved) -> None:
    """Nothing of the file has touched the network, and one warning names the file."""
    before = {name: value.clone() for name, value in saved.step.tensors().items()}
    step, warnings = saved.load()
    assert (step, len(warnings)) == (0, 1)
    assert f"{saved.path} is damaged" in warnings[0]
    assert warnings[0].endswith("training begins again.")
    assert all(torch.equal(value, before[name]) for name, value in saved.step.tensors().items())


@pytest.mark.parametrize("share", [0.0001, 0.02, 0.3, 0.6, 0.9, 0.9999])
def test_a_saved_training_with_one_flipped_bit_anywhere_begins_again(saved: Saved, share: float) -> None:
    content = bytearray(saved.path.read_bytes())
    content[int(share * len(content))] ^= 1
    saved.path.write_bytes(content)
    assert_begins_again(saved)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_saved_training_that_is_cut_off_begins_again(saved: Saved, share: float) -> None:
    content = saved.path.read_bytes()
    saved.path.write_bytes(content[: int(share * len(content))])
    assert_begins_again(saved)


def put(name: str, value: Tensor | None) -> Change:
    """Give a tensor another value; None takes it away."""

    def change(tensors: dict[str, Tensor], _: dict[str, str]) -> None:
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value

    return change


def say(**metadata: str) -> Change:
    """Have the metadata say something else."""
    return lambda _, found: found.update(metadata)


DEEP = "[" * 100_000
POINT = {"images": 16, "learning_rate": 0.1, "loss": 1.0, "accuracy": 0.5}
CRAFTED = {
    "a tensor is missing": put("network.linear.bias", None),
    "a tensor has another shape": put("network.linear.bias", torch.zeros(4)),
    "a tensor has another type": put("network.linear.bias", torch.zeros(3, dtype=torch.float64)),
    "there is a tensor too many": put("network.other", torch.zeros(3)),
    "a weight is NaN": put("network.linear.bias", torch.full((3,), math.nan)),
    "best weights are not this network's": put("best.linear.bias", torch.zeros(3)),
    "a step is beyond the budget": say(step="25"),
    "a step is negative": say(step="-1"),
    "a step is no number": say(step="x"),
    "a step has too many digits": say(step="9" * 5000),
    "a micro-batch is 0": say(micro_batch="0"),
    "the history is deep": say(history=DEEP),
    "the history is no list": say(history="{}"),
    "the history has another field": say(history=json.dumps([POINT | {"x": 1}])),
    "the history has NaN": say(history='[{"images": 16, "learning_rate": 0.1, "loss": NaN, "accuracy": 0.5}]'),
    "the history is of other images": say(history=json.dumps([POINT | {"images": 10**6}])),
    "the score is NaN": say(best_score="nan"),
    "there is a score without best weights": say(best_score="0.5"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_a_saved_training_that_cannot_be_this_ones_begins_again_even_under_the_right_checksum(
    saved: Saved, case: str
) -> None:
    saved.rewrite(CRAFTED[case], sealed=True)
    assert_begins_again(saved)


@pytest.mark.parametrize("change", [say(step="23"), say(fingerprint="y"), put("network.linear.bias", torch.ones(3))])
def test_a_saved_training_that_was_edited_without_its_checksum_begins_again(saved: Saved, change: Change) -> None:
    saved.rewrite(change, sealed=False)
    assert_begins_again(saved)


def test_a_training_whose_saved_state_was_damaged_ends_in_the_same_weights(
    saved: Saved, data: TrainingSet, run: Make, make_network: Make, same: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    saved.rewrite(put("momentum.linear.bias", torch.ones(3)), sealed=False)
    other, fresh = make_network(), make_network()
    run(other, data, saved.schedule, saved.path)
    run(fresh, data, saved.schedule)
    assert same(other, fresh)
    assert capsys.readouterr().err.count("training begins again") == 1


def test_a_folder_in_place_of_a_saved_training_is_the_operating_systems_sentence(saved: Saved) -> None:
    saved.path.unlink()
    saved.path.mkdir()
    with pytest.raises(IsADirectoryError):
        saved.load()


def test_best_weights_come_back_with_their_score(saved: Saved, make_network: Make) -> None:
    best = Best()
    best.consider(0.5, make_network(seed=3))
    states.save_state(saved.path, saved.schedule.fingerprint, saved.step, states.Progress(3, [], best))
    found = load_state(saved.path, saved.schedule, saved.step, pytest.fail).best
    assert found.score == 0.5
    assert all(torch.equal(value, best.state[name]) for name, value in found.state.items())
    assert found.state.keys() == best.state.keys()
