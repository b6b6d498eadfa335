"""The speed measurements run: nothing here looks at a time."""

import importlib
import json
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.results.small import evaluated

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py") if "options_from" in path.read_text(encoding="utf-8"))
FULL_SETS = {"CIFAR-10-C": 19 * 5 * 10_000, "CIFAR-10-P": (18 * 31 + 21 + 16) * 10_000}
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def run(script: str, *arguments: str) -> str:
    """What a benchmark prints, run as a user runs it."""
    command = [sys.executable, str(FOLDER / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_answers_help(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(FOLDER / script), run_name="__main__")
    assert left.value.code == 0
    assert "--rounds" in capsys.readouterr().out


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_page_names_every_script(script: str) -> None:
    assert f"python benchmarks/{script}" in PAGE


def test_arithmetic_is_counted_as_the_measured_shares_assume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    flop = importlib.import_module("ceilings").training_flop
    assert [round(flop(depth) / 1e6) for depth in (20, 26, 32, 38)] == [242, 327, 412, 497]


def test_sides_are_measured_in_turn_and_compared_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    interleaved = importlib.import_module("interleaved")
    calls = []

    def side(name: str, speeds: list[float]) -> float:
        calls.append(name)
        return speeds[calls.count(name) - 1]

    sides = {"a": lambda: side("a", [10.0, 40.0, 30.0]), "b": lambda: side("b", [5.0, 10.0, 10.0])}
    readings = interleaved.interleave(sides, 3)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert interleaved.ratios(readings, "a", "b") == [2.0, 4.0, 3.0]
    assert interleaved.spread(readings["a"], ".0f") == "30 (10 to 40)"


def test_the_full_sets_have_as_many_images_as_the_published_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    full = importlib.import_module("published_evaluation").FULL
    assert {title: part.count for title, part in full.parts().items()} == FULL_SETS


def test_sides_that_predict_otherwise_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    check_equal = importlib.import_module("evaluation").check_equal
    one = {"fog": np.arange(2000).reshape(2, 1000) % 10, "snow": np.zeros(1000, np.uint8)}
    near, far = ({**one, "snow": np.where(np.arange(1000) < count, 1, 0)} for count in (3, 4))
    assert check_equal("ours and theirs", near, one).startswith("ours and theirs: 3 of 3,000 predictions differ")
    with pytest.raises(SystemExit, match="ours and theirs: 4 of 3,000 predictions differ"):
        check_equal("ours and theirs", far, one)


def test_folding_is_measured_on_both_sides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    few = ["--networks", "resnet8", "--batch", "4", "--rounds", "2", "--seconds", "0"]
    monkeypatch.setattr(sys, "argv", ["folding.py", *few, "--json", str(tmp_path / "folding.json")])
    importlib.import_module("folding").main()
    readings = json.loads((tmp_path / "folding.json").read_text(encoding="utf-8"))["readings"]
    assert {name: len(values) for name, values in readings.items()} == {"resnet8": 2, "resnet8, folded": 2}
    assert "| resnet8 |" in capsys.readouterr().out


def test_modules_that_stand_in_are_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    loop = importlib.import_module("robustbench_loop")
    with loop.standing_in({"json": ModuleType("json"), "not_installed": ModuleType("not_installed")}):
        assert importlib.import_module("json") is not json
        importlib.import_module("not_installed")
    assert importlib.import_module("json") is json
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("not_installed")


@pytest.mark.slow
@pytest.mark.cifar
def test_evaluation_is_measured_from_files_for_several_networks_and_for_generated_images(tmp_path: Path) -> None:
    few = ["--network", "resnet8", "--images", "4", "--rounds", "1", "--threads", "1", "--models", "2"]
    few += ["--corruptions", "fog", "--perturbations", "translate"]
    few += ["--data", os.environ["NSBENCH_TEST_CIFAR10"], "--json", str(tmp_path / "evaluation.json")]
    text = run("published_evaluation.py", *few, "--parts", "files", "models", "generated")
    parts = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))["readings"]
    assert {name: set(readings) - {"matmul"} for name, readings in parts.items()} == {
        "files": {"CIFAR-10-C, ours", "CIFAR-10-P, ours"},
        "models": {f"{images}, in one{each}" for images in ("from files", "generated") for each in ("", " each")},
        "generated": {"CIFAR-10-C", "CIFAR-10-P"},
    }
    assert all(len(values) == 1 and values[0] > 0 for readings in parts.values() for values in readings.values())
    assert "from files, network1 with others and alone: 0 of 84 predictions differ" in text
    (together,) = [line for line in text.splitlines() if "together" in line]
    seconds = sum(count / parts["generated"][title][0] for title, count in FULL_SETS.items())
    assert float(together.split(" | ")[4].split()[0]) == pytest.approx(seconds, abs=0.1)


@pytest.mark.slow
@pytest.mark.cifar
def test_robustbench_is_measured_on_the_same_images(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path)]
    subprocess.run([*pip, "robustbench==1.1.1"], check=True)
    (wheel,) = tmp_path.glob("robustbench-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "checkout")
    few = ["--corruptions", "contrast", "--network", "resnet8", "--images", "30", "--rounds", "1", "--threads", "1"]
    few += ["--data", os.environ["NSBENCH_TEST_CIFAR10"], "--json", str(tmp_path / "loop.json")]
    text = run("robustbench_loop.py", "--robustbench", str(tmp_path / "checkout"), *few)
    readings = json.loads((tmp_path / "loop.json").read_text(encoding="utf-8"))["readings"]
    assert readings.keys() == {"RobustBench", "ours", "matmul"}
    assert all(len(values) == 1 and values[0] > 0 for values in readings.values())
    assert "ours and RobustBench: 0 of 150 predictions differ" in text


@pytest.mark.slow
def test_input_noise_is_measured_for_every_side(tmp_path: Path) -> None:
    record = tmp_path / "noise.json"
    text = run("input_noise.py", "--rounds", "1", "--seconds", "0", "--batch", "8", "--json", str(record))
    readings = json.loads(record.read_text(encoding="utf-8"))["readings"]
    assert {"nsbench, grouped", "nsbench, dense", "torchvision v2, image by image, tensors"} <= set(readings)
    assert all(len(values) == 1 and values[0] > 0 for values in readings.values())
    assert "published, Pillow image by image | not measured" in text


@pytest.mark.slow
def test_the_shares_of_a_profiled_step_add_up_and_most_of_it_is_recognised_by_name() -> None:
    few = ["--network", "resnet8", "--steps", "2", "--batch", "8", "--rounds", "1", "--threads", "1"]
    rows = [line.split(" | ") for line in run("profile_step.py", *few).splitlines() if "% |" in line]
    shares = {row[0].strip("| "): float(row[1].strip("|% ")) for row in rows}
    assert sum(shares.values()) == pytest.approx(100, abs=0.5)
    assert shares["convolution, matrix product"] > 0
    assert shares["input noise"] > 0
    assert shares["other"] < 20


def test_alarms_of_masking_are_counted_over_draws_of_images_and_too_many_fail(tmp_path: Path) -> None:
    """One of 50 images has no gradient; among 25 drawn, two are a sign."""
    evaluated(tmp_path, {"one": 2.0, "two": 3.0}, None)
    command = [sys.executable, str(FOLDER / "masking_alarms.py"), str(tmp_path), "--draws", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert [row[1] for row in rows] == ["25", "50", "100", "200"] * 2
    assert [row[2] for row in rows] == ["3", "3", "3", "1"] * 2
    assert {row[5].partition(" ")[0] for row in rows} == {"none", "ZeroGradients"}
    flagged = sum(int(row[3]) for row in rows)
    assert done.stdout.endswith(f"{flagged} of 20 draws are flagged: {5 * flagged:.2f} %.\n")
    assert done.returncode == 1
