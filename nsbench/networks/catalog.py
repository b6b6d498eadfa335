"""What can be trained, with its size and its cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nsbench.errors import UserError
from nsbench.networks.build import build_network
from nsbench.networks.cost import count_multiply_adds, count_parameters
from nsbench.networks.names import FORMS, LARGEST_EFFICIENTNET, EfficientNetName, parse_network_name

EXAMPLES = (
    *(f"resnet{depth}" for depth in (8, 14, 20, 26, 32, 38, 44, 56)),
    *(f"resnet20-w{width}" for width in ("0.5", "2", "4")),
    *(f"efficientnet-b{size}" for size in range(LARGEST_EFFICIENTNET + 1)),
)
"""The networks that are listed unless others are asked for."""

CLASSES, SIDE = 10, 32
MOST_NAMES = 100


@dataclass(frozen=True)
class CatalogEntry:
    """One network for `CLASSES` classes and images of `SIDE` x `SIDE` pixels.

    Attributes:
        name: as the configuration spells it.
        family: `ResNet` or `EfficientNet`.
        parameters: trainable numbers.
        multiply_adds: multiply-adds of one prediction for one image.
    """

    name: str
    family: str
    parameters: int
    multiply_adds: int


def catalog(names: Sequence[str] = EXAMPLES) -> list[CatalogEntry]:
    """One entry for each name, in the order given. Raises UserError for a name of no network, or for very many."""
    if len(names) > MOST_NAMES:
        raise UserError(f"{len(names):,} networks are too many to list at once: name at most {MOST_NAMES}.")
    parsed = [parse_network_name(name) for name in names]
    return [_entry(str(name), "EfficientNet" if isinstance(name, EfficientNetName) else "ResNet") for name in parsed]


def format_catalog(entries: Sequence[CatalogEntry]) -> str:
    """A table in plain text and a line that says how names are formed."""
    header = ("network", "family", "parameters", "multiply-adds an image")
    rows = [(entry.name, entry.family, f"{entry.parameters:,}", f"{entry.multiply_adds:,}") for entry in entries]
    name, family, parameters, cost = (max(map(len, column)) for column in zip(header, *rows, strict=True))
    table = [f"{row[0]:{name}}  {row[1]:{family}}  {row[2]:>{parameters}}  {row[3]:>{cost}}" for row in [header, *rows]]
    return "\n".join([*table, "", f"For {CLASSES} classes at {SIDE} x {SIDE} pixels. Names: {FORMS}."])


def _entry(name: str, family: str) -> CatalogEntry:
    with torch.device("meta"):
        network = build_network(name, CLASSES, (0.0,) * 3, (1.0,) * 3)
    return CatalogEntry(name, family, count_parameters(network), count_multiply_adds(network, SIDE))
