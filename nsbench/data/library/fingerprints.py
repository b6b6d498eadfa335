"""Checksums of files and of folders."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from nsbench.data.library.entries import Count, DataFolder, Sha256, Strict

CHUNK = 1 << 20

Advance = Callable[[int], object]


class Fingerprint(Strict):
    """The content of a file, or of all files of a folder.

    Attributes:
        files: how many they are.
        bytes: in all.
        sha256: SHA-256 of the file; for a folder, that of the lines `SHA-256  PATH` of its files, sorted.
    """

    files: Count
    bytes: Count
    sha256: Sha256


class Digests:
    """SHA-256 and, where it is asked for, MD5 of bytes as they pass."""

    def __init__(self, *, md5: bool = False) -> None:
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None

    def update(self, chunk: bytes) -> None:
        """Add bytes."""
        self.bytes += len(chunk)
        self._sha256.update(chunk)
        if self._md5 is not None:
            self._md5.update(chunk)

    def digits(self, algorithm: str) -> str:
        """Hexadecimal digits by `md5` or `sha256`."""
        found = self._md5 if algorithm == "md5" else self._sha256
        assert found is not None
        return found.hexdigest()

    def fingerprint(self) -> Fingerprint:
        """The fingerprint of a file that is not empty."""
        return Fingerprint(files=1, bytes=self.bytes, sha256=self.digits("sha256"))


class FolderDigests:
    """Checksums of the files of a folder, in whatever order they come."""

    def __init__(self) -> None:
        self.bytes = 0
        self._lines: list[bytes] = []  # compact: a folder may have a quarter of a million files

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, name: str, file: Digests) -> None:
        """Add a file by its path inside the folder."""
        self.bytes += file.bytes
        self._lines.append(f"{file.digits('sha256')}  {name}\n".encode())

    def fingerprint(self) -> Fingerprint:
        """The fingerprint of a folder with at least one file that is not empty."""
        digest = hashlib.sha256(b"".join(sorted(self._lines))).hexdigest()
        return Fingerprint(files=len(self), bytes=self.bytes, sha256=digest)


def digest_file(path: Path, advance: Advance, *, md5: bool = False) -> Digests:
    """Read a file; `advance` gets the bytes of each chunk."""
    with path.open("rb") as stream:
        return digest_stream(stream, advance, md5=md5)


def digest_stream(stream: IO[bytes], advance: Advance, *, md5: bool = False) -> Digests:
    """Read a stream to its end; `advance` gets the bytes of each chunk."""
    digests = Digests(md5=md5)
    while chunk := stream.read(CHUNK):
        digests.update(chunk)
        advance(len(chunk))
    return digests


def digest_folder(folder: Path, kind: DataFolder, advance: Advance) -> FolderDigests:
    """Read all files of `kind` in a folder and below."""
    digests = FolderDigests()
    for path in members(folder, kind):
        digests.add(path.relative_to(folder).as_posix(), digest_file(path, advance))
    return digests


def members(folder: Path, kind: DataFolder) -> Iterator[Path]:
    """The files of `kind` in a folder and below, in no order; links do not count."""
    return (path for path in folder.rglob(f"*{kind.suffix}") if path.is_file() and not path.is_symlink())
