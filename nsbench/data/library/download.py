"""One download, from a mirror or from its authors, checked before it is used."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from nsbench.data.library.entries import Download
from nsbench.data.library.http import DownloadError, Part, Wanted, may_ask, receive
from nsbench.data.library.patience import Patience
from nsbench.errors import UserError
from nsbench.progress import Reporter

MIRROR_VARIABLE = "NSBENCH_MIRROR"


def addresses(download: Download, set_name: str, mirrors: str) -> list[str]:
    """Where to look for a download, in order: `MIRROR/SET/NAME` for each mirror, then the published addresses.

    Args:
        download: download of a manifest.
        set_name: name of its data set.
        mirrors: base addresses, separated by spaces.

    Raises:
        UserError: a mirror's address is not safe.
    """
    checked = download.published is not None
    for mirror in mirrors.split():
        if not may_ask(mirror, checked=checked):
            raise UserError(
                f"{MIRROR_VARIABLE} has {mirror!r}, which cannot be used for {download.name}: give an https:// address "
                "(http:// will do for files with a published checksum)."
            )
    return [f"{mirror.rstrip('/')}/{set_name}/{download.name}" for mirror in mirrors.split()] + list(download.urls)


def fetch_file(
    wanted: Wanted, known_hash: str | None, urls: list[str], place: Path, reporter: Reporter, patience: Patience
) -> Path:
    """The file `wanted` in the folder `place`, whole and with its checksum.

    A file that is there already is only checked. What has arrived stays when this fails, and is continued.

    Args:
        wanted: the file.
        known_hash: `md5:...` or `sha256:...`; None where it is not known yet.
        urls: tried in this order, over and over while it may help.
        place: made if need be.
        reporter: shows the progress.
        patience: when to give up.

    Raises:
        UserError: no address gives the file.
        OSError: it cannot be written.
    """
    part = Part(place / f"{wanted.name}.part")
    reasons: dict[str, DownloadError] = {}
    failures, reached = 0, part.size
    while failures < patience.attempts:
        if failures:
            asked = max(reason.wait for reason in reasons.values())
            time.sleep(max(asked, patience.pause * 2 ** (failures - 1)))
        for url in urls:
            if url in reasons and not reasons[url].passing:
                continue
            try:
                return _retrieve(url, wanted, known_hash, part, reporter, patience)
            except DownloadError as error:
                reasons[url] = error
                reporter.say(f"{url}: {error}")
        if all(not reasons[url].passing for url in urls):
            break
        failures = 1 if part.size - reached >= patience.least_bytes else failures + 1
        reached = max(reached, part.size)
    listed = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
    raise UserError(
        f"{wanted.name} could not be downloaded ({listed}): run the same command again to continue, set "
        f"{MIRROR_VARIABLE} to a mirror, or put the file into {place} yourself."
    )


def _retrieve(
    url: str, wanted: Wanted, known_hash: str | None, part: Part, reporter: Reporter, patience: Patience
) -> Path:
    """One attempt at one address; pooch compares the checksum and gives the file its name."""
    import pooch  # type: ignore[import-untyped] # noqa: PLC0415 - heavy, and only a download needs it

    pooch.get_logger().setLevel("WARNING")
    began = part.size
    place = part.path.parent
    try:
        pooch.retrieve(url, known_hash, wanted.name, place, downloader=_downloader(wanted, part, reporter, patience))
    except ValueError as error:  # pooch's word for a wrong checksum
        part.discard()
        raise DownloadError("its checksum is wrong", passing=began > 0) from error
    part.discard()
    return place / wanted.name


def _downloader(
    wanted: Wanted, part: Part, reporter: Reporter, patience: Patience
) -> Callable[[str, str, object], None]:
    """What pooch calls to bring the bytes."""

    def bring(url: str, output_file: str, _: object) -> None:
        receive(url, part, wanted, reporter, patience)
        reporter.say(f"checking {wanted.name}")
        # A second name rather than a new one: the part outlives a process that is killed before its checksum is known.
        output = Path(output_file)
        output.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.link(part.path, output)
        if not output.exists():  # a file system without links
            part.path.replace(output)

    return bring
