"""Weights of a user's: what is understood, what is refused, and that no code of theirs runs."""

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nsbench.models.subject import Subject

One = Callable[..., Subject]
Refusal = Callable[..., str]
Logits = Callable[[Subject, Tensor], Tensor]


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        OrderedDict,
        lambda state: {"state_dict": state, "best_prec1": 91.7, "epoch": 3},
        lambda state: {"model": prefixed(state, "module.")},
        lambda state: {"net": prefixed(state, "_orig_mod.module."), "acc": torch.tensor(0.9)},
        lambda state: prefixed(state, "module._orig_mod."),
        lambda state: {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")},
    ],
    ids=["bare", "ordered", "state_dict", "model and module", "net and both", "both the other way", "no counters"],
)
def test_the_usual_wrappers_are_taken_off(
    wrap: Callable[[dict[str, Tensor]], object],
    nets: Path,
    tmp_path: Path,
    small: nn.Module,
    pixels: Tensor,
    one: One,
    logits: Logits,
) -> None:
    torch.save(wrap(small.state_dict()), tmp_path / "weights.th")
    subject = one(f"{nets}:small", weights=str(tmp_path / "weights.th"))
    torch.testing.assert_close(logits(subject, pixels), small(pixels))


def test_safetensors_are_read(
    nets: Path, tmp_path: Path, small: nn.Module, pixels: Tensor, one: One, logits: Logits
) -> None:
    save_file(small.state_dict(), tmp_path / "w.safetensors")
    subject = one(f"{nets}:small", weights=str(tmp_path / "w.safetensors"))
    torch.testing.assert_close(logits(subject, pixels), small(pixels))


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_file_that_needs_unpickling_is_refused_and_none_of_its_code_runs(
    nets: Path, tmp_path: Path, small: nn.Module, refusal: Refusal
) -> None:
    marker, file = tmp_path / "marker", tmp_path / "w.pt"
    torch.save({"state_dict": small.state_dict(), "args": Evil(marker)}, file)
    stated = refusal(f"{nets}:small", weights=str(file))
    assert not marker.exists()
    assert f"{file} holds more than tensors (posix.mkdir) and was not opened" in stated
    assert "safetensors.torch.save_file" in stated
    torch.load(file, weights_only=False)
    assert marker.exists(), "the file does run code where it is allowed to"


def test_the_suggested_conversion_makes_a_file_that_is_read(
    nets: Path, tmp_path: Path, small: nn.Module, pixels: Tensor, one: One, logits: Logits, refusal: Refusal
) -> None:
    file = tmp_path / "w.pt"
    torch.save({"state_dict": small.state_dict(), "acc": np.float64(0.9)}, file)
    refusal(f"{nets}:small", weights=str(file))
    save_file(torch.load(file, weights_only=False)["state_dict"], tmp_path / "NEW.safetensors")
    subject = one(f"{nets}:small", weights=str(tmp_path / "NEW.safetensors"))
    torch.testing.assert_close(logits(subject, pixels), small(pixels))


def test_a_plain_pickle_is_refused_unread(nets: Path, tmp_path: Path, refusal: Refusal) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "w.pt").write_bytes(pickle.dumps(Evil(marker)))
    assert "was not opened" in refusal(f"{nets}:small", weights=str(tmp_path / "w.pt"))
    assert not marker.exists()


def test_what_does_not_fit_is_counted_and_the_first_of_each_kind_named(
    nets: Path, tmp_path: Path, small: nn.Module, refusal: Refusal
) -> None:
    state = small.state_dict()
    del state["0.weight"], state["0.bias"]
    state["5.weight"] = torch.zeros(100, 4)
    state["9.weight"] = torch.zeros(1)
    torch.save({"model": state}, tmp_path / "w.pt")
    stated = refusal(f"{nets}:small", weights=str(tmp_path / "w.pt"))
    assert f"{tmp_path / 'w.pt'}, 'model' has 2 tensors of the network absent from it (first 0.weight)" in stated
    assert "1 tensor unknown to the network (first 9.weight)" in stated
    assert "1 tensor of another shape (first 5.weight: (100, 4), in the network (10, 4))" in stated


@pytest.mark.parametrize(
    ("name", "content", "stated"),
    [
        ("w.pt", b"nonsense", "was not opened"),
        ("w.pt", b"PK\x03\x04nonsense", "is damaged, or is not a state dict that torch.save wrote"),
        ("w.safetensors", b"nonsense", "is damaged or is not a safetensors file"),
    ],
)
def test_a_damaged_file_is_reported(
    nets: Path, tmp_path: Path, name: str, content: bytes, stated: str, refusal: Refusal
) -> None:
    (tmp_path / name).write_bytes(content)
    assert stated in refusal(f"{nets}:small", weights=str(tmp_path / name))


@pytest.mark.parametrize(
    ("content", "stated"),
    [
        ({"epoch": 3}, "holds no state dict"),
        ({}, "holds no state dict"),
        (torch.zeros(3), "holds no state dict"),
        ({"net": {"a": torch.zeros(1)}, "model": {"a": torch.zeros(1)}}, "several state dicts (model, net)"),
    ],
)
def test_a_file_without_one_state_dict_is_reported(
    nets: Path, tmp_path: Path, content: object, stated: str, refusal: Refusal
) -> None:
    torch.save(content, tmp_path / "w.pt")
    assert stated in refusal(f"{nets}:small", weights=str(tmp_path / "w.pt"))


def test_missing_weights_are_reported(nets: Path, refusal: Refusal) -> None:
    assert "no.pt does not exist" in refusal(f"{nets}:small", weights="no.pt")


def test_weights_named_as_the_model_are_reported(tmp_path: Path, refusal: Refusal) -> None:
    assert "is a file of weights, not a model" in refusal(tmp_path / "w.safetensors")
