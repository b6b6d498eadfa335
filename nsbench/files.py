"""Files that appear whole or not at all."""

import errno
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


def write_chunks(path: Path, chunks: Iterable[bytes]) -> str:
    """Write chunks one after the other to a temporary file beside `path`, sync it, and rename it onto `path`.

    A crash or an error, also one raised by `chunks`, leaves the old file, or none, never half of the new one.

    Returns:
        The SHA-256 of what was written.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    temporary: Path | None = None
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise explain_os_error(error, path) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
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


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed run left under `folder`."""
    if folder.is_dir():
        for left in folder.rglob(".*.tmp"):
            left.unlink(missing_ok=True)
