"""The command line. Heavy modules are imported by the commands that need them, so that --help answers at once."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nsbench import __version__
from nsbench.cli.boundary import run
from nsbench.cli.compare import compare
from nsbench.cli.data import data_app
from nsbench.cli.evaluate import evaluate
from nsbench.cli.options import Data, Device, Quiet, Settings, folder, resumable
from nsbench.cli.verify import verify

if TYPE_CHECKING:
    from nsbench.config.schema import Config
    from nsbench.work.options import Options

app = typer.Typer(
    name="nsbench",
    help="Noisy-student self-training on CIFAR-10, and how robust and well calibrated an image classifier is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(data_app)

Preset = Annotated[str, typer.Argument(metavar="[PRESET|FILE.toml]", help="A preset or a configuration file.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", parser=folder, help="A run folder.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", parser=folder, help="Run folder. Default: runs/NAME.")
]
SaveEvery = Annotated[
    float, typer.Option("--save-every", metavar="SECONDS", min=0, help="Save training in progress this often.")
]
ShowConfig = Annotated[bool, typer.Option("--show-config", help="Print the complete configuration and stop.")]


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    """Noisy-student self-training on CIFAR-10, and how robust and well calibrated an image classifier is."""
    if version:
        typer.echo(f"nsbench {__version__}")
        raise typer.Exit


@app.command("run-all")
def run_all(
    source: Preset = "quick",
    out: Out = None,
    data: Data = None,
    device: Device = "auto",
    settings: Settings = None,
    quiet: Quiet = False,
    save_every: SaveEvery = 60.0,
    show_config: ShowConfig = False,
) -> None:
    """Train the teacher, the students and the baseline, measure them, and write the report.

    Run the same command again after an interruption: it continues where it was and gives the same results.
    """
    config = _config(source, settings, show_config)
    with resumable():
        from nsbench.work import runs

        path = runs.run_all(config, _options(config, out, data, device, quiet, save_every))
    typer.echo(f"The report is {path}")


@app.command()
def train(
    source: Preset = "quick",
    out: Out = None,
    data: Data = None,
    device: Device = "auto",
    settings: Settings = None,
    quiet: Quiet = False,
    save_every: SaveEvery = 60.0,
    show_config: ShowConfig = False,
) -> None:
    """Train the teacher, the students and the baseline."""
    config = _config(source, settings, show_config)
    with resumable():
        from nsbench.work import runs

        trained = runs.train(config, _options(config, out, data, device, quiet, save_every))
    typer.echo(f"The checkpoints are in {trained}")


@app.command()
def models(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Networks. Default: a choice.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list that a program can read.")] = False,
) -> None:
    """List networks that can be trained, with their parameters and multiply-adds."""
    import json
    from dataclasses import asdict

    from nsbench.networks.catalog import EXAMPLES, catalog, format_catalog

    entries = catalog(names or EXAMPLES)
    typer.echo(json.dumps([asdict(entry) for entry in entries], indent=1) if as_json else format_catalog(entries))


app.command()(evaluate)


@app.command()
def report(run: RunFolder) -> None:
    """Write the report of a run folder from its results.json: no model, no data and no GPU needed."""
    from nsbench.work.reporting import report as write

    typer.echo(f"The report is {write(run)}")


app.command()(compare)
app.command()(verify)


def _config(source: str, settings: list[str] | None, show: bool) -> "Config":
    from nsbench.config.resolve import resolve, to_toml

    config = resolve(source, settings or [])
    if show:
        typer.echo(to_toml(config), nl=False)
        raise typer.Exit
    return config


def _options(
    config: "Config", out: Path | None, data: Path | None, device: str, quiet: bool, save_every: float
) -> "Options":
    from nsbench.work.options import Options

    return Options(out or Path("runs") / config.name, data, device, quiet, save_every)


def _wait_asleep() -> None:
    """Have PyTorch's threads wait for each other asleep after a short spin, not a long one.

    A thread that spins keeps its core from the one it waits for when another program shares the machine: on two cores
    with one other busy program, work took six times as long (docs/performance.md). Read once, when PyTorch is
    imported.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def main() -> None:
    """Run the command line; `nsbench.cli.boundary` says what each exit status means."""
    _wait_asleep()
    sys.exit(run(app))
