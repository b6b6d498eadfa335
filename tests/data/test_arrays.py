"""Arrays in `.npy` files: what is refused on opening, and what is read."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsbench.data.npy.arrays import ArrayFile, open_array
from nsbench.errors import UserError

NUMBERS = np.arange(6 * 4, dtype=np.uint8).reshape(6, 4)


def saved(folder: Path, array: np.ndarray[Any, Any] = NUMBERS) -> Path:
    np.save(folder / "a.npy", array)
    return folder / "a.npy"


def npy(header: str | bytes, content: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """A file with a header of one's own."""
    text = header if isinstance(header, bytes) else header.encode()
    width = 2 if version == b"\1\0" else 4
    return b"\x93NUMPY" + version + len(text).to_bytes(width, "little") + text + content


@pytest.mark.parametrize("rows", [slice(None), slice(1, 3), slice(None, None, 2), slice(-1, None), slice(2, 2)])
def test_rows_of_a_block_are_those_of_the_array(tmp_path: Path, rows: slice) -> None:
    array = open_array(saved(tmp_path), "x")
    assert (array.shape, array.dtype) == ((6, 4), np.uint8)
    np.testing.assert_array_equal(array.read(2, 3, rows), NUMBERS[2:5][rows])
    np.testing.assert_array_equal(array.read(0, 6, rows), NUMBERS[rows])


def test_what_is_read_is_a_copy_that_may_be_written(tmp_path: Path) -> None:
    array = open_array(saved(tmp_path), "x")
    first = array.read(0, 6)
    first[:] = 0
    assert not isinstance(first, np.memmap)
    np.testing.assert_array_equal(array.read(0, 6), NUMBERS)


@pytest.mark.parametrize("kind", ["|u1", "<i8", ">i8", "<u2", "<f4"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_each_plain_type_and_byte_order_is_read_from_either_version(
    tmp_path: Path, kind: str, version: tuple[int, int]
) -> None:
    expected = NUMBERS.astype(kind)
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, expected, version=version)
    array = open_array(tmp_path / "a.npy", "x")
    assert array.dtype == np.dtype(kind)
    np.testing.assert_array_equal(array.read(1, 5), expected[1:])


def test_a_missing_file_is_one_sentence_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a.npy is missing: download it again\.$"):
        open_array(tmp_path / "a.npy", "download it again")


def test_a_truncated_and_a_longer_file_are_reported_with_both_lengths(tmp_path: Path) -> None:
    path = saved(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(UserError, match=r"a.npy is truncated \(expected 152 bytes, found 151\): mend it\.$"):
        open_array(path, "mend it")
    path.write_bytes(content + b"x")
    with pytest.raises(UserError, match=r"a.npy is too long \(expected 152 bytes, found 153\): mend it\.$"):
        open_array(path, "mend it")


def test_a_file_cut_after_it_was_opened_is_reported_and_does_not_kill_the_process(tmp_path: Path) -> None:
    path = saved(tmp_path)
    array = open_array(path, "mend it")
    os.truncate(path, 130)
    with pytest.raises(UserError, match=r"a.npy is truncated \(expected 152 bytes, found 130\)"):
        array.read(0, 6)
    path.unlink()
    with pytest.raises(UserError, match=r"a.npy cannot be read \(No such file or directory\)"):
        array.read(0, 6)


def test_python_objects_are_refused_unread(tmp_path: Path) -> None:
    witness = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(witness),)

    path = saved(tmp_path, np.array([Hostile()], dtype=object))
    np.load(path, allow_pickle=True)
    assert witness.exists()
    witness.rmdir()
    with pytest.raises(UserError, match=r"a.npy holds Python objects, which can run code .*: mend it\.$"):
        open_array(path, "mend it")
    assert not witness.exists()


def test_an_array_in_fortran_order_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, np.asfortranarray(NUMBERS))
    with pytest.raises(UserError, match=r"a.npy is in Fortran order where C order is needed: mend it"):
        open_array(path, "mend it")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>please log in</html>",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"\x80\x04\x95",
        b"\x93NUMPY",
        b"\x93NUMPY\1\0\xff\xff",
        npy("{}"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1.5,)}"),
        npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({9 * 10**4000}, {9 * 10**4000})}}"),
        npy("{'descr': 'no type', 'fortran_order': False, 'shape': (1,)}"),
        npy("-" * 9000 + "1"),
        npy("(" * 9000),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}" + " " * 20_000, b"x"),
        npy("__import__('os').system('true')"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}", b"x", version=b"\3\0"),
        npy("{}", version=b"\2\0")[:8] + b"\xff\xff\xff\xff{}",
    ],
)
def test_whatever_is_no_array_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"\A[^\n]*a.npy is not an .npy file \([^\n]+\): mend it\.\Z"):
        open_array(tmp_path / "a.npy", "mend it")


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=100).map(npy),
        st.text("{}()[],:'\"<|>uifOV0123456789L-. descrfotan_hpTFlu", max_size=120).map(npy),
    )
)
def test_no_bytes_make_opening_fail_in_another_way(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.npy"
    path.write_bytes(content)
    with suppress(UserError):
        assert isinstance(open_array(path, "mend it"), ArrayFile)


def test_a_folder_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    os.mkfifo(tmp_path / "pipe.npy")
    for name in ("folder.npy", "pipe.npy"):
        with pytest.raises(UserError, match=rf"{name} is not a file: mend it"):
            open_array(tmp_path / name, "mend it")


def test_a_circle_of_links_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.npy").symlink_to(tmp_path / "a.npy")
    with pytest.raises(UserError, match=r"a.npy cannot be read \(Too many levels of symbolic links\)"):
        open_array(tmp_path / "a.npy", "mend it")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_one_sentence(tmp_path: Path) -> None:
    saved(tmp_path).chmod(0)
    with pytest.raises(UserError, match=r"a.npy cannot be read \(Permission denied\): check the disk"):
        open_array(tmp_path / "a.npy", "mend it")


def test_pixels_and_labels_are_held_to_type_and_shape(tmp_path: Path) -> None:
    pixels = open_array(saved(tmp_path), "mend it")
    pixels.check_pixels((6, 4))
    with pytest.raises(UserError, match=r"a.npy has the shape \(6, 4\) instead of \(6, 5\): mend it"):
        pixels.check_pixels((6, 5))
    for kind, wanted in ((np.int8, "int8 instead of uint8"), (np.float32, "float32 instead of uint8")):
        with pytest.raises(UserError, match=f"a.npy holds {wanted}: mend it"):
            open_array(saved(tmp_path, NUMBERS.astype(kind)), "mend it").check_pixels((6, 4))
    for kind in (np.uint8, np.int32, np.int64):
        open_array(saved(tmp_path, np.zeros(3, kind)), "mend it").check_labels(3)
    with pytest.raises(UserError, match=r"a.npy holds float64 instead of integers: mend it"):
        open_array(saved(tmp_path, np.zeros(3)), "mend it").check_labels(3)
    with pytest.raises(UserError, match=r"a.npy has the shape \(3,\) instead of \(4,\): mend it"):
        open_array(saved(tmp_path, np.zeros(3, np.uint8)), "mend it").check_labels(4)


SWEEP = """
import sys
from pathlib import Path
from nsbench.data.npy.arrays import open_array

def most_kilobytes():  # of this program alone: getrusage also counts the one that started it
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

array = open_array(Path(sys.argv[1]), "x")
before = most_kilobytes()
for first in range(0, 500_000, 12_500):
    assert not array.read(first, 10_000, slice(0, 2000)).any()
print(most_kilobytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux reports the most memory that a program ever had")
def test_a_sweep_over_a_file_of_two_gigabytes_keeps_little_of_it_in_memory(tmp_path: Path) -> None:
    path, shape = tmp_path / "a.npy", (700_000, 32, 32, 3)
    path.write_bytes(npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}"))
    os.truncate(path, path.stat().st_size + int(np.prod(shape)))
    assert path.stat().st_size > 2**31
    done = subprocess.run([sys.executable, "-c", SWEEP, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40 * 2**10  # of 40 reads of 6 MB
