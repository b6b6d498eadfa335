"""The command `nsbench evaluate`: the networks of a run, or models of whatever origin."""

from pathlib import Path
from typing import Annotated

import typer

from nsbench.cli.options import Data, Device, Quiet, Settings, folder, resumable
from nsbench.errors import UserError
from nsbench.protocols.attacks import attack_names

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
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", parser=folder, help="Folder of the results.")]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weights", metavar="FILE", help="Weights of each MODEL, in order; repeatable."),
]
Names = Annotated[
    list[str] | None, typer.Option("--name", metavar="NAME", help="A short name of each MODEL, in order; repeatable.")
]
Mean = Annotated[str, typer.Option("--mean", metavar="R,G,B", help="Mean that the models subtract, pixels in [0, 1].")]
Std = Annotated[str, typer.Option("--std", metavar="R,G,B", help="Standard deviation that they divide by.")]
Inside = Annotated[bool, typer.Option("--inside", help="The models normalise pixels in [0, 1] themselves.")]
DataSet = Annotated[
    str, typer.Option("--data-set", metavar="NAME", help="cifar10, cifar100, digits or a registered one.")
]
HeldOut = Annotated[
    int,
    typer.Option("--held-out", metavar="N", min=0, help="Fit temperatures on the last N training images, never seen."),
]
TrustCode = Annotated[
    bool,
    typer.Option("--trust-code", help="Run code that files hold: exported programs, Python that a listing names."),
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
    trust_code: TrustCode = False,
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
        from nsbench.config.request import EvaluationRequest
        from nsbench.work.options import Options

        request = EvaluationRequest(
            models=tuple(models),
            on=words(on),
            attacks=words(attacks),
            baseline=baseline,
            weights=tuple(weights or ()),
            names=tuple(name or ()),
            mean=figures("--mean", mean),
            std=figures("--std", std),
            inside=inside,
            data_set=data_set,
            held_out=held_out,
            settings=tuple(settings or ()),
            trust_code=trust_code,
        )
        if out is None and request.run is not None:
            request.refuse_options(f"{models[0]} is a run, measured in place as its config.toml says: name --out too")
            from nsbench.work import runs

            path = runs.measure_run(request.run, Options(request.run, data, device, quiet))
            typer.echo(f"The results are in {path}")
            return
        file = request.listing
        place = out or (file.parent if file and file.name == "config.toml" else None)
        if place is None:
            raise UserError("--out is missing: name the folder that gets the results.")
        config = request.configuration(place)
        from nsbench.work.surveys import measure_models

        measure_models(config, Options(place, data, device, quiet, trust=request.trust))
    typer.echo(f"The report is {place / 'report' / 'index.html'}")


def words(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def figures(option: str, text: str) -> tuple[float, ...]:
    """Numbers separated by commas."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise UserError(f"{option} {text!r} is not a list of numbers: write for example 0.5,0.5,0.5.") from None
