"""The one exception a user may see, and how sentences are put together."""

import difflib
import os
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
    near = difflib.get_close_matches(name[:_LONGEST_NAME], list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def describe(error: BaseException) -> str:
    r"""Type and first line of an exception, shortened.

    >>> describe(ValueError("no such thing\nand more"))
    'ValueError: no such thing'
    """
    try:
        lines = str(error).strip().splitlines() or [""]
    except Exception:  # noqa: BLE001 - an exception of a stranger may fail even at this
        lines = [""]
    return f"{type(error).__name__}: {shortened(lines[0])}" if lines[0] else type(error).__name__


def shortened(text: str, most: int = 200) -> str:
    """A text of at most about this many characters.

    >>> shortened("abcdef", 3)
    'abc...'
    """
    return text if len(text) <= most else text[:most] + "..."


def printable(text: str) -> str:
    r"""A text without control characters, which a terminal would obey; line ends and tabs stay.

    >>> printable("red\x1b[31m")
    'red\\x1b[31m'
    """
    return "".join(one if one.isprintable() or one in "\n\t\u00a0" else _escaped(one) for one in text)


def explain_os_error(error: OSError) -> str:
    """What the operating system refuses, and the remedy, in a sentence.

    >>> explain_os_error(PermissionError(13, "Permission denied", "notes"))
    'notes cannot be read or written (Permission denied): check its permissions.'
    """
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    remedies = {
        PermissionError: "check its permissions",
        FileNotFoundError: "check the path",
        NotADirectoryError: "check the path, a file stands where a folder is needed",
        IsADirectoryError: "check the path, a folder stands where a file is needed",
        BrokenPipeError: "whatever read it has ended",
    }
    remedy = next(
        (remedy for kind, remedy in remedies.items() if isinstance(error, kind)), "check the disk and the path"
    )
    what = shortened(name, 400) or "A file, or the output,"
    return f"{what} cannot be read or written ({error.strerror or error}): {remedy}."


def _escaped(one: str) -> str:
    return one.encode("unicode_escape", "surrogatepass").decode("ascii")


_LONGEST_NAME = 200
"""Characters of a name that are compared with known ones; the time grows with their square."""
