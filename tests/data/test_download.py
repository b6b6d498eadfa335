"""Downloads from a server on this machine that misbehaves in every way that servers do."""

import hashlib
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from typer.testing import CliRunner

from nsbench.cli.data import data_app
from nsbench.data.library.download import addresses, fetch_file
from nsbench.data.library.entries import Download, FileSet
from nsbench.data.library.fetch import fetch
from nsbench.data.library.http import Wanted, may_ask
from nsbench.data.library.inventory import take_inventory
from nsbench.data.library.manifests import read_manifest
from nsbench.data.library.patience import Patience
from nsbench.errors import UserError
from nsbench.progress import Reporter

QUICK = Patience(timeout=0.5, attempts=3, pause=0.01, span=0.5)
QUIET = Reporter(quiet=True)


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `script` says how, one word for each request, and `well` when it is at its end."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.script: list[str] = []
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.versions = True
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ranges(self) -> list[str | None]:
        """What each request asked for."""
        return [asked for _, asked, _ in self.requests]


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        """Answer as the script says."""
        self.server.requests.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        word = self.server.script.pop(0) if self.server.script else "well"
        if word.isdecimal():
            self.send_error(int(word))
        elif word == "web page":
            self.answer(200, b"<html>please log in</html>", {"Content-Type": "text/html; charset=utf-8"})
        elif word.startswith("redirect to "):
            self.answer(302, b"", {"Location": word.removeprefix("redirect to ")})
        elif self.path not in self.server.files:
            self.send_error(404)
        else:
            self.serve(self.server.files[self.path], word)

    def serve(self, content: bytes, word: str) -> None:
        """Send the file, or the part of it that was asked for."""
        if word == "another version":
            content = self.server.files[self.path] = bytes(255 - byte for byte in content)
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"ETag": etag} if self.server.versions else {}
        asked, version = self.headers.get("Range"), self.headers.get("If-Range")
        start = 0
        if asked and word != "no ranges" and version in (None, etag):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            stated = start + 7 if word == "wrong part" else start
            headers["Content-Range"] = f"bytes {stated}-{len(content) - 1}/{len(content)}"
        self.answer(206 if start else 200, content[start:], headers, word)

    def answer(self, status: int, body: bytes, headers: dict[str, str], word: str = "well") -> None:
        """Send a response, with the fault that `word` names."""
        self.send_response(status)
        length = (
            len(body) + 1000 if word == "announce more" else len(body) - 1000 if word == "announce less" else len(body)
        )
        if word not in ("no length", "without end"):
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body[: len(body) // 2] if word in ("break off", "stall", "trickle") else body)
            if word == "stall":
                self.server.closing.wait(5)
            for place in range(len(body) // 2, len(body), 1000):
                if word != "trickle" or self.server.closing.wait(0.02):
                    break
                self.wfile.write(body[place : place + 1000])
            while word == "without end" and not self.server.closing.is_set():
                self.wfile.write(bytes(100_000))
        except OSError:
            pass  # the client has had enough


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("NSBENCH_MIRROR", raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.closing.set()
    running.shutdown()
    thread.join()
    running.server_close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


CONTENT = np.random.default_rng(1).bytes(300_000)
BROKEN_OFF = len(CONTENT) // 2


def bring(
    server: Server, place: Path, *, known: bool = True, size: int | None = len(CONTENT), mirror: str = ""
) -> Path:
    """Fetch CONTENT under the name `x.bin`."""
    server.files.setdefault("/x.bin", CONTENT)
    urls = [*([mirror] if mirror else []), f"{server.url}/x.bin"]
    known_hash = f"sha256:{sha256(CONTENT)}" if known else None
    place.mkdir(exist_ok=True)
    return fetch_file(Wanted("x.bin", size, 10**6, known), known_hash, urls, place, QUIET, QUICK)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_nothing_else_stays(server: Server, tmp_path: Path) -> None:
    assert bring(server, tmp_path).read_bytes() == CONTENT
    assert names(tmp_path) == ["x.bin"]
    assert server.requests == [("/x.bin", None, None)]


def test_a_file_that_is_there_is_not_asked_for_again_but_checked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(CONTENT)
    bring(server, tmp_path)
    assert server.requests == []
    (tmp_path / "x.bin").write_bytes(CONTENT[:-1] + b"?")
    assert bring(server, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("word", ["break off", "stall", "announce more"])
@pytest.mark.parametrize("known", [True, False])
def test_a_transfer_that_breaks_off_is_continued_from_where_it_was(
    server: Server, tmp_path: Path, word: str, known: bool
) -> None:
    server.script = [word]
    assert bring(server, tmp_path, known=known, size=None).read_bytes() == CONTENT
    asked = len(CONTENT) if word == "announce more" else BROKEN_OFF
    assert server.ranges() == [None, f"bytes={asked}-"]
    assert server.requests[1][2] is not None
    assert names(tmp_path) == ["x.bin"]


@pytest.mark.parametrize("word", ["500", "503", "429", "408"])
def test_a_passing_refusal_is_asked_again(server: Server, tmp_path: Path, word: str) -> None:
    server.script = [word, word]
    assert bring(server, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_the_pause_grows_and_the_attempts_end(server: Server, tmp_path: Path) -> None:
    server.script = ["500"] * 10
    with pytest.raises(UserError, match=r"x.bin could not be downloaded \(http://.*: HTTP status 500\): run the same"):
        bring(server, tmp_path)
    assert len(server.requests) == QUICK.attempts


def test_attempts_that_bring_something_do_not_count(server: Server, tmp_path: Path) -> None:
    server.script = ["break off"] * 8
    assert bring(server, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 9


def test_a_file_that_is_not_there_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    server.files["/x.bin"] = CONTENT
    server.script = ["404"]
    with pytest.raises(UserError, match="HTTP status 404"):
        bring(server, tmp_path)
    assert len(server.requests) == 1


def test_the_next_address_is_asked_when_the_first_fails(server: Server, tmp_path: Path) -> None:
    for first in ("404", "web page", "500"):
        server.script = [first]
        place = tmp_path / first
        assert bring(server, place, mirror=f"{server.url}/mirror/x.bin").read_bytes() == CONTENT
        assert server.requests[-2:] == [("/mirror/x.bin", None, None), ("/x.bin", None, None)]


def test_an_address_that_has_not_the_file_is_left_alone_while_another_is_asked_again(
    server: Server, tmp_path: Path
) -> None:
    server.script = ["404", "500", "500"]
    assert bring(server, tmp_path, mirror=f"{server.url}/m/x.bin").read_bytes() == CONTENT
    assert [path for path, *_ in server.requests] == ["/m/x.bin", "/x.bin", "/x.bin", "/x.bin"]


def test_a_web_page_in_the_place_of_the_file_is_refused(server: Server, tmp_path: Path) -> None:
    server.script = ["web page"]
    with pytest.raises(UserError, match="it is a web page, not the file"):
        bring(server, tmp_path, known=False, size=None)
    assert names(tmp_path) == []


def test_a_web_page_does_not_spoil_what_has_arrived(server: Server, tmp_path: Path) -> None:
    server.script = ["break off", "web page"]
    with pytest.raises(UserError, match="web page"):
        bring(server, tmp_path)
    assert (tmp_path / "x.bin.part").stat().st_size == BROKEN_OFF
    assert bring(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges()[-1] == f"bytes={BROKEN_OFF}-"


@pytest.mark.parametrize("versions", [True, False])
def test_a_server_that_ignores_ranges_is_heard_from_the_start(server: Server, tmp_path: Path, versions: bool) -> None:
    server.versions, server.script = versions, ["break off", "no ranges"]
    assert bring(server, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_file_that_changes_between_two_attempts_starts_again(server: Server, tmp_path: Path) -> None:
    server.script = ["break off", "another version"]
    found = bring(server, tmp_path, known=False).read_bytes()
    assert found == bytes(255 - byte for byte in CONTENT)


def test_without_a_version_and_a_checksum_nothing_is_continued(server: Server, tmp_path: Path) -> None:
    server.versions, server.script = False, ["break off"]
    assert bring(server, tmp_path, known=False).read_bytes() == CONTENT
    assert server.ranges() == [None, None]


def test_another_part_than_was_asked_for_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.script = ["break off", "wrong part"]
    assert bring(server, tmp_path, known=False).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={BROKEN_OFF}-", None]


def test_a_part_of_a_mirror_is_continued_elsewhere_if_a_checksum_follows(server: Server, tmp_path: Path) -> None:
    server.files["/m/x.bin"], server.script = CONTENT, ["break off"]
    assert bring(server, tmp_path, mirror=f"{server.url}/m/x.bin").read_bytes() == CONTENT
    assert server.requests == [("/m/x.bin", None, None), ("/x.bin", f"bytes={BROKEN_OFF}-", None)]


def test_mixed_versions_fail_the_checksum_and_are_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin.part").write_bytes(bytes(1000))
    assert bring(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges() == ["bytes=1000-", None]


def test_a_wrong_checksum_ends_the_attempts_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["/x.bin"] = CONTENT[::-1]
    with pytest.raises(UserError, match="its checksum is wrong"):
        bring(server, tmp_path)
    assert names(tmp_path) == []
    assert len(server.requests) == 1


def test_a_length_other_than_the_known_one_is_refused_at_once(server: Server, tmp_path: Path) -> None:
    server.files["/x.bin"] = CONTENT + b"more"
    with pytest.raises(UserError, match="offers 300,004 bytes where 300,000 are known to be right"):
        bring(server, tmp_path)
    server.files["/x.bin"], server.script = CONTENT, ["announce less"]
    with pytest.raises(UserError, match="offers 299,000 bytes"):
        bring(server, tmp_path)


def test_a_length_stated_too_small_is_found_by_the_checksum(server: Server, tmp_path: Path) -> None:
    server.script = ["announce less"]
    with pytest.raises(UserError, match="its checksum is wrong"):
        bring(server, tmp_path, size=None)


def test_a_server_that_states_no_length_is_read_to_its_end(server: Server, tmp_path: Path) -> None:
    server.script = ["no length"]
    assert bring(server, tmp_path, size=None).read_bytes() == CONTENT


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_server_that_never_ends_is_cut_off(server: Server, tmp_path: Path, size: int | None) -> None:
    server.script = ["without end"] * 9
    with pytest.raises(UserError, match=rf"it sends more than {size or 10**6:,} bytes"):
        bring(server, tmp_path, size=size)
    assert names(tmp_path) == []


def test_a_complete_part_needs_no_transfer(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin.part").write_bytes(CONTENT)
    assert bring(server, tmp_path).read_bytes() == CONTENT
    assert server.requests == []
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "x.bin.part").write_bytes(CONTENT)
    assert bring(server, tmp_path / "y", size=None).read_bytes() == CONTENT
    assert server.ranges() == [f"bytes={len(CONTENT)}-"]


def test_the_time_of_the_last_change_serves_as_a_version(server: Server, tmp_path: Path) -> None:
    part, notes = tmp_path / "x.bin.part", tmp_path / "x.bin.part.json"
    part.write_bytes(CONTENT[:1000])
    notes.write_text(json.dumps({"url": f"{server.url}/x.bin", "version": formatdate(0, usegmt=True)}))
    assert bring(server, tmp_path, known=False).read_bytes() == CONTENT
    assert server.requests[0][1:] == ("bytes=1000-", "Thu, 01 Jan 1970 00:00:00 GMT")


def test_damaged_notes_about_a_part_do_no_harm(server: Server, tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"url": 3}'):
        (tmp_path / "x.bin.part").write_bytes(CONTENT[:1000])
        (tmp_path / "x.bin.part.json").write_text(text)
        assert bring(server, tmp_path, known=False).read_bytes() == CONTENT
        (tmp_path / "x.bin").unlink()


def test_a_redirection_to_plain_http_is_followed_only_if_a_checksum_follows(server: Server, tmp_path: Path) -> None:
    server.script = ["redirect to http://example.invalid/x.bin"]
    with pytest.raises(UserError, match=r"redirects to http://example\.invalid/x\.bin, which is not safe"):
        bring(server, tmp_path, known=False)
    server.script = [f"redirect to {server.url}/x.bin"]
    assert bring(server, tmp_path).read_bytes() == CONTENT
    server.script = ["redirect to file:///etc/passwd"]
    with pytest.raises(UserError, match="HTTP status 302"):
        bring(server, tmp_path / "y")


@pytest.mark.parametrize(
    ("url", "checked", "safe"),
    [
        ("https://example.org/x", False, True),
        ("http://example.org/x", False, False),
        ("http://example.org/x", True, True),
        ("http://localhost:8000", False, True),
        ("http://127.0.0.1:8000", False, True),
        ("http://localhost.example.org", False, False),
        ("file:///etc/passwd", True, False),
        ("ftp://example.org", True, False),
        ("https:", True, False),
        ("example.org", True, False),
    ],
)
def test_addresses_are_safe_by_their_scheme_or_by_a_checksum(url: str, checked: bool, safe: bool) -> None:
    assert may_ask(url, checked=checked) is safe


# ---- whole sets


def npy(array: np.ndarray) -> bytes:  # type: ignore[type-arg] # of any type
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


IMAGES = np.random.default_rng(2).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
MEMBERS = {"fog.npy": npy(IMAGES), "labels.npy": npy(np.arange(100, dtype=np.uint8))}


def tar(members: dict[str, bytes], mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload] # a mode of any kind
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def tiny_tar() -> bytes:
    return tar({f"TINY-C/{name}": content for name, content in MEMBERS.items()} | {"TINY-C/README": b"hello"})


def tiny(server: Server, archive: bytes | None = None, **changed: object) -> FileSet:
    """A small set in one tar that `server` has; changed keys of the download, None leaves one out."""
    archive = tiny_tar() if archive is None else archive
    server.files["/TINY-C.tar"] = server.files["/mirror/tiny-c/TINY-C.tar"] = archive
    download = {"name": "TINY-C.tar", "urls": [f"{server.url}/TINY-C.tar"], "bytes": len(archive), "inside": "TINY-C"}
    download |= {"sha256": sha256(archive)} | changed
    files = [
        {"name": "fog.npy", "shape": [100, 32, 32, 3], "dtype": "uint8"},
        {"name": "labels.npy", "shape": [100], "dtype": "uint8"},
    ]
    described = {"downloads": [{key: value for key, value in download.items() if value is not None}], "files": files}
    return FileSet.model_validate(DESCRIBED | described)


DESCRIBED = {
    "kind": "files",
    "name": "tiny-c",
    "title": "TINY-C",
    "licence": "none",
    "citation": "none",
    "url": "https://example.org",
    "folder": "TINY-C",
}


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WHOLE = {f"TINY-C/{name}": content for name, content in MEMBERS.items()}


def files_of_the_set(data: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(data).items() if not name.startswith("checksums/")}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_set_is_downloaded_unpacked_and_recorded(server: Server, tmp_path: Path, mode: str) -> None:
    source = tiny(server, tar({f"TINY-C/{name}": content for name, content in MEMBERS.items()}, mode))
    fetch(source, tmp_path, QUIET, patience=QUICK)
    assert files_of_the_set(tmp_path) == WHOLE
    assert take_inventory(source, tmp_path).state == "complete"
    records = json.loads((tmp_path / "checksums" / "tiny-c.json").read_text())
    assert records["downloads"] == {}
    assert records["entries"]["fog.npy"]["content"]["sha256"] == sha256(MEMBERS["fog.npy"])
    assert records["entries"]["fog.npy"]["origin"] == "published archive"
    assert not (tmp_path / "downloads").exists()


def test_a_complete_set_is_left_as_it_is(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tiny(server)
    fetch(source, tmp_path, QUIET, patience=QUICK)
    server.requests.clear()
    fetch(source, tmp_path, Reporter(), patience=QUICK)
    assert server.requests == []
    assert "TINY-C: there is nothing to fetch" in capsys.readouterr().err


@pytest.mark.parametrize("complete", [False, True])
def test_temporary_files_of_a_killed_fetch_go_with_the_next_and_others_stay(
    server: Server, tmp_path: Path, complete: bool
) -> None:
    source, place, mine = tiny(server), tmp_path / "downloads" / "tiny-c", tmp_path / "mine"
    if complete:
        fetch(source, tmp_path, QUIET, patience=QUICK)
    place.mkdir(parents=True)
    for name in ("tmpabcd_123", "tmp0a1b2c3d"):
        (place / name).write_bytes(b"left")
    mine.write_bytes(b"mine")
    (place / "tmplink_000").symlink_to(mine)
    fetch(source, tmp_path, QUIET, patience=QUICK)
    assert names(place) == ["tmplink_000"]
    (place / "tmplink_000").unlink()
    fetch(source, tmp_path, QUIET, patience=QUICK)
    assert not place.parent.exists()
    assert mine.read_bytes() == b"mine"


def test_only_what_is_missing_is_put_in_place(server: Server, tmp_path: Path) -> None:
    source = tiny(server)
    fetch(source, tmp_path, QUIET, patience=QUICK)
    kept = tmp_path / "TINY-C" / "labels.npy"
    before = kept.stat().st_mtime_ns
    (tmp_path / "TINY-C" / "fog.npy").write_bytes(b"short")
    fetch(source, tmp_path, QUIET, patience=QUICK)
    assert files_of_the_set(tmp_path) == WHOLE
    assert kept.stat().st_mtime_ns == before


def test_what_is_left_out_of_an_archive_is_named(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(tiny(server), tmp_path, Reporter(), patience=QUICK)
    assert "left out of TINY-C.tar, since they are not part of the set: TINY-C/README" in capsys.readouterr().err


def test_an_archive_that_the_user_put_there_is_used(server: Server, tmp_path: Path) -> None:
    source = tiny(server)
    place = tmp_path / "downloads" / "tiny-c"
    place.mkdir(parents=True)
    (place / "TINY-C.tar").write_bytes(tiny_tar())
    fetch(source, tmp_path, QUIET, patience=QUICK)
    assert server.requests == []
    assert files_of_the_set(tmp_path) == WHOLE


def test_a_mirror_is_asked_first(server: Server, tmp_path: Path) -> None:
    source = tiny(server)
    fetch(source, tmp_path, QUIET, mirrors=f"{server.url}/mirror/", patience=QUICK)
    assert [path for path, *_ in server.requests] == ["/mirror/tiny-c/TINY-C.tar"]


def test_mirrors_come_in_order_before_the_published_addresses() -> None:
    download = Download(name="x.tar", urls=("https://a.org/x.tar", "https://b.org/x.tar"))
    found = addresses(download, "tiny", "https://one.org/base/ http://localhost:8000")
    assert found == ["https://one.org/base/tiny/x.tar", "http://localhost:8000/tiny/x.tar", *download.urls]
    with pytest.raises(UserError, match=r"NSBENCH_MIRROR has 'http://far.org', which cannot be used for x.tar"):
        addresses(download, "tiny", "http://far.org")
    checked = Download(name="x.tar", urls=download.urls, md5="0" * 32)
    assert addresses(checked, "tiny", "http://far.org")[0] == "http://far.org/tiny/x.tar"


def unpublished(server: Server, archive: bytes | None = None) -> FileSet:
    return tiny(server, archive, sha256=None, bytes=None, urls=["https://127.0.0.1:1/TINY-C.tar"])


def test_an_unpublished_checksum_is_recorded_and_compared_from_then_on(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror = f"{server.url}/mirror"
    fetch(unpublished(server), tmp_path, Reporter(), mirrors=mirror, patience=QUICK)
    first = tiny_tar()
    assert f"no checksum of TINY-C.tar is published: its SHA-256 {sha256(first)} is recorded" in capsys.readouterr().err
    (tmp_path / "TINY-C" / "fog.npy").unlink()
    other = tar({"TINY-C/fog.npy": npy(255 - IMAGES), "TINY-C/labels.npy": MEMBERS["labels.npy"]})
    with pytest.raises(UserError, match="its checksum is wrong"):
        fetch(unpublished(server, other), tmp_path, QUIET, mirrors=mirror, patience=QUICK)
    assert not (tmp_path / "TINY-C" / "fog.npy").exists()
    fetch(unpublished(server), tmp_path, QUIET, mirrors=mirror, patience=QUICK)
    assert files_of_the_set(tmp_path) == WHOLE


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"TINY-C/fog.npy": MEMBERS["fog.npy"]}, "labels.npy is missing"),
        (
            {"TINY-C/fog.npy": MEMBERS["fog.npy"], "TINY-C/labels.npy": npy(np.zeros((100, 1), np.uint8))},
            r"labels.npy holds uint8 \(100, 1\) instead of uint8 \(100,\)",
        ),
        ({"TINY-C/fog.npy": MEMBERS["fog.npy"], "TINY-C/labels.npy": bytes(228)}, "labels.npy is not an .npy file"),
        ({"TINY-C/fog.npy": npy(IMAGES[:50])}, r"TINY-C/fog.npy has 153,728 bytes, not those of the manifest"),
    ],
)
def test_an_archive_of_other_arrays_leaves_nothing(
    server: Server, tmp_path: Path, members: dict[str, bytes], fault: str
) -> None:
    source = unpublished(server, tar(members))
    with pytest.raises(UserError, match=fault):
        fetch(source, tmp_path, QUIET, mirrors=f"{server.url}/mirror", patience=QUICK)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_archive_goes_where_it_belongs(server: Server, tmp_path: Path) -> None:
    server.files |= {f"/{name}": content for name, content in MEMBERS.items()}
    downloads = [
        {"name": name, "urls": [f"{server.url}/{name}"], "sha256": sha256(content), "holds": [name]}
        for name, content in MEMBERS.items()
    ]
    source = FileSet.model_validate(tiny(server).model_dump(exclude_none=True) | {"downloads": downloads})
    fetch(source, tmp_path, QUIET, patience=QUICK)
    assert files_of_the_set(tmp_path) == WHOLE
    server.requests.clear()
    (tmp_path / "TINY-C" / "labels.npy").unlink()
    fetch(source, tmp_path, QUIET, patience=QUICK)
    assert [path for path, *_ in server.requests] == ["/labels.npy"]


def test_a_folder_of_images_is_counted_and_recorded(server: Server, tmp_path: Path) -> None:
    images = {f"snow/{k}/picture {k}.JPEG": bytes([k, 1]) for k in range(1, 4)} | {"snow/notes.txt": b"x"}
    archive = tar(images, "w:gz")
    server.files["/TINY-C.tar"] = archive
    download = {"name": "TINY-C.tar", "urls": [f"{server.url}/TINY-C.tar"], "sha256": sha256(archive)}
    described = {"downloads": [download], "folders": [{"name": "snow", "suffix": ".JPEG", "count": 3}]}
    source = FileSet.model_validate(DESCRIBED | described)
    fetch(source, tmp_path, QUIET, patience=QUICK)
    assert sorted(files_of_the_set(tmp_path)) == [f"TINY-C/snow/{k}/picture {k}.JPEG" for k in range(1, 4)]
    assert take_inventory(source, tmp_path).bytes == 6
    few = source.model_copy(update={"folders": (source.folders[0].model_copy(update={"count": 4}),)})
    with pytest.raises(UserError, match=r"snow holds 3 files ending in \.JPEG where 4 are needed"):
        fetch(few, tmp_path / "other", QUIET, patience=QUICK)


def test_a_whole_folder_can_be_the_set(server: Server, tmp_path: Path) -> None:
    archive = tar({"tiny-a/n01/a, b.jpg": b"1", "tiny-a/README": b"2"})
    server.files["/a.tar"] = archive
    download = {"name": "a.tar", "urls": [f"{server.url}/a.tar"], "sha256": sha256(archive), "inside": "tiny-a"}
    source = FileSet.model_validate(DESCRIBED | {"downloads": [download], "folders": [{"name": ".", "suffix": ".jpg"}]})
    fetch(source, tmp_path, QUIET, patience=QUICK)
    assert files_of_the_set(tmp_path) == {"TINY-C/n01/a, b.jpg": b"1"}


def test_too_small_a_disk_is_reported_before_anything_is_asked_for(server: Server, tmp_path: Path) -> None:
    source = tiny(server)
    with pytest.raises(UserError, match=r"TINY-C needs \d+ kB of disk space .* has 100 MB free: free some"):
        fetch(source, tmp_path / "data", QUIET, patience=QUICK, free=100_000_000)
    assert server.requests == []
    assert not tree(tmp_path)
    fetch(source, tmp_path / "data", QUIET, patience=QUICK, free=101_000_000)


def test_an_unknown_size_is_refused_when_the_server_states_it(server: Server, tmp_path: Path) -> None:
    source = tiny(server, bytes=None)
    size = len(tiny_tar())
    few = source.model_copy(update={"files": (), "downloads": source.downloads})
    with pytest.raises(UserError, match=rf"it offers {size:,} bytes where there is room for 1,000"):
        fetch_file(Wanted("TINY-C.tar", None, 1000, True), "md5:0", list(few.downloads[0].urls), tmp_path, QUIET, QUICK)


def test_a_set_made_by_nsbench_is_not_touched(server: Server, tmp_path: Path) -> None:
    (tmp_path / "TINY-C").mkdir()
    (tmp_path / "TINY-C" / "nsbench-set.json").write_text("{}")
    with pytest.raises(UserError, match="holds a set that nsbench made, not the official TINY-C"):
        fetch(tiny(server), tmp_path, QUIET, patience=QUICK)
    assert server.requests == []


def test_two_processes_do_not_fetch_the_same_set(server: Server, tmp_path: Path) -> None:
    server.script = ["stall"]
    other = threading.Thread(target=fetch, args=(tiny(server), tmp_path, QUIET), kwargs={"patience": QUICK})
    other.start()
    while not server.requests:
        assert other.is_alive()
        time.sleep(0.01)
    with pytest.raises(UserError, match="is being fetched by another process"):
        fetch(tiny(server), tmp_path, QUIET, patience=QUICK)
    other.join()
    assert files_of_the_set(tmp_path) == WHOLE


def test_a_folder_that_cannot_be_written_is_reported_in_a_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "downloads").write_text("in the way")
    with pytest.raises(UserError, match=r"downloads/tiny-c cannot be written .*: check the disk and the permissions"):
        fetch(tiny(server), tmp_path, QUIET, patience=QUICK)


FETCH = """
import sys
from pathlib import Path
from nsbench.data.library.patience import Patience
from nsbench.data.library.fetch import fetch
from nsbench.data.library.manifests import read_manifest
from nsbench.progress import Reporter
fetch(read_manifest(Path(sys.argv[1])), Path(sys.argv[2]), Reporter(quiet=True), patience=Patience(pause=0.01))
"""


def kill_when(source: FileSet, folder: Path, ready: Callable[[], bool]) -> None:
    """Start fetching in another process and kill it as soon as `ready`."""
    manifest = folder / "manifest.toml"
    manifest.write_text(tomli_w.dumps(source.model_dump(mode="json", exclude_none=True)))
    process = subprocess.Popen([sys.executable, "-c", FETCH, manifest, folder / "data"])
    deadline = time.monotonic() + 20
    while not ready():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_a_process_killed_in_the_middle_of_a_download_is_continued(server: Server, tmp_path: Path) -> None:
    source, part = tiny(server), tmp_path / "data" / "downloads" / "tiny-c" / "TINY-C.tar.part"
    server.script = ["trickle"]
    kill_when(source, tmp_path, lambda: part.exists() and part.stat().st_size > len(tiny_tar()) // 2)
    arrived = part.stat().st_size
    fetch(source, tmp_path / "data", QUIET, patience=QUICK)
    assert server.ranges() == [None, f"bytes={arrived}-"]
    assert files_of_the_set(tmp_path / "data") == WHOLE


def test_a_process_killed_while_unpacking_leaves_no_half_set_and_downloads_nothing_again(
    server: Server, tmp_path: Path
) -> None:
    source = tiny(server)
    place = tmp_path / "data" / "downloads" / "tiny-c"
    (place / "unpacked").mkdir(parents=True)
    (place / "unpacked" / "fog.npy").write_bytes(b"half")
    (place / "TINY-C.tar").write_bytes(tiny_tar())
    (place / "tmpabcdefgh").write_bytes(b"pooch's")
    assert take_inventory(source, tmp_path / "data").state == "missing"
    fetch(source, tmp_path / "data", QUIET, patience=QUICK)
    assert server.requests == []
    assert files_of_the_set(tmp_path / "data") == WHOLE


def test_the_command_says_how_to_go_on_after_control_c(server: Server, tmp_path: Path) -> None:
    command = ["-m", "nsbench", "data", "fetch", "cifar10.1", "--data", "data"]
    environment = os.environ | {"NSBENCH_MIRROR": server.url, "no_proxy": "*"}
    server.files["/cifar10.1/cifar10.1_v6_data.npy"] = bytes(6144128)
    server.script = ["trickle"]
    process = subprocess.Popen(
        [sys.executable, *command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    part = tmp_path / "data/downloads/cifar10.1/cifar10.1_v6_data.npy.part"
    while not (part.exists() and part.stat().st_size > 3_100_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130
    assert "interrupted: run the same command again to continue" in said
    assert "Traceback" not in said
    assert part.stat().st_size > 3_100_000


def test_an_embedded_set_needs_no_fetching(tmp_path: Path) -> None:
    done = CliRunner().invoke(data_app, ["fetch", "digits", "--data", str(tmp_path)])
    assert done.exit_code == 0
    assert "there is nothing to fetch" in done.output
    assert not list(tmp_path.iterdir())


def test_manifests_survive_a_round_trip_through_toml(server: Server, tmp_path: Path) -> None:
    source = tiny(server)
    (tmp_path / "x.toml").write_text(tomli_w.dumps(source.model_dump(mode="json", exclude_none=True)))
    assert read_manifest(tmp_path / "x.toml") == source
