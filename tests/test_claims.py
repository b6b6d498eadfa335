"""Several processes on one folder: each unit is done once, and what a dead one held is taken over."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nsbench.claims import Claims
from nsbench.errors import UserError

Command = Callable[..., "subprocess.CompletedProcess[str]"]

WORKER = """
import sys, time
from dataclasses import dataclass
from pathlib import Path
from nsbench.claims import Claims, work_off

folder = Path(sys.argv[1])

@dataclass(frozen=True)
class Unit:
    name: str
    needs: str = ""

    def done(self):
        return (folder / self.name).exists()

    def ready(self):
        return not self.needs or (folder / self.needs).exists()

    def do(self):
        with (folder / "log").open("a") as log:
            log.write(f"{self.name}\\n")
        (folder / f"{self.name}.begun").touch()
        time.sleep(float(sys.argv[2]))
        (folder / self.name).touch()

units = [Unit(f"first{number}") for number in range(3)] + [Unit("last", needs="first2")]
work_off(units, Claims(folder), lambda unit: print(unit, flush=True))
"""


def worker(folder: Path, seconds: float) -> "subprocess.Popen[str]":
    """A process that does three units and one that needs the third."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True
    )


def appears(path: Path, seconds: float = 60) -> bool:
    """Whether a file is there within some time."""
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    return path.exists()


def test_three_processes_do_each_unit_once(tmp_path: Path) -> None:
    workers = [worker(tmp_path, 0.3) for _ in range(3)]
    for one in workers:
        one.communicate(timeout=60)
    assert [one.returncode for one in workers] == [0, 0, 0]
    assert sorted((tmp_path / "log").read_text().split()) == ["first0", "first1", "first2", "last"]


def test_the_unit_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    doomed = worker(tmp_path, 600)
    assert appears(tmp_path / "first0.begun")
    heir = worker(tmp_path, 0)
    assert heir.stdout is not None
    assert heir.stdout.readline() == "first0\n"  # all else is done, and this is waited for
    assert (tmp_path / "last").exists()
    assert not (tmp_path / "first0").exists()
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.communicate(timeout=60)
    assert doomed.returncode == -signal.SIGKILL
    heir.communicate(timeout=60)
    assert heir.returncode == 0
    assert (tmp_path / "log").read_text().split().count("first0") == 2


def test_a_claim_is_exclusive_and_given_back_when_work_fails(tmp_path: Path) -> None:
    claims, others = Claims(tmp_path), Claims(tmp_path)
    with claims.take("cell fog/3") as mine, others.take("cell fog/3") as theirs, others.take("cell fog/4") as other:
        assert (mine, theirs, other) == (True, False, True)
    with pytest.raises(ZeroDivisionError), claims.take("cell fog/3"):
        raise ZeroDivisionError
    with others.take("cell fog/3") as theirs:
        assert theirs


def test_a_folder_that_cannot_be_made_is_a_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="a file stands where a folder is needed"):
        Claims(tmp_path / "file").hold("unit").__enter__()


def test_a_link_in_the_place_of_the_claims_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.claims").symlink_to(tmp_path / "own")
    with pytest.raises(UserError, match="is a link: delete it"):
        Claims(tmp_path / "run").hold("unit").__enter__()
    with pytest.raises(UserError, match=r"\.claims cannot be written"):
        Claims(tmp_path / "run").joined().__enter__()
    assert not list((tmp_path / "own").iterdir())


def run(arguments: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-m", "nsbench", *arguments], stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_commands_on_one_run_folder_share_the_work_and_give_the_same_bytes(
    tiny_arguments: list[str], tiny_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    first, second = (run([*tiny_arguments, "--out", str(folder)]) for _ in range(2))
    errors = [process.communicate(timeout=300)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), errors
    for file in ("results.json", "metrics.csv", "report/index.html", "plan.json"):
        assert (folder / file).read_bytes() == (tiny_run / file).read_bytes(), file
    for name in (labels["folder"] for labels in json.loads((folder / "plan.json").read_text())["networks"]):
        trained = [text for text in errors if f"{name_of(folder, name)}: needs about" in text]
        assert len(trained) == 1, f"{name} was trained by {len(trained)} processes"
    assert sum("\nmeasure\n" in text for text in errors) == 1
    assert len(json.loads((folder / "environment.json").read_text())["sessions"]) == 2
    assert not list(folder.rglob("*.tmp"))


def name_of(folder: Path, network: str) -> str:
    """The labels of a network's folder."""
    (found,) = (one for one in json.loads((folder / "plan.json").read_text())["networks"] if one["folder"] == network)
    return f"{found['study']}/seed{found['seed']}/gen{found['generation']}-{found['network']}"


@pytest.mark.slow
def test_a_second_command_takes_over_what_a_killed_one_was_training(
    tiny_arguments: list[str], tiny_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    arguments = [*tiny_arguments, "--out", str(folder), "--save-every", "0"]
    doomed = run(arguments)
    deadline = time.monotonic() + 120
    while not list(folder.glob("networks/*/training.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.005)
    heir = run(arguments)
    time.sleep(3)
    doomed.kill()
    doomed.communicate(timeout=60)
    errors = heir.communicate(timeout=300)[1]
    assert heir.returncode == 0, errors
    assert (folder / "results.json").read_bytes() == (tiny_run / "results.json").read_bytes()
    assert not list(folder.rglob("training.safetensors"))
