"""The folder of a generated set: arrays, each made by one of the processes at work, and the file that describes them.

An array counts as there once the description has its checksum. Who reads and rewrites the description holds the claim
on the folder, so that no process drops what another has added.
"""

import io
import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nsbench.claims import Claims, work_off
from nsbench.data.library.fingerprints import digest_file
from nsbench.data.npy.folder import DESCRIPTION
from nsbench.errors import UserError, shortened
from nsbench.files import read_regular, remove_leftovers, remove_leftovers_of, write_chunks, write_json
from nsbench.progress import Reporter, Task

SPARE_BYTES = 64 * 2**20
"""Disk space left free."""


@dataclass(frozen=True)
class Description:
    """What a folder of generated arrays is; every field is part of its identity."""

    set: str
    data: str
    data_checksum: str
    images: int
    test_images: int
    seed: int
    severities: list[int]

    def first_difference(self, other: dict[str, Any]) -> tuple[str, Any, Any] | None:
        """The first field in which another set differs, with our value and the other's."""
        own = asdict(self)
        return next(((key, own[key], other.get(key)) for key in own if own[key] != other.get(key)), None)


@dataclass(frozen=True, eq=False)
class Array:
    """An array to be made.

    Attributes:
        file: name of its file.
        shape: its shape; it holds uint8.
        chunks: makes it, a few rows at a time, and says so to the task.
    """

    file: str
    shape: tuple[int, ...]
    chunks: Callable[[Task], Iterator[NDArray[np.uint8]]]

    @property
    def file_bytes(self) -> int:
        """The length of its file."""
        return len(array_header(self.shape)) + math.prod(self.shape)

    @property
    def images(self) -> int:
        """Images in it; none in an array of labels."""
        return math.prod(self.shape[:-3]) if len(self.shape) > 3 else 0


def fill(
    folder: Path, description: Description, arrays: Sequence[Array], title: str, reporter: Reporter
) -> list[Array]:
    """Write the arrays that a folder does not have; what another process writes is left to it and waited for.

    An array whose checksum is no longer the one in the description is damaged, and is made again.

    Returns:
        The arrays that this process wrote.

    Raises:
        UserError: the folder holds something else, or the disk has no room.
    """
    content = _Content(folder, description)
    content.known(arrays)
    _check_space(folder, [array for array in arrays if not content.has(array)])
    claims = Claims(folder)
    with claims.joined():
        with claims.hold("folder"):
            remove_leftovers(folder)
            content.enter(arrays, reporter)
        missing = [array for array in arrays if not content.has(array)]
        with reporter.task(title, sum(array.images for array in missing)) as task:
            units = [_Unit(array, content, claims, task, []) for array in missing]
            work_off(units, claims, lambda file: reporter.say(f"{file}: another process makes it, waiting"))
        return [unit.array for unit in units if unit.made]


@dataclass(frozen=True)
class _Unit:
    """One array as a unit of work."""

    array: Array
    content: "_Content"
    claims: Claims
    task: Task
    made: list[str]

    @property
    def name(self) -> str:
        return self.array.file

    def done(self) -> bool:
        return self.content.has(self.array)

    def ready(self) -> bool:
        return True

    def do(self) -> None:
        def content() -> Iterator[bytes]:
            yield array_header(self.array.shape)
            for chunk in self.array.chunks(self.task):
                yield chunk.tobytes()

        path = self.content.folder / self.name
        remove_leftovers_of(path)  # of a process that was killed since we began
        checksum = write_chunks(path, content())
        with self.claims.hold("folder"):
            self.content.write(self.content.read() | {self.name: checksum})
        self.made.append(checksum)
        self.task.log(self.name.removesuffix(".npy"))


@dataclass(frozen=True)
class _Content:
    """What a folder holds, as its description says."""

    folder: Path
    description: Description

    def read(self) -> dict[str, str]:
        """Checksums of the arrays that are described; UserError for a description of another set, or a damaged one."""
        path = self.folder / DESCRIPTION
        if not path.exists():
            return {}
        found = _read(path)
        difference = self.description.first_difference(found)
        if difference:
            key, ours, theirs = difference
            raise UserError(
                f"{self.folder} holds a set with {key} = {shortened(repr(theirs))}, not {ours!r}: "
                "choose another folder with --out."
            )
        return {str(name): str(checksum) for name, checksum in found["files"].items()}

    def write(self, files: dict[str, str]) -> None:
        """Describe these arrays; the caller holds the claim on the folder."""
        write_json(self.folder / DESCRIPTION, asdict(self.description) | {"files": dict(sorted(files.items()))})

    def known(self, arrays: Sequence[Array]) -> dict[str, str]:
        """What `read` gives; UserError too where arrays of these names have no description."""
        strangers = [array.file for array in arrays if (self.folder / array.file).exists()]
        if strangers and not (self.folder / DESCRIPTION).exists():
            raise UserError(
                f"{self.folder} holds {strangers[0]}, which nsbench did not make: choose another folder with --out."
            )
        return self.read()

    def enter(self, arrays: Sequence[Array], reporter: Reporter) -> None:
        """Say what the folder is to hold, without those arrays that are damaged; the caller holds the claim on it."""
        files = self.known(arrays)
        for array in arrays:
            path = self.folder / array.file
            if self._is_there(array, files) and digest_file(path, lambda _: None).digits("sha256") != files[array.file]:
                reporter.warn(f"{path} is not as it was made (its SHA-256 differs): it is made again")
                del files[array.file]
        self.write(files)

    def has(self, array: Array) -> bool:
        """Whether an array is there."""
        return self._is_there(array, self.read())

    def _is_there(self, array: Array, files: dict[str, str]) -> bool:
        path = self.folder / array.file
        return array.file in files and path.is_file() and path.stat().st_size == array.file_bytes


def array_header(shape: tuple[int, ...]) -> bytes:
    """The head of an `.npy` file that holds uint8 in C order."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return head.getvalue()


def _check_space(folder: Path, missing: Sequence[Array]) -> None:
    there = folder
    while not there.exists():
        there = there.parent
    needed, free = sum(array.file_bytes for array in missing) + SPARE_BYTES, shutil.disk_usage(there).free
    if missing and free < needed:
        raise UserError(
            f"{folder} needs {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free: "
            "choose another folder with --out, or generate less."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_regular(path))
        if isinstance(found, dict) and isinstance(found.get("files"), dict):
            return found
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the disk and the permissions.") from error
    except (ValueError, RecursionError):
        pass
    raise UserError(f"{path} is damaged: delete that folder, or choose another with --out.")
