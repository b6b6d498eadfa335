"""Which part of a data set is in the data folder, judged by names and sizes alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nsbench.data.library.disk_space import format_bytes
from nsbench.data.library.entries import DataFile, DataFolder, DataSource, FileSet
from nsbench.data.library.manifests import Manifest
from nsbench.data.library.recorded import Records, load_records
from nsbench.data.npy.folder import DESCRIPTION

EntryState = Literal["whole", "missing", "wrong size", "not verified"]
SetState = Literal["complete", "partial", "missing", "embedded", "made by nsbench"]


@dataclass(frozen=True)
class Entry:
    """A file or folder of a set, as it is on disk.

    Attributes:
        name: in the set.
        state: `not verified` is a folder that is there and was never counted.
        bytes: on disk; of a folder what was recorded of it, 0 where nothing was.
    """

    name: str
    state: EntryState
    bytes: int


@dataclass(frozen=True)
class Inventory:
    """One data set, as it is on disk.

    Attributes:
        name: name of the set.
        title: for people.
        folder: where its files are or would be; None when embedded.
        state: state of the whole set. `made by nsbench` is a generated set in the official one's place.
        entries: its files, then its folders, in the order of the manifest.
        download_bytes: size of all its downloads; None where not published.
        unpacked_bytes: size of all its files; None where not known.
        instead: what nsbench can make in its place.
    """

    name: str
    title: str
    folder: Path | None
    state: SetState
    entries: tuple[Entry, ...]
    download_bytes: int | None
    unpacked_bytes: int | None
    instead: str | None

    @property
    def bytes(self) -> int:
        """On disk."""
        return sum(entry.bytes for entry in self.entries)

    def not_whole(self) -> list[Entry]:
        """The entries that are missing, of another size, or not verified."""
        return [entry for entry in self.entries if entry.state != "whole"]


def take_inventory(source: Manifest | FileSet, data: Path) -> Inventory:
    """Which part of `source` is in the data folder; UserError if the record of its checksums is damaged."""
    folder = set_folder(source, data)
    entries: tuple[Entry, ...] = ()
    if folder is not None:
        records = load_records(data, source.name)
        entries = (
            *(_file_entry(folder, file) for file in source.files),
            *(_folder_entry(folder, inner, records) for inner in source.folders),
        )
    downloads = [download.bytes for download in source.downloads]
    return Inventory(
        name=source.name,
        title=source.title,
        folder=folder,
        state=_state(folder, entries),
        entries=entries,
        download_bytes=None if None in downloads else sum(size for size in downloads if size),
        unpacked_bytes=None if source.folders else sum(file.bytes or file.array_bytes for file in source.files),
        instead=source.generated,
    )


def set_folder(source: DataSource, data: Path) -> Path | None:
    """Where the files of `source` are: its folder in the data folder, or the data folder itself if it has them all."""
    if source.folder is None:
        return None
    folder = data / source.folder
    itself = not folder.is_dir() and source.files and all((data / file.name).is_file() for file in source.files)
    return data if itself else folder


def _state(folder: Path | None, entries: tuple[Entry, ...]) -> SetState:
    if folder is None:
        return "embedded"
    if (folder / DESCRIPTION).exists():
        return "made by nsbench"
    states = {entry.state for entry in entries}
    if states == {"whole"}:
        return "complete"
    return "missing" if states == {"missing"} else "partial"


def _file_entry(folder: Path, file: DataFile) -> Entry:
    path = folder / file.name
    if not path.is_file():
        return Entry(file.name, "missing", 0)
    size = path.stat().st_size
    return Entry(file.name, "whole" if file.fits(size) else "wrong size", size)


def _folder_entry(folder: Path, inner: DataFolder, records: Records) -> Entry:
    path = folder / inner.name
    if not path.is_dir() or not any(path.iterdir()):
        return Entry(inner.name, "missing", 0)
    known = records.entries.get(inner.name)
    return Entry(inner.name, "whole", known.content.bytes) if known else Entry(inner.name, "not verified", 0)


def describe(inventory: Inventory) -> dict[str, object]:
    """The inventory as JSON values."""
    return {
        "name": inventory.name,
        "title": inventory.title,
        "state": inventory.state,
        "folder": None if inventory.folder is None else str(inventory.folder),
        "bytes": inventory.bytes,
        "download_bytes": inventory.download_bytes,
        "unpacked_bytes": inventory.unpacked_bytes,
        "not_whole": {entry.name: entry.state for entry in inventory.not_whole()},
        "instead": inventory.instead,
    }


def format_inventories(inventories: Sequence[Inventory]) -> str:
    """A table in plain text."""
    header = ("name", "title", "here", "on disk", "download", "unpacked", "in its place")
    rows = [
        (
            one.name,
            one.title,
            _state_text(one),
            format_bytes(one.bytes) if one.bytes else "-",
            _bytes_text(one, one.download_bytes),
            _bytes_text(one, one.unpacked_bytes),
            f"nsbench data generate {one.name}" if one.instead else "-",
        )
        for one in inventories
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = (zip(row, widths, "<<<>>><", strict=True) for row in (header, *rows))
    return "\n".join("  ".join(f"{cell:{side}{width}}" for cell, width, side in line).rstrip() for line in lines)


def _state_text(inventory: Inventory) -> str:
    if inventory.state == "partial":
        whole = len(inventory.entries) - len(inventory.not_whole())
        return f"partial, {whole} of {len(inventory.entries)}"
    return inventory.state


def _bytes_text(inventory: Inventory, count: int | None) -> str:
    if inventory.folder is None:
        return "-"
    return "not known" if count is None else format_bytes(count)
