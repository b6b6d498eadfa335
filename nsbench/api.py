"""Evaluation from Python: models that are in memory, or named as on the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from nsbench.config.request import EvaluationRequest
from nsbench.models.in_memory import InMemory
from nsbench.results.record import Results
from nsbench.work.options import Options
from nsbench.work.surveys import evaluate_models


def evaluate(  # noqa: PLR0913  # an option of the command is an argument here
    models: Mapping[str, nn.Module | str],
    out: str | Path,
    *,
    data_set: Literal["cifar10", "cifar100", "digits"] = "cifar10",
    data: str | Path | None = None,
    on: Sequence[str] = (),
    baseline: str = "",
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    inside: bool = False,
    device: str = "auto",
    quiet: bool = False,
    **settings: Any,
) -> Results:
    """Measure models; what `nsbench evaluate` does, without the command line.

    Args:
        models: by a short name, networks that take float pixels (N, 3, H, W) in [0, 1] to logits (N, classes), or
            sources as the command line takes them, such as `timm:resnet18`.
        out: the folder of predictions, results and report; what is there is not computed again.
        data_set: whose test images.
        data: where data sets lie; None: the variable NSBENCH_DATA, else `data`.
        on: what to measure, as `--on` has it; empty: clean, calibration, -C, -P and FGSM.
        baseline: name of the model that mCE and mean flip rate are relative to; empty: neither is given.
        mean: that the models subtract from each channel, pixels in [0, 1].
        std: that they divide by.
        inside: instead of the two: the models normalise by themselves.
        device: auto, cpu or cuda.
        quiet: show warnings only.
        settings: fields of `EvaluationConfig`, such as `corruption_images=1000`.

    Returns:
        The record, as in `results.json`; `Results.number` finds one number.

    Raises:
        UserError: a model, the data or the folder cannot be used.
    """
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
    )
    folder = Path(out).expanduser()
    options = Options(folder, Path(data).expanduser() if data else None, device, quiet)
    return evaluate_models(request.configuration(folder), options, given)
