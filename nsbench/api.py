"""nsbench from Python: models evaluated, compared, and records read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from nsbench.config.request import EvaluationRequest
from nsbench.errors import UserError
from nsbench.models.in_memory import InMemory
from nsbench.results.compare.sides import open_side
from nsbench.results.compare.versus import Choice, Versus, versus
from nsbench.results.record import Results
from nsbench.results.store import load_results
from nsbench.work.options import Options
from nsbench.work.surveys import measure_models


def evaluate(  # noqa: PLR0913  # an option of the command is an argument here
    models: Mapping[str, nn.Module | str],
    out: str | Path,
    *,
    data_set: str = "cifar10",
    data: str | Path | None = None,
    on: Sequence[str] = (),
    baseline: str = "",
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    inside: bool = False,
    trust_code: bool = False,
    device: str = "auto",
    quiet: bool = False,
    **settings: Any,
) -> Results:
    """Measure models; what `nsbench evaluate` does, without the command line.

    Args:
        models: by a short name, networks that take float pixels (N, 3, H, W) in [0, 1] to logits (N, classes), or
            sources as the command line takes them, such as `timm:resnet18`.
        out: the folder of predictions, results and report; what is there is not computed again.
        data_set: whose test images: `cifar10`, `cifar100`, `digits` or a registered one.
        data: where data sets are; None: the variable NSBENCH_DATA, else `data`.
        on: what to measure, as `--on` has it; empty: clean, calibration, -C, -P and FGSM.
        baseline: name of the model that mCE and mean flip rate are relative to; empty: neither is given.
        mean: that the models subtract from each channel, pixels in [0, 1].
        std: that they divide by.
        inside: instead of the two: the models normalise their input themselves.
        trust_code: exported programs (.pt2) may be opened, which runs code that they hold.
        device: auto, cpu or cuda.
        quiet: show warnings only.
        settings: fields of `EvaluationConfig`, such as `corruption_images=1000`.

    Returns:
        The record, as in `results.json`; `Results.number` finds one number.

    Raises:
        UserError: a model, the data or the folder cannot be used.
    """
    for name, model in models.items():
        if not isinstance(model, str | nn.Module):
            raise UserError(
                f"{name!r} is a {type(model).__name__}, neither a torch.nn.Module nor a source: pass either."
            )
    named = {name: model for name, model in models.items() if isinstance(model, str)}
    given = [
        InMemory(name, model, mean, std, inside=inside)
        for name, model in models.items()
        if isinstance(model, nn.Module)
    ]
    request = EvaluationRequest(
        models=tuple(named.values()),
        names=tuple(named),
        on=tuple(on),
        baseline=baseline,
        mean=tuple(mean),
        std=tuple(std),
        inside=inside,
        data_set=data_set,
        evaluation=settings,
        trust_code=trust_code,
    )
    folder = Path(out).expanduser()
    options = Options(folder, Path(data).expanduser() if data else None, device, quiet, trust=request.trust)
    return measure_models(request.configuration(folder), options, given)


def compare(
    candidate: str | Path, baseline: str | Path, *, metrics: Sequence[str] = (), everything: bool = False
) -> Versus:
    """Compare two models on the same images; what `nsbench compare` does, without the command line.

    Args:
        candidate: a run or evaluation folder, FOLDER:MODEL, or the folder of a network.
        baseline: what it is compared with, likewise.
        metrics: METRIC or BENCHMARK:METRIC; empty: the headlines.
        everything: all numbers that both have.

    Returns:
        Paired differences, with intervals, p-values and verdicts.

    Raises:
        UserError: a folder or a model is not there, or nothing can be compared.
    """
    return versus(open_side(str(candidate)), open_side(str(baseline)), Choice(tuple(metrics), everything))


def load(folder: str | Path) -> Results:
    """The record of a run or evaluation folder, also one of an earlier version.

    Raises:
        UserError: there is none, or it is damaged.
    """
    return load_results(Path(folder).expanduser())
