"""Reading ahead: the next images are read while the present ones are used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made in a thread while the one before it is in use; never more than two are held."""
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        upcoming = thread.submit(_next, items)
        while found := upcoming.result():
            upcoming = thread.submit(_next, items)
            yield found[0]


def _next(items: Iterator[T]) -> tuple[T] | None:
    for item in items:
        return (item,)
    return None
