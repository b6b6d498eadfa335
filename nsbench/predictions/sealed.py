"""Sealed files: safetensors with one entry of text, which begins with the SHA-256 of the file itself.

The checksum is of the whole file (names, types and shapes of the arrays, their bytes, and the text) with 64 zeros in
the checksum's place. That place is the same in every file, so nothing of a file is parsed before it is known to be
whole. It shows damage; whoever writes a file can seal it as well, so what a sealed file holds is still to be checked.
"""

import hashlib
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save

KEY = "sha256, fingerprint and images"  # one entry: several would come in any order, and the bytes be others each time

_EMPTY = "0" * 64
_HEAD = b'{"__metadata__":{"' + KEY.encode() + b'":"'
_HEADER = 8
"""Bytes of the header's length, before the header."""

PLACE = _HEADER + len(_HEAD)
"""Where in a file its checksum is."""

_CHUNK = 2**20


def metadata(origin: str) -> dict[str, str]:
    """The text of a file, with room for the checksum."""
    return {KEY: f"{_EMPTY} {origin}"}


def sealed(arrays: dict[str, NDArray[Any]], origin: str) -> bytes:
    """The bytes of a sealed file; `origin` is its text."""
    content = save(arrays, metadata(origin))
    assert content.startswith(_HEAD + _EMPTY.encode(), _HEADER), content[:PLACE]
    return content[:PLACE] + seal([content]) + content[PLACE + len(_EMPTY) :]


def seal(chunks: Iterable[bytes]) -> bytes:
    """The checksum of a file that has room for it, as hexadecimal digits."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest().encode()


def damage(path: Path) -> str | None:
    """What is wrong with a sealed file, such as `its checksum is another`; None for one that is whole."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "it is no file"
        with path.open("rb") as file:
            head = file.read(PLACE + len(_EMPTY))
            if head[_HEADER:PLACE] != _HEAD:
                return "it has no checksum"
            digest = hashlib.sha256(head[:PLACE] + _EMPTY.encode())
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    return None if digest.hexdigest().encode() == head[PLACE:] else "its checksum is another"


def origin_of(path: Path) -> str:
    """The text of a file; empty where it cannot be read."""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            text: str = (file.metadata() or {}).get(KEY, "")
            return text[len(_EMPTY) + 1 :]
    except (OSError, safetensors.SafetensorError):
        return ""
