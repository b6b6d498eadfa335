"""The one exception a user may see, and the hint that many of its sentences end with."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can fix: one sentence that names the thing and the remedy.

    The command line prints it without a traceback and exits with status 2. Anything else that
    escapes is a bug in nsbench.
    """


def hint(name: str, known: Iterable[str]) -> str:
    """The known name nearest to a misspelt one, as the end of a sentence; empty where none is near.

    >>> hint("cifra10", ["cifar10", "digits"])
    ' Did you mean cifar10?'
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""
