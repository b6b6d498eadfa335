"""HTTP responses that cannot keep us waiting: a server that sends endless empty words is given up."""

import http.client
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import Any

_SLOWEST = 2.0
"""A head, or a chunk, may take as many times as long as a single byte of it."""


class TimedResponse(http.client.HTTPResponse):
    """A response whose head, and each of whose chunks, is whole in time, however much comes meanwhile.

    The timeout of a socket ends a silence alone. A server may also send headers byte by byte, one `100 Continue` after
    another, or trailers without end.
    """

    def __init__(self, sock: socket.socket, *positional: Any, **named: Any) -> None:
        super().__init__(sock, *positional, **named)
        self._socket = sock

    def begin(self) -> None:
        """Read the head; TimeoutError when it takes too long."""
        with self._in_time():
            super().begin()

    def read1(self, n: int = -1) -> bytes:
        """Read what is there; TimeoutError when a chunk has no end."""
        if not self.chunked:
            return super().read1(n)
        with self._in_time():
            return super().read1(n)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        seconds, late = self._socket.gettimeout(), Event()

        def give_up() -> None:
            late.set()
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

        timer = Timer(_SLOWEST * (seconds or 0), give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if late.is_set():  # what was read until then looks like a whole head
                raise TimeoutError


class _Connection(http.client.HTTPConnection):
    response_class = TimedResponse


class _SecureConnection(http.client.HTTPSConnection):
    response_class = TimedResponse


class TimedHTTP(urllib.request.HTTPHandler):
    """Opens http addresses."""

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """A response as `TimedResponse` gives it."""
        return self.do_open(_Connection, req)


class TimedHTTPS(urllib.request.HTTPSHandler):
    """Opens https addresses; certificates are checked as Python does by default."""

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """A response as `TimedResponse` gives it."""
        return self.do_open(_SecureConnection, req)
