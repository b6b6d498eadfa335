"""Names that a configuration may use and that stand for something further down: data sets and added metrics."""

from typing import Annotated

from nsbench.config.section import OneOf


class Names:
    """Names of one kind, which grow when something is registered; calling it gives them all."""

    def __init__(self, *names: str) -> None:
        self._names = list(names)

    def __call__(self) -> tuple[str, ...]:
        """All names, in the order in which they came."""
        return tuple(self._names)

    def add(self, name: str) -> None:
        """Let configurations use a name."""
        if name not in self._names:
            self._names.append(name)


DATA_SETS = Names("digits", "cifar10", "cifar100")
METRICS = Names()

DataSetName = Annotated[str, OneOf(DATA_SETS)]
MetricName = Annotated[str, OneOf(METRICS)]
