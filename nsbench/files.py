"""Files that appear whole or not at all.

Until it is whole a file has a temporary name of a pattern that only nsbench gives, and its writer holds a lock on it,
which the operating system takes back from a process that ends: what can be locked is a dead process's, and may go.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nsbench.errors import UserError, shortened

_SUFFIX = ".nsbench.tmp"
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.nsbench\.tmp", re.DOTALL)
_LONGEST = 200
"""Bytes of a file's name that its temporary name repeats; a file system allows 255 in all."""
MOST_READ = 2**24
"""Bytes of a description that is read into the memory; a strange file may have any length."""


def explain_os_error(error: OSError, path: Path) -> UserError:
    """One sentence for a file that could not be written."""
    remedy = "choose another folder with --out"
    if error.errno == errno.ENAMETOOLONG:
        return UserError(f"{shortened(str(path))} cannot be written (its name is too long): {remedy}.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"No space is left to write {path}: free some and run the same command again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UserError(f"{path} cannot be written (permission denied): {remedy}.")
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return UserError(f"{path} cannot be written (a file stands where a folder is needed): {remedy}.")
    return UserError(f"{path} cannot be written ({error.strerror or error}): {remedy}.")


class PartialFile:
    """A file that is written in any order under a temporary name beside `path`, where it appears whole or not at all.

    Args:
        path: path of the file.

    Raises:
        UserError: the folder cannot be written; later, the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, self._temporary = _locked_temporary(path)
        except OSError as error:
            raise explain_os_error(error, path) from error
        self._file, self._position = os.fdopen(handle, "wb"), 0

    def write(self, offset: int, content: bytes) -> None:
        """Write `content` from a place on."""
        try:
            if offset != self._position:  # to seek empties the buffer
                self._file.seek(offset)
            self._file.write(content)
            self._position = offset + len(content)
        except OSError as error:
            raise explain_os_error(error, self.path) from error

    def chunks(self, size: int = 2**20) -> Iterator[bytes]:
        """What was written so far, from its beginning."""
        try:
            self._file.flush()
            with self._temporary.open("rb") as file:
                while chunk := file.read(size):
                    yield chunk
        except OSError as error:
            raise explain_os_error(error, self.path) from error

    def finish(self) -> None:
        """Sync what was written, and rename it onto `path`."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._temporary.chmod(0o644)
            self._temporary.replace(self.path)  # before the file is closed, which gives up the lock
            self._file.close()
        except OSError as error:
            raise explain_os_error(error, self.path) from error

    def discard(self) -> None:
        """Delete the temporary file unless it has been renamed."""
        with contextlib.suppress(OSError):  # of a full disk there has been a sentence already
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def write_chunks(path: Path, chunks: Iterable[bytes]) -> str:
    """Write chunks one after the other to a temporary file beside `path`, sync it, and rename it onto `path`.

    A crash or an error, also one raised by `chunks`, leaves the old file, or none, never half of the new one.

    Returns:
        The SHA-256 of what was written.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    file, digest, end = PartialFile(path), hashlib.sha256(), 0
    try:
        for chunk in chunks:
            file.write(end, chunk)
            digest.update(chunk)
            end += len(chunk)
        file.finish()
    except OSError as error:
        raise explain_os_error(error, path) from error
    finally:
        file.discard()
    return digest.hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` as `write_chunks` does."""
    write_chunks(path, (content,))


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text with unix line ends to `path` by an atomic rename."""
    write_bytes(path, content.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_regular(path: Path, most: int = MOST_READ) -> bytes:
    """The whole content of a file of limited size; pipes and devices, which may never end, are not opened.

    Raises:
        OSError: it cannot be read, is a folder, a pipe or a device, or has more than `most` bytes.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "a pipe or a device, not a file", str(path))
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def remove_leftovers_of(path: Path) -> None:
    """Delete what killed processes left of one file; what a living process writes stays."""
    _remove(left for left in _leftovers(path.parent) if left.name.startswith(_prefix(path)))


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that killed processes left in a folder, not below it; what is not nsbench's stays."""
    _remove(_leftovers(folder))


def _leftovers(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if _TEMPORARY.fullmatch(path.name))


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:  # gone already, another user's, or no file
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except OSError:  # its writer lives
            pass
        finally:
            os.close(handle)


def _prefix(path: Path) -> str:
    """How the temporary names of a file begin."""
    return f".{path.name.encode()[:_LONGEST].decode(errors='ignore')}."


def _locked_temporary(path: Path) -> tuple[int, Path]:
    """A new temporary file beside `path`: its handle, which holds a lock on it, and its name."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=_SUFFIX)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # removed as a leftover before it was locked
