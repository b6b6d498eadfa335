"""A run that is killed at any moment continues and ends as if it had not been."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
BASELINE = "supervised/seed0/gen0-resnet8-w0.25"
MOMENTS = {
    "in the teacher's training": "networks/resnet8-w0.125-supervised-*/training.safetensors",
    "after the teacher": "networks/resnet8-w0.125-supervised-*/checkpoint.json",
    "in a student's training": "networks/resnet8-w0.25-noisy-student-*/training.safetensors",
    "between weights and description": "networks/resnet8-w0.25-supervised-*/weights.safetensors",
    "in the evaluation": f"predictions/{BASELINE}/clean.safetensors",
    "before the results": f"predictions/{BASELINE}/perturbation/translate.safetensors",
    "before the report": "results.json",
}


def kill_when_it_appears(arguments: list[str], folder: Path, pattern: str) -> bool:
    """SIGKILL the command as soon as a file of that pattern exists in the folder; False when it ended first."""
    process = subprocess.Popen([sys.executable, "-m", "nsbench", *arguments], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any(folder.glob(pattern)):
            os.kill(process.pid, signal.SIGKILL)
            return process.wait() == -signal.SIGKILL
        time.sleep(0.001)
    process.kill()
    process.wait()
    return False


def continues(arguments: list[str], nsbench: Command, folder: Path, moment: str, expected: Path) -> None:
    arguments = [*arguments, "--save-every", "0", "--out", str(folder)]
    assert kill_when_it_appears(arguments, folder, MOMENTS[moment]), f"was not killed {moment}"
    outcome = nsbench(*arguments)
    assert outcome.returncode == 0, outcome.stderr
    assert (folder / "results.json").read_bytes() == (expected / "results.json").read_bytes()
    assert (folder / "report" / "index.html").read_bytes() == (expected / "report" / "index.html").read_bytes()
    assert not list(folder.rglob("*.tmp"))
    assert not list(folder.rglob("training.safetensors"))


def test_a_run_killed_in_training_continues_to_the_same_results(
    nsbench: Command, tiny_arguments: list[str], tiny_run: Path, tmp_path: Path
) -> None:
    continues(tiny_arguments, nsbench, tmp_path / "run", "in a student's training", tiny_run)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [moment for moment in MOMENTS if moment != "in a student's training"])
def test_a_run_killed_at_any_moment_continues_to_the_same_results(
    moment: str, nsbench: Command, tiny_arguments: list[str], tiny_run: Path, tmp_path: Path
) -> None:
    continues(tiny_arguments, nsbench, tmp_path / "run", moment, tiny_run)


@pytest.mark.slow
def test_control_c_says_how_to_continue(tiny_arguments: list[str], tmp_path: Path) -> None:
    arguments = [*tiny_arguments, "--out", str(tmp_path / "run"), "--save-every", "0"]
    process = subprocess.Popen([sys.executable, "-m", "nsbench", *arguments], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list((tmp_path / "run").rglob("training.safetensors")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1] == "interrupted: run the same command again to continue"
    assert "Traceback" not in errors
