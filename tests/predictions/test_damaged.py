"""Stored predictions that are damaged count as missing, which is said; those that no model made are refused by name."""

import hashlib
import os
import shutil
from ast import literal_eval
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

import nsbench
from nsbench.errors import UserError
from nsbench.predictions.kinds import Arrays
from nsbench.predictions.sealed import PLACE, damage, sealed
from nsbench.predictions.store import Stored, load_labels, save_labels
from tests.conftest import Command, MadeOnce

CODE = """
import torch
from torch import nn

def network(seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(196, 10))

def other():
    return network(2)
"""
ON = "clean,digits-c,digits-p,fgsm"
SETTINGS = {
    "corruptions": "['contrast']",
    "perturbations": "['translate']",
    "corruption_images": "20",
    "perturbation_images": "6",
    "attack_images": "15",
    "fgsm_epsilons": "[0.0, 0.1]",
    "bootstrap_resamples": "100",
}
CELLS = ("clean", "fgsm", "corruption/contrast-3", "perturbation/translate")


def words(code: Path, out: Path) -> list[str]:
    """The evaluation as a command."""
    sources = [word for name in ("network", "other") for word in (f"{code}:{name}", "--name", name)]
    more = ["--inside", "--data-set", "digits", "--device", "cpu", "--out", str(out), "--on", ON]
    settings = (word for name, text in SETTINGS.items() for word in ("--set", f"evaluation.{name}={text}"))
    return ["evaluate", *sources, *more, *settings]


@pytest.fixture(scope="module")
def finished(made_once: MadeOnce) -> Path:
    """A finished evaluation of two models, and their code beside it; nobody writes to it."""

    def fill(folder: Path) -> None:
        folder.mkdir()
        (folder / "mine.py").write_text(CODE)
        models = {name: f"{folder / 'mine.py'}:{name}" for name in ("network", "other")}
        how: dict[str, Any] = {
            "data_set": "digits",
            "on": ON.split(","),
            "inside": True,
            "device": "cpu",
            "quiet": True,
        }
        nsbench.evaluate(models, folder / "out", **how, **{name: literal_eval(text) for name, text in SETTINGS.items()})

    return made_once("damaged", fill)


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that may be damaged."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def file_of(folder: Path, cell: str) -> Path:
    """The file of a cell of the first model, or of the labels."""
    name = "labels" if cell == "labels" else f"network/{cell}"
    return folder / "out" / "predictions" / f"{name}.safetensors"


def bytes_of(folder: Path) -> dict[str, bytes]:
    """All predictions."""
    found = (folder / "out" / "predictions").rglob("*.safetensors")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.is_file()}


def flip(path: Path, place: int) -> None:
    """Flip one bit; a negative place counts from the end."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def rewritten(path: Path, change: Callable[[Arrays], Arrays]) -> None:
    """Arrays changed by someone who seals the file again, with the same text."""
    origin = path.read_bytes()[PLACE + 65 :].split(b'"', 1)[0].decode()
    path.write_bytes(sealed(change(load_file(path)), origin))


def fifo(path: Path) -> None:
    """A pipe in the place of the file, which nobody writes to."""
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    """A link to itself."""
    path.unlink()
    path.symlink_to(path.name)


def unsealed(path: Path) -> None:
    """As an earlier version wrote it."""
    text = path.read_bytes()[PLACE + 65 :].split(b'"', 1)[0].decode()
    path.write_bytes(save(load_file(path), {"fingerprint and images": text}))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit of the last number": (partial(flip, place=-1), "its checksum is another"),
    "a bit of the fingerprint": (partial(flip, place=PLACE + 70), "its checksum is another"),
    "a bit of the checksum": (partial(flip, place=PLACE + 3), "its checksum is another"),
    "a bit of the header's length": (partial(flip, place=0), "its checksum is another"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "its checksum is another"),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"0"), "its checksum is another"),
    "empty": (lambda path: path.write_bytes(b""), "it has no checksum"),
    "of an earlier version": (unsealed, "it has no checksum"),
    "a pipe": (fifo, "it is no file"),
    "a link in a circle": (link, ""),
}
MORE: dict[str, tuple[Callable[[Path], object], str]] = {
    "fewer rows": (
        partial(rewritten, change=lambda arrays: {name: one[..., :3].copy() for name, one in arrays.items()}),
        "instead of",
    ),
    "another type": (
        partial(rewritten, change=lambda arrays: {name: one.astype(np.float64) for name, one in arrays.items()}),
        "instead of",
    ),
    "an array too many": (partial(rewritten, change=lambda arrays: arrays | {"more": np.zeros(3)}), "it has more too"),
    "no array": (partial(rewritten, change=lambda _: {}), "it has no "),
}


FAST = ("a bit of the last number", "a pipe", "fewer rows")
"""Tried in the fast suite too: each takes an evaluation."""


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in (*DAMAGES, *MORE)]
)
def test_a_damaged_cell_is_said_and_made_again_to_the_same_bytes(nsbench: Command, folder: Path, name: str) -> None:
    (harm, said), before = (DAMAGES | MORE)[name], bytes_of(folder)
    results = (folder / "out" / "results.json").read_bytes()
    harm(file_of(folder, "corruption/contrast-3"))
    again = nsbench(*words(folder / "mine.py", folder / "out"))
    assert again.returncode == 0, again.stderr
    if said:
        warning = "warning: predictions/network/corruption/contrast-3 is damaged ("
        (line,) = (line for line in again.stderr.splitlines() if line.startswith(warning))
        assert said in line
        assert line.endswith("): made again")
    assert "evaluate corruption: 20/20" in again.stderr
    assert bytes_of(folder) == before
    assert (folder / "out" / "results.json").read_bytes() == results


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", [*DAMAGES, *MORE])
def test_every_kind_of_cell_is_made_again(nsbench: Command, folder: Path, name: str, cell: str) -> None:
    before = bytes_of(folder)
    (DAMAGES | MORE)[name][0](file_of(folder, cell))
    assert nsbench(*words(folder / "mine.py", folder / "out")).returncode == 0
    assert bytes_of(folder) == before


@pytest.mark.slow
def test_many_damaged_cells_are_counted(nsbench: Command, folder: Path) -> None:
    before = bytes_of(folder)
    for severity in range(1, 6):
        unsealed(file_of(folder, f"corruption/contrast-{severity}"))
    again = nsbench(*words(folder / "mine.py", folder / "out"))
    assert again.stderr.count("contrast-1 is damaged (it has no checksum): made again") == 1
    assert "warning: 2 more cells of network are damaged: made again" in again.stderr
    assert bytes_of(folder) == before


@pytest.mark.slow
def test_damaged_labels_are_made_again(nsbench: Command, folder: Path) -> None:
    before = bytes_of(folder)
    flip(file_of(folder, "labels"), -1)
    assert nsbench(*words(folder / "mine.py", folder / "out")).returncode == 0
    assert bytes_of(folder) == before


@pytest.mark.parametrize("cell", ["clean", "labels"])
def test_a_folder_in_the_place_of_a_file_is_a_sentence_whose_remedy_works(
    nsbench: Command, folder: Path, cell: str
) -> None:
    path = file_of(folder, cell)
    path.unlink()
    (path / "mine").mkdir(parents=True)
    again = nsbench(*words(folder / "mine.py", folder / "out"))
    assert again.returncode == 2
    assert again.stderr.strip().endswith(
        f"{path} is a folder where a file belongs: delete it, and run the same command again."
    )
    shutil.rmtree(path)
    assert nsbench(*words(folder / "mine.py", folder / "out")).returncode == 0


CRAFTED: dict[str, tuple[str, Callable[[Arrays], Arrays], str]] = {
    "a class that does not exist": (
        "corruption/contrast-3",
        lambda arrays: arrays | {"predicted": np.full(20, 10, np.uint8)},
        "20 of its predicted classes are none of 0 to 9",
    ),
    "a confidence above 1": (
        "corruption/contrast-3",
        lambda arrays: arrays | {"confidence": np.full(20, 1.5, np.float32)},
        "20 of its confidences are outside [0.1, 1]",
    ),
    "a confidence of NaN": (
        "corruption/contrast-3",
        lambda arrays: arrays | {"confidence": np.full(20, np.nan, np.float32)},
        "20 of its confidences are outside [0.1, 1]",
    ),
    "one confidence below one of ten classes": (
        "corruption/contrast-3",
        lambda arrays: arrays | {"confidence": np.array([0.0999, *[0.1] * 19], np.float32)},
        "1 of its confidences is outside [0.1, 1]",
    ),
    "one logit beyond any": (
        "clean",
        lambda arrays: {
            "logits": arrays["logits"] + np.float32(1e38) * np.eye(*arrays["logits"].shape, k=9, dtype=np.float32)
        },
        "1 of its logits is NaN, infinite or beyond 1e+30",
    ),
    "logits of another type": (
        "clean",
        lambda arrays: {"logits": arrays["logits"].astype(np.float64)},
        "its logits are float64 (500, 10) instead of float32 (500, 10)",
    ),
    "logits of NaN": (
        "clean",
        lambda arrays: {"logits": arrays["logits"] * np.float32(np.nan)},
        "its logits are NaN, infinite or beyond 1e+30",
    ),
    "infinite logits": (
        "fgsm",
        lambda arrays: arrays | {"logits": arrays["logits"] / 0},
        "its logits are NaN, infinite or beyond 1e+30",
    ),
    "other classes": ("clean", lambda arrays: {"logits": arrays["logits"][:, :9].copy()}, ", 9) instead of float32 ("),
    "fewer images": ("clean", lambda arrays: {"logits": arrays["logits"][:9]}, "(9, 10) instead of float32 ("),
    "fewer strengths": (
        "fgsm",
        lambda arrays: arrays | {"logits": arrays["logits"][:1]},
        "(1, 15, 10) instead of float32 (2, 15, 10)",
    ),
    "fewer frames": (
        "perturbation/translate",
        lambda arrays: {"predicted": arrays["predicted"][:, :9].copy()},
        "(6, 9) instead of uint8 (6, 16)",
    ),
    "no zero gradients": ("fgsm", lambda arrays: {"logits": arrays["logits"]}, "it has no zero_gradient"),
    "truth that is neither": (
        "fgsm",
        lambda arrays: arrays | {"zero_gradient": np.full(15, 2, np.uint8).view(np.bool_)},
        "15 of its values of zero_gradient are neither true nor false",
    ),
    "nothing": ("clean", lambda _: {}, "it has no logits"),
}


def refused(nsbench: Command, folder: Path) -> str:
    """The sentence with which the two models are not compared."""
    found = nsbench("compare", f"{folder / 'out'}:network", f"{folder / 'out'}:other")
    assert (found.returncode, found.stdout) == (2, ""), found.stderr
    (line,) = found.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("name", CRAFTED)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_sealed_cell_that_no_model_made_is_never_a_number(nsbench: Command, folder: Path, name: str) -> None:
    cell, change, said = CRAFTED[name]
    rewritten(file_of(folder, cell), change)
    line = refused(nsbench, folder)
    assert f"network: the predictions for {cell} cannot be used (" in line
    assert said in line
    assert line.endswith("run the same `nsbench evaluate` again.")


@pytest.mark.slow
@pytest.mark.parametrize("name", CRAFTED)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_sealed_cell_that_no_model_made_is_made_again(nsbench: Command, folder: Path, name: str) -> None:
    cell, change, _ = CRAFTED[name]
    before = bytes_of(folder)
    rewritten(file_of(folder, cell), change)
    assert nsbench(*words(folder / "mine.py", folder / "out")).returncode == 0
    assert bytes_of(folder) == before


@pytest.mark.parametrize("name", [name for name, (_, said) in DAMAGES.items() if said])
def test_damage_is_named_where_predictions_are_only_read(nsbench: Command, folder: Path, name: str) -> None:
    harm, said = DAMAGES[name]
    harm(file_of(folder, "clean"))
    assert said in refused(nsbench, folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda labels: labels | {"test": labels["test"] + 9}, "does not hold labels of 10 classes"),
        (lambda labels: labels | {"test": -labels["test"]}, "does not hold labels of 10 classes"),
        (lambda labels: labels | {"test": labels["test"].astype(np.float32)}, "does not hold labels of 10 classes"),
        (lambda labels: labels | {"test": labels["test"][:, None]}, "does not hold labels of 10 classes"),
        (lambda labels: {"test": labels["test"]}, "does not hold labels of 10 classes"),
        (lambda labels: labels | {"test": labels["test"][:-1]}, "instead of float32 ("),
    ],
)
def test_labels_that_do_not_fit_are_never_a_number(
    nsbench: Command, folder: Path, change: Callable[[Arrays], Arrays], said: str
) -> None:
    rewritten(file_of(folder, "labels"), change)
    assert said in refused(nsbench, folder)


@pytest.mark.parametrize("name", ["../other", "/etc", "a//b", "a/../../b", ".", "", "a\nb", "a\\b", "a\0b"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be part of a path"):
        Stored(tmp_path, name)
    with pytest.raises(UserError, match="cannot be part of a path"):
        Stored(tmp_path, "own").path(name)


def test_the_checksum_is_that_of_the_file_with_zeros_in_its_place(finished: Path) -> None:
    for path in (finished / "out" / "predictions").rglob("*.safetensors"):
        content = path.read_bytes()
        zeros = content[:PLACE] + b"0" * 64 + content[PLACE + 64 :]
        assert content[PLACE : PLACE + 64].decode() == hashlib.sha256(zeros).hexdigest()


def test_no_byte_of_a_file_can_change_unseen(finished: Path, tmp_path: Path) -> None:
    whole = file_of(finished, "corruption/contrast-3").read_bytes()
    path = tmp_path / "cell"
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        assert damage(path) is not None, place


def test_the_cells_of_a_folder_are_listed_and_each_is_good(finished: Path) -> None:
    stored = Stored(finished / "out", "network")
    assert set(CELLS) < set(stored.cells())
    rows = {"clean": len(load_labels(finished / "out", 10)[0]), "fgsm": 15, "perturbation/translate": 6}
    assert {cell: stored.fault(cell, rows.get(cell, 20), 10) for cell in stored.cells()} == dict.fromkeys(
        stored.cells()
    )


def test_what_a_killed_process_left_of_the_labels_is_cleaned_away(tmp_path: Path) -> None:
    left = tmp_path / "predictions" / ".labels.safetensors.abcd1234.nsbench.tmp"
    left.parent.mkdir()
    left.write_bytes(b"half")
    save_labels(tmp_path, np.zeros(3, np.int64), np.zeros(0, np.int64))
    assert [path.name for path in left.parent.iterdir()] == ["labels.safetensors"]
