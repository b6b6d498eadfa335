"""How a network learns, as a user configures it: one section for each method, chosen by its `kind`."""

from typing import Literal

from pydantic import Field

from nsbench.config.section import Fraction, Section
from nsbench.errors import UserError, hint, shortened
from nsbench.names import CHOSEN, check_name
from nsbench.plugins import load_plugins


class MethodConfig(Section):
    """Settings of a method; a subclass adds them, and gives `kind` its one value as a default."""

    kind: str = Field(default="", description="name of the method")


class Chosen(MethodConfig):
    """How training images are chosen and balanced, which several methods share."""

    confidence_threshold: Fraction = Field(
        default=0.8, description="unlabelled images above this confidence of the teacher are used"
    )
    min_images_per_class: int = Field(
        default=4000, ge=0, le=10**7, description="a smaller class is filled with copies, labelled images first"
    )
    max_class_gap: int = Field(
        default=1000,
        ge=0,
        le=10**7,
        description="a class larger than the smallest by more loses its least confident images",
    )
    mixup_alpha: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="students learn from mixed pairs of images, weights from Beta(alpha, alpha); 0 switches it off",
    )


class SupervisedConfig(MethodConfig):
    """Labels alone: teachers, baselines and controls learn so."""

    kind: Literal["supervised"] = "supervised"
    smoothing: Fraction = Field(default=0.0, description="probability that a label shares among the other classes")
    min_images_per_class: int = Field(default=0, ge=0, le=10**7, description="a smaller class is filled with copies")
    max_class_gap: int = Field(
        default=10**7, ge=0, le=10**7, description="a class larger than the smallest by more loses its last images"
    )
    mixup_alpha: float = Field(
        default=0.0, ge=0, le=100, description="alpha of Beta(alpha, alpha) for pairs of mixed images; 0: off"
    )


class NoisyStudentConfig(Chosen):
    """Noisy student: the teacher's pseudo-labels are learnt like labels (Xie et al. 2020, arXiv:1911.04252)."""

    kind: Literal["noisy-student"] = "noisy-student"
    type: Literal["hard", "soft", "smooth"] = Field(
        default="hard",
        description="hard: the most probable class; soft: all probabilities; smooth: the most probable class, smoothed",
    )
    smoothing: Fraction = Field(default=0.1, description="probability that smooth labels share among the other classes")
    temperature: float = Field(
        default=1.0, gt=0, le=100, description="temperature of soft labels: the teacher's logits are divided by it"
    )


class DistillationConfig(Chosen):
    """Knowledge distillation: the teacher's softened probabilities (Hinton et al. 2015, arXiv:1503.02531)."""

    kind: Literal["distillation"] = "distillation"
    temperature: float = Field(
        default=4.0, gt=0, le=100, description="T: teacher's and student's logits are divided by it"
    )
    weight: Fraction = Field(
        default=0.9,
        description="alpha: share of T^2 * KL(teacher, student); the rest is cross-entropy on true labels",
    )


_KINDS: dict[str, type[MethodConfig]] = {}


def register_method_config(section: type[MethodConfig]) -> None:
    """Let configurations name a method.

    Raises:
        UserError: another method has the name, or it cannot be one.
    """
    kind = section.model_fields["kind"].default
    check_name(kind, "The method", CHOSEN)
    if _KINDS.setdefault(kind, section) is not section:
        raise UserError(f"Two methods are called {kind!r}: register one of them under another name.")


for _section in (SupervisedConfig, NoisyStudentConfig, DistillationConfig):
    register_method_config(_section)


def method_config(kind: str) -> type[MethodConfig]:
    """The settings of a method by its name, those of installed packages included.

    Raises:
        UserError: there is no such method.
    """
    if kind not in _KINDS:
        load_plugins()
    if kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise UserError(
            f"There is no method {shortened(kind)!r}: set method.kind to one of {known}.{hint(kind, _KINDS)}"
        )
    return _KINDS[kind]
