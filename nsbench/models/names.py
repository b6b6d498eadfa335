"""Short names for models, unique within an evaluation."""

import re
from collections.abc import Iterator, Sequence
from itertools import count

from nsbench.errors import UserError, shortened
from nsbench.names import NAME


class Names:
    """Gives each model a name of its own; capitals make no difference, since some file systems see none.

    Args:
        given: names that users gave to models.

    Raises:
        UserError: one cannot be part of a path, or two are the same.
    """

    def __init__(self, given: Sequence[str]) -> None:
        self._taken: set[str] = set()
        for name in given:
            if not re.fullmatch(NAME, name):
                raise UserError(
                    f"The name {shortened(name)!r} cannot be used: begin with a letter or digit, then letters, digits, "
                    "'.', '_', '+' and '-', at most 80."
                )
            if name.lower() in self._taken:
                raise UserError(f"Two models are named {name}: give each a name of its own.")
            self._taken.add(name.lower())

    def give(self, *preferred: str) -> str:
        """The first preferred name that is free, or the last one with a number; it is taken from then on."""
        name = next(name for name in _with_numbers(preferred) if name.lower() not in self._taken)
        self._taken.add(name.lower())
        return name


def short_name(text: str) -> str:
    """A text in which everything that a path cannot contain is replaced.

    >>> short_name("my model (2)")
    'my-model-2'
    """
    return re.sub(r"[^A-Za-z0-9._+]+", "-", text).strip("-._+")[:80] or "model"


def _with_numbers(preferred: Sequence[str]) -> Iterator[str]:
    yield from preferred
    yield from (f"{preferred[-1]}-{number}" for number in count(2))
