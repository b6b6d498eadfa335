"""What is wrong with the files of a data set, one sentence a fault."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from nsbench.data.library.entries import DataFile, DataFolder
from nsbench.data.library.fingerprints import Digests, Fingerprint, FolderDigests
from nsbench.data.library.recorded import Origin, Recorded, Records
from nsbench.data.npy.arrays import open_array
from nsbench.errors import UserError

_REMEDY = "delete it and fetch the set again"


@dataclass(frozen=True)
class Known:
    """What files are compared with where no checksum is published.

    Attributes:
        records: records of the set.
        origin: where the files come from.
    """

    records: Records
    origin: Origin


@dataclass
class Findings:
    """What comparing files with the manifest has shown.

    Attributes:
        faults: one sentence each, in the order of the manifest.
        seen: content of the entries without a fault and without a published checksum.
    """

    faults: list[str] = field(default_factory=list)
    seen: dict[str, Fingerprint] = field(default_factory=dict)


def examine_files(
    root: Path, files: Iterable[DataFile], known: Known, read: Callable[[DataFile], Digests], findings: Findings
) -> None:
    """Compare files below `root`; `read` gives the digests of those that have the right shape."""
    for file in files:
        path = root / file.name
        fault = _shape_fault(path, file)
        if fault is None:
            digests = read(file)
            fault = checksum_fault(path, file, digests, known.records.known(file.name, known.origin))
            if fault is None and file.published is None:
                findings.seen[file.name] = digests.fingerprint()
        if fault is not None:
            findings.faults.append(fault)


def examine_folders(
    root: Path,
    folders: Iterable[DataFolder],
    known: Known,
    read: Callable[[DataFolder], FolderDigests],
    findings: Findings,
) -> None:
    """Compare folders below `root`; `read` gives the digests of those that exist."""
    for folder in folders:
        path = root / folder.name
        if not path.is_dir():
            findings.faults.append(f"{path} is missing: fetch the set again.")
            continue
        digests = read(folder)
        fault = _count_fault(path, folder, digests)
        if fault is None:
            content = digests.fingerprint()
            fault = _record_fault(path, content, known.records.known(folder.name, known.origin))
            if fault is None:
                findings.seen[folder.name] = content
        if fault is not None:
            findings.faults.append(fault)


def _shape_fault(path: Path, file: DataFile) -> str | None:
    """What is wrong with the size of a file, or with the array that its header announces."""
    if not path.is_file():
        return f"{path} is missing: fetch the set again."
    if file.is_npy:
        try:
            array = open_array(path, _REMEDY)
        except UserError as error:
            return str(error)
        if (str(array.dtype), array.shape) != (file.dtype, file.shape):
            return f"{path} holds {array.dtype} {array.shape} instead of {file.dtype} {file.shape}: {_REMEDY}."
    size = path.stat().st_size
    if file.fits(size):
        return None
    fault = "truncated" if size < file.most_bytes else "too long"
    return f"{path} is {fault} (expected {file.most_bytes} bytes, found {size}): {_REMEDY}."


def checksum_fault(path: Path, file: DataFile, found: Digests, known: Recorded | None) -> str | None:
    """What is wrong with the published checksum of a file, or else with the recorded one, if there is one."""
    if file.published is None:
        return _record_fault(path, found.fingerprint(), known)
    algorithm, expected = file.published
    digits = found.digits(algorithm)
    if digits == expected:
        return None
    name = {"md5": "MD5", "sha256": "SHA-256"}[algorithm]
    return f"{path} has the wrong checksum (expected {name} {expected}, found {digits}): {_REMEDY}."


def _count_fault(path: Path, folder: DataFolder, found: FolderDigests) -> str | None:
    if found.bytes and folder.count in (None, len(found)):
        return None
    needed = f"{folder.count:,}" if folder.count else "some"
    return f"{path} holds {len(found):,} files ending in {folder.suffix} where {needed} are needed: {_REMEDY}."


def _record_fault(path: Path, found: Fingerprint, known: Recorded | None) -> str | None:
    if known is None or known.content == found:
        return None
    return f"{path} is not what was {known} (expected SHA-256 {known.content.sha256}, found {found.sha256}): {_REMEDY}."
