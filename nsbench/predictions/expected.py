"""What the cells of a folder should hold under a configuration: how many images, strengths and frames."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from nsbench.config.evaluation import EvaluationConfig
from nsbench.predictions.kinds import ANY, FAST
from nsbench.predictions.store import Stored, corruption_cell, further_cell, perturbation_cell, test_set_cell
from nsbench.protocols.attacks import sweep_names
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P
from nsbench.protocols.registry import find_protocol


@dataclass(frozen=True)
class Expected:
    """What the cells of a folder should hold.

    Attributes:
        config: what was measured.
        test: images of the test set.
        held_out: labelled images that no model has seen.
        classes: number of classes of the data set.
        further: images of further test sets, by their cells.
    """

    config: EvaluationConfig
    test: int
    held_out: int
    classes: int
    further: Mapping[str, int] = field(default_factory=dict)

    def names(self) -> Iterator[str]:
        """Names of the cells, in the order in which they are made."""
        config = self.config
        yield "clean"
        if config.precision == "bfloat16":
            yield FAST
        if self.held_out:
            yield "held-out"
        yield from self._attacks()
        yield from (corruption_cell(*one) for one in product(config.corruptions, CIFAR10_C.severities))
        yield from map(perturbation_cell, config.perturbations)
        for name in config.protocols:
            protocol = find_protocol(name)
            if protocol.kind == "test_set":
                yield test_set_cell(name)
            else:
                yield from (further_cell(name, *one) for one in product(protocol.names, protocol.severities))

    def _attacks(self) -> Iterator[str]:
        if self.config.fgsm_epsilons:
            yield "fgsm"
            if self.config.paper_fgsm:
                yield "paper_fgsm"
        yield from self.config.attacks

    def fault(self, stored: Stored, cell: str) -> str | None:
        """What is wrong with a cell, in a few words; None for a good one."""
        return stored.fault(cell, self.rows(cell), self.classes, self.passes(cell))

    def rows(self, cell: str) -> int:
        """Images of the test set that a cell shows; ANY of a test set that is not known."""
        whole = {"clean": self.test, FAST: self.test, "held-out": self.held_out}
        if cell in whole:
            return whole[cell]
        config, first = self.config, cell.split("/", maxsplit=1)[0]
        limits = {
            "corruption": config.corruption_images,
            "protocol": config.corruption_images,
            "perturbation": config.perturbation_images,
        }
        if first == "test_set":
            return self.further.get(cell, ANY)
        limit = limits.get(first, config.attack_images if cell in sweep_names() else config.strong_attack_images)
        return min(limit, self.test) if limit else self.test

    def passes(self, cell: str) -> int:
        """Strengths of an attack, or frames of a perturbation; ANY where there are none."""
        first, _, member = cell.partition("/")
        if first == "perturbation":
            return CIFAR10_P.member(member).frames
        if member:
            return ANY
        return len(self.strengths(cell))

    def strengths(self, attack: str) -> tuple[float, ...]:
        """The strengths of an attack, in the order of its rows."""
        return self.config.fgsm_epsilons if attack in sweep_names() else self.config.attack_epsilons
