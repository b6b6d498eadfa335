"""Folders and files without permission: every command names what it may not read or write, in one sentence."""

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch

from nsbench.corruptions.generate import Request, generate
from nsbench.progress import Reporter

Command = Callable[..., "CompletedProcess[str]"]

CAPABILITIES_VERSION = 0x20080522
EVERYWHERE = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what lets root read and write files whatever their permissions."""


class Header(ctypes.Structure):
    """Of a call of capget(2) or capset(2)."""

    _fields_ = (("version", ctypes.c_uint32), ("process", ctypes.c_int))


class Capabilities(ctypes.Structure):
    """Thirty-two capabilities, a bit each."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def held_to_permissions() -> Iterator[None]:
    """Hold this thread to the permissions of files even where it is root's; skip the test where that cannot be."""
    if os.geteuid() != 0:
        yield
        return
    library, header, both = ctypes.CDLL(None), Header(CAPABILITIES_VERSION, 0), (Capabilities * 2)()
    if not hasattr(library, "capset") or library.capget(ctypes.byref(header), ctypes.byref(both)):
        pytest.skip("root may read and write every file, and its capabilities cannot be dropped here")
    before = both[0].effective
    both[0].effective = before & ~EVERYWHERE
    assert library.capset(ctypes.byref(header), ctypes.byref(both)) == 0
    try:
        yield
    finally:
        both[0].effective = before
        assert library.capset(ctypes.byref(header), ctypes.byref(both)) == 0


@pytest.fixture
def refused(nsbench: Command) -> Iterator[Callable[..., str]]:
    """Take all or some permissions from a path and run a command; gives its one sentence, which names the path."""
    closed: list[Path] = []

    def run(path: Path, mode: int, *arguments: str) -> str:
        path.chmod(mode)
        closed.append(path)
        with held_to_permissions():
            done = nsbench(*arguments, *(["--quiet"] if arguments[0] in QUIET or "verify" in arguments else []))
        assert done.returncode == 2, done
        assert done.stderr.count("\n") == 1, done.stderr
        assert path.name in done.stderr
        assert "ermission" in done.stderr
        return done.stderr

    yield run
    for path in closed:
        path.chmod(0o700)


QUIET = ("train", "run-all", "evaluate")


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    """A set of seven images that nsbench made."""
    folder = tmp_path / "CIFAR-10-C"
    generate("digits-c", Request(("fog",), limit=7), folder, None, torch.device("cpu"), Reporter(quiet=True))
    return folder


def test_the_helper_holds_root_to_permissions(tmp_path: Path) -> None:
    (tmp_path / "x").touch(mode=0o000)
    with held_to_permissions(), pytest.raises(PermissionError):
        (tmp_path / "x").read_bytes()


@pytest.mark.parametrize("command", ["list", "verify", "fetch"])
def test_a_data_folder_that_may_not_be_read(command: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    data = tmp_path / "mine"
    (data / "CIFAR-10-C").mkdir(parents=True)
    refused(data, 0o000, "data", command, *(() if command == "list" else ("cifar10-c",)), "--data", str(data))


def test_a_data_folder_that_may_not_be_written(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "mine").mkdir()
    refused(tmp_path / "mine", 0o500, "data", "fetch", "cifar10.1", "--data", str(tmp_path / "mine"))


@pytest.mark.parametrize("command", [("list",), ("verify", "cifar10-c")])
def test_recorded_checksums_that_may_not_be_read(
    command: tuple[str, ...], tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "CIFAR-10-C").mkdir()
    (tmp_path / "checksums").mkdir()
    (tmp_path / "checksums/cifar10-c.json").touch()
    refused(tmp_path / "checksums/cifar10-c.json", 0o000, "data", *command, "--data", str(tmp_path))


@pytest.mark.parametrize("name", ["fog.npy", "nsbench-set.json", "."])
def test_a_generated_set_that_may_not_be_read(name: str, generated: Path, refused: Callable[..., str]) -> None:
    said = refused(generated / name, 0o000, "data", "verify", "cifar10-c", "--data", str(generated.parent))
    assert "damaged" not in said


@pytest.mark.parametrize("name", ["fog.npy", "nsbench-set.json", "."])
def test_a_generated_set_that_is_to_grow_and_may_not_be_read(
    name: str, generated: Path, refused: Callable[..., str]
) -> None:
    more = ("--limit", "7", "--corruptions", "fog,contrast", "--device", "cpu")
    said = refused(generated / name, 0o000, "data", "generate", "digits-c", "--out", str(generated), *more)
    assert "damaged" not in said
    generated.chmod(0o700)
    assert not (generated / "contrast.npy").exists()


def test_a_folder_to_generate_into_that_may_not_be_written(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "mine").mkdir()
    refused(tmp_path / "mine", 0o500, "data", "generate", "digits-c", "--out", str(tmp_path / "mine/set"))


@pytest.mark.parametrize("name", [".", "frost1.png"])
def test_photographs_of_frost_that_may_not_be_read(name: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    frost = tmp_path / "frost"
    frost.mkdir()
    (frost / "frost1.png").touch()
    refused(frost / name, 0o000, "data", "generate", "digits-c", "--out", str(tmp_path / "set"), "--frost", str(frost))


def test_a_configuration_that_may_not_be_read(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "mine.toml").touch()
    refused(tmp_path / "mine.toml", 0o000, "train", str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_an_output_folder_that_may_not_be_written(mode: int, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "mine").mkdir()
    refused(tmp_path / "mine", mode, "train", "quick", "--device", "cpu", "--out", str(tmp_path / "mine"))


@pytest.mark.parametrize("name", [".", "cifar-10-batches-py", "train-00000-of-00001.parquet"])
def test_images_that_may_not_be_read(name: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    data = tmp_path / "mine"
    (data / "cifar-10-batches-py").mkdir(parents=True)
    if name.endswith("parquet"):
        (data / "cifar-10-batches-py").rmdir()
        (data / name).touch()
    out = ("--device", "cpu", "--out", str(tmp_path / "run"), "--data", str(data))
    refused(data / name, 0o000, "train", "cifar10-small", *out)


@pytest.fixture
def finished(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run of one's own."""
    return Path(shutil.copytree(tiny_run, tmp_path / "finished"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [".", "results.json"])
def test_results_that_may_not_be_read(name: str, finished: Path, refused: Callable[..., str]) -> None:
    refused(finished / name, 0o000, "report", str(finished))
    refused(finished / name, 0o000, "compare", str(finished), str(finished))


@pytest.mark.slow
def test_a_report_that_may_not_be_written(finished: Path, refused: Callable[..., str]) -> None:
    refused(finished / "report", 0o500, "report", str(finished))


@pytest.mark.slow
@pytest.mark.parametrize("name", [".", "plan.json", "config.toml", "networks"])
def test_a_run_that_may_not_be_read(
    name: str, finished: Path, tiny_arguments: list[str], refused: Callable[..., str]
) -> None:
    refused(finished / name, 0o000, *tiny_arguments, "--out", str(finished))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["checkpoint.json", "weights.safetensors", "."])
def test_a_checkpoint_that_may_not_be_read(
    name: str, finished: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    network = min(finished.glob("networks/*"))
    measured = (str(network), "--data-set", "digits", "--on", "clean")
    refused(network / name, 0o000, "evaluate", *measured, "--out", str(tmp_path / "measured"))


@pytest.mark.slow
def test_an_evaluation_that_may_not_be_written(finished: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "mine").mkdir()
    measured = (str(min(finished.glob("networks/*"))), "--data-set", "digits", "--on", "clean")
    refused(tmp_path / "mine", 0o500, "evaluate", *measured, "--out", str(tmp_path / "mine"))
