"""A safetensors file written part by part is the one that is written at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsbench.errors import UserError
from nsbench.files import remove_leftovers
from nsbench.predictions.sealed import sealed
from nsbench.predictions.tensor_file import Kind, TensorFile

ORIGIN = "1f 2e"
TYPES = (np.uint8, np.uint16, np.int32, np.int64, np.float32, np.float64, np.bool_)
ROWS = 7


def kinds(arrays: dict[str, Any]) -> dict[str, Kind]:
    return {name: Kind(array.dtype, array.shape) for name, array in arrays.items()}


@settings(deadline=None, derandomize=True, max_examples=60, database=None)
@given(
    st.dictionaries(
        st.text("abcxyz_", min_size=1, max_size=9),
        st.tuples(
            st.sampled_from(TYPES), st.lists(st.integers(1, 3), max_size=2), st.lists(st.integers(1, 3), max_size=2)
        ),
        min_size=1,
        max_size=4,
    ),
    st.permutations([(0, 2), (2, 3), (3, 6), (6, 7)]),
)
def test_the_bytes_are_those_of_the_whole_in_whatever_order_parts_come(
    tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, Any], pieces: list[tuple[int, int]]
) -> None:
    random = np.random.default_rng(0)
    axes = {name: len(before) for name, (_, before, _) in shapes.items()}
    arrays = {
        name: random.integers(0, 200, (*before, ROWS, *after)).astype(dtype)
        for name, (dtype, before, after) in shapes.items()
    }
    path = tmp_path_factory.mktemp("file") / "deep" / "cell.safetensors"
    file = TensorFile(path, kinds(arrays), ORIGIN)
    for start, stop in pieces:
        for name, array in arrays.items():
            file.put(name, start, array.take(range(start, stop), axis=axes[name]), axes[name])
    assert not path.exists()
    file.finish()
    assert path.read_bytes() == sealed(arrays, ORIGIN)
    assert [entry.name for entry in path.parent.iterdir()] == ["cell.safetensors"]


def test_a_file_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    file = TensorFile(tmp_path / "cell", {"a": Kind(np.dtype(np.uint8), (5,))}, ORIGIN)
    file.put("a", 0, np.zeros(2, np.uint8))
    assert len(list(tmp_path.iterdir())) == 1
    file.discard()
    assert not list(tmp_path.iterdir())


def test_a_file_with_rows_missing_cannot_be_finished(tmp_path: Path) -> None:
    file = TensorFile(tmp_path / "cell", {"a": Kind(np.dtype(np.uint8), (5,))}, ORIGIN)
    file.put("a", 0, np.zeros(4, np.uint8))
    with pytest.raises(AssertionError, match="'a': 1"):
        file.finish()
    file.discard()


@pytest.mark.parametrize(
    ("part", "start"), [(np.zeros(2), 0), (np.zeros((2, 1), np.uint8), 0), (np.zeros(2, np.uint8), 4)]
)
def test_a_part_that_does_not_fit_is_refused(tmp_path: Path, part: Any, start: int) -> None:
    file = TensorFile(tmp_path / "cell", {"a": Kind(np.dtype(np.uint8), (5,))}, ORIGIN)
    with pytest.raises(AssertionError):
        file.put("a", start, part)
    file.discard()


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from nsbench.predictions.tensor_file import Kind, TensorFile
file = TensorFile(Path(sys.argv[1]), {"a": Kind(np.dtype(np.uint8), (5,))}, "1f 2e")
file.put("a", 0, np.zeros(4, np.uint8))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_no_cell_and_what_it_leaves_is_cleaned_away(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / "a" / "clean.safetensors"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=60)
    assert not path.exists()
    assert len(list(path.parent.iterdir())) == 1
    remove_leftovers(path.parent)
    assert not list(path.parent.iterdir())


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from nsbench.predictions.tensor_file import Kind, TensorFile
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
file = TensorFile(Path(sys.argv[1]), {"a": Kind(np.dtype(np.uint8), (5000,))}, "1f 2e")
try:
    for start in range(0, 5000, 500):
        file.put("a", start, np.zeros(500, np.uint8))
    file.finish()
finally:
    file.discard()
"""


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "clean.safetensors")],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"{UserError.__module__}.{UserError.__name__}: ")
    assert "clean.safetensors cannot be written (File too large)" in last
    assert not list(tmp_path.iterdir())
