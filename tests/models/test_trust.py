"""What runs as code: what the user named, and what files hold or name where `--trust-code` says so."""

import contextlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nsbench.api import evaluate
from nsbench.config.places import seen_from
from nsbench.config.request import EvaluationRequest
from nsbench.config.resolve import to_toml
from nsbench.config.survey import ModelConfig, SurveyConfig
from nsbench.config.trust import NOTHING, Trust
from nsbench.errors import UserError
from nsbench.models.open import open_models
from nsbench.models.subject import Subject
from tests.conftest import Command

One = Callable[..., Subject]
NAMED = Trust(named=True)
ARGUMENTS = ("--data-set", "digits", "--device", "cpu", "--on", "clean", "--quiet")
EVIL = "import pathlib\npathlib.Path({marker!r}).mkdir()\nimport torch\ndef net():\n    return torch.nn.Flatten()\n"


def with_guards(program: Path, path: Path, marker: Path) -> Path:
    """A copy of an exported program with a guard that makes a folder."""
    with zipfile.ZipFile(program) as archive:
        records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    model = json.loads(records["models/model.json"])
    model["guards_code"] = [f"(__import__('os').makedirs({str(marker)!r}, exist_ok=True), True)[1]"]
    records["models/model.json"] = json.dumps(model).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"net/{name}", content)
    return path


@pytest.mark.slow
def test_a_program_whose_guards_hold_code_writes_nothing_unless_code_is_trusted(
    nsbench: Command, program: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    path = with_guards(program, tmp_path / "net.pt2", marker)
    outcome = nsbench("evaluate", str(path), "--inside", *ARGUMENTS, "--out", str(tmp_path / "out"))
    assert outcome.returncode == 2, outcome.stderr
    assert f"{path} can hold code, as every .pt2 can, and nothing of it was read: add --trust-code" in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 1
    assert not marker.exists()
    with contextlib.suppress(Exception):  # whatever torch says of the guard after it has run
        torch.export.load(path).module()(torch.zeros(2, 3, 32, 32))
    assert marker.exists(), "torch does run the code"


def test_a_program_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt2")
    (tmp_path / "net.pt2").write_bytes(b"nonsense")
    for name, stated in (("net.pt2", "nothing of it was read"), ("pipe.pt2", "is not a regular file")):
        with pytest.raises(UserError, match=stated):
            open_models([ModelConfig(source=str(tmp_path / name), inside=True)], trust=NAMED)


def test_python_asks_for_trust_in_programs_too(program: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"can hold code, as every \.pt2 can"):
        evaluate({"net": str(program)}, tmp_path / "out", inside=True, data_set="digits", on=["clean"], quiet=True)


@pytest.mark.parametrize("source", ["{folder}/evil.py:net", "evil.py:net", "evil:net", "torchhub:{folder}:net"])
@pytest.mark.parametrize("place", ["models.toml", "strangers/config.toml"])
def test_code_that_a_file_names_is_not_imported_unless_it_is_trusted(
    nsbench: Command, tmp_path: Path, source: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, listing = tmp_path / "marker", tmp_path / place
    listing.parent.mkdir(exist_ok=True)
    for name in ("evil.py", "hubconf.py"):
        for folder in {tmp_path, listing.parent}:
            (folder / name).write_text(EVIL.format(marker=str(marker)))
    source = source.format(folder=listing.parent)
    listing.write_text(f"trust_code = true\n[[models]]\nsource = {source!r}\ninside = true\n")
    monkeypatch.chdir(listing.parent)
    named = listing if listing.name == "models.toml" else listing.parent
    outcome = nsbench("evaluate", str(named), *ARGUMENTS, "--out", str(tmp_path / "out"))
    assert outcome.returncode == 2, outcome.stderr
    assert "trust_code" in outcome.stderr, "trust is not read from a file"
    listing.write_text(f"[[models]]\nsource = {source!r}\ninside = true\n")
    outcome = nsbench("evaluate", str(named), *ARGUMENTS, "--out", str(tmp_path / "out"))
    assert outcome.returncode == 2, outcome.stderr
    assert "is Python code that a file names, not you, and nothing of it was read: add --trust-code" in outcome.stderr
    assert not marker.exists()
    trusted = nsbench("evaluate", str(named), *ARGUMENTS, "--out", str(tmp_path / "out"), "--trust-code")
    assert "--trust-code" not in trusted.stderr
    assert marker.exists()


def test_libraries_and_data_need_no_trust(tmp_path: Path) -> None:
    for source, stated in (
        ("torchvision:resnet18", "has random weights"),
        ("timm:resnet18", "has random weights"),
        (str(tmp_path), "is neither a run folder"),
    ):
        with pytest.raises(UserError, match=stated):
            open_models([ModelConfig(source=source)], trust=NOTHING)


LISTED = """
[[models]]
source = "nets/mine.py:net"
weights = "w.pt"
inside = true
[evaluation]
corruptions = []
perturbations = []
fgsm_epsilons = []
calibration = false
bootstrap_resamples = 100
"""
MINE = "import torch\n\ndef net():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))\n"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder with a listing, the code it names, and weights."""
    (tmp_path / "project" / "nets").mkdir(parents=True)
    (tmp_path / "project" / "nets" / "mine.py").write_text(MINE)
    state = {"1.weight": torch.full((10, 3072), 0.01), "1.bias": torch.arange(10.0)}
    torch.save(state, tmp_path / "project" / "w.pt")
    (tmp_path / "project" / "models.toml").write_text(LISTED)
    return tmp_path / "project"


@pytest.mark.slow
def test_an_evaluation_is_repeated_from_any_folder_and_holds_no_path_of_the_machine_in_its_results(
    nsbench: Command, listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    made = nsbench("evaluate", "../project/models.toml", *ARGUMENTS, "--trust-code", "--out", "../project/out")
    assert made.returncode == 0, made.stderr
    first, configuration = ((listed / "out" / name).read_bytes() for name in ("results.json", "config.toml"))
    assert b'source = "../nets/mine.py:net"' in configuration
    assert str(tmp_path).encode() not in first + configuration
    assert b"trust" not in configuration
    for folder in (tmp_path, listed, listed / "out"):
        monkeypatch.chdir(folder)
        again = nsbench("evaluate", os.path.relpath(listed / "out"), "--device", "cpu", "--quiet", "--trust-code")
        assert again.returncode == 0, again.stderr
        assert (listed / "out" / "results.json").read_bytes() == first
        assert (listed / "out" / "config.toml").read_bytes() == configuration


@pytest.mark.parametrize("out", ["project/out", "elsewhere/far/out", "link/out"])
def test_every_form_of_a_source_leads_to_the_same_place_from_any_folder(
    listed: Path, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("run", "hub", "../elsewhere/far", "../deep/down"):
        (listed / folder).mkdir(parents=True)
    (listed / "run" / "plan.json").touch()
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "down")
    paths = ("nets/mine.py:net", "run", "run/hard/seed0/gen1-resnet8", "w.onnx", "../project/nets/mine.py:net")
    names = ("timm:resnet18", "torchvision:resnet18", "torchhub:owner/name:net", "package.module:net")
    models = tuple(ModelConfig(source=source, weights="w.pt") for source in (*paths, "torchhub:hub:net", *names))
    monkeypatch.chdir(listed)
    folder = tmp_path / out
    folder.mkdir()
    (folder / "config.toml").write_text(to_toml(seen_from(SurveyConfig(models=models), folder)))
    for here in (tmp_path, folder, tmp_path / "elsewhere"):
        monkeypatch.chdir(here)
        found = EvaluationRequest(models=(os.path.relpath(folder.resolve()),)).configuration(folder).models
        assert [one.source for one in found[6:]] == list(names)
        assert {os.path.realpath(one.weights) for one in found} == {str(listed / "w.pt")}
        places = [os.path.realpath(one.source.partition(":")[0]) for one in found[:5]]
        assert places == [os.path.realpath(listed / path.partition(":")[0]) for path in paths]
        assert os.path.realpath(found[5].source.removeprefix("torchhub:").removesuffix(":net")) == str(listed / "hub")


@pytest.mark.slow
def test_a_model_far_from_the_folder_is_written_with_its_whole_path(
    nsbench: Command, listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(listed)
    out = tmp_path / "far" / "away" / "out"
    words = ["evaluate", "nets/mine.py:net", "--weights", "w.pt", "--inside", *ARGUMENTS, "--out", str(out)]
    assert nsbench(*words).returncode == 0
    assert f'source = "{listed}/nets/mine.py:net"' in (out / "config.toml").read_text()
    monkeypatch.chdir(tmp_path)
    again = nsbench("evaluate", str(out), "--device", "cpu", "--quiet", "--trust-code")
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_a_path_of_an_earlier_listing_is_found_in_the_current_folder_and_never_confused(
    nsbench: Command, listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lists").mkdir()
    listing = (listed / "models.toml").rename(tmp_path / "lists" / "models.toml")
    words = ("evaluate", str(listing), *ARGUMENTS, "--trust-code", "--out", str(tmp_path / "out"))
    monkeypatch.chdir(listed)
    found = nsbench(*words)
    assert found.returncode == 0, found.stderr
    (tmp_path / "lists" / "w.pt").write_bytes((listed / "w.pt").read_bytes())
    confused = nsbench(*words)
    assert confused.returncode == 2
    assert "names w.pt, which is one thing beside that file and another in the current folder" in confused.stderr
