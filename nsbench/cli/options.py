"""What several commands share: options, how folders are read, and what Ctrl-C says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from nsbench.errors import UserError


def folder(text: str | Path) -> Path:
    """A path as it was typed; an empty one, which would mean the current folder, is refused."""
    if not str(text):
        raise UserError("The name of a folder or file is empty: write a dot for the current folder.")
    return Path(text)


Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", parser=folder, help="Data folder. Default: NSBENCH_DATA, else ./data."),
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to compute.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="dotted.key=value", help="Change one value of the configuration; repeatable."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show warnings only.")]


class Interrupted(Exception):  # noqa: N818  # no error
    """Long work was interrupted; its text says how to go on."""


@contextmanager
def resumable(remedy: str = "run the same command again to continue") -> Iterator[None]:
    """Say how to go on when long work is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(remedy) from None
