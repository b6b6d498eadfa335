"""Several processes that generate into one folder: each array is made once, and the folder is that of one process."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nsbench.claims import CLAIMS, Claims
from nsbench.corruptions.generate import Request, generate
from nsbench.data.npy.folder import DESCRIPTION
from nsbench.progress import Reporter

Command = Callable[..., "subprocess.CompletedProcess[str]"]
NAMES = ("gaussian_noise", "fog", "contrast", "brightness", "jpeg_compression", "pixelate")
LIMIT = 60


def make(folder: Path, names: tuple[str, ...] = NAMES, limit: int = LIMIT) -> int:
    return generate("digits-c", Request(names, limit=limit), folder, None, torch.device("cpu"), Reporter(quiet=True))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def command(folder: Path) -> "subprocess.Popen[str]":
    asked = ["--limit", str(LIMIT), "--corruptions", ",".join(NAMES), "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-m", "nsbench", "data", "generate", "digits-c", "--out", str(folder), *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_array_that_is_damaged_is_made_again_and_that_is_said(tmp_path: Path, nsbench: Command) -> None:
    make(tmp_path, ("fog", "contrast"), 7)
    whole = contents(tmp_path)
    (tmp_path / "fog.npy").write_bytes(whole["fog.npy"][:-1] + bytes([whole["fog.npy"][-1] ^ 1]))
    generating = ("data", "generate", "digits-c", "--out", str(tmp_path), "--limit", "7", "--device", "cpu")
    done = nsbench(*generating, "--corruptions", "fog,contrast", "--quiet")
    assert (done.returncode, done.stdout.split()[0]) == (0, "1")
    assert "fog.npy is not as it was made (its SHA-256 differs): it is made again" in done.stderr
    assert contents(tmp_path) == whole


def test_labels_that_are_missing_are_written_again(tmp_path: Path) -> None:
    make(tmp_path, ("fog",), 7)
    whole = contents(tmp_path)
    (tmp_path / "labels.npy").unlink()
    assert make(tmp_path, ("fog",), 7) == 0
    assert contents(tmp_path) == whole


def test_claims_are_no_part_of_the_set(tmp_path: Path, nsbench: Command) -> None:
    folder = tmp_path / "CIFAR-10-C"
    make(folder, ("fog",), 7)
    with Claims(folder).joined(), Claims(folder).hold("fog.npy"):
        done = nsbench("data", "verify", "cifar10-c", "--data", str(tmp_path), "--quiet")
    assert done.returncode == 0
    assert CLAIMS not in done.stdout


def test_the_last_to_leave_a_folder_removes_the_claims(tmp_path: Path) -> None:
    (tmp_path / "fog.npy").touch()
    with Claims(tmp_path).joined():
        with Claims(tmp_path).joined(), Claims(tmp_path).hold("fog.npy"):
            pass
        assert (tmp_path / CLAIMS / "fog.npy.lock").exists()
    assert contents(tmp_path) == {"fog.npy": b""}


def test_what_is_not_a_claim_stays_in_the_folder_of_claims(tmp_path: Path) -> None:
    (tmp_path / CLAIMS).mkdir()
    (tmp_path / CLAIMS / "mine").touch()
    with Claims(tmp_path).joined(), Claims(tmp_path).hold("fog.npy"):
        pass
    assert [path.name for path in (tmp_path / CLAIMS).iterdir()] == ["mine"]


@pytest.mark.slow
def test_three_processes_share_the_arrays_and_leave_the_bytes_of_one(tmp_path: Path) -> None:
    workers = [command(tmp_path / "shared") for _ in range(3)]
    said = [one.communicate(timeout=300) for one in workers]
    assert [one.returncode for one in workers] == [0, 0, 0], said
    assert sum(int(out.split()[0]) for out, _ in said) == len(NAMES)
    make(tmp_path / "alone")
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")


HANGS = """
import sys, time
from pathlib import Path
import torch
from nsbench.corruptions import files
from nsbench.corruptions.generate import Request, generate
from nsbench.progress import Reporter

whole = files.corrupt

def corrupt(images, name, *positional, **named):
    if name == "fog":
        print("in fog", flush=True)
        time.sleep(600)
    return whole(images, name, *positional, **named)

files.corrupt = corrupt
request = Request(names=tuple(sys.argv[2].split(",")), limit=int(sys.argv[3]))
generate("digits-c", request, Path(sys.argv[1]), None, torch.device("cpu"), Reporter(quiet=True))
"""


@pytest.mark.slow
def test_the_array_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "CIFAR-10-C"
    arguments = [str(folder), ",".join(NAMES), str(LIMIT)]
    doomed = subprocess.Popen([sys.executable, "-c", HANGS, *arguments], stdout=subprocess.PIPE, text=True)
    assert doomed.stdout is not None
    assert doomed.stdout.readline() == "in fog\n"
    heir = command(folder)
    deadline = time.monotonic() + 120
    while len(described(folder)) < len(NAMES) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "fog.npy" not in described(folder)  # the only one that is left, and a living process makes it
    doomed.send_signal(signal.SIGKILL)
    doomed.communicate(timeout=60)
    said = heir.communicate(timeout=120)
    assert heir.returncode == 0, said
    assert "fog.npy: another process makes it, waiting" in said[1]
    make(tmp_path / "alone")
    assert contents(folder) == contents(tmp_path / "alone")


def described(folder: Path) -> dict[str, str]:
    files: dict[str, str] = json.loads((folder / DESCRIPTION).read_text())["files"]
    return files
