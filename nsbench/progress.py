"""Progress: a live line on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import StringIO

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from nsbench.errors import printable

LEAST_SECONDS = 5.0
MOST_SECONDS = 60.0


class Reporter:
    """Shows on standard error how far the work has come.

    Args:
        quiet: say nothing but warnings.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        file = StringIO() if sys.stderr is None else sys.stderr  # rich would take standard output instead
        self._console = Console(file=file, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line of news."""
        if not self.quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """One line that is shown even when quiet."""
        self._print(f"warning: {text}")

    def _print(self, line: str) -> None:
        """Write a line; whoever no longer reads it does not end the work."""
        with suppress(OSError, SystemExit):  # rich ends the program where its output is a closed pipe
            self._console.print(printable(line), markup=False)

    @contextmanager
    def task(self, title: str, total: int, unit: str = "images") -> Iterator["Task"]:
        """A piece of work of `total` units; a live line on a terminal."""
        if self.quiet or not self._console.is_terminal:
            yield Task(self, title, total, unit, None)
            return
        # Only the title gives way on a narrow terminal: the figures are what one looks for.
        columns = (
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[news]}"),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self._console, transient=True, expand=True) as live:
            yield Task(self, title, total, unit, live)


class Task:
    """One piece of work in progress."""

    def __init__(self, reporter: Reporter, title: str, total: int, unit: str, live: Progress | None) -> None:
        self.reporter, self.title, self.total, self.unit, self.live = reporter, title, total, unit, live
        self.done = 0
        self._news = ""
        self._start = self._logged = time.monotonic()
        self._start_done = 0
        self._row = live.add_task(title, total=total, news="") if live else None

    def begin_at(self, done: int) -> None:
        """Say that `done` units were finished by an earlier run, so that they do not count as speed."""
        self.done = self._start_done = done
        self._show()

    def advance(self, count: int) -> None:
        """`count` more units are done; where there is no live line, say so at least once a minute."""
        self.done += count
        self._show()
        if self.live is None and time.monotonic() - self._logged >= MOST_SECONDS:
            self._line()

    def note(self, news: str) -> None:
        """Figures of the moment, such as loss and accuracy."""
        self._news = news
        self._show()

    def log(self, news: str) -> None:
        """A plain line with progress, speed and time left, where there is no live line; not more than one in 5 s."""
        self.note(news)
        if self.live is None and (time.monotonic() - self._logged >= LEAST_SECONDS or self.done >= self.total):
            self._line()

    def _line(self) -> None:
        self._logged = time.monotonic()
        left = (self.total - self.done) / self.rate if self.rate else float("nan")
        parts = (
            f"{self.done:,}/{self.total:,} {self.unit}",
            *([self._news] if self._news else []),
            f"{self.rate:,.0f} {self.unit}/s",
            f"{left:.0f} s left",
        )
        self.reporter.say(f"{self.title}: {', '.join(parts)}")

    @property
    def rate(self) -> float:
        """Units per second since this task began in this process."""
        return (self.done - self._start_done) / max(time.monotonic() - self._start, 1e-9)

    def _show(self) -> None:
        if self.live is not None and self._row is not None:
            self.live.update(
                self._row, completed=self.done, news=f"{self.rate:,.0f} {self.unit}/s{self._news and ', ' + self._news}"
            )
