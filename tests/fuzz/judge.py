"""What each case of the fuzzer is held to, and how many there were."""

import os
import re
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings

from nsbench.cli.boundary import sentence_for
from nsbench.errors import UserError
from tests.conftest import Command

CASES = int(os.environ.get("NSBENCH_TEST_FUZZ_CASES", "2000"))
"""Cases of all targets together."""
SECONDS = 20
"""A case that takes longer hangs; the longest that does not, a whole report, takes two."""
LONGEST = 1500
"""Characters of the longest sentence."""
Value = TypeVar("Value")


class Hang(BaseException):
    """A case took too long; no handler of ours or of anyone's takes it for an error."""


class UnsoundError(AssertionError):
    """The outcome of a case that no input may have."""


def profile(share: float) -> settings:
    """The same cases each time, this share of all; none is stored, and none shrunk, since changes are small."""
    return settings(
        max_examples=max(10, round(CASES * share)),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def in_time(seconds: float = SECONDS) -> Iterator[None]:
    """Raise Hang in whatever takes longer than this."""

    def stop(_: int, frame: FrameType | None) -> None:
        raise Hang("".join(traceback.format_stack(frame, 3)))

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ran(nsbench: Command, *arguments: str, statuses: tuple[int, ...] = (0, 2)) -> str | None:
    """Run a command; what it printed, or None where it refused in one sentence."""
    with in_time():
        outcome = nsbench(*arguments)
    if outcome.returncode not in statuses or "Traceback" in outcome.stderr:
        raise UnsoundError(f"status {outcome.returncode}: {_frames(outcome.stderr)}")
    if outcome.returncode != 2:
        return outcome.stdout
    _, found, sentence = outcome.stderr.partition("error: ")
    if not found:
        raise UnsoundError(f"no sentence: {outcome.stderr[-1500:]}")
    check_sentence(sentence.removesuffix("\n"))
    return None


def answered(function: Callable[..., Value], *arguments: Any) -> Value | None:
    """Call a function; what it returned, or None where it refused in one sentence."""
    try:
        with in_time():
            return function(*arguments)
    except (UserError, OSError) as error:  # what the boundary makes a sentence of, whatever code it came from
        check_sentence(sentence_for(error) or "")
        return None


def check_sentence(sentence: str) -> None:
    """Raise UnsoundError unless it is one line of text that a terminal can show."""
    if not sentence.strip() or not all(one.isprintable() or one == "\u00a0" for one in sentence):
        raise UnsoundError(f"not one printable line: {sentence[:LONGEST]!r}")
    if len(sentence) > LONGEST:
        raise UnsoundError(f"{len(sentence)} characters: {sentence[:LONGEST]!r}")


@dataclass
class Tally:
    """Cases of one target by their outcome, and each different way in which one failed.

    Attributes:
        target: what was damaged.
        outcomes: how often each outcome came.
        failures: the first case of each way to fail, by where it failed.
    """

    target: str
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @contextmanager
    def case(self, *described: object) -> Iterator[Callable[[str], None]]:
        """Count one case, by what the block says came of it."""
        said: list[str] = []
        try:
            yield said.append
        except (Exception, Hang) as error:  # noqa: BLE001 - whatever it is, it is a failed case
            said = ["FAILED"]
            what = (
                str(error) if isinstance(error, UnsoundError) else _frames("".join(traceback.format_exception(error)))
            )
            self.failures.setdefault(_signature(what), _brief(f"{described!r}\n{type(error).__name__}: {what}"))
        self.outcomes[said[-1]] += 1

    def close(self, record: Callable[[str, object], None]) -> None:
        """Report the figures, and fail where a case failed."""
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        took = time.monotonic() - self.began
        record("fuzz", f"{self.target}: {self.outcomes.total():,} cases in {took:.0f} s: {counts}")
        assert not self.failures, "\n\n".join([f"{len(self.failures)} ways to fail", *self.failures.values()])


def _signature(what: str) -> str:
    """Where a case failed, without what differs from case to case."""
    ours = re.findall(r'File "[^"]*/(nsbench/[\w/]+\.py)", line (\d+)', what)
    kind = re.findall(r"^(?:bug: nsbench failed \()?(?:\w+\.)*(\w+(?:Error|Warning|Exit|Hang)\b)", what, re.MULTILINE)
    return f"{ours[-1:]} {kind[-1:]}" if ours else re.sub(r"[\d'\"/].*", "", what)[:80]


def _brief(text: str) -> str:
    """A text in which what stands many times in a row stands once."""
    return re.sub(r"(.{1,8}?)\1{20,}", r"\1...", text, flags=re.DOTALL)[:3000]


def _frames(text: str) -> str:
    """A traceback without the lines of other packages and of source."""
    lines = [line for line in text.splitlines() if not line.startswith("  ") or "/nsbench/" in line]
    return "\n".join(lines)


@dataclass
class Workshop:
    """A folder of folders that cases may damage, and that is as before after each.

    Attributes:
        base: all of it.
    """

    base: Path
    _seen: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    _bytes: dict[str, bytes] = field(default_factory=dict)
    _written: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._bytes = {name: (self.base / name).read_bytes() for name in self._walk()}
        self._seen = self._walk()

    @property
    def outside(self) -> Path:
        """A folder that no case is asked to touch."""
        return self.base / "outside"

    def original(self, name: str) -> bytes:
        """The bytes of a file as they were."""
        return self._bytes[name]

    def names(self, start: str = "", end: str = "") -> list[str]:
        """Names of the files as they were, sorted."""
        return sorted(name for name in self._bytes if name.startswith(start) and name.endswith(end))

    def write(self, name: str, content: bytes) -> None:
        """Damage a file; that it keeps this content, or has its own again, is no change."""
        (self.base / name).write_bytes(content)
        self._written[name] = content

    @contextmanager
    def case(self, *mine: str) -> Iterator[None]:
        """Hold a case to the rule that it writes below these folders alone; afterwards all is as it was.

        It runs in a folder where a relative path would show.
        """
        try:
            with chdir(self.outside):
                yield
            changed = [name for name in self.changed() if not name.startswith(mine) or Path(name).name in KEPT]
            if changed:
                raise UnsoundError(f"files that are not nsbench's were touched: {changed}")
        finally:
            self.restore()

    def changed(self) -> list[str]:
        """Names of the files that are new, gone or have other bytes."""
        now = self._walk()
        return [
            name
            for name in sorted({*now, *self._seen})
            if now.get(name) != self._seen.get(name)
            and (name not in now or (self.base / name).read_bytes() not in self._known(name))
        ]

    def _known(self, name: str) -> list[bytes]:
        return [content[name] for content in (self._bytes, self._written) if name in content]

    def restore(self) -> None:
        """Put back all that a case changed."""
        self._written.clear()
        now = self._walk()
        for name in sorted({*now, *self._seen}):
            if now.get(name) == self._seen.get(name):
                continue
            path = self.base / name
            if name not in self._bytes:
                path.unlink()
                continue
            if path.is_dir():
                path.rmdir()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._bytes[name])
            self._seen[name] = _stamp(path)

    def _walk(self) -> dict[str, tuple[int, int, int]]:
        """Size, time and number of every file below the folder, but for empty locks."""
        found = {}
        for folder, _, files in os.walk(self.base):
            for path in (Path(folder, name) for name in files if not name.endswith(".lock")):
                found[path.relative_to(self.base).as_posix()] = _stamp(path)
        return found


KEPT = ("mine.txt", ".notes.tmp")
"""Files of a user in folders of nsbench's."""


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return status.st_size, status.st_mtime_ns, status.st_ino
