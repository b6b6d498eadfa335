"""Evaluation from Python: models that are in memory, or named as on the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from nsbench.config.request import choose, resolve_benchmark, usual
from nsbench.evaluation import evaluate_models
from nsbench.models.in_memory import InMemory
from nsbench.pipeline import Options
from nsbench.results.record import Results


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
    preprocessing = {"mean": list(mean), "std": list(std), "inside": inside}
    rows = [{"name": name, "source": source} | preprocessing for name, source in named.items()]
    wishes: dict[str, Any] = {}
    choose(wishes, on or usual(data_set), data_set)
    table = {"data": data_set, "baseline": baseline, "models": rows, "evaluation": wishes | settings}
    given = [
        InMemory(name, model, mean, std, inside=inside)
        for name, model in models.items()
        if isinstance(model, nn.Module)
    ]
    folder = Path(out).expanduser()
    options = Options(folder, Path(data).expanduser() if data else None, device, quiet)
    return evaluate_models(resolve_benchmark(table, (), folder), options, given)
