"""The commands `nsbench data ...`; heavy modules are imported by the commands that need them."""

from pathlib import Path
from typing import Annotated

import typer

from nsbench.cli.options import Data, Quiet, folder, resumable
from nsbench.errors import UserError, printable, shortened

data_app = typer.Typer(
    name="data",
    help="Data sets: what is here, download, check.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A data set; `nsbench data list` shows them.")]

_MOST_EXTRAS = 20


@data_app.command("list")
def list_data(
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list that a program can read.")] = False,
) -> None:
    """List the data sets: what is in the data folder, how large they are, what can be generated instead.

    Only names and sizes are looked at; `nsbench data verify` reads the files.
    """
    import json

    from nsbench.data.library.inventory import describe, format_inventories, take_inventory
    from nsbench.data.library.manifests import list_manifests, load_source
    from nsbench.data.load import data_folder, registered_data_sets

    place = data_folder(data)
    found = [take_inventory(load_source(name), place) for name in list_manifests()]
    if as_json:
        typer.echo(json.dumps([describe(one) for one in found], indent=1))
    else:
        typer.echo(f"{format_inventories(found)}\n\nThe data folder is {place}.")
        if added := registered_data_sets():
            typer.echo(f"Other packages add {', '.join(added)}.")


@data_app.command()
def fetch(name: Name, data: Data = None, quiet: Quiet = False) -> None:
    """Download a data set, check it, and unpack it into the data folder.

    Run the same command again after an interruption: it continues where it was. NSBENCH_MIRROR may hold addresses of
    mirrors, separated by spaces, which are asked first.
    """
    import os

    from nsbench.data.library.download import MIRROR_VARIABLE
    from nsbench.data.library.fetch import fetch as fetch_set
    from nsbench.data.library.manifests import load_source
    from nsbench.data.load import data_folder
    from nsbench.progress import Reporter

    source, mirrors = load_source(name), os.environ.get(MIRROR_VARIABLE, "")
    with resumable():
        fetch_set(source, data_folder(data), Reporter(quiet=quiet), mirrors=mirrors)


@data_app.command()
def verify(name: Name, data: Data = None, quiet: Quiet = False) -> None:
    """Read every file of a data set and compare it with the manifest: size, checksum, shape and type of arrays.

    Exit status 2 when something is wrong; each fault is named.
    """
    from nsbench.data.library.manifests import load_source
    from nsbench.data.library.verify import verify as verify_set
    from nsbench.data.load import data_folder
    from nsbench.progress import Reporter

    source = load_source(name)
    with resumable("run the same command again"):
        shown = verify_set(source, data_folder(data), Reporter(quiet=quiet))
    for extra in shown.extras[:_MOST_EXTRAS]:
        typer.echo(printable(f"not part of {source.title}: {extra}"))
    if len(shown.extras) > _MOST_EXTRAS:
        typer.echo(f"not part of {source.title}: {len(shown.extras) - _MOST_EXTRAS:,} more files")
    for seen in shown.first_seen:
        typer.echo(f"no checksum of {seen} is published: recorded now, and compared from now on")
    for fault in shown.faults:
        typer.echo(printable(fault))
    if shown.faults:
        count = f"{len(shown.faults)} fault{'s' if len(shown.faults) > 1 else ''}"
        again = f"nsbench data {'generate' if shown.generated else 'fetch'} {name}"
        raise UserError(
            f"{source.title} in {shown.folder} has {count}: delete the files named above and run `{again}`."
        )
    if shown.generated:
        made = f"{shown.folder} holds {shown.generated}, which nsbench made and which is not the official"
        typer.echo(printable(f"{made} {source.title}: its {shown.recorded} files are as they were made."))
        return
    typer.echo(
        f"{source.title} in {shown.folder} is as it should be: {shown.published} with published checksums, "
        f"{shown.recorded} as recorded earlier, {len(shown.first_seen)} recorded now."
    )


@data_app.command()
def generate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="cifar10-c, cifar10-p, cifar100-c, digits-c, ...")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", parser=folder, help="Folder of the arrays.")],
    data: Data = None,
    corruptions: Annotated[
        str, typer.Option("--corruptions", metavar="A,B", help="Corruptions or perturbations. Default: all.")
    ] = "",
    severities: Annotated[str, typer.Option("--severities", metavar="1,2", help="Default: 1 to 5.")] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="First N test images. 0: all.")] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")] = 0,
    frost: Annotated[
        Path | None,
        typer.Option(
            "--frost", metavar="DIR", parser=folder, help="The published frost photographs. Default: our own."
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to compute.")] = "auto",
    quiet: Quiet = False,
) -> None:
    """Make corrupted images or perturbed sequences of a test set and write them in the official layout.

    The arrays have the official names and are not the official files: nsbench-set.json beside them says what they are.
    Run the same command again after an interruption: it continues with the next array. A set that evaluation is to
    read is named after the official one: --out DATA/CIFAR-10-C.
    """
    from nsbench.corruptions.generate import Request
    from nsbench.corruptions.generate import generate as generate_set
    from nsbench.devices import choose_device, prepare
    from nsbench.progress import Reporter

    chosen = choose_device(device)
    prepare(chosen)
    with resumable():
        request = Request(_words(corruptions), _numbers(severities), limit, seed, frost)
        written = generate_set(name, request, out, data, chosen, Reporter(quiet=quiet))
    typer.echo(f"{written} array{'' if written == 1 else 's'} written to {out}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in _words(text))
    except ValueError:
        raise UserError(
            f"--severities {shortened(text)!r} is not a list of numbers: write for example 1,3,5."
        ) from None
