"""Checksums recorded on first use, for files that have no published one.

They are in the data folder, `checksums/NAME.json`, and are compared from then on. A record made from
an archive that had its published checksum is as good as a published one; any other only shows that
nothing has changed since.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from nsbench.data.library.entries import Strict
from nsbench.data.library.fingerprints import Fingerprint
from nsbench.errors import UserError
from nsbench.files import read_regular, write_text

Origin = Literal["published archive", "first use"]


class Recorded(Strict):
    """One record: what was found, when, and how far it can be trusted."""

    content: Fingerprint
    origin: Origin
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="UTC")

    def __str__(self) -> str:
        """For a sentence: `recorded on 2026-01-31 at first use`."""
        return f"recorded on {self.date} {'at' if self.origin == 'first use' else 'from the'} {self.origin}"


class Records(Strict):
    """All records of one data set.

    Attributes:
        downloads: checksums of files as downloaded, by name.
        entries: checksums of the set's files and folders, by name.
    """

    format_version: Literal[1] = 1
    downloads: dict[str, Recorded] = Field(default_factory=dict)
    entries: dict[str, Recorded] = Field(default_factory=dict)

    def known(self, name: str, origin: Origin) -> Recorded | None:
        """What to compare an entry of `origin` with: a published archive need not agree with a first use."""
        record = self.entries.get(name)
        return None if record and (record.origin, origin) == ("first use", "published archive") else record

    def with_entries(self, seen: dict[str, Fingerprint], origin: Origin) -> "Records":
        """These records and those of `seen`, as far as they are new or better."""
        new = {name: record_now(content, origin) for name, content in seen.items() if not self.known(name, origin)}
        return Records(downloads=self.downloads, entries=self.entries | new)

    def with_download(self, name: str, content: Fingerprint) -> "Records":
        """These records and that of a download that has no published checksum."""
        return Records(downloads=self.downloads | {name: record_now(content, "first use")}, entries=self.entries)


def record_now(content: Fingerprint, origin: Origin) -> Recorded:
    """A record of today."""
    return Recorded(content=content, origin=origin, date=datetime.now(UTC).strftime("%Y-%m-%d"))


def load_records(data: Path, name: str) -> Records:
    """The records of the set `name` in a data folder, none if there is no file; UserError for a damaged one."""
    path = _path(data, name)
    try:
        return Records.model_validate_json(read_regular(path))
    except (FileNotFoundError, NotADirectoryError):
        return Records()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check it and its permissions.") from error
    except ValueError as error:
        raise UserError(f"{path} is not a record of checksums: delete it, and they are recorded again.") from error


def save_records(data: Path, name: str, records: Records) -> None:
    """Write the records of the set `name`, in order of their names."""
    in_order = Records(downloads=dict(sorted(records.downloads.items())), entries=dict(sorted(records.entries.items())))
    write_text(_path(data, name), in_order.model_dump_json(indent=1) + "\n")


def _path(data: Path, name: str) -> Path:
    return data / "checksums" / f"{name}.json"
