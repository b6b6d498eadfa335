"""Killed at moments that nobody chose, every command continues and ends with the bytes of an uninterrupted one.

Set NSBENCH_TEST_KILLS to the number of kills for each command; each round kills a few times before it lets go.
"""

import hashlib
import http.server
import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

KILLS = int(os.environ.get("NSBENCH_TEST_KILLS", "1"))
A_ROUND = 4
"""Kills at most before a command is left alone, and its folder compared."""

NSBENCH = (sys.executable, "-m", "nsbench")
NOT_COMPARED = ("environment.json", ".claims")
"""Clock times, and the locks of whoever was there."""

NET = """
import torch
from torch import nn

def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
"""

FETCH = """
import sys
from pathlib import Path
from nsbench.data.library.fetch import fetch
from nsbench.data.library.manifests import read_manifest
from nsbench.progress import Reporter
fetch(read_manifest(Path(sys.argv[1])), Path(sys.argv[2]), Reporter(quiet=True))
"""


def content(folder: Path) -> dict[str, str]:
    """The checksum of every file in a folder that is compared."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(name in path.parts for name in NOT_COMPARED)
    }


def whole(command: Sequence[str]) -> float:
    """Run a command to its end; returns how long it took."""
    begun = time.monotonic()
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    return time.monotonic() - begun


def killed(command: Sequence[str], seconds: float) -> bool:
    """Start a command and kill it after so many seconds; False when it ended first."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def survives(make: Callable[[Path], Sequence[str]], compared: Callable[[Path], Path], tmp_path: Path) -> None:
    """Kill a command at random moments, a few times a round, and compare what it leaves in the end.

    Args:
        make: the command that works in a folder.
        compared: the folder in it that must be the same.
        tmp_path: for all of it.
    """
    moments = np.random.default_rng(0)
    longest = whole(make(tmp_path / "whole"))
    expected = content(compared(tmp_path / "whole"))
    done = number = 0
    while done < KILLS:
        folder, before = tmp_path / f"round{number}", done
        for _ in range(min(A_ROUND, KILLS - done)):
            done += killed(make(folder), moments.uniform(0.05, longest))
        whole(make(folder))
        assert content(compared(folder)) == expected, f"round {number} with {done - before} kills"
        number += 1


def itself(folder: Path) -> Path:
    return folder


@pytest.mark.slow
def test_a_run_killed_at_random_moments(tiny_arguments: list[str], tmp_path: Path) -> None:
    less = ("--set", "training.teacher_images=800", "--set", "training.student_images=800")
    less += ("--set", "training.baseline_images=400", "--save-every", "0")
    survives(lambda folder: [*NSBENCH, *tiny_arguments, *less, "--out", str(folder)], itself, tmp_path)


@pytest.mark.slow
def test_an_evaluation_killed_at_random_moments(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(NET)
    on = ("--on", "clean,fgsm,digits-c,digits-p", "--data-set", "digits", "--inside", "--device", "cpu")
    few = ("evaluation.corruption_images=20", "evaluation.perturbation_images=10", "evaluation.attack_images=50")
    settings = [word for setting in (*few, "evaluation.bootstrap_resamples=100") for word in ("--set", setting)]
    model = f"{tmp_path / 'mine.py'}:net"
    survives(
        lambda folder: [*NSBENCH, "evaluate", model, *on, *settings, "--set", "name=killed", "--out", str(folder)],
        itself,
        tmp_path,
    )


@pytest.mark.slow
def test_a_generated_set_killed_at_random_moments(tmp_path: Path) -> None:
    survives(
        lambda folder: [*NSBENCH, "data", "generate", "digits-c", "--device", "cpu", "--out", str(folder)],
        itself,
        tmp_path,
    )


@pytest.mark.slow
def test_a_report_killed_at_random_moments(tiny_run: Path, tmp_path: Path) -> None:
    def make(folder: Path) -> list[str]:
        if not folder.exists():
            folder.mkdir()
            shutil.copy(tiny_run / "results.json", folder)
            shutil.copytree(tiny_run / "samples", folder / "samples")
        return [*NSBENCH, "report", str(folder)]

    survives(make, lambda folder: folder / "report", tmp_path)


class Slow(http.server.BaseHTTPRequestHandler):
    """Serves one file a little at a time, also from a place on."""

    file = b""

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        """Send the file, or the part of it that was asked for."""
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("ETag", '"one"')
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(self.file) - 1}/{len(self.file)}")
        self.send_header("Content-Length", str(len(self.file) - start))
        self.end_headers()
        try:
            for place in range(start, len(self.file), 2**16):
                self.wfile.write(self.file[place : place + 2**16])
                time.sleep(0.005)
        except OSError:  # whoever asked was killed
            pass


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Path]:
    """The manifest of an archive of arrays, which a server gives slowly."""
    random_bytes = np.random.default_rng(0)
    packed, files = io.BytesIO(), []
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name in ("one", "two", "three"):
            array = io.BytesIO()
            np.save(array, random_bytes.integers(0, 256, (300, 32, 32, 3), np.uint8))
            entry = tarfile.TarInfo(f"Set/{name}.npy")
            entry.size = len(array.getvalue())
            tar.addfile(entry, io.BytesIO(array.getvalue()))
            files.append((f"{name}.npy", entry.size))
    Slow.file = packed.getvalue()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    path = tmp_path / "set.toml"
    path.write_text(
        'name = "set"\ntitle = "A set"\nkind = "files"\nlicence = "MIT"\ncitation = "none"\n'
        'url = "https://localhost"\nfolder = "Set"\n\n[[downloads]]\nname = "set.tar.gz"\n'
        f'urls = ["http://127.0.0.1:{server.server_address[1]}/set.tar.gz"]\nbytes = {len(Slow.file)}\n'
        f'sha256 = "{hashlib.sha256(Slow.file).hexdigest()}"\ninside = "Set"\n'
        + "".join(
            f'\n[[files]]\nname = "{name}"\nbytes = {size}\nshape = [300, 32, 32, 3]\ndtype = "uint8"\n'
            for name, size in files
        )
    )
    yield path
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_a_download_killed_at_random_moments(archive: Path, tmp_path: Path) -> None:
    def make(folder: Path) -> list[str]:
        return [sys.executable, "-c", FETCH, str(archive), str(folder)]

    survives(make, lambda folder: folder / "Set", tmp_path)
