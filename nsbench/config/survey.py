"""The configuration of an evaluation without training: which models, measured on what."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from nsbench.config.evaluation import EvaluationConfig
from nsbench.config.models import ModelConfig
from nsbench.config.resolve import from_table, read_toml, with_settings
from nsbench.config.section import Section
from nsbench.errors import UserError
from nsbench.protocols.attacks import attack_names


class SurveyConfig(Section):
    """Models measured on benchmarks."""

    name: str = Field(
        default="evaluation",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$",
        description="name of the evaluation, in lower-case letters, digits, - and _",
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="seed of the resamples that give intervals")
    data: Literal["digits", "cifar10", "cifar100"] = Field(default="cifar10", description="data set")
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


def choose(settings: dict[str, Any], wanted: Sequence[str], data_set: str) -> None:
    """Settings of an evaluation that measures what is wanted and nothing else."""
    known = (*usual(data_set), "paper_fgsm", *attack_names())
    for name in wanted:
        if name not in known:
            raise UserError(f"{name!r} is nothing to measure on {data_set}: choose among {', '.join(known)}.")
    settings["calibration"] = "calibration" in wanted
    settings["attacks"] = [name for name in attack_names() if name in wanted]
    settings["paper_fgsm"] = "paper_fgsm" in wanted
    for name, key in ((f"{data_set}-c", "corruptions"), (f"{data_set}-p", "perturbations"), ("fgsm", "fgsm_epsilons")):
        if name not in wanted and not (name == "fgsm" and settings["paper_fgsm"]):
            settings[key] = []


def is_survey(folder: Path) -> bool:
    """Whether a folder was made by `nsbench evaluate`."""
    path = folder / "config.toml"
    return path.is_file() and "models" in read_toml(path)
