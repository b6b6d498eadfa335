"""Archives unpacked by a list of what they may hold, and nothing else of them.

Whatever an archive says, files are written below one folder, each at a place that the list gives it
and no longer than the list allows. Links, devices, names that lead elsewhere, names that come twice
and sizes that no list allows condemn the whole archive. Files that are merely not on the list are
left out.
"""

import gzip
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from nsbench.data.library.entries import DataFile, DataFolder, DataSource, Download
from nsbench.data.library.fingerprints import CHUNK, Advance, Digests, FolderDigests
from nsbench.errors import UserError, shortened

_HEADER_ALLOWANCE = 1 << 20  # bytes that tar may read between two files; its real headers have hundreds
_LEFT_OUT_ALLOWANCE = 1 << 24  # bytes of files that are not on the list, such as a page that explains the set
_LEFT_OUT_COUNT = 1000
_COMPRESSION = 2  # most that an archive of images grows by unpacking; JPEG and MP4 do not compress
_DEEPEST = 16
_MOST_ENTRIES = 5_000_000  # folders too; the largest archive of ImageNet-C has a million files
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, IndexError, struct.error)


class _Member(NamedTuple):
    """A file in an archive: its name, checked, the size that the archive states, and its content."""

    name: str
    size: int
    stream: IO[bytes]


@dataclass(frozen=True)
class Contents:
    """What an archive may hold.

    Attributes:
        files: by their paths in the set.
        folders: folders of the set.
        inside: folder of the archive that holds them, None for all of it.
        into: folder of the set that the archive is unpacked into, None for the set's own.
        most_bytes: largest total size of the files that folders hold.
    """

    files: dict[str, DataFile]
    folders: tuple[DataFolder, ...]
    inside: str | None
    into: str | None
    most_bytes: int

    def place(self, name: str) -> tuple[str, DataFile | DataFolder] | None:
        """The path in the set of a member, and its entry there; None if it is not on the list."""
        if self.inside is not None:
            if not name.startswith(f"{self.inside}/"):
                return None
            name = name.removeprefix(f"{self.inside}/")
        path = f"{self.into}/{name}" if self.into else name
        if path in self.files:
            return path, self.files[path]
        for folder in self.folders:
            if path.endswith(folder.suffix) and (folder.name == "." or path.startswith(f"{folder.name}/")):
                return path, folder
        return None


@dataclass
class Unpacked:
    """What came out of an archive: checksums by the names of files and folders, and what was left out."""

    files: dict[str, Digests] = field(default_factory=dict)
    folders: dict[str, FolderDigests] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def contents_of(source: DataSource, download: Download, archive_bytes: int) -> Contents:
    """What `download`, an archive of `archive_bytes`, may hold of `source`."""
    files = {file.name: file for file in source.files_of(download)}
    return Contents(files, source.folders_of(download), download.inside, download.into, _COMPRESSION * archive_bytes)


def unpack(archive: Path, contents: Contents, target: Path, advance: Advance) -> Unpacked:
    """Write the files of `contents` that an archive holds below the folder `target`.

    Args:
        archive: tar, tar.gz or zip, whatever its name says.
        contents: what may be written.
        target: a folder without links; the caller deletes it when this fails.
        advance: gets the number of bytes written.

    Raises:
        UserError: the archive is damaged, hostile, or holds more than it may.
    """
    unpacked, taken = Unpacked(), _Taken(archive, contents)
    with _explained(archive), _opened(archive) as found:
        for member in found:
            place = contents.place(member.name)
            taken.add(member, place[1] if place else None)
            if place is None:
                unpacked.left_out.append(member.name)
                continue
            path, entry = place
            digests = _write(target / path, member, advance, md5=isinstance(entry, DataFile) and entry.md5 is not None)
            if isinstance(entry, DataFile):
                unpacked.files[path] = digests
            else:
                inner = path if entry.name == "." else path.removeprefix(f"{entry.name}/")
                unpacked.folders.setdefault(entry.name, FolderDigests()).add(inner, digests)
    return unpacked


class _Taken:
    """Counts what is taken from an archive, so that no more is than the list allows."""

    def __init__(self, archive: Path, contents: Contents) -> None:
        self._archive, self._contents = archive, contents
        self._names: set[str] = set()
        self._left_out = self._left_out_bytes = self._folder_bytes = 0
        self._counts = {folder.name: 0 for folder in contents.folders}

    def add(self, member: _Member, entry: DataFile | DataFolder | None) -> None:
        """Count a member, before any of it is read; UserError if the archive then holds too much."""
        if member.name.casefold() in self._names:  # a file system may not distinguish upper from lower case
            raise _hostile(self._archive, f"{member.name} comes twice")
        self._names.add(member.name.casefold())
        if isinstance(entry, DataFile):
            if not entry.fits(member.size):
                raise _hostile(self._archive, f"{member.name} has {member.size:,} bytes, not those of the manifest")
        elif isinstance(entry, DataFolder):
            self._counts[entry.name] += 1
            self._folder_bytes += member.size
            if entry.count is not None and self._counts[entry.name] > entry.count:
                raise _hostile(self._archive, f"it holds more than {entry.count:,} files of {entry.name}")
            if self._folder_bytes > self._contents.most_bytes:
                raise _hostile(self._archive, f"it holds more than {self._contents.most_bytes:,} bytes")
        else:
            self._left_out += 1
            self._left_out_bytes += member.size
            if self._left_out > _LEFT_OUT_COUNT or self._left_out_bytes > _LEFT_OUT_ALLOWANCE:
                raise _hostile(self._archive, "it holds much that is not in the manifest")


def _write(path: Path, member: _Member, advance: Advance, *, md5: bool) -> Digests:
    """Write the member's own number of bytes and no more; its parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digests = Digests(md5=md5)
    with path.open("xb") as file:
        while digests.bytes < member.size:
            chunk = member.stream.read(min(CHUNK, member.size - digests.bytes))
            if not chunk:
                raise EOFError(f"{member.name} ends early")
            file.write(chunk)
            digests.update(chunk)
            advance(len(chunk))
    return digests


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    with archive.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic == b"PK\x03\x04":
            with zipfile.ZipFile(raw) as opened:
                yield _zip_members(archive, opened)
        elif magic[:2] == b"\x1f\x8b":
            with gzip.open(raw) as unzipped:
                yield _tar_members(archive, _Metered(archive, unzipped))
        else:
            yield _tar_members(archive, _Metered(archive, raw))


class _Metered:
    """A stream that gives no more than was allowed, so that a tar header cannot fill the memory."""

    def __init__(self, archive: Path, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._archive, self._stream, self._left = archive, stream, 0

    def allow(self, count: int) -> None:
        """Let `count` bytes and a header pass from here on."""
        self._left = count + _HEADER_ALLOWANCE

    def read(self, size: int) -> bytes:
        """At most `size` bytes; UserError beyond what was allowed."""
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise _hostile(self._archive, "it continues where it should end")
        return chunk


def _tar_members(archive: Path, stream: _Metered) -> Iterator[_Member]:
    stream.allow(0)
    entries = 0
    with tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload] # it needs read() alone
        while (entry := tar.next()) is not None:
            entries += 1
            if entries > _MOST_ENTRIES:
                raise _hostile(archive, f"it has more than {_MOST_ENTRIES:,} entries")
            name = _checked_name(archive, entry.name)
            if entry.size < 0:
                raise _hostile(archive, f"{name} has a size below 0")
            if entry.isreg() and not entry.issparse():
                stream.allow(entry.size)
                content = tar.extractfile(entry)
                assert content is not None
                yield _Member(name, entry.size, content)
            elif not entry.isdir():
                raise _hostile(archive, f"{entry.name} is a {_kind(entry)}")
            tar.members = []  # it would keep a record of each of a million files
            stream.allow(entry.size if entry.isreg() else 0)


def _kind(entry: tarfile.TarInfo) -> str:
    kinds = {tarfile.SYMTYPE: "symbolic link", tarfile.LNKTYPE: "hard link", tarfile.FIFOTYPE: "pipe"}
    devices = (tarfile.CHRTYPE, tarfile.BLKTYPE)
    return "device" if entry.type in devices else kinds.get(entry.type, "file of an unknown kind")


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> Iterator[_Member]:
    for entry in opened.infolist():
        name = _checked_name(archive, entry.orig_filename)  # `filename` is cut at a NUL
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _hostile(archive, f"{name} is a link, a device or a pipe")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _hostile(archive, f"{name} is compressed in an unusual way")
        if entry.flag_bits & 1:
            raise _hostile(archive, f"{name} is encrypted")
        if not entry.is_dir():
            with opened.open(entry) as stream:
                yield _Member(name, entry.file_size, stream)


def _checked_name(archive: Path, raw: str) -> str:
    """The name of a member as a path below some folder, written in one way; UserError if it leads elsewhere."""
    name = raw.removesuffix("/")
    while name.startswith("./"):
        name = name[2:]
    parts = name.split("/")
    if name == ".":
        return name
    if (
        not raw.isprintable()  # NUL, line ends, bytes that are not text
        or "\\" in raw
        or re.match("[A-Za-z]:", raw)
        or any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts)
        or len(parts) > _DEEPEST
    ):
        raise _hostile(archive, f"the name {raw[:200]!r} is not allowed")
    return name


def _hostile(archive: Path, reason: str) -> UserError:
    why = shortened(reason, 300)
    return UserError(f"{archive} is not unpacked ({why}): delete it, and get it from where its authors publish it.")


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    """Report a damaged archive in one sentence."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise _hostile(archive, "it has a file and a folder of one name") from error
    except (*_BROKEN, gzip.BadGzipFile, NotImplementedError, RuntimeError) as error:
        reason = shortened(str(error)) or type(error).__name__
        raise UserError(
            f"{archive} is damaged or no tar or zip archive ({reason}): delete it and fetch it again."
        ) from (error)
