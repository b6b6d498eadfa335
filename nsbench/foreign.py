"""Code that nsbench did not write, such as a user's model: where it failed, in one sentence."""

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from nsbench.errors import UserError, describe


@contextmanager
def one_sentence(what: str) -> Iterator[None]:
    """Turn whatever a user's code raises into one sentence with the place in that code.

    Args:
        what: was tried, such as "resnet.py could not be imported".
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, UserError) or type(error) is KeyboardInterrupt:
            raise
        raise UserError(f"{what}: {describe(error)}{place(error)}; fix that, or name another.") from error


def place(error: BaseException) -> str:
    """File and line of the last of the user's lines that an exception passed through; empty where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


@cache
def installed_places() -> tuple[Path, ...]:
    """Folders of the standard library and of installed packages."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({Path(sysconfig.get_path(name)) for name in names})


def _is_users(file: str) -> bool:
    places = (*installed_places(), Path(__file__).parent)
    return Path(file).is_absolute() and not any(Path(file).is_relative_to(place) for place in places)
