"""What several commands share: options, and what Ctrl-C says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Data folder. Default: NSBENCH_DATA, else ./data.")
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to compute.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="dotted.key=value", help="Change one value of the configuration; repeatable."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show warnings only.")]


@contextmanager
def resumable() -> Iterator[None]:
    """Say how to go on when long work is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("interrupted: run the same command again to continue", err=True)
        raise typer.Exit(130) from None
