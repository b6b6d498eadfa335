"""What models are measured on, for a run's own networks and for any others."""

from typing import Annotated, Literal

from pydantic import Field

from nsbench.config.names import MetricName
from nsbench.config.section import Fraction, OneOf, Section
from nsbench.errors import UserError
from nsbench.protocols.attacks import attack_names
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P, PAPER
from nsbench.protocols.registry import further_names

CorruptionName = Annotated[str, OneOf(lambda: CIFAR10_C.names)]
PerturbationName = Annotated[str, OneOf(lambda: CIFAR10_P.names)]
AttackName = Annotated[str, OneOf(attack_names)]
FurtherName = Annotated[str, OneOf(further_names)]
_OF_255 = tuple(steps / 255 for steps in (1, 2, 4, 8))


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


class EvaluationConfig(Section):
    """What every checkpoint is measured on."""

    batch_size: int = Field(
        default=0,
        ge=0,
        le=65536,
        description="images per forward pass; 0: what suits the device, fewer where memory runs out",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="arithmetic on corrupted and perturbed images; bfloat16 is faster, its disagreement is reported",
    )
    source: Literal["generated", "official"] = Field(
        default="generated",
        description="origin of corrupted and perturbed images; official: files of CIFAR-10-C and -P in the data folder",
    )
    corruptions: tuple[CorruptionName, ...] = Field(
        default=CIFAR10_C.mean(PAPER),
        description=f"each at severities 1 to {CIFAR10_C.severities[-1]}; "
        f"{_listed(CIFAR10_C.shown)} are never averaged",
    )
    corruption_images: int = Field(default=0, ge=0, le=10**7, description="first test images to corrupt; 0: all")
    perturbations: tuple[PerturbationName, ...] = Field(
        default=CIFAR10_P.counted,
        description="perturbation sequences; beyond the ten of the default they are never averaged",
    )
    perturbation_images: int = Field(default=0, ge=0, le=10**7, description="first test images to perturb; 0: all")
    protocols: tuple[FurtherName, ...] = Field(
        default=(), description="further benchmarks: test sets and sets of corruptions beside -C and -P"
    )
    frost_textures: str = Field(
        default="", description="folder with the published frost photographs; empty: textures of our own"
    )
    fgsm_epsilons: tuple[Fraction, ...] = Field(
        default=tuple(sorted((*(step / 100 for step in range(11)), *_OF_255))),
        description="sizes of the FGSM step on pixels in [0, 1]; empty: no FGSM",
    )
    paper_fgsm: bool = Field(default=False, description="also the study's FGSM, along the true class's logit")
    attacks: tuple[AttackName, ...] = Field(default=(), description="stronger attacks, by foolbox")
    attack_epsilons: Annotated[tuple[Fraction, ...], Field(min_length=1)] = Field(
        default=_OF_255, description="largest changes of a pixel in [0, 1] by the stronger attacks"
    )
    attack_steps: int = Field(default=20, ge=1, le=10_000, description="steps of the stronger attacks")
    attack_restarts: int = Field(default=1, ge=1, le=1000, description="starts of those that start at random")
    attack_images: int = Field(default=0, ge=0, le=10**7, description="first test images for FGSM; 0: all")
    strong_attack_images: int = Field(
        default=1000, ge=0, le=10**7, description="first test images for the stronger attacks; 0: all"
    )
    metrics: tuple[MetricName, ...] = Field(
        default=(), description="metrics of clean predictions that other packages add"
    )
    calibration: bool = Field(default=True, description="calibration errors, clean and corrupted")
    held_out_images: int = Field(
        default=0,
        ge=0,
        le=10**7,
        description="last training images that no model has seen, to fit temperatures on; a run has its own",
    )
    calibration_bins: int = Field(default=15, ge=1, le=1000, description="equal-width bins of the calibration error")
    bootstrap_resamples: int = Field(default=1000, ge=100, le=100_000, description="resamples for each 95 % interval")


def check_evaluation(config: EvaluationConfig) -> None:
    """Raise UserError for something that would be measured twice."""
    keys = ("corruptions", "perturbations", "protocols", "fgsm_epsilons", "attacks", "attack_epsilons", "metrics")
    for key in keys:
        values = getattr(config, key)
        if len(set(values)) < len(values):
            raise UserError(f"evaluation.{key} = {list(values)} names something twice: name each once.")
