"""Every fault of every file is found and named."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from nsbench.cli.data import data_app
from nsbench.corruptions.corruptions import corruption_set_version
from nsbench.corruptions.generate import Request, generate
from nsbench.data.library.entries import FileSet
from nsbench.data.library.inventory import set_folder
from nsbench.data.library.manifests import load_source
from nsbench.data.library.verify import Verification, verify
from nsbench.data.npy.folder import DESCRIPTION
from nsbench.errors import UserError
from nsbench.progress import Reporter

IMAGES = np.random.default_rng(5).integers(0, 256, (50, 4, 4, 3), dtype=np.uint8)
LABELS = np.arange(50, dtype=np.uint8)
META = b"fifty small images"
SNOW = {f"n0{k}/{k}.jpg": bytes([k]) * k for k in range(1, 4)}


def tiny(**changed: object) -> FileSet:
    """Two arrays, a file with a published checksum, and a folder of images."""
    md5 = hashlib.md5(META, usedforsecurity=False).hexdigest()
    files = [
        {"name": "fog.npy", "shape": [50, 4, 4, 3], "dtype": "uint8"},
        {"name": "labels.npy", "shape": [50], "dtype": "uint8"},
        {"name": "meta", "bytes": len(META), "md5": md5},
    ]
    described = {
        "kind": "files",
        "name": "tiny-c",
        "title": "TINY-C",
        "licence": "none",
        "citation": "none",
        "url": "https://example.org",
        "folder": "TINY-C",
        "downloads": [{"name": "x.tar", "urls": ["https://example.org/x.tar"]}],
        "files": files,
        "folders": [{"name": "snow", "suffix": ".jpg", "count": 3}],
    }
    return FileSet.model_validate(described | changed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The set's folder, with the whole set, in the data folder `tmp_path`."""
    folder = tmp_path / "TINY-C"
    for name, content in SNOW.items():
        (folder / "snow" / name).parent.mkdir(parents=True)
        (folder / "snow" / name).write_bytes(content)
    np.save(folder / "fog.npy", IMAGES)
    np.save(folder / "labels.npy", LABELS)
    (folder / "meta").write_bytes(META)
    return folder


def verified(folder: Path, source: FileSet | None = None) -> Verification:
    return verify(source or tiny(), folder.parent, Reporter(quiet=True))


def test_a_whole_set_has_no_fault_and_is_recorded_once(folder: Path) -> None:
    first = verified(folder)
    assert (first.faults, first.extras, first.published, first.recorded) == ((), (), 1, 0)
    assert first.first_seen == ("fog.npy", "labels.npy", "snow")
    second = verified(folder)
    assert (second.faults, second.first_seen, second.published, second.recorded) == ((), (), 1, 3)


def test_the_record_of_a_folder_is_what_sha256sum_and_sort_give(folder: Path) -> None:
    verified(folder)
    lines = sorted(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in SNOW.items())
    recorded = json.loads((folder.parent / "checksums" / "tiny-c.json").read_text())["entries"]["snow"]
    assert recorded["content"] == {
        "files": 3,
        "bytes": 6,
        "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
    }
    assert recorded["origin"] == "first use"


def save(name: str, array: object) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / name, np.asarray(array))


def flip_last_byte(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    return change


def append(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + content) and None


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a missing file": (lambda folder: (folder / "meta").unlink(), "meta is missing: fetch the set again"),
    "another shape": (
        save("fog.npy", IMAGES[:49]),
        r"fog.npy holds uint8 \(49, 4, 4, 3\) instead of uint8 \(50, 4, 4, 3\)",
    ),
    "another type": (save("labels.npy", LABELS.astype(np.int64)), r"labels.npy holds int64 \(50,\) instead of uint8"),
    "another byte order": (save("labels.npy", LABELS.astype(">i4")), r"labels.npy holds >i4 \(50,\)"),
    "Fortran order": (save("fog.npy", np.asfortranarray(IMAGES)), "fog.npy is in Fortran order"),
    "pickled objects": (save("labels.npy", np.array([{}] * 50, dtype=object)), "labels.npy holds Python objects"),
    "a truncated array": (lambda folder: os.truncate(folder / "fog.npy", 1000), "fog.npy is truncated"),
    "a long array": (append("fog.npy", b"x"), "fog.npy is too long"),
    "no array": (overwrite("fog.npy", b"<html>"), "fog.npy is not an .npy file"),
    "an empty file": (overwrite("fog.npy", b""), "fog.npy is not an .npy file"),
    "a truncated file": (overwrite("meta", META[:-1]), r"meta is truncated \(expected 18 bytes, found 17\)"),
    "a long file": (append("meta", b"x"), r"meta is too long \(expected 18 bytes, found 19\)"),
    "a published checksum": (flip_last_byte("meta"), r"meta has the wrong checksum \(expected MD5 [0-9a-f]{32}, found"),
    "a recorded checksum": (
        flip_last_byte("fog.npy"),
        r"fog.npy is not what was recorded on \d{4}-\d\d-\d\d at first use \(expected SHA-256",
    ),
    "an image too few": (
        lambda folder: (folder / "snow/n01/1.jpg").unlink(),
        "snow holds 2 files ending in .jpg where 3",
    ),
    "an image too many": (overwrite("snow/n01/4.jpg", b"4"), "snow holds 4 files ending in .jpg where 3 are needed"),
    "another image": (flip_last_byte("snow/n03/3.jpg"), "snow is not what was recorded"),
    "an image elsewhere": (
        lambda folder: (folder / "snow/n03/3.jpg").rename(folder / "snow/n01/3.jpg") and None,
        "snow is not what was recorded",
    ),
    "a link in a file's place": (
        lambda folder: ((folder / "snow/n01/1.jpg").unlink(), (folder / "snow/n01/1.jpg").symlink_to("/etc/passwd"))[1],
        "snow holds 2 files",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_named(folder: Path, fault: str) -> None:
    verified(folder)
    damage, stated = FAULTS[fault]
    damage(folder)
    (found,) = verified(folder).faults
    with pytest.raises(UserError, match=stated):
        raise UserError(found)
    assert found.startswith(f"{folder}/")
    assert found.endswith(": fetch the set again.") or found.endswith(": delete it and fetch the set again.")


def test_all_faults_are_reported_at_once_and_nothing_faulty_is_recorded(folder: Path) -> None:
    for name in ("fog.npy", "meta"):
        (folder / name).unlink()
    np.save(folder / "labels.npy", LABELS[:3])
    found = verified(folder)
    assert len(found.faults) == 3
    assert found.first_seen == ("snow",)
    assert list(json.loads((folder.parent / "checksums" / "tiny-c.json").read_text())["entries"]) == ["snow"]


def test_files_that_are_no_part_of_the_set_are_named_and_no_fault(folder: Path) -> None:
    (folder / "README.txt").write_text("hello")
    (folder / "snow" / "n01" / "notes.txt").write_text("hello")
    (folder / "extra.npy").write_bytes(b"")
    found = verified(folder)
    assert found.extras == ("README.txt", "extra.npy", "snow/n01/notes.txt")
    assert found.faults == ()


def test_a_count_that_is_not_published_need_only_be_positive(folder: Path) -> None:
    source = tiny(folders=[{"name": "snow", "suffix": ".jpg"}])
    assert verified(folder, source).faults == ()
    for name in SNOW:
        (folder / "snow" / name).unlink()
    (found,) = verified(folder, source).faults
    assert "snow holds 0 files ending in .jpg where some are needed" in found


def test_a_set_that_is_not_there_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"TINY-C does not exist: run `nsbench data fetch tiny-c`"):
        verify(tiny(), tmp_path, Reporter(quiet=True))
    with pytest.raises(UserError, match="comes with a Python package: there are no files to verify"):
        verify(load_source("digits"), tmp_path, Reporter(quiet=True))


def test_a_set_that_nsbench_made_is_verified_as_what_it_is(tmp_path: Path) -> None:
    folder = set_folder(tiny(), tmp_path)
    assert folder is not None
    generate("digits-c", Request(("contrast", "fog"), limit=3), folder, None, torch.device("cpu"), Reporter(quiet=True))
    shown = verify(tiny(), tmp_path, Reporter(quiet=True))
    assert (shown.generated, shown.faults, shown.recorded) == (corruption_set_version(), (), 3)
    content = bytearray((folder / "fog.npy").read_bytes())
    content[-1] ^= 1
    (folder / "fog.npy").write_bytes(content)
    (folder / "contrast.npy").unlink()
    (folder / "stranger.npy").touch()
    shown = verify(tiny(), tmp_path, Reporter(quiet=True))
    assert [fault.split(":")[0].rsplit("/", 1)[1] for fault in shown.faults] == [
        "contrast.npy is missing",
        "fog.npy is not as it was made (its SHA-256 differs)",
    ]
    assert shown.extras == ("stranger.npy",)
    (folder / DESCRIPTION).write_text("[]")
    with pytest.raises(UserError, match="is damaged: delete that folder"):
        verify(tiny(), tmp_path, Reporter(quiet=True))


def test_the_command_names_each_fault_and_ends_with_one_sentence(tmp_path: Path) -> None:
    np.save(tmp_path / "cifar10.1_v6_labels.npy", np.zeros(2000, np.int32))
    folder = tmp_path / "CIFAR-10.1"
    folder.mkdir()
    (tmp_path / "cifar10.1_v6_labels.npy").rename(folder / "cifar10.1_v6_labels.npy")
    (folder / "README.md").write_text("hello")
    done = CliRunner().invoke(data_app, ["verify", "cifar10.1", "--data", str(tmp_path)])
    assert "not part of CIFAR-10.1 (v6): README.md" in done.output
    assert f"{folder}/cifar10.1_v6_data.npy is missing" in done.output
    assert f"{folder}/cifar10.1_v6_labels.npy has the wrong checksum (expected SHA-256 ae40beda" in done.output
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == (
        f"CIFAR-10.1 (v6) in {folder} has 2 faults: delete the files named above and run "
        "`nsbench data fetch cifar10.1`."
    )


@pytest.mark.cifar
def test_the_real_cifar10_has_its_published_checksums() -> None:
    done = CliRunner().invoke(data_app, ["verify", "cifar10", "--data", os.environ["NSBENCH_TEST_CIFAR10"]])
    assert done.exit_code == 0
    assert "7 with published checksums, 0 as recorded earlier, 0 recorded now" in done.output
