"""The command `nsbench verify`: whether a run or evaluation folder is whole."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nsbench.cli.options import folder
from nsbench.errors import UserError

if TYPE_CHECKING:
    from nsbench.work.verifying import Part

_MOST = 20
"""Faults of one kind that are listed; the rest is counted."""


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", parser=folder, help="A run folder or an evaluation folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a list that a program can read.")] = False,
) -> None:
    """Check a whole run or evaluation folder: checksums, shapes, ranges and versions of all its parts.

    Nothing is written and no model is run. What is missing or damaged is named, with what makes it again; the exit
    status is then 2.
    """
    from nsbench.work.verifying import remedy, verify_folder

    parts = verify_folder(run)
    wrong = [part for part in parts if part.fault is not None]
    if as_json:
        typer.echo(json.dumps([asdict(part) for part in parts], indent=1))
    else:
        for line in _summary(parts):
            typer.echo(line)
        for line in _named(wrong):
            typer.echo(line)
    if wrong:
        count = "1 part" if len(wrong) == 1 else f"{len(wrong):,} parts"
        raise UserError(f"{run} is not whole, {count} of {len(parts):,} missing or damaged: {remedy(run, wrong)}.")


def _summary(parts: "list[Part]") -> list[str]:
    """One line for each kind: how many are whole."""
    kinds = list(dict.fromkeys(part.kind for part in parts))
    counts = {kind: [part.fault is None for part in parts if part.kind == kind] for kind in kinds}
    lines = [f"{kind:<12} {sum(whole):,} of {len(whole):,} whole" for kind, whole in counts.items()]
    return [*lines, *(f"note: {part.name} was {part.note}" for part in parts if part.note)]


def _named(wrong: "list[Part]") -> list[str]:
    """One line for each fault, and how many more there are."""
    lines = []
    for kind in dict.fromkeys(part.kind for part in wrong):
        own = [part for part in wrong if part.kind == kind]
        lines += [f"{part.name}: {part.fault}" for part in own[:_MOST]]
        if len(own) > _MOST:
            lines.append(f"{kind}: {len(own) - _MOST:,} more")
    return lines
