"""Arrays compared with the checksums that are known of them, before anything is measured on them."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from nsbench.data.library.faults import checksum_fault
from nsbench.data.library.fingerprints import Digests, digest_file
from nsbench.data.library.manifests import list_manifests, load_source
from nsbench.data.library.recorded import Records, load_records
from nsbench.data.npy.corruptions import CorruptionFiles
from nsbench.data.npy.perturbations import PerturbationFiles
from nsbench.errors import UserError
from nsbench.progress import Reporter
from nsbench.protocols.protocol import Protocol


def compare_files(
    protocol: Protocol, files: CorruptionFiles | PerturbationFiles, reporter: Reporter
) -> tuple[str, ...]:
    """Compare the arrays that will be read with their checksums.

    Args:
        protocol: the benchmark.
        files: its files, opened.
        reporter: shows the progress.

    Returns:
        Sentences for a reader of the record: that there are files of which no checksum is known.

    Raises:
        UserError: a file is not the one that was published, recorded or made.
    """
    arrays = [f"{name}.npy" for name in files.names]
    if files.generated is not None:
        _compare_made(protocol.name, files.folder, arrays, files.generated.get("files"), reporter)
        return ()
    unknown = compare_official(protocol.name, files.folder, arrays, reporter)
    if not unknown:
        return ()
    remedy = f": `nsbench data verify {protocol.name}` records them" if protocol.name in list_manifests() else ""
    return (
        f"{protocol.title}: {len(unknown)} of {len(arrays)} files were compared with no checksum, since none is "
        f"published or recorded{remedy}.",
    )


def compare_official(name: str, folder: Path, files: Sequence[str], reporter: Reporter) -> tuple[str, ...]:
    """Compare files of an official set with their published checksums, or with those recorded on first use.

    Args:
        name: name of the set.
        folder: its folder; records are beside it, or in it where it is the data folder too.
        files: names of the files that will be read.
        reporter: shows the progress.

    Returns:
        The names of those of which no checksum is known.

    Raises:
        UserError: a file is not the one that was published or recorded.
    """
    listed = {file.name: file for file in load_source(name).files} if name in list_manifests() else {}
    records = _records(name, folder).entries
    known = [file for file in files if file in listed and (listed[file].published or file in records)]
    with reporter.task(f"checking {folder.name}", len(known), "files") as task:
        for file in known:
            found = _digest(folder / file, md5=listed[file].md5 is not None)
            fault = checksum_fault(folder / file, listed[file], found, records.get(file))
            if fault is not None:
                raise UserError(fault)
            task.advance(1)
    return tuple(file for file in files if file not in known)


def _compare_made(name: str, folder: Path, files: Sequence[str], described: Any, reporter: Reporter) -> None:
    """Compare files of a set that nsbench made with the checksums in its description.

    Args:
        name: name of the official set in its place.
        folder: folder of the set.
        files: names of the files that will be read.
        described: what the description gives as the SHA-256 of each file.
        reporter: shows the progress.

    Raises:
        UserError: a file is not as it was made, or the description has no checksum of it.
    """
    remedy = f"make it again with `nsbench data generate {name}`"
    with reporter.task(f"checking {folder.name}", len(files), "files") as task:
        for file in files:
            wanted = described.get(file) if isinstance(described, dict) else None
            if _digest(folder / file).digits("sha256") != wanted:
                raise UserError(f"{folder / file} is not as it was made (its SHA-256 differs): {remedy}.")
            task.advance(1)


def _records(name: str, folder: Path) -> Records:
    """What was recorded, with the folder in the data folder or as the data folder itself."""
    beside, inside = load_records(folder.absolute().parent, name), load_records(folder, name)
    return Records(entries=inside.entries | beside.entries)


def _digest(path: Path, *, md5: bool = False) -> Digests:
    """The checksums of a file, computed once a process while the file stays as it is."""
    found = path.stat()
    return _digest_of(path, md5, found.st_size, found.st_mtime_ns, found.st_ino)


@cache
def _digest_of(path: Path, md5: bool, *_: int) -> Digests:
    return digest_file(path, lambda _: None, md5=md5)
