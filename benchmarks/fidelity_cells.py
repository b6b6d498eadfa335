"""What is compared: each file of CIFAR-10-C at each severity, and each file of CIFAR-10-P."""

from dataclasses import dataclass
from typing import Literal

from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P

_RANDOM_CORRUPTIONS = {
    *("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    *("glass_blur", "motion_blur", "elastic_transform"),
    *("snow", "frost", "fog", "spatter"),
}
_NOISE = {member.name for member in CIFAR10_P.members if member.independent}
_RANDOM_PERTURBATIONS = _NOISE | {"snow", "spatter"}

Variant = Literal["", "own textures"]
"""`own textures`: our side cuts frost from its own textures, elsewhere from the published photographs."""


@dataclass(frozen=True)
class Cell:
    """A set of images that both sides make of the same clean ones."""

    name: str
    severity: int = 0
    """1 to 5; 0 for a perturbation, which has none."""
    variant: Variant = ""
    """A second comparison of the same set."""

    @property
    def row(self) -> str:
        """What the severities of a corruption share."""
        return f"{self.name}, {self.variant}" if self.variant else self.name

    @property
    def random(self) -> bool:
        """Whether random numbers enter."""
        return self.name in (_RANDOM_CORRUPTIONS if self.severity else _RANDOM_PERTURBATIONS)

    @property
    def noise(self) -> bool:
        """Whether flips are counted against the first frame."""
        return not self.severity and self.name in _NOISE

    def __str__(self) -> str:
        """Such as `fog 3`, or `tilt sequences`."""
        return f"{self.row} {self.severity}" if self.severity else f"{self.row} sequences"


def corruption_cells() -> list[Cell]:
    """Nineteen corruptions at five severities, frost twice."""
    rows: list[tuple[str, Variant]] = [(name, "") for name in CIFAR10_C.names]
    rows.insert(CIFAR10_C.names.index("frost") + 1, ("frost", "own textures"))
    return [Cell(name, severity, variant) for name, variant in rows for severity in CIFAR10_C.severities]


def perturbation_cells() -> list[Cell]:
    """Twenty perturbations."""
    return [Cell(name) for name in CIFAR10_P.names]
