"""Every file of a data set read and compared with its manifest."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nsbench.claims import CLAIMS
from nsbench.data.library.entries import DataFile, DataFolder, FileSet
from nsbench.data.library.faults import Findings, Known, examine_files, examine_folders
from nsbench.data.library.fingerprints import Digests, FolderDigests, digest_file, digest_folder, members
from nsbench.data.library.inventory import set_folder
from nsbench.data.library.manifests import Manifest
from nsbench.data.library.recorded import load_records, save_records
from nsbench.data.npy.folder import DESCRIPTION
from nsbench.errors import UserError
from nsbench.files import read_regular
from nsbench.progress import Reporter

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Verification:
    """What verifying a data set has shown.

    Attributes:
        folder: where its files are.
        faults: one sentence each, in the order of the manifest.
        published: how many files have their published checksum.
        recorded: how many files and folders, without a published checksum, are as recorded earlier.
        first_seen: names of those that were recorded now.
        extras: paths of files that are not part of the set, sorted.
        generated: name of the set where nsbench made it, such as `nsbench-c v1 3f9a2c`; None for the official one.
    """

    folder: Path
    faults: tuple[str, ...]
    published: int
    recorded: int
    first_seen: tuple[str, ...]
    extras: tuple[str, ...]
    generated: str | None = None


def verify(source: Manifest | FileSet, data: Path, reporter: Reporter) -> Verification:
    """Compare sizes, shapes, types and checksums of all files of `source` with its manifest.

    Where no checksum is published, the recorded one is compared; a file without a fault that has
    none is recorded now. A set that nsbench made is compared with what it wrote down when it made it.

    Raises:
        UserError: the set has no files, is not there at all, or cannot be read.
    """
    folder = set_folder(source, data)
    if folder is None:
        raise UserError(f"{source.title} comes with a Python package: there are no files to verify.")
    if not folder.is_dir():
        raise UserError(
            f"{folder} does not exist: run `nsbench data fetch {source.name}`, or name the data folder with --data."
        )
    work = _verify_generated if (folder / DESCRIPTION).exists() else _verify
    try:
        return work(source, data, folder, reporter)
    except OSError as error:
        name, reason = error.filename or folder, error.strerror or error
        raise UserError(f"{name} cannot be read ({reason}): check the disk and the permissions.") from error


def _verify(source: Manifest | FileSet, data: Path, folder: Path, reporter: Reporter) -> Verification:
    records, findings = load_records(data, source.name), Findings()
    known = Known(records, "first use")
    with reporter.task(f"verifying {source.title}", -(-_bytes_to_read(source, folder) // _MEGABYTE), "MB") as task:
        read = 0

        def advance(count: int) -> None:
            nonlocal read
            task.advance((read + count) // _MEGABYTE - read // _MEGABYTE)
            read += count

        read_file, read_folder = _readers(folder, advance)
        examine_files(folder, source.files, known, read_file, findings)
        examine_folders(folder, source.folders, known, read_folder, findings)
    first_seen = tuple(name for name in findings.seen if name not in records.entries)
    if first_seen:
        save_records(data, source.name, records.with_entries(findings.seen, known.origin))
    whole = len(source.files) + len(source.folders) - len(findings.faults)
    return Verification(
        folder=folder,
        faults=tuple(findings.faults),
        published=whole - len(findings.seen),
        recorded=len(findings.seen) - len(first_seen),
        first_seen=first_seen,
        extras=tuple(sorted(_extras(source, data, folder))),
    )


def _verify_generated(source: Manifest | FileSet, _: Path, folder: Path, reporter: Reporter) -> Verification:
    """Compare the files of a set that nsbench made with their checksums in its description."""
    remedy = f"delete it and run `nsbench data generate {source.name}` again"
    try:
        described = json.loads(read_regular(folder / DESCRIPTION))
        name, files = str(described["set"]), {str(key): str(value) for key, value in described["files"].items()}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise UserError(f"{folder / DESCRIPTION} is damaged: delete that folder and generate the set again.") from None
    faults = []
    with reporter.task(f"verifying {name}", len(files), "files") as task:
        for file, checksum in files.items():
            path = folder / file
            if Path(file).name != file or not path.is_file():
                faults.append(f"{path} is missing: {remedy}.")
            elif digest_file(path, lambda _: None).digits("sha256") != checksum:
                faults.append(f"{path} is not as it was made (its SHA-256 differs): {remedy}.")
            task.advance(1)
    extras = sorted(path.name for path in folder.iterdir() if path.name not in {*files, DESCRIPTION, CLAIMS})
    return Verification(folder, tuple(faults), 0, len(files) - len(faults), (), tuple(extras), name)


def _readers(
    folder: Path, advance: Callable[[int], None]
) -> tuple[Callable[[DataFile], Digests], Callable[[DataFolder], FolderDigests]]:
    return (
        lambda file: digest_file(folder / file.name, advance, md5=file.md5 is not None),
        lambda inner: digest_folder(folder / inner.name, inner, advance),
    )


def _bytes_to_read(source: Manifest | FileSet, folder: Path) -> int:
    files = [folder / file.name for file in source.files]
    inner = [path for kind in source.folders for path in members(folder / kind.name, kind)]
    return sum(path.stat().st_size for path in (*files, *inner) if path.is_file())


def _extras(source: Manifest | FileSet, data: Path, folder: Path) -> Iterator[str]:
    """Files below the set's folder that are not part of it; none where it shares the data folder with others."""
    if folder == data:
        return
    files = {folder / file.name for file in source.files}
    for path in folder.rglob("*"):
        if (
            path not in files
            and not path.is_dir()
            and not any(_is_member(path, folder, kind) for kind in source.folders)
        ):
            yield path.relative_to(folder).as_posix()


def _is_member(path: Path, folder: Path, kind: DataFolder) -> bool:
    return path.suffix == kind.suffix and path.is_relative_to(folder / kind.name) and not path.is_symlink()
