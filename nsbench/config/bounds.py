"""What any configuration keeps within, checked before anything in it is looked at: a stranger's may hold anything."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from typing import Any

from nsbench.errors import UserError, printable, shortened

Table = dict[str, Any]

MOST_BYTES = 2**20
"""Length of a file, or of the value of a setting."""
DEEPEST = 8
"""Sections and lists inside each other."""
_MOST_ITEMS = 1000
_LONGEST_TEXT = 4096
_LARGEST_NUMBER = 10**30
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")
"""Control characters, halves of characters, and separators of lines: no name or path of ours needs them."""
_KEY_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_KEY_PART}(?:\.[ \t]*+{_KEY_PART}){{{4 * DEEPEST}}}")
"""Many parts joined by dots: the time that tomllib takes grows with the square of their number."""


def load_toml(text: str) -> Table:
    """The tables of a TOML text.

    Raises:
        ValueError: it is not TOML, is too long, or is nested too deeply.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES:,} characters")
    try:
        if not _LONG_KEY.search(text):
            return tomllib.loads(text)
    except RecursionError:
        pass
    raise TooDeepError(f"more than {DEEPEST} levels are nested")


class TooDeepError(ValueError):
    """Sections or lists are nested too deeply."""


def check_bounds(table: Table) -> None:
    """Raise UserError for a configuration with something so deep, long or large that it can mean nothing."""
    for key, value in _values(table, (), 0):
        fault = _fault(value)
        if fault:
            raise UserError(f"{_shown(key) or 'The configuration'} {fault}.")


def _values(value: object, key: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], object]]:
    """A value and all that is inside it, keys too, each with its key; UserError where it is nested too deeply."""
    yield key, value
    if depth > DEEPEST:
        raise UserError(f"{_shown(key)} is nested too deeply: write it with at most {DEEPEST} levels.")
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*key, name), name
            yield from _values(inner, (*key, name), depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _values(inner, key, depth + 1)


def _fault(value: object) -> str | None:
    if isinstance(value, list | tuple | dict) and len(value) > _MOST_ITEMS:
        return f"has {len(value):,} entries: use at most {_MOST_ITEMS:,}"
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"is a text of {len(value):,} characters: use at most {_LONGEST_TEXT:,}"
    if isinstance(value, str) and any(unicodedata.category(one) in _UNSEEN for one in value):
        return f"= {printable(repr(shortened(value)))} has a line end or a control character in it: leave it out"
    if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
        return "is a number of more than 30 digits: use a smaller one"
    return None


def _shown(key: tuple[str, ...]) -> str:
    return printable(shortened(".".join(map(str, key))).replace("\n", " "))
