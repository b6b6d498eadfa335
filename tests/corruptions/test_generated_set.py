"""Sets written in the official layout: whole, resumable, never mixed, and read back by nsbench and by numpy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nsbench.corruptions.corruptions import corrupt, corruption_set_version
from nsbench.corruptions.generate import Request, generate, generated_sets
from nsbench.corruptions.perturbations import perturb
from nsbench.data.load import load_dataset
from nsbench.data.npy.corruptions import open_corruption_files
from nsbench.data.npy.folder import DESCRIPTION
from nsbench.data.npy.perturbations import open_perturbation_files
from nsbench.errors import UserError
from nsbench.progress import Reporter

CPU, QUIET = torch.device("cpu"), Reporter(quiet=True)
FEW = ("gaussian_noise", "fog", "contrast")


def make(folder: Path, name: str = "digits-c", limit: int = 7, **asked: object) -> int:
    request = Request(limit=limit, **asked)  # type: ignore[arg-type]  # a test's own
    return generate(name, request, folder, None, CPU, QUIET)


def test_corruptions_are_blocks_of_severities_in_test_order_with_their_labels(tmp_path: Path) -> None:
    assert make(tmp_path, names=FEW) == 3
    digits = load_dataset("digits", None).test
    images, indices = torch.tensor(digits.images[:7]), torch.arange(7)
    for name in FEW:
        array = np.load(tmp_path / f"{name}.npy", allow_pickle=False)
        blocks = [corrupt(images, name, severity, indices=indices).numpy() for severity in range(1, 6)]
        assert array.dtype == np.uint8
        assert np.array_equal(array, np.concatenate(blocks))
    labels = np.load(tmp_path / "labels.npy", allow_pickle=False)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, np.tile(digits.labels[:7], 5))


def test_perturbations_are_sequences_in_test_order(tmp_path: Path) -> None:
    assert make(tmp_path, "digits-p", names=("translate", "brightness")) == 2
    images, indices = torch.tensor(load_dataset("digits", None).test.images[:7]), torch.arange(7)
    for name, frames in (("translate", 16), ("brightness", 31)):
        array = np.load(tmp_path / f"{name}.npy", allow_pickle=False)
        assert array.shape == (7, frames, 32, 32, 3)
        assert np.array_equal(array, perturb(images, name, indices=indices).numpy())
    assert not (tmp_path / "labels.npy").exists()


def test_the_head_of_a_file_is_the_one_numpy_writes(tmp_path: Path) -> None:
    make(tmp_path / "set", names=("contrast",))
    np.save(tmp_path / "numpy.npy", np.load(tmp_path / "set" / "contrast.npy"))
    assert (tmp_path / "numpy.npy").read_bytes() == (tmp_path / "set" / "contrast.npy").read_bytes()


def test_a_set_says_what_it_is_and_the_checksum_of_each_file(tmp_path: Path) -> None:
    make(tmp_path, names=("contrast",), seed=3, severities=(2, 4))
    described = json.loads((tmp_path / DESCRIPTION).read_text())
    files = described.pop("files")
    digits = load_dataset("digits", None)
    assert described == {
        "set": corruption_set_version(),
        "data": "digits",
        "data_checksum": digits.checksum,
        "images": 7,
        "test_images": 500,
        "seed": 3,
        "severities": [2, 4],
    }
    assert list(files) == ["contrast.npy", "labels.npy"]
    found = subprocess.run(["sha256sum", "contrast.npy"], cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S607  # coreutils, wherever they are
    assert found.stdout.split()[0] == files["contrast.npy"]


def test_what_was_written_is_not_written_again_and_more_of_it_adds_to_it(tmp_path: Path) -> None:
    make(tmp_path, names=("contrast",))
    before = (tmp_path / "contrast.npy").stat()
    assert make(tmp_path, names=("contrast", "fog")) == 1
    after = (tmp_path / "contrast.npy").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert set(json.loads((tmp_path / DESCRIPTION).read_text())["files"]) == {"contrast.npy", "fog.npy", "labels.npy"}


def test_a_file_that_was_cut_off_since_is_made_again(tmp_path: Path) -> None:
    make(tmp_path, names=FEW)
    whole = (tmp_path / "fog.npy").read_bytes()
    (tmp_path / "fog.npy").write_bytes(whole[:-1])
    assert make(tmp_path, names=FEW) == 1
    assert (tmp_path / "fog.npy").read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed = 0, not 1: choose another folder"),
        ({"limit": 8}, "images = 7, not 8"),
        ({"severities": (1,)}, r"severities = \[1, 2, 3, 4, 5\], not \[1\]"),
    ],
)
def test_sets_are_never_mixed_in_one_folder(change: dict[str, object], message: str, tmp_path: Path) -> None:
    make(tmp_path, names=("contrast",))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match=message):
        make(tmp_path, **({"names": ("fog",)} | change))  # type: ignore[arg-type]  # a test's own
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_that_nsbench_did_not_make_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "fog.npy").write_bytes(b"the official one")
    with pytest.raises(UserError, match=r"holds fog\.npy, which nsbench did not make: choose another folder"):
        make(tmp_path, names=("contrast", "fog"))
    assert [path.name for path in tmp_path.iterdir()] == ["fog.npy"]


def test_a_damaged_description_is_no_reason_to_write_over_the_arrays(tmp_path: Path) -> None:
    make(tmp_path, names=("contrast",))
    (tmp_path / DESCRIPTION).write_text("{")
    with pytest.raises(UserError, match="is damaged: delete that folder"):
        make(tmp_path, names=("contrast",))


def test_a_pipe_in_the_place_of_the_description_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / DESCRIPTION)
    with pytest.raises(UserError, match=r"nsbench-set\.json cannot be read \(a pipe or a device, not a file\)"):
        make(tmp_path, names=("contrast",))
    assert [path.is_fifo() for path in tmp_path.iterdir()] == [True]


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("cifar10", {}, r"'cifar10' cannot be generated: choose from cifar10-c.*Did you mean cifar10-"),
        ("digits-c", {"names": ("fogg",)}, r"digits-c has no 'fogg': choose from .* Did you mean fog\?"),
        ("digits-p", {"names": ("fog",)}, "digits-p has no 'fog'"),
        ("digits-c", {"severities": (6,)}, "Severity 6 does not exist"),
        ("digits-p", {"severities": (1,)}, "--severities is for corruptions, and digits-p has none"),
        ("digits-c", {"limit": 501}, "There are 500 test images, not 501: ask for fewer with --limit"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    name: str, asked: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        make(tmp_path / "set", name, **asked)  # type: ignore[arg-type]  # a test's own
    assert not (tmp_path / "set").exists()


def test_a_set_that_the_disk_cannot_hold_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nsbench.corruptions.folder.SPARE_BYTES", 10**18)
    with pytest.raises(UserError, match=r"needs .* GB and the disk has .* GB free"):
        make(tmp_path / "set", names=("contrast",))
    assert not (tmp_path / "set").exists()


@pytest.mark.slow
@pytest.mark.cifar
def test_the_set_of_cifar10_reads_as_a_set_of_its_own_name(tmp_path: Path) -> None:
    cifar10_folder = Path(os.environ["NSBENCH_TEST_CIFAR10"])
    for name, names in (("cifar10-c", FEW), ("cifar10-p", ("translate",))):
        generate(name, Request(names, limit=20), tmp_path / name, cifar10_folder, CPU, QUIET)
    cifar10 = load_dataset("cifar10", cifar10_folder)
    corruptions = open_corruption_files(tmp_path / "cifar10-c", cifar10, FEW)
    sequences = open_perturbation_files(tmp_path / "cifar10-p", cifar10, ("translate",))
    for files in (corruptions, sequences):
        assert files.generated is not None
        assert str(files.generated["set"]).startswith("nsbench-")
        assert len(files) == 20
    images = torch.tensor(cifar10.test.images[:20])
    expected = corrupt(images, "fog", 4, indices=torch.arange(20))[5:9]
    assert np.array_equal(corruptions.read("fog", 4, slice(5, 9)), expected.numpy())


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from nsbench.corruptions import files
from nsbench.corruptions.generate import Request, generate
from nsbench.progress import Reporter

whole = files.corrupt
calls = 0

def corrupt(*positional, **named):
    global calls
    calls += 1
    if calls == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*positional, **named)

files.corrupt = corrupt
request = Request(names=("gaussian_noise", "fog", "contrast"), limit=7)
generate("digits-c", request, Path(sys.argv[1]), None, torch.device("cpu"), Reporter(quiet=True))
"""


@pytest.mark.slow
def test_killed_and_run_again_it_ends_in_the_same_files(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "killed")], check=False)
    assert done.returncode < 0
    assert len(list((tmp_path / "killed").glob("*.npy"))) == 2
    assert list((tmp_path / "killed").glob(".*.tmp"))
    make(tmp_path / "killed", names=FEW)
    make(tmp_path / "whole", names=FEW)
    contents = [{path.name: path.read_bytes() for path in (tmp_path / one).iterdir()} for one in ("killed", "whole")]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", generated_sets())
def test_each_set_is_offered_for_a_data_set_there_is(name: str) -> None:
    assert name.rsplit("-", 1)[0] in ("cifar10", "cifar100", "digits")
