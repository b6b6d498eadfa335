"""A data set brought into the data folder: downloaded, checked, unpacked, and only then put in its place.

Everything unfinished is in `downloads/NAME` of the data folder. Killed at any moment, the same
call continues: from the bytes that arrived, or from an archive that is whole.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nsbench.data.library.archive import Unpacked, contents_of, unpack
from nsbench.data.library.disk_space import RESERVE, check_space, format_bytes, free_bytes, needed_bytes
from nsbench.data.library.download import addresses, fetch_file
from nsbench.data.library.entries import Download, FileSet
from nsbench.data.library.faults import Findings, Known, examine_files, examine_folders
from nsbench.data.library.fingerprints import digest_file
from nsbench.data.library.http import Wanted
from nsbench.data.library.inventory import Inventory, take_inventory
from nsbench.data.library.manifests import Manifest
from nsbench.data.library.patience import Patience
from nsbench.data.library.recorded import load_records, save_records
from nsbench.errors import UserError
from nsbench.progress import Reporter

_MEGABYTE = 1_000_000
_POOCHS = re.compile("tmp[a-z0-9_]{8}")
"""Names of the temporary files of pooch."""


def fetch(
    source: Manifest | FileSet,
    data: Path,
    reporter: Reporter,
    *,
    mirrors: str = "",
    patience: Patience | None = None,
    free: int | None = None,
) -> None:
    """Bring what is missing of `source` into the data folder.

    Args:
        source: the manifest.
        data: the data folder, made if need be.
        reporter: shows what happens.
        mirrors: base addresses to ask first, separated by spaces.
        patience: when to give up on servers; None stands for the usual.
        free: bytes of disk space; None asks the file system.

    Raises:
        UserError: too little space, no server gives the files, or they are not what the manifest says.
    """
    before = take_inventory(source, data)
    if before.folder is None:
        reporter.say(f"{source.title}: there is nothing to fetch, it comes with a Python package.")
        return
    _refuse_what_is_in_the_way(before)
    place = data / "downloads" / source.name
    missing = {entry.name for entry in before.not_whole()}
    needed = [download for download in source.downloads if missing & _entries(source, download)]
    if needed:
        urls = {download.name: addresses(download, source.name, mirrors) for download in needed}
        with _explained(), _only_process(place, source):
            room = free_bytes(data) if free is None else free
            _announce(source, needed, place, room, reporter)
            task = _Fetch(source, data, before.folder, place, reporter, patience or Patience(), room)
            for download in needed:
                task.bring(download, urls[download.name], missing)
    if place.exists():
        with _explained(), _only_process(place, source):
            _clear(source, place)
    reporter.say(f"{source.title} is complete in {before.folder}{'' if needed else ': there is nothing to fetch'}.")


@dataclass(frozen=True)
class _Fetch:
    """One data set on its way into its folder."""

    source: Manifest | FileSet
    data: Path
    folder: Path
    place: Path
    reporter: Reporter
    patience: Patience
    room: int

    def bring(self, download: Download, urls: list[str], missing: set[str]) -> None:
        """Download one file, and put those of its entries in place that are missing."""
        staging = self.place / "unpacked"
        self._remove_leftovers(staging)
        file = self._download(download, urls)
        try:
            staging.mkdir()
            found = self._unpack(download, file, staging) if download.is_archive else _as_it_is(download, file, staging)
            self._check(download, file, staging, found)
            for name in missing & _entries(self.source, download):
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                (staging / name).replace(target)
        except UserError:
            if download.published is None:  # nothing says that it is the right file, so the next fetch brings another
                file.unlink()
            raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        file.unlink()

    def _remove_leftovers(self, staging: Path) -> None:
        """Delete what a killed process left, except what has arrived."""
        shutil.rmtree(staging, ignore_errors=True)
        for left in self.place.iterdir():
            if _is_poochs(left):
                left.unlink()

    def _download(self, download: Download, urls: list[str]) -> Path:
        """The downloaded file, with its published checksum, or with the recorded one if there is one."""
        recorded = load_records(self.data, self.source.name).downloads.get(download.name)
        algorithm, digits = download.published or ("sha256", recorded.content.sha256 if recorded else "")
        known_hash = f"{algorithm}:{digits}" if digits else None
        most = download.bytes or max(self.room - RESERVE, 0)
        wanted = Wanted(download.name, download.bytes, most, known_hash is not None)
        return fetch_file(wanted, known_hash, urls, self.place, self.reporter, self.patience)

    def _unpack(self, download: Download, file: Path, staging: Path) -> Unpacked:
        size = file.stat().st_size
        total = sum(entry.most_bytes for entry in self.source.files_of(download)) or size
        with self.reporter.task(f"unpacking {download.name}", -(-total // _MEGABYTE), "MB") as task:
            written = 0

            def advance(count: int) -> None:
                nonlocal written
                task.advance((written + count) // _MEGABYTE - written // _MEGABYTE)
                written += count

            found = unpack(file, contents_of(self.source, download, size), staging, advance)
        if found.left_out:
            names = ", ".join(sorted(found.left_out)[:3]) + (" and others" if len(found.left_out) > 3 else "")
            self.reporter.say(f"left out of {download.name}, since they are not part of the set: {names}")
        return found

    def _check(self, download: Download, file: Path, staging: Path, found: Unpacked) -> None:
        """Compare what was unpacked with the manifest and the records; what has no published checksum is recorded."""
        records, findings = load_records(self.data, self.source.name), Findings()
        known = Known(records, "published archive" if download.published else "first use")
        files, folders = self.source.files_of(download), self.source.folders_of(download)
        examine_files(staging, files, known, lambda file: found.files[file.name], findings)
        examine_folders(staging, folders, known, lambda folder: found.folders[folder.name], findings)
        if findings.faults:
            fault = findings.faults[0].replace(f"{staging}/", "")
            raise UserError(f"{download.name} does not hold what the manifest says: {fault}")
        records = records.with_entries(findings.seen, known.origin)
        if download.published is None and download.name not in records.downloads:
            content = digest_file(file, lambda _: None).fingerprint()
            records = records.with_download(download.name, content)
            self.reporter.say(
                f"no checksum of {download.name} is published: its SHA-256 {content.sha256} is recorded, and compared "
                "from now on"
            )
        save_records(self.data, self.source.name, records)


def _clear(source: Manifest | FileSet, place: Path) -> None:
    """Delete what fetching left of downloads; what others put into the folder stays."""
    shutil.rmtree(place / "unpacked", ignore_errors=True)
    names = {f"{download.name}{end}" for download in source.downloads for end in ("", ".part", ".part.json")}
    for left in place.iterdir():
        if (left.name in names and left.is_file()) or _is_poochs(left):
            left.unlink()


def _is_poochs(path: Path) -> bool:
    return _POOCHS.fullmatch(path.name) is not None and path.is_file() and not path.is_symlink()


def _as_it_is(download: Download, file: Path, staging: Path) -> Unpacked:
    """A download that is itself a file of the set."""
    (name,) = download.holds
    (staging / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, staging / name)
    return Unpacked(files={name: digest_file(staging / name, lambda _: None, md5=True)})


def _entries(source: Manifest | FileSet, download: Download) -> set[str]:
    return {file.name for file in source.files_of(download)} | {folder.name for folder in source.folders_of(download)}


def _refuse_what_is_in_the_way(before: Inventory) -> None:
    if before.state == "made by nsbench":
        raise UserError(
            f"{before.folder} holds a set that nsbench made, not the official {before.title}: move it away, or choose "
            "another folder with --data."
        )
    for entry in before.entries:
        if entry.state == "not verified":
            raise UserError(
                f"{before.folder} has a folder {entry.name} that was never checked: run `nsbench data verify "
                f"{before.name}` first, or delete it."
            )


def _announce(source: Manifest | FileSet, needed: list[Download], place: Path, room: int, reporter: Reporter) -> None:
    """Say how much is to come; UserError if there is no room for it."""
    arrived = {
        download.name: sum(
            path.stat().st_size for path in (place / download.name, place / f"{download.name}.part") if path.is_file()
        )
        for download in needed
    }
    total = needed_bytes(source, needed, arrived)
    check_space(source, total, room, place)
    sizes = [download.bytes for download in needed]
    size = "size not published" if None in sizes else format_bytes(sum(size or 0 for size in sizes))
    names = ", ".join(download.name for download in needed)
    reporter.say(f"{source.title}: fetching {names} ({size}); {format_bytes(total)} of disk space are needed")


@contextmanager
def _only_process(place: Path, source: Manifest | FileSet) -> Iterator[None]:
    """Keep other processes from fetching the same set into the same folder meanwhile; leave no empty folder."""
    place.mkdir(parents=True, exist_ok=True)
    handle = os.open(place, os.O_RDONLY)
    try:
        _lock(handle, source)
        yield
    finally:
        os.close(handle)
        with suppress(OSError):  # not empty: what arrived stays
            place.rmdir()
            place.parent.rmdir()


def _lock(handle: int, source: Manifest | FileSet) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"{source.title} is being fetched by another process: wait until it is done.") from None
    except OSError:  # a network file system that cannot lock a folder
        return


@contextmanager
def _explained() -> Iterator[None]:
    """Say in one sentence that a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or 'The data folder'} cannot be written ({error.strerror or error}): check the disk and "
            "the permissions, or choose another folder with --data."
        ) from error
