"""Every fault is one clear sentence with exit status 2, and leaves nothing half-written."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def assert_one_sentence(outcome: "subprocess.CompletedProcess[str]", text: str) -> None:
    assert outcome.returncode == 2, outcome.stderr
    last = outcome.stderr.strip().splitlines()[-1]
    assert last.startswith("error: "), outcome.stderr
    assert text in last, outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_diverging_loss_is_reported_with_the_remedy(
    nsbench: Command, tiny_arguments: list[str], tmp_path: Path
) -> None:
    """Weight decay alone multiplies every weight by -99 at each step, so any training diverges."""
    settings = ["--set", "training.learning_rate=100", "--set", "training.weight_decay=1"]
    outcome = nsbench(*tiny_arguments, *settings, "--out", str(tmp_path / "run"))
    assert_one_sentence(outcome, "lower training.learning_rate (now 100)")
    diverged = next(name for name in outcome.stderr.split() if "/seed0/" in name)
    assert not (tmp_path / "run" / diverged / "checkpoint.json").exists()
    assert not (tmp_path / "run" / "results.json").exists()
    assert not list((tmp_path / "run").rglob("*.tmp"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_cuda_device_that_is_not_there_is_named(nsbench: Command, tmp_path: Path) -> None:
    outcome = nsbench("run-all", "--device", "cuda", "--out", str(tmp_path / "run"))
    assert_one_sentence(outcome, "--device cuda was asked for, but PyTorch finds no CUDA device here")
    assert not (tmp_path / "run").exists()


def test_an_unknown_device_is_named(nsbench: Command, tmp_path: Path) -> None:
    outcome = nsbench("run-all", "--device", "tpu", "--out", str(tmp_path / "run"))
    assert_one_sentence(outcome, "--device 'tpu' does not exist: use auto, cpu or cuda.")


def test_a_file_where_the_run_folder_should_be_is_named(
    nsbench: Command, tiny_arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    outcome = nsbench(*tiny_arguments, "--out", str(tmp_path / "file"))
    assert_one_sentence(outcome, "is a file where a folder is needed")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_unwritable_folder_is_named(nsbench: Command, tiny_arguments: list[str], tmp_path: Path) -> None:
    folder = Path("/proc/nsbench") if os.geteuid() == 0 else tmp_path / "locked" / "run"
    if os.geteuid() != 0:
        folder.parent.mkdir(mode=0o500)
    outcome = nsbench(*tiny_arguments, "--out", str(folder))
    assert_one_sentence(outcome, "cannot be written")


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv = ["nsbench", *sys.argv[2:]]
from nsbench.cli.app import main
main()
"""


@pytest.mark.slow
def test_a_full_disk_is_reported_and_freeing_it_continues(
    nsbench: Command, tiny_arguments: list[str], tmp_path: Path, tiny_run: Path
) -> None:
    """A limit on the size of files stands in for a full disk: the write fails in the same place.

    The networks are those of the tiny run, so the first thing too large is their predictions.
    """
    folder = tmp_path / "run"
    shutil.copytree(tiny_run / "networks", folder / "networks")
    command = [sys.executable, "-c", LIMITED, "12000", *tiny_arguments, "--out", str(folder)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert_one_sentence(outcome, "clean.safetensors cannot be written (File too large)")
    assert not list(folder.rglob("clean.safetensors"))
    assert not list(folder.rglob("*.tmp"))
    assert nsbench(*tiny_arguments, "--out", str(folder)).returncode == 0
    assert (folder / "results.json").read_bytes() == (tiny_run / "results.json").read_bytes()


def test_missing_data_says_what_to_download_and_leaves_no_folder(nsbench: Command, tmp_path: Path) -> None:
    outcome = nsbench("run-all", "cifar10-small", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "run"))
    assert_one_sentence(outcome, "--data")
    assert "cifar-10-python.tar.gz" in outcome.stderr
    assert not (tmp_path / "run").exists()


def test_truncated_data_is_named_before_anything_is_read(nsbench: Command, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(b"\x80\x02}q\x00.")
    outcome = nsbench("run-all", "cifar10-small", "--data", str(tmp_path), "--out", str(tmp_path / "run"))
    assert_one_sentence(outcome, "bytes")
    assert not (tmp_path / "run").exists()


@pytest.mark.cifar
def test_a_wrong_checksum_is_named(nsbench: Command, tmp_path: Path) -> None:
    source = Path(os.environ["NSBENCH_TEST_CIFAR10"]) / "cifar-10-batches-py"
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).symlink_to(path.resolve())
    damaged = bytearray((source / "data_batch_3").read_bytes())
    damaged[1000] ^= 1
    (folder / "data_batch_3").unlink()
    (folder / "data_batch_3").write_bytes(damaged)
    outcome = nsbench("run-all", "cifar10-small", "--data", str(tmp_path), "--out", str(tmp_path / "run"))
    assert_one_sentence(outcome, "data_batch_3")
    assert "md5" in outcome.stderr.lower() or "checksum" in outcome.stderr.lower()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run-all", "quik"], "Did you mean quick?"),
        (["run-all", "--set", "seeed=1"], "did you mean 'seed'?"),
        (["report", "nowhere"], "There is no nowhere"),
        (["evaluate", "nowhere", "--out", "somewhere"], "There is no model 'nowhere'"),
    ],
)
def test_a_wrong_word_on_the_command_line_is_one_sentence(nsbench: Command, arguments: list[str], text: str) -> None:
    assert_one_sentence(nsbench(*arguments), text)
