"""Files that appear whole or not at all."""

import contextlib
import errno
import glob
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nsbench.errors import UserError


def explain_os_error(error: OSError, path: Path) -> UserError:
    """One sentence for a file that could not be written."""
    remedy = "choose another folder with --out"
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
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        except OSError as error:
            raise explain_os_error(error, path) from error
        self._file, self._temporary, self._position = os.fdopen(handle, "wb"), Path(name), 0

    def write(self, offset: int, content: bytes) -> None:
        """Write `content` from a place on."""
        try:
            if offset != self._position:  # to seek empties the buffer
                self._file.seek(offset)
            self._file.write(content)
            self._position = offset + len(content)
        except OSError as error:
            raise explain_os_error(error, self.path) from error

    def finish(self) -> None:
        """Sync what was written, and rename it onto `path`."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.chmod(0o644)
            self._temporary.replace(self.path)
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


def remove_leftovers_of(path: Path) -> None:
    """Delete what killed processes left of `path`; no other process may be writing it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        left.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed run left under `folder`."""
    if folder.is_dir():
        for left in folder.rglob(".*.tmp"):
            left.unlink(missing_ok=True)
