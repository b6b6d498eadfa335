"""`report/files.json`: what a report is made of, by which the next one finds what is left of this one.

A table or figure that is no longer made goes, and so does an example image that the record no longer names; what a user
added or changed stays. A report without a list, of an earlier version, is left as it is but for what is written anew.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from nsbench.checkpoints.record import Record
from nsbench.config.fields import SampleFile
from nsbench.files import remove_leftovers, write_json, write_text

LIST = "files.json"
LARGEST = 2**24
"""Bytes of a list at most."""

_STEM = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}"
ReportFile = Annotated[str, Field(pattern=rf"^(index\.html|report\.md|figures/{_STEM}\.svg|tables/{_STEM}\.csv)$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Listing(Record):
    """The content of `report/files.json`."""

    format: Literal["nsbench-report"] = "nsbench-report"
    format_version: Literal[1] = 1
    record: Sha256 | None = Field(default=None, description="checksum of results.json; none in earlier lists")
    files: dict[ReportFile, Sha256] = Field(default={}, description="checksums by path, relative to the report")
    samples: dict[SampleFile, Sha256] = Field(
        default={}, description="example images that it shows, relative to the folder of the record"
    )


def replace_report(run: Path, texts: Mapping[str, str], samples: Mapping[str, bytes]) -> None:
    """Write a report in place of the one that is there.

    Args:
        run: the folder of the record.
        texts: the content of every file, by its path relative to `report/`.
        samples: the content of every example image that the record names, by its path relative to the run.

    Raises:
        UserError: a file cannot be written.
    """
    folder = run / "report"
    record = run / "results.json"
    listing = Listing(
        record=_sha256(record.read_bytes()) if record.is_file() else None,
        files={name: _sha256(text.encode()) for name, text in texts.items()},
        samples={name: _sha256(content) for name, content in samples.items()},
    )
    for place in (folder, folder / "tables", folder / "figures", run / "samples"):
        remove_leftovers(place)
    earlier = _read(folder)
    _remove(folder, {name: sha for name, sha in earlier.files.items() if name not in listing.files})
    _remove(run, {name: sha for name, sha in earlier.samples.items() if name not in listing.samples})
    content = listing.model_dump(mode="json", exclude_none=True)
    write_json(folder / LIST, content)  # before the files: a killed report leaves none unlisted
    for name, text in texts.items():
        write_text(folder / name, text)


def report_faults(run: Path) -> dict[str, str | None]:
    """What is wrong with each file that a report is made of, by its path relative to the run; None where nothing is."""
    listing = _read(run / "report")
    if not listing.files:
        return {f"report/{LIST}": "it is missing or damaged"}
    expected = {f"report/{name}": checksum for name, checksum in listing.files.items()} | listing.samples
    stale = listing.record is not None and _fault(run / "results.json", listing.record)
    listed = "it is of another results.json than the one that is there" if stale else None
    return {f"report/{LIST}": listed} | {name: _fault(run / name, checksum) for name, checksum in expected.items()}


def _fault(path: Path, checksum: str) -> str | None:
    if not path.is_file():
        return "it is not there"
    return None if _sha256(path.read_bytes()) == checksum else "it was changed"


def _read(folder: Path) -> Listing:
    """The list of the report that is there; an empty one where there is none, or it is damaged."""
    path = folder / LIST
    if not path.is_file() or path.stat().st_size > LARGEST:
        return Listing()
    try:
        return Listing.model_validate_json(path.read_bytes())
    except ValidationError:
        return Listing()


def _remove(folder: Path, files: Mapping[str, str]) -> None:
    """Delete files that are still what they were, and in the folder itself."""
    whole = folder.resolve()
    for name, checksum in files.items():
        path = whole / name
        if path.is_file() and path.resolve() == path and _sha256(path.read_bytes()) == checksum:
            path.unlink()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
