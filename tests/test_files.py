"""Files appear whole or not at all."""

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from nsbench.devices import keep_freed_memory
from nsbench.errors import UserError
from nsbench.files import (
    PartialFile,
    explain_os_error,
    remove_leftovers,
    remove_leftovers_of,
    write_bytes,
    write_json,
    write_text,
)


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
    left = tmp_path / ".weights.safetensors.abcd1234.nsbench.tmp"
    left.write_bytes(b"half")
    theirs = (".weights.safetensors.abc.tmp", "notes.tmp", ".nsbench.tmp", "a.abcd1234.nsbench.tmp", "sub")
    for name in theirs:
        (tmp_path / name).mkdir() if name == "sub" else (tmp_path / name).write_text("a user's")
    (tmp_path / "sub" / left.name).write_bytes(b"of another run")
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "missing")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(theirs)
    assert (tmp_path / "sub" / left.name).exists()


def test_what_a_living_process_is_writing_is_no_leftover(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    file = PartialFile(path)
    file.write(0, b"whole")
    remove_leftovers(tmp_path)
    remove_leftovers_of(path)
    file.finish()
    assert path.read_bytes() == b"whole"
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes"]


WRITES = """
import sys
from pathlib import Path
from nsbench.files import remove_leftovers, write_text
for _ in range(300):
    remove_leftovers(Path(sys.argv[1]))
    write_text(Path(sys.argv[1]) / "notes", "whole")
"""


def test_two_processes_in_one_folder_leave_each_other_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES, str(tmp_path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.communicate(timeout=60)[1] for one in both] == ["", ""]
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("notes", "whole")]


def test_a_leftover_of_a_link_or_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".a.abcd1234.nsbench.tmp").symlink_to(tmp_path / "mine")
    (tmp_path / ".b.abcd1234.nsbench.tmp").mkdir()
    remove_leftovers(tmp_path)
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / ".b.abcd1234.nsbench.tmp").is_dir()


@pytest.mark.parametrize("name", ["n" * 250, "\u00fc" * 120])
def test_a_name_as_long_as_the_file_system_allows_is_written(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, "whole")
    assert (tmp_path / name).read_text() == "whole"


def test_a_name_that_is_too_long_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its name is too long"):
        write_text(tmp_path / ("n" * 300) / "file", "whole")


def test_freed_memory_is_kept_where_the_c_library_is_glibc() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
