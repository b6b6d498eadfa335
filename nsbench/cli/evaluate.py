"""The command `nsbench evaluate`: a run's networks, or anybody's models."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nsbench.cli.options import Data, Device, Quiet, Settings, resumable
from nsbench.errors import UserError
from nsbench.protocols.attacks import attack_names

Table = dict[str, Any]

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="A run folder, a checkpoint, package.module:function, file.py:function, timm:NAME, torchvision:NAME, "
        "torchhub:REPO:NAME, a .pt2 or an .onnx file; or one TOML file, or evaluation folder, that lists models.",
    ),
]
On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="LIST",
        help=f"What to measure, of clean,calibration,cifar10-c,cifar10-p,fgsm,paper_fgsm,{','.join(attack_names())}. "
        "Default: the first five.",
    ),
]
Baseline = Annotated[
    str, typer.Option("--baseline", metavar="NAME", help="The model that mCE and mean flip rate are relative to.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder of the results.")]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weights", metavar="FILE", help="Weights of each MODEL, in order; repeatable."),
]
Names = Annotated[
    list[str] | None, typer.Option("--name", metavar="NAME", help="A short name of each MODEL, in order; repeatable.")
]
Mean = Annotated[str, typer.Option("--mean", metavar="R,G,B", help="Mean that the models subtract, pixels in [0, 1].")]
Std = Annotated[str, typer.Option("--std", metavar="R,G,B", help="Standard deviation that they divide by.")]
Inside = Annotated[bool, typer.Option("--inside", help="The models normalise pixels in [0, 1] by themselves.")]
DataSet = Annotated[str, typer.Option("--data-set", metavar="NAME", help="cifar10, cifar100 or digits.")]
HeldOut = Annotated[
    int,
    typer.Option("--held-out", metavar="N", min=0, help="Fit temperatures on the last N training images, never seen."),
]
Attacks = Annotated[
    str,
    typer.Option("--attacks", metavar="LIST", help=f"Stronger attacks, of {', '.join(attack_names())}; as in --on."),
]


def evaluate(
    models: Models,
    on: On = "",
    baseline: Baseline = "",
    out: Out = None,
    weights: Weights = None,
    name: Names = None,
    mean: Mean = "",
    std: Std = "",
    inside: Inside = False,
    data_set: DataSet = "",
    held_out: HeldOut = 0,
    attacks: Attacks = "",
    settings: Settings = None,
    data: Data = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Measure models, yours or ours: predictions, results.json, metrics.csv and a report.

    A run folder alone is measured in place. Any other model needs --out, and --mean with --std or --inside. Run the
    same command again after an interruption: it continues where it was. More models or more benchmarks into the same
    folder cost only what is new.
    """
    with resumable():
        from nsbench import evaluation, pipeline
        from nsbench.config import request

        describing: Table = {"--weights": weights, "--name": name, "--mean": mean, "--std": std, "--inside": inside}
        wishing: Table = {"--on": on, "--attacks": attacks, "--baseline": baseline, "--data-set": data_set}
        wishing |= {"--held-out": held_out, "--set": settings}
        if out is None and len(models) == 1 and is_run(Path(models[0])):
            refuse(
                describing | wishing, f"{models[0]} is a run, measured in place as its config.toml says: name --out too"
            )
            path = pipeline.evaluate(Path(models[0]), pipeline.Options(Path(models[0]), data, device, quiet))
            typer.echo(f"The results are in {path}")
            return
        file = listing(models)
        if file:
            refuse(describing, f"{file} says itself what its models are: change it there")
        table = read_listing(file) if file else listed(models, weights, name, mean, std, inside)
        put_wishes(table, on, attacks, baseline, data_set or data_of(models), held_out, everything=not file)
        folder = out or (file.parent if file and file.name == "config.toml" else None)
        if folder is None:
            raise UserError("--out is missing: name the folder that gets the results.")
        config = request.resolve_benchmark(table, settings or [], folder)
        evaluation.evaluate_models(config, pipeline.Options(folder, data, device, quiet))
    typer.echo(f"The report is {folder / 'report' / 'index.html'}")


def refuse(options: Table, why: str) -> None:
    """Raise UserError when an option is given that would do nothing."""
    given = [option for option, value in options.items() if value]
    if given:
        raise UserError(f"{why}, or leave out {given[0]}.")


def is_run(folder: Path) -> bool:
    """Whether this is the folder of a run that nsbench trained."""
    from nsbench.config.request import is_evaluation

    return (folder / "config.toml").is_file() and not is_evaluation(folder)


def listing(models: list[str]) -> Path | None:
    """The TOML file that lists the models: the one argument, or what an evaluation folder holds."""
    from nsbench.config.request import is_evaluation

    path = Path(models[0])
    if path.suffix != ".toml" and not is_evaluation(path):
        return None
    if len(models) > 1:
        raise UserError(f"{path} lists models itself: name it alone.")
    return path if path.suffix == ".toml" else path / "config.toml"


def read_listing(file: Path) -> Table:
    """The tables of a file that lists models."""
    from nsbench.config.resolve import read_toml

    return read_toml(file)


def listed(
    models: list[str], weights: list[str] | None, names: list[str] | None, mean: str, std: str, inside: bool
) -> Table:
    """The same from options: weights and names belong to the models in order, preprocessing to all but ours."""
    rows: list[Table] = [{"source": source} for source in models]
    for option, key, values in (("--weights", "weights", weights), ("--name", "name", names)):
        if values and len(values) != len(models):
            raise UserError(
                f"{option} is given {len(values)} times for {len(models)} models: give it once for each, in order, "
                f"or list the models in a TOML file."
            )
        for row, value in zip(rows, values or [], strict=False):
            row[key] = value
    preprocessing = {"mean": figures("--mean", mean), "std": figures("--std", std), "inside": inside}
    for row in rows:
        if not Path(row["source"]).is_dir():
            row |= {key: value for key, value in preprocessing.items() if value}
    return {"models": rows}


def put_wishes(
    table: Table, on: str, attacks: str, baseline: str, data_set: str, held_out: int, *, everything: bool
) -> None:
    """Put options into the tables of an evaluation; `everything` that is usual is measured where nothing is named."""
    from nsbench.config import request

    if baseline:
        table["baseline"] = baseline
    if data_set:
        table["data"] = data_set
    settings = table.setdefault("evaluation", {})
    if held_out:
        settings["held_out_images"] = held_out
    data = table.get("data", "cifar10")
    if on or everything:
        named = f"{on or ','.join(request.usual(data))},{attacks}"
        request.choose(settings, [name.strip() for name in named.split(",") if name.strip()], data)
    elif attacks:
        settings["attacks"] = [name.strip() for name in attacks.split(",")]


def data_of(models: list[str]) -> str:
    """The data set of the first run among the models; empty where there is none."""
    from nsbench.pipeline import run_config

    runs = [Path(source) for source in models if is_run(Path(source))]
    return run_config(runs[0]).data.name if runs else ""


def figures(option: str, text: str) -> list[float]:
    """Numbers separated by commas."""
    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UserError(f"{option} {text!r} is not a list of numbers: write for example 0.5,0.5,0.5.") from None
