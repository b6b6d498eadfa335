"""The configuration of an evaluation without training: which models, measured on what."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from nsbench.config.evaluation import EvaluationConfig
from nsbench.config.names import METRICS, DataSetName
from nsbench.config.resolve import from_table, read_toml, with_settings
from nsbench.config.section import Section
from nsbench.errors import UserError, hint
from nsbench.names import CHOSEN
from nsbench.plugins import load_plugins
from nsbench.protocols.attacks import attack_names
from nsbench.protocols.registry import further_names, protocols_of


class ModelConfig(Section):
    """One model to measure."""

    source: str = Field(
        min_length=1,
        description="run folder, checkpoint folder, package.module:function, file.py:function, timm:NAME, "
        "torchvision:NAME, torchhub:REPO:NAME, FILE.pt2 (exported program) or FILE.onnx",
    )
    name: str = Field(default="", description="short name in reports and folders; empty: made from the source")
    weights: str = Field(
        default="", description="safetensors file or state dict; empty: none, or those that the source brings along"
    )
    mean: tuple[float, ...] = Field(
        default=(), description="per channel, subtracted from pixels in [0, 1]; goes with std"
    )
    std: tuple[float, ...] = Field(default=(), description="per channel, divided by after the mean is subtracted")
    inside: bool = Field(default=False, description="the model takes pixels in [0, 1] and normalises them itself")


class SurveyConfig(Section):
    """Models measured on benchmarks."""

    name: str = Field(
        default="evaluation",
        pattern=CHOSEN,
        description="name of the evaluation, in lower-case letters, digits, - and _",
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="seed of the resamples that give intervals")
    data: DataSetName = Field(default="cifar10", description="data set")
    baseline: str = Field(
        default="", description="name of the model that corruption error and flip rate are relative to; empty: none"
    )
    evaluation: EvaluationConfig = EvaluationConfig()
    models: tuple[ModelConfig, ...] = Field(default=(), description="what is measured")


def resolve_survey(table: dict[str, Any], settings: Sequence[str], folder: Path) -> SurveyConfig:
    """The configuration in a nested table, with `--set` applied; it is called as its folder if it has no name."""
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_")[:40] or "evaluation"
    return from_table(with_settings({"name": name} | table, settings), SurveyConfig)


def usual(data_set: str) -> tuple[str, ...]:
    """What is measured where nothing is named."""
    return ("clean", "calibration", f"{data_set}-c", f"{data_set}-p", "fgsm")


def measurable(data_set: str) -> tuple[str, ...]:
    """All that can be measured on a data set."""
    further = set(further_names()) & {protocol.name for protocol in protocols_of(data_set)}
    return (*usual(data_set), "paper_fgsm", *attack_names(), *sorted(further), *METRICS())


def choose(settings: dict[str, Any], wanted: Sequence[str], data_set: str) -> None:
    """Settings of an evaluation that measures what is wanted and nothing else.

    Raises UserError for what is nothing to measure on this data set.
    """
    if not set(wanted) <= set(measurable(data_set)):
        load_plugins()
    known = measurable(data_set)
    for name in wanted:
        if name not in known:
            choice = ", ".join(known)
            raise UserError(f"{name!r} is nothing to measure on {data_set}: choose among {choice}.{hint(name, known)}")
    settings["calibration"] = "calibration" in wanted
    for key, names in (("attacks", attack_names()), ("protocols", further_names()), ("metrics", METRICS())):
        settings[key] = [name for name in names if name in wanted]
    settings["paper_fgsm"] = "paper_fgsm" in wanted
    for name, key in ((f"{data_set}-c", "corruptions"), (f"{data_set}-p", "perturbations"), ("fgsm", "fgsm_epsilons")):
        if name not in wanted and not (name == "fgsm" and settings["paper_fgsm"]):
            settings[key] = []


def is_survey(folder: Path) -> bool:
    """Whether a folder was made by `nsbench evaluate`."""
    path = folder / "config.toml"
    return path.is_file() and "models" in read_toml(path)
