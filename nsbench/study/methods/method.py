"""What a method of learning decides: images and targets, views of a batch, the loss, which weights it needs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from nsbench.checkpoints.record import SelectionRecord
from nsbench.config.method import MethodConfig, method_config, register_method_config
from nsbench.config.schema import OptimisationConfig
from nsbench.errors import UserError
from nsbench.noise.draws import InputNoise
from nsbench.training.objectives import SELF_TRAINING, Objective
from nsbench.training.schedule import SecondStream

Indices = NDArray[np.int64]
Teacher = Callable[[Indices], NDArray[np.float32]]
"""Gives the teacher's logits (n, classes) of n rows of the training images."""

Settings = TypeVar("Settings", bound=MethodConfig)


@dataclass(frozen=True)
class Material:
    """What there is to learn from.

    Attributes:
        labels: int64 (N,), the class of each training image; -1 where it is unknown.
        labeled: rows of the images whose labels may be used, ascending.
        unlabeled: rows of the others, ascending. Their labels, where known, score pseudo-labels and choose nothing.
        classes: number of classes.
    """

    labels: Indices
    labeled: Indices
    unlabeled: Indices
    classes: int


@dataclass(frozen=True)
class Lesson:
    """A training set.

    Attributes:
        rows: int64 (n,), rows of the training images; a copy appears again.
        targets: float32 (n, classes), each row a distribution, or zeros.
        soft: float32 (n, classes), the teacher's probabilities; None without.
        unlabeled: int64 (u,), rows of the second stream; None without.
        selection: the record of how pseudo-labelled images were chosen; None where none were.
    """

    rows: Indices
    targets: NDArray[np.float32]
    soft: NDArray[np.float32] | None = None
    unlabeled: Indices | None = None
    selection: SelectionRecord | None = None


class Method(ABC, Generic[Settings]):
    """How one network learns; one file each, registered with `register`.

    Attributes:
        settings: as configured.
        needs_teacher: whether it learns from the network before it in the chain.
        asks_average: whether its loss uses the moving average of the weights.
    """

    section: ClassVar[type[MethodConfig]]
    needs_teacher: ClassVar[bool] = True
    asks_average: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def lesson(self, material: Material, teacher: Teacher | None) -> Lesson:
        """The training set; `teacher` is None exactly where `needs_teacher` is False."""

    def objective(self) -> Objective:
        """The loss of a batch; cross-entropy with the targets if not overridden."""
        return SELF_TRAINING

    def second_stream(self, noise: InputNoise) -> SecondStream | None:  # noqa: ARG002  # an override may use it
        """The second stream, made from the run's input noise; none if not overridden."""
        return None

    @property
    def mixup_alpha(self) -> float:
        """Alpha >= 0 of mixup's Beta distribution, from the section's field of that name; 0 switches it off."""
        return float(getattr(self.settings, "mixup_alpha", 0.0))

    def check(self, optimisation: OptimisationConfig) -> None:
        """Raise UserError for settings that do not go together."""
        if self.asks_average and not optimisation.average_decay:
            raise UserError(
                f"The method {self.settings.kind} uses the average of the weights: set training.average_decay above 0."
            )

    def control(self) -> MethodConfig | None:
        """How a control learns: the same, but for pseudo-labels; None where the method has no control."""
        return None


_METHODS: dict[str, type[Method]] = {}  # type: ignore[type-arg]  # each has settings of its own


def register(method: type[Method]) -> type[Method]:  # type: ignore[type-arg]  # likewise
    """Add a method by the kind of its section; a class decorator.

    Raises:
        UserError: another method has the name.
    """
    register_method_config(method.section)
    kind = method.section.model_fields["kind"].default
    if _METHODS.setdefault(kind, method) is not method:
        raise UserError(f"Two methods are called {kind!r}: register one of them under another name.")
    return method


def open_method(settings: MethodConfig) -> Method:  # type: ignore[type-arg]  # likewise
    """The method of some settings.

    Raises:
        UserError: there is no such method.
    """
    method_config(settings.kind)  # refuses an unknown name, after it has looked among installed packages
    return _METHODS[settings.kind](settings)
