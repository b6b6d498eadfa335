"""Claims on units of work, so that several processes on one folder do each unit once.

A claim is a lock that the operating system takes back from a process that ends, however it ends: the unit of a killed
process is free for the next one that asks.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from nsbench.errors import UserError
from nsbench.files import explain_os_error

CLAIMS = ".claims"
"""The folder of the lock files, in the folder that is worked on."""
POLL_SECONDS = 0.5
"""How often a unit that another process holds is asked for again."""


@dataclass(frozen=True)
class Claims:
    """The claims on the units of one folder.

    Attributes:
        folder: the run folder.
    """

    folder: Path

    @contextmanager
    def take(self, unit: str) -> Iterator[bool]:
        """Claim a unit if it is free; gives whether it was."""
        lock = self._lock(unit)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @contextmanager
    def hold(self, unit: str) -> Iterator[None]:
        """Claim a unit, after whoever has it now."""
        with self._lock(unit):
            yield

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Take part in work on a folder that is to hold nothing but its output: the last to leave removes the claims.

        Whoever takes part shares a lock on the folder of the claims; who gets it alone is the last.
        """
        handle = self._join()
        try:
            yield
        finally:
            with suppress(OSError):  # others are at work, or the file system cannot lock a folder
                fcntl.flock(handle, fcntl.LOCK_UN)  # first: of two that leave at once neither would get it alone
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for lock in self._place.glob("*.lock"):
                    lock.unlink()
                self._place.rmdir()
            os.close(handle)

    @property
    def _place(self) -> Path:
        return self.folder / CLAIMS

    def _join(self) -> int:
        """A shared lock on the folder of the claims."""
        while True:
            try:
                self._place.mkdir(parents=True, exist_ok=True)
                handle = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except FileNotFoundError:  # removed just now
                continue
            except OSError as error:
                raise explain_os_error(error, self._place) from error
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_SH)
            if os.fstat(handle).st_nlink:
                return handle
            os.close(handle)

    def _lock(self, unit: str) -> FileLock:
        path = self._place / f"{unit.replace('/', '~')}.lock"
        if self._place.is_symlink():  # a stranger's folder could have us write elsewhere
            raise UserError(f"{self._place} is a link: delete it.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain_os_error(error, path) from error
        return FileLock(path)


class Unit(Protocol):
    """A piece of work whose output appears whole or not at all."""

    @property
    def name(self) -> str:
        """What it is claimed by."""
        ...

    def done(self) -> bool:
        """Whether its output is there."""
        ...

    def ready(self) -> bool:
        """Whether everything that it needs is there."""
        ...

    def do(self) -> None:
        """Make the output; what a killed process had begun is continued."""
        ...


def work_off(units: Sequence[Unit], claims: Claims, waiting: Callable[[str], None]) -> None:
    """Do every unit that is not done, in order; what another process holds is left to it and waited for.

    Args:
        units: all of them; what a unit needs is made by one before it.
        claims: the folder's claims.
        waiting: called with the name of a unit when there is nothing to do but to wait for it.
    """
    left, said = list(units), ""
    while left:
        progress = [unit for unit in left if _finish(unit, claims)]
        left = [unit for unit in left if unit not in progress]
        if left and not progress:
            if left[0].name != said:
                said = left[0].name
                waiting(said)
            time.sleep(POLL_SECONDS)


def _finish(unit: Unit, claims: Claims) -> bool:
    """Whether a unit is done, by us or by others."""
    if unit.done():
        return True
    if not unit.ready():
        return False
    with claims.take(unit.name) as mine:
        if not mine:
            return False
        if not unit.done():
            unit.do()
    return True
