"""Which random sets are shown to be equivalent: two one-sided tests against margins that are set in advance."""

from collections.abc import Sequence
from dataclasses import dataclass

from fidelity_cells import Cell
from fidelity_comparison import Comparison
from fidelity_statistics import Difference, mean_difference

from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P


@dataclass(frozen=True)
class Margins:
    """Differences below these do not count, as fractions."""

    cell: float
    """Margin of one set."""
    mean: float
    """Margin of a mean over sets."""


ERROR = Margins(0.01, 0.0025)
FLIPS = Margins(0.005, 0.001)
REASON = """The margins come from how far networks that differ in depth alone are apart, not from the readings. Of the
four public ResNets of `reports/public-resnets` two differ, in the median, by 1.9 points of error in a cell with random
numbers and by 1.2 points of flip probability in a sequence with random numbers: the margin of one set is about half of
that. In the mean over the fifteen corruptions they differ by 1.2 points, in that over the ten perturbations by 0.4: the
margin of a mean is a quarter of that or less."""
"""Why these."""


@dataclass(frozen=True)
class Mean:
    """A difference averaged over sets."""

    title: str
    difference: Difference
    margin: float
    counts: bool
    """Whether a benchmark reports this mean, so that it is judged."""

    @property
    def equivalent(self) -> bool:
        """Whether it is shown to be within its margin."""
        return self.difference.equivalent(self.margin)


def margins(cell: Cell) -> Margins:
    """Margins of errors or of flip probabilities."""
    return ERROR if cell.severity else FLIPS


def shown(found: Comparison) -> bool:
    """Whether the scores of a set are shown to be equivalent."""
    return found.differences["score"].equivalent(margins(found.cell).cell)


def means(comparisons: Sequence[Comparison]) -> tuple[Mean, ...]:
    """The means of which every member was compared."""
    plain = {found.cell: found for found in comparisons if not found.cell.variant}
    drawn = [cell for cell in plain if cell.random and not cell.severity]
    fifteen = [(name, level) for name in CIFAR10_C.counted for level in CIFAR10_C.severities]
    wanted = [
        ("error, the fifteen corruptions", [Cell(*cell) for cell in fifteen], True),
        ("flip probability, the ten perturbations", [Cell(name) for name in CIFAR10_P.counted], True),
        ("flip probability, the sequences with random numbers", drawn, False),
    ]
    return tuple(
        Mean(title, _mean([plain[cell] for cell in cells]), margins(cells[0]).mean, counts)
        for title, cells, counts in wanted
        if cells and plain.keys() >= set(cells)
    )


def _mean(comparisons: Sequence[Comparison]) -> Difference:
    return mean_difference([(found.published.score, found.ours.score) for found in comparisons])
