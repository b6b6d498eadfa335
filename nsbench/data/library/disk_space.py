"""Whether the disk has room for a data set, checked before anything is downloaded."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from nsbench.data.library.entries import DataSource, Download
from nsbench.errors import UserError

RESERVE = 100_000_000  # bytes left free for others


def free_bytes(folder: Path) -> int:
    """Free space where `folder` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def needed_bytes(source: DataSource, downloads: Iterable[Download], arrived: dict[str, int]) -> int:
    """The most that fetching takes at any moment: an archive is deleted before the next one comes.

    Args:
        source: the manifest.
        downloads: those to fetch, in order.
        arrived: bytes that are there already, by the download's name.

    Returns:
        Bytes; too few where a size is not published.
    """
    most = kept = 0
    for download in downloads:
        unpacked = _unpacked_bytes(source, download)
        left = max((download.bytes or unpacked) - arrived.get(download.name, 0), 0)
        most = max(most, kept + left + unpacked)
        kept += unpacked
    return most


def check_space(source: DataSource, needed: int, free: int, folder: Path) -> None:
    """UserError if `needed` bytes and a reserve for others do not fit into `free` bytes."""
    if needed + RESERVE > free:
        raise UserError(
            f"{source.title} needs {format_bytes(needed)} of disk space for its download and its files, and {folder} "
            f"has {format_bytes(free)} free: free some, or choose another folder with --data."
        )


def format_bytes(count: int) -> str:
    """For people, in powers of 1000: `999 bytes`, `2.92 GB`."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 1000 * size else f"{count / size:,.0f} {unit}"
    return f"{count} bytes"


def _unpacked_bytes(source: DataSource, download: Download) -> int:
    files = sum(file.most_bytes for file in source.files_of(download))
    folders = (download.bytes or 0) if source.folders_of(download) else 0  # of JPEG images: about what the archive has
    return files + folders
