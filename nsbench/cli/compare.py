"""The command `nsbench compare`. Heavy modules are imported by the command; torch is not among them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nsbench.cli.options import folder

SIDE_HELP = "A run or evaluation folder, FOLDER:MODEL, or a checkpoint's folder. Default of a run: its last student."
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metrics",
        metavar="METRIC|BENCHMARK:METRIC",
        help="Compare only these, such as brier_score or corruption/fog:mean_error; repeatable, or with commas.",
    ),
]


def compare(
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help=SIDE_HELP)],
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="Likewise; what it is compared with.")],
    metrics: Metrics = None,
    everything: Annotated[bool, typer.Option("--all", help="Compare all numbers, not only the headlines.")] = False,
    fail_on_regression: Annotated[
        bool, typer.Option("--fail-on-regression", help="Exit with status 1 if the candidate is worse in any number.")
    ] = False,
    form: Annotated[Literal["markdown", "json"], typer.Option("--format", help="Form of the output.")] = "markdown",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", parser=folder, help="Write there, not to the terminal.")
    ] = None,
) -> None:
    """Compare two models on the same images: paired differences, intervals, p-values and a verdict.

    Needs the folders' results.json and predictions/, no model, no data and no GPU. The verdict is better or worse where
    Holm's correction over all that is shown leaves evidence.
    """
    from nsbench.errors import UserError
    from nsbench.files import write_text
    from nsbench.results.compare.sides import open_side
    from nsbench.results.compare.text import to_json, to_markdown
    from nsbench.results.compare.versus import Choice, versus

    named = tuple(name for one in metrics or () for name in one.split(",") if name)
    if named and everything:
        raise UserError("--metrics and --all exclude each other: leave one out.")
    choice = Choice(named, everything)
    found = versus(open_side(candidate), open_side(baseline), choice, strict=fail_on_regression)
    text = to_markdown(found) if form == "markdown" else to_json(found)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
    if fail_on_regression and any(one.verdict == "worse" for one in found.comparisons):
        raise typer.Exit(1)
