"""How long a server is waited for."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long a download is tried.

    Attributes:
        timeout: seconds without a byte after which a server counts as gone.
        attempts: rounds over all addresses that bring too little before we give up.
        pause: seconds before the second round; each further pause is twice as long.
        slowest: bytes a second, on average over each `span`, below which a server counts as gone.
        span: seconds.
    """

    timeout: float = 30.0
    attempts: int = 6
    pause: float = 2.0
    slowest: float = 1000.0
    span: float = 60.0

    @property
    def least_bytes(self) -> float:
        """What a round must bring to count: else a few bytes each time would be asked for without end."""
        return self.slowest * self.span


class Pace:
    """How fast bytes come; the timeout of a socket ends a silence alone, not a byte now and then.

    Args:
        patience: how fast they must come.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._began, self._bytes = time.monotonic(), 0

    def fault(self, count: int) -> str | None:
        """What is wrong once `count` more bytes are here; None while enough come."""
        self._bytes += count
        seconds = time.monotonic() - self._began
        if seconds < self._patience.span:
            return None
        if self._bytes < self._patience.slowest * seconds:
            return f"only {self._bytes:,} bytes came in {seconds:.3g} s"
        self._began, self._bytes = time.monotonic(), 0
        return None
