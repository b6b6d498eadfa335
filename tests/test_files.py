"""Files appear whole or not at all."""

import errno
import os
import platform
from pathlib import Path

import pytest

from nsbench.devices import keep_freed_memory
from nsbench.errors import UserError
from nsbench.files import explain_os_error, remove_leftovers, write_bytes, write_json, write_text


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "one")
    write_text(path, "two\n")
    assert path.read_bytes() == b"two\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"value": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"value": float("nan")})
    assert path.read_text() == '{\n "value": 1\n}\n'


def test_a_folder_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"a file stands where a folder is needed\): choose another folder with --out"):
        write_bytes(tmp_path / "file" / "below", b"")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space is left to write"),
        (errno.EDQUOT, "No space is left to write"),
        (errno.EROFS, "permission denied"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_every_kind_of_failure_names_the_file(number: int, words: str) -> None:
    error = explain_os_error(OSError(number, os.strerror(number)), Path("runs/x"))
    assert words in str(error)
    assert "runs/x" in str(error)


def test_leftovers_of_a_killed_run_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".weights.safetensors.abc.tmp").write_bytes(b"half")
    (tmp_path / "sub" / "notes.tmp").write_text("mine")
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "missing")
    assert [entry.name for entry in (tmp_path / "sub").iterdir()] == ["notes.tmp"]


def test_freed_memory_is_kept_where_the_c_library_is_glibc() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
