"""Servers that send what no server should: one line without control characters, and no wait without end."""

import gzip
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nsbench.data.library.download import addresses, fetch_file
from nsbench.data.library.entries import Download
from nsbench.data.library.http import DownloadError, Part, Wanted, may_ask
from nsbench.data.library.patience import Patience
from nsbench.errors import UserError
from nsbench.progress import Reporter

CONTENT = np.random.default_rng(1).bytes(20_000)
QUICK = Patience(timeout=5, attempts=2, pause=0.01)
AT_ONCE = Patience(timeout=0.1, attempts=1)
ENDLESS = 10**7
"""How often something is sent that is said to be endless."""

Send = Callable[[bytes], None]


class RawServer:
    """Answers each connection with the bytes of the next of `answers`, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Callable[[Send], None] | bytes] = []
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of its one file."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/x.bin"

    def close(self) -> None:
        """Stop."""
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            self.asked.append(connection.recv(65536))
            if isinstance(answer, bytes):
                connection.sendall(answer)
            else:
                answer(connection.sendall)
        except OSError:
            pass  # the client has had enough


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    monkeypatch.setenv("no_proxy", "*")
    running = RawServer()
    yield running
    running.close()


def bring(server: RawServer, place: Path, *, known: bool = True, patience: Patience = QUICK) -> Path:
    known_hash = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}" if known else None
    wanted = Wanted("x.bin", None, 10**6, known)
    return fetch_file(wanted, known_hash, [server.url], place, Reporter(quiet=True), patience)


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def repeated(first: bytes, again: bytes) -> Callable[[Send], None]:
    """Something, and then something else without end."""

    def send(write: Send) -> None:
        write(first)
        for _ in range(ENDLESS):
            write(again)

    return send


HOSTILE = {
    "control characters in the status": (b"HTTP/1.1 \x1b[31m\x07 200 OK\r\n\r\n", r"\x1b[31m"),
    "no status": (b"\x1b]0;mine\x07\r\n\r\n", r"\x1b]0;mine\x07"),
    "nothing": (b"", "closed connection"),
    "a status line of megabytes": (b"HTTP/1.1 200 " + b"x" * 3_000_000, "line"),
    "a flood of headers": (head(*(f"X-{n}: x" for n in range(2000))), "headers"),
    "a header of megabytes": (head("X: " + "x" * 3_000_000), "line"),
    "a redirection to a file": (head("Location: file:///etc/passwd", status="302 Found"), "HTTP status 302"),
    "a redirection to ftp": (head("Location: ftp://localhost/x", status="302 Found"), "which is not safe"),
    "a redirection to data": (head("Location: data:,x", status="302 Found"), "HTTP status 302"),
    "a redirection to brackets": (head("Location: http://[::1/x", status="302 Found"), "is no address"),
    "a redirection to no port": (head("Location: http://127.0.0.1:99999999/x", status="302 Found"), "not safe"),
    "a redirection to no name": (head(f"Location: http://{'a' * 300}..b/x", status="302 Found"), "no address"),
    "a redirection with control characters": (
        head("Location: http://\x1b[31m/x", status="302 Found"),
        "could not be downloaded",
    ),
    "a length of 5,000 digits": (head("Content-Length: " + "9" * 5000) + CONTENT[:-1], "its checksum is wrong"),
    "a length beyond all disks": (head("Content-Length: " + "9" * 18), "where there is room for 1,000,000"),
    "a negative length": (head("Content-Length: -5") + CONTENT[:-1], "its checksum is wrong"),
    "a length that is too small": (head("Content-Length: 10") + CONTENT, "its checksum is wrong"),
    "a truncated file": (head(f"Content-Length: {len(CONTENT)}") + CONTENT[:-1], "it broke off after 19,999"),
    "a truncated chunk": (head("Transfer-Encoding: chunked") + b"5000\r\n" + CONTENT[:100], "IncompleteRead"),
    "a chunk of no size": (head("Transfer-Encoding: chunked") + b"\x1b[31m\r\n", "IncompleteRead"),
    "a chunk of negative size": (head("Transfer-Encoding: chunked") + b"-5\r\n" + CONTENT, "could not be downloaded"),
    "a wait of 400 digits": (head("Retry-After: " + "9" * 400, status="503 No"), "HTTP status 503"),
    "compressed zeros": (
        head("Content-Encoding: gzip") + gzip.compress(bytes(10**7)),
        "its checksum is wrong",
    ),
    "more than asked for": (repeated(head(), bytes(100_000)), "it sends more than 1,000,000 bytes"),
    "one `100 Continue` after another": (repeated(b"", head(status="100 Continue")), "nothing came for 0.1 s"),
    "trailers without end": (
        repeated(head("Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n", b"X: x\r\n"),
        "nothing came for 0.1 s",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_answer_is_one_line_without_control_characters(case: str, server: RawServer, tmp_path: Path) -> None:
    answer, words = HOSTILE[case]
    server.answers = [answer]
    with pytest.raises(UserError) as error:
        bring(server, tmp_path, patience=AT_ONCE if "nothing came" in words else QUICK)
    said = str(error.value)
    assert words in said
    assert said.isprintable(), ascii(said)
    assert len(said) < 800 + len(str(tmp_path))
    assert not (tmp_path / "x.bin").exists()


def test_headers_that_come_byte_by_byte_are_not_waited_for_for_ever(server: RawServer, tmp_path: Path) -> None:
    pause = threading.Event()

    def drip(write: Send) -> None:
        write(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(100):
            pause.wait(0.03)
            write(b"x")

    server.answers = [drip]
    with pytest.raises(UserError, match=r"nothing came for 0\.1 s"):
        bring(server, tmp_path, patience=AT_ONCE)


def test_a_server_that_drips_is_given_up_and_the_next_address_is_asked(server: RawServer, tmp_path: Path) -> None:
    pause = threading.Event()

    def drip(write: Send) -> None:
        write(head(f"Content-Length: {len(CONTENT)}"))
        for _ in range(100):
            pause.wait(0.03)
            write(b"x")

    server.answers = [drip, head(f"Content-Length: {len(CONTENT)}") + CONTENT]
    patience = Patience(timeout=5, attempts=1, slowest=1000, span=0.1)
    known_hash, urls = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", [server.url, server.url.replace("x.bin", "y")]
    found = fetch_file(Wanted("x.bin", None, 10**6, True), known_hash, urls, tmp_path, Reporter(quiet=True), patience)
    assert found.read_bytes() == CONTENT

    server.answers, server.asked = [drip], []
    found.unlink()
    with pytest.raises(UserError, match=r"only \d bytes came in 0\.1\d* s"):
        bring(server, tmp_path, patience=patience)
    assert len(server.asked) == 1


def test_a_server_that_sends_a_few_bytes_and_closes_is_not_asked_without_end(server: RawServer, tmp_path: Path) -> None:
    def a_few(write: Send) -> None:
        start = int(server.asked[-1].partition(b"bytes=")[2].partition(b"-")[0] or b"0")
        lines = (f"Content-Length: {len(CONTENT) - start}", f"Content-Range: bytes {start}-{len(CONTENT) - 1}/*")
        write(head(*lines, status="206 Part") + CONTENT[start : start + 100])

    server.answers = [head(f"Content-Length: {len(CONTENT)}") + CONTENT[:100], a_few]
    with pytest.raises(UserError, match="it broke off after 400 of 20,000 bytes"):
        bring(server, tmp_path, patience=Patience(timeout=5, attempts=4, pause=0.001, slowest=1000, span=1))
    assert len(server.asked) == 4


def test_a_version_with_a_line_end_is_not_sent_back(server: RawServer, tmp_path: Path) -> None:
    whole = head(f"Content-Length: {len(CONTENT)}", 'ETag: "a\r\n b"')
    server.answers = [whole + CONTENT[:100], whole + CONTENT]
    assert bring(server, tmp_path, known=False).read_bytes() == CONTENT
    assert b"If-Range" not in server.asked[1]


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_arrives_is_not_written_where_a_link_leads(kind: str, server: RawServer, tmp_path: Path) -> None:
    place, own = tmp_path / "place", tmp_path / "own"
    place.mkdir()
    own.write_bytes(b"mine")
    part = place / "x.bin.part"
    part.symlink_to(own) if kind == "link" else os.mkfifo(part)
    server.answers = [head(f"Content-Length: {len(CONTENT)}") + CONTENT]
    assert bring(server, place).read_bytes() == CONTENT
    assert own.read_bytes() == b"mine"


def test_what_has_arrived_survives_a_hostile_answer(server: RawServer, tmp_path: Path) -> None:
    begun = head(f"Content-Length: {len(CONTENT)}") + CONTENT[:5000]
    server.answers = [begun, head("Location: http://[::1/x", status="302 Found")]
    with pytest.raises(UserError, match="no address"):
        bring(server, tmp_path)
    assert (tmp_path / "x.bin.part").read_bytes() == CONTENT[:5000]


@pytest.mark.parametrize("notes", [b"[" * 100_000, b"3", b'{"url": 3}', b'{"url": "u", "version": ["x"]}', b"\xff"])
def test_notes_that_are_damaged_are_no_notes(notes: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.part.json").write_bytes(notes)
    assert Part(tmp_path / "x.part").version("u") is None


@pytest.mark.parametrize("url", ["http://[", "https://[::1", "file:///etc/passwd", "data:,x", "https://", "x", ""])
def test_what_is_no_web_address_is_not_asked(url: str) -> None:
    assert not may_ask(url, checked=True)


def test_a_mirror_that_is_no_address_is_a_users_mistake() -> None:
    download = Download(name="x.tar", urls=("https://example.org/x.tar",), md5="0" * 32)
    with pytest.raises(UserError, match="NSBENCH_MIRROR has 'https://\\[::1', which cannot be used"):
        addresses(download, "x", "https://[::1")


def test_a_reason_is_one_short_line() -> None:
    assert str(DownloadError("a\n\x1b[31m\tb" + "c" * 10**6, passing=True))[:14] == r"a \x1b[31m bcc"
