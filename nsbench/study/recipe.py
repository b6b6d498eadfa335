"""All that determines the weights of one network, and nothing else."""

from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, SerializeAsAny

from nsbench.config.method import MethodConfig
from nsbench.config.resolve import fingerprint
from nsbench.config.schema import DataConfig, InputNoiseConfig, ModelNoiseConfig, OptimisationConfig
from nsbench.config.section import Section
from nsbench.training.trainer import ENGINE_VERSION

HASH_DIGITS = 10
"""Digits of a recipe's hash in its folder's name: among a million networks two share them with odds of one to two."""


class InitialWeights(Section):
    """Weights that training starts from, named by their bytes and not by the path of a file."""

    sha256: str
    train: Literal["all", "head"]
    body_rate: float
    head_rate: float


class Recipe(Section):
    """One network to train: two plans that ask for equal recipes get one network, trained once.

    Study, generation and role are labels that a plan gives to recipes, never part of them. The arithmetic and the
    execution stand as they were asked for: what `auto` came to on a device is in the checkpoint's record.
    """

    engine: int = Field(default=ENGINE_VERSION, description="version of the training engine")
    dataset: str = Field(description="checksum of all images and labels")
    data: DataConfig
    network: str
    method: SerializeAsAny[MethodConfig]
    input_noise: InputNoiseConfig
    model_noise: ModelNoiseConfig | None = Field(description="None: no dropout and no stochastic depth")
    images: int = Field(description="images to see")
    optimisation: OptimisationConfig
    initial: InitialWeights | None = Field(description="None: random weights")
    parent: Self | None = Field(description="the teacher's recipe, where the method has a teacher")
    seed: int = Field(description="seed of weights, noise and order")

    @cached_property
    def hash(self) -> str:
        """SHA-256 of all of it; every random number of the training follows from it."""
        return fingerprint(self)

    @property
    def name(self) -> str:
        """Name of the network's folder, such as `resnet20-noisy-student-1f3a09bc52`."""
        return f"{self.network}-{self.method.kind}-{self.hash[:HASH_DIGITS]}"

    def configuration(self) -> dict[str, Any]:
        """All of it except the seeds of weights, also the parent's: networks that share it differ by chance alone."""
        content = self.model_dump(mode="json", exclude={"seed", "parent", "optimisation"})
        optimisation = self.optimisation.model_dump(mode="json", exclude={"execution", "micro_batch"})
        parent = self.parent.configuration() if self.parent is not None else None
        return content | {"optimisation": optimisation, "parent": parent}
