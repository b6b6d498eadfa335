"""The configuration of an evaluation: which models, on what."""

from typing import Literal

from pydantic import Field

from nsbench.config.evaluation import EvaluationConfig
from nsbench.config.models import ModelConfig
from nsbench.config.section import Section


class BenchmarkConfig(Section):
    """Models measured on benchmarks."""

    name: str = Field(
        default="evaluation",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$",
        description="name of the evaluation, in lower-case letters, digits, - and _",
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="of the resamples behind intervals")
    data: Literal["digits", "cifar10", "cifar100"] = Field(default="cifar10", description="data set")
    baseline: str = Field(
        default="", description="name of the model that corruption error and flip rate are relative to; empty: none"
    )
    evaluation: EvaluationConfig = EvaluationConfig()
    models: tuple[ModelConfig, ...] = Field(default=(), description="what is measured")
