"""One file over HTTP, into a part that a later attempt continues.

What has arrived stays in `NAME.part`; `NAME.part.json` beside it says where it came from and how the
server named that version. The rest is asked for with Range, and with If-Range where the version is
known, so that a file which changed meanwhile starts again from its beginning.
"""

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from nsbench import __version__
from nsbench.data.library.connection import TimedHTTP, TimedHTTPS
from nsbench.data.library.fingerprints import CHUNK
from nsbench.data.library.patience import Pace, Patience
from nsbench.errors import printable, shortened
from nsbench.files import read_regular, write_json
from nsbench.progress import Reporter

_MEGABYTE = 1_000_000
_PASSING = (408, 416, 425, 429)  # and all from 500 on: to ask again may help
_LONGEST_WAIT = 60.0
_NUMBER = re.compile("[0-9]{1,18}")
_VERSION = re.compile(r"[\x20-\x7e]{1,1000}")


class DownloadError(Exception):
    """A download that did not complete; what a server said is in it as one short line without control characters.

    Attributes:
        passing: whether asking the same address again may help.
        wait: seconds that the server asks us to wait.
    """

    def __init__(self, reason: str, *, passing: bool, wait: float = 0.0) -> None:
        super().__init__(printable(" ".join(shortened(reason).split())))
        self.passing, self.wait = passing, wait


@dataclass(frozen=True)
class Wanted:
    """The file to download.

    Attributes:
        name: for progress.
        bytes: its size, None where not known.
        most_bytes: more than this is refused.
        checked: whether a known checksum is compared afterwards. Without one, plain http is refused, and a part
            is continued only if the server proves that it is still the same version.
    """

    name: str
    bytes: int | None
    most_bytes: int
    checked: bool


class Part:
    """What has arrived of a file, and which version of it that is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._notes = path.with_name(f"{path.name}.json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def refuse_links(self) -> None:
        """Delete what is no file of ours in its place: what arrives would be written wherever a link leads."""
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            self.path.unlink()

    def version(self, url: str) -> str | None:
        """The validator under which `url` gave this part; None if it did not, or gave none."""
        try:
            notes = json.loads(read_regular(self._notes))
            return _sendable(notes["version"]) if notes["url"] == url else None
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            return None

    def begin(self, url: str, version: str | None) -> None:
        """Forget what has arrived; what comes next is `version` of `url`."""
        self.discard()
        write_json(self._notes, {"url": url, "version": version})

    def discard(self) -> None:
        """Delete it."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)


def receive(url: str, part: Part, wanted: Wanted, reporter: Reporter, patience: Patience) -> None:
    """Bring `part` to its full length; what an earlier attempt left is continued.

    Args:
        url: http or https.
        part: longer afterwards by what this attempt brings, also when it fails.
        wanted: the file.
        reporter: shows the progress.
        patience: when the server counts as gone.

    Raises:
        DownloadError: it is not complete.
        OSError: the part cannot be written.
    """
    part.refuse_links()
    if wanted.bytes is not None and part.size > wanted.bytes:
        part.discard()
    version = part.version(url)
    if part.size and not version and not wanted.checked:
        part.discard()
    if part.size and part.size == wanted.bytes:
        return
    try:
        response = _ask(url, part.size, version, wanted, patience.timeout)
    except _NothingLeft:
        return
    with response:
        start = _start(response, part, version)
        total = _total(response, start, wanted)
        if start == 0:
            part.begin(url, _validator(response.headers))
        _receive(response, part, start, total, wanted, reporter, patience)
    if part.size != (wanted.bytes or part.size):
        raise DownloadError(f"it broke off after {part.size:,} of {wanted.bytes:,} bytes", passing=True)


def may_ask(url: str, *, checked: bool) -> bool:
    """Whether an address is safe: https, or plain http where a checksum follows or this machine itself answers."""
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port
    except ValueError:  # brackets around what is no address, or an impossible port
        return False
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and (checked or local)))


class _NothingLeft(Exception):  # noqa: N818 - no error: the part was whole
    """The server says that the file ends where the part does."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to where it may ask."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if not may_ask(newurl, checked=self._wanted.checked):
            fp.close()
            raise DownloadError(f"it redirects to {newurl}, which is not safe without a checksum", passing=False)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type] # its stub is narrower

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message
    ) -> http.client.HTTPResponse | None:
        try:
            return super().http_error_302(req, fp, code, msg, headers)  # type: ignore[arg-type] # likewise
        except ValueError as error:
            fp.close()
            raise DownloadError(f"it redirects to what is no address ({error})", passing=False) from error

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _ask(url: str, have: int, version: str | None, wanted: Wanted, timeout: float) -> Any:
    """The response to a request for what is missing."""
    headers = {"User-Agent": f"nsbench/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version:
            headers["If-Range"] = version
    if not may_ask(url, checked=wanted.checked):
        raise DownloadError("plain http is not safe without a checksum", passing=False)
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - may_ask has seen to the scheme
    try:
        return urllib.request.build_opener(TimedHTTP, TimedHTTPS, _Redirects(wanted)).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if (
            error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            and error.headers.get("Content-Range") == f"bytes */{have}"
        ):
            raise _NothingLeft from error
        passing = error.code in _PASSING or error.code >= 500
        raise DownloadError(f"HTTP status {error.code}", passing=passing, wait=_asked_wait(error.headers)) from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(_reason(error, timeout), passing=True) from error
    except ValueError as error:  # a name that no machine can have
        raise DownloadError(f"it is no address ({error})", passing=False) from error


def _start(response: Any, part: Part, version: str | None) -> int:
    """The offset of the first byte that comes; 0 starts again."""
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise DownloadError("it is a web page, not the file", passing=False)
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    sent = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]+/([0-9]+|\*)", response.headers.get("Content-Range", ""))
    if sent and int(sent[1]) == part.size and version in (None, _validator(response.headers)):
        return part.size
    part.discard()
    raise DownloadError("it sent a different part from the one requested", passing=True)


def _total(response: Any, start: int, wanted: Wanted) -> int | None:
    """The length of the whole file as the server states it; None where it does not."""
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if _NUMBER.fullmatch(length) else None
    if total is not None and wanted.bytes not in (None, total):
        raise DownloadError(f"it offers {total:,} bytes where {wanted.bytes:,} are known to be right", passing=False)
    if total is not None and total > wanted.most_bytes:
        raise DownloadError(f"it offers {total:,} bytes where there is room for {wanted.most_bytes:,}", passing=False)
    return total


def _receive(
    response: Any, part: Part, start: int, total: int | None, wanted: Wanted, reporter: Reporter, patience: Patience
) -> None:
    """Append what comes."""
    ends = total or wanted.bytes or start
    most = wanted.bytes or wanted.most_bytes
    with (
        part.path.open("ab") as file,
        reporter.task(f"downloading {wanted.name}", -(-ends // _MEGABYTE), "MB") as task,
    ):
        task.begin_at(start // _MEGABYTE)
        have, pace = start, Pace(patience)
        while chunk := _read(response, patience.timeout):
            if have + len(chunk) > most:
                part.discard()
                raise DownloadError(f"it sends more than {most:,} bytes", passing=False)
            file.write(chunk)
            task.advance((have + len(chunk)) // _MEGABYTE - have // _MEGABYTE)
            have += len(chunk)
            if fault := pace.fault(len(chunk)):
                raise DownloadError(fault, passing=True)
    if total is not None and have < total:
        raise DownloadError(f"it broke off after {have:,} of {total:,} bytes", passing=True)


def _read(response: Any, timeout: float) -> bytes:
    try:
        return bytes(response.read1(CHUNK))  # what is there: a full chunk that is broken off would be lost
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadError(_reason(error, timeout), passing=True) from error


def _reason(error: Exception, timeout: float) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"nothing came for {timeout:g} s"
    return str(cause) or type(cause).__name__


def _validator(headers: Message) -> str | None:
    """What names this version: a strong ETag, else the time of the last change."""
    etag = headers.get("ETag", "")
    return _sendable(etag if etag.startswith('"') else headers.get("Last-Modified"))


def _sendable(version: str | None) -> str | None:
    """A version that can be sent back to a server; None for one with line ends, or other than text."""
    return version if version and _VERSION.fullmatch(version) else None


def _asked_wait(headers: Message) -> float:
    seconds = headers.get("Retry-After", "")
    return min(float(seconds), _LONGEST_WAIT) if _NUMBER.fullmatch(seconds) else 0.0
