"""Reading ahead gives the same items in the same order, and never runs far ahead."""

from collections.abc import Iterator

import pytest

from nsbench.predictions.collect import read_ahead


def test_items_come_in_order_and_one_ahead_at_most() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(6):
            made.append(number)
            yield number

    for used, number in enumerate(read_ahead(items())):
        assert number == used
        assert len(made) <= used + 2
    assert made == list(range(6))


def test_an_error_in_the_thread_reaches_the_reader() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise OSError("gone")

    found = read_ahead(items())
    assert next(found) == 0
    with pytest.raises(OSError, match="gone"):
        next(found)


def test_nothing_gives_nothing() -> None:
    assert list(read_ahead(iter(()))) == []
