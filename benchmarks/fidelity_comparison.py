"""Both sides' versions of a set, and how far they are apart."""

from dataclasses import dataclass
from functools import cached_property

from fidelity_cells import Cell
from fidelity_statistics import Agreement, Difference, Summary, difference

PIXEL_QUANTITIES = ("mean", "spread", "distance")


@dataclass(frozen=True)
class Comparison:
    """Both versions of a set."""

    cell: Cell
    published: Summary
    ours: Summary
    agreement: Agreement | None
    """Pixel by pixel; None where something is random."""

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Differences in every quantity of a Summary."""
        names = (*PIXEL_QUANTITIES, "score")
        return {name: difference(getattr(self.published, name), getattr(self.ours, name)) for name in names}

    def published_value(self, quantity: str) -> float:
        """Mean over images and draws."""
        return float(getattr(self.published, quantity).mean())
