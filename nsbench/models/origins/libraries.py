"""Architectures of timm and torchvision, to be filled with weights that the user names; nothing is downloaded."""

import difflib
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from nsbench.errors import UserError
from nsbench.foreign import one_sentence
from nsbench.models.origins.origin import Built, Origin, built, need


class Library(Origin):
    """An architecture by its name in a package.

    Args:
        name: name of the architecture.
        classes: number of classes of the head; None for the package's own number.
    """

    package: str

    def __init__(self, name: str, classes: int | None) -> None:
        self.short, self.label = name, f"{self.package}:{name}"
        self.library: Any = need(self.package, self.label)
        self.arguments = {} if classes is None else {"num_classes": classes}
        names = self._names()
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"name one of its {len(names):,} models."
            raise UserError(f"{self.package} has no model {name!r}: {hint}")

    def build(self, device: torch.device) -> Built:  # noqa: ARG002 - moved by the caller
        """A new network with random weights."""
        with one_sentence(f"{self.label} failed"):
            network = self._make()
        return built(network, f"{self.package} {self.library.__version__}", self.label)

    @abstractmethod
    def _names(self) -> Sequence[str]:
        """All names."""

    @abstractmethod
    def _make(self) -> nn.Module:
        """A new network."""


class Timm(Library):
    """An architecture of timm."""

    kind = "timm"
    package = "timm"

    def _names(self) -> Sequence[str]:
        return list(self.library.list_models())

    def _make(self) -> nn.Module:
        network: nn.Module = self.library.create_model(self.short, pretrained=False, **self.arguments)
        return network


class Torchvision(Library):
    """A classifier of torchvision."""

    kind = "torchvision"
    package = "torchvision"

    def _names(self) -> Sequence[str]:
        return list(self.library.models.list_models(module=self.library.models))

    def _make(self) -> nn.Module:
        network: nn.Module = self.library.models.get_model(self.short, weights=None, **self.arguments)
        return network
