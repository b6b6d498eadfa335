"""The speed measurements run: nothing here looks at a time."""

import importlib
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py") if "options_from" in path.read_text(encoding="utf-8"))
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
def test_the_page_tells_of_every_script(script: str) -> None:
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


@pytest.mark.slow
def test_input_noise_is_measured_for_every_side(tmp_path: Path) -> None:
    record = tmp_path / "noise.json"
    text = run("input_noise.py", "--rounds", "1", "--seconds", "0", "--batch", "8", "--json", str(record))
    readings = json.loads(record.read_text(encoding="utf-8"))["readings"]
    assert {"nsbench, grouped", "nsbench, dense", "torchvision v2, image by image, tensors"} <= set(readings)
    assert all(len(values) == 1 and values[0] > 0 for values in readings.values())
    assert "published, Pillow image by image | not measured" in text


@pytest.mark.slow
def test_the_shares_of_a_profiled_step_add_up_and_most_of_it_is_told_by_name() -> None:
    few = ["--network", "resnet8", "--steps", "2", "--batch", "8", "--rounds", "1", "--threads", "1"]
    rows = [line.split(" | ") for line in run("profile_step.py", *few).splitlines() if "% |" in line]
    shares = {row[0].strip("| "): float(row[1].strip("|% ")) for row in rows}
    assert sum(shares.values()) == pytest.approx(100, abs=0.5)
    assert shares["convolution, matrix product"] > 0
    assert shares["input noise"] > 0
    assert shares["other"] < 20
