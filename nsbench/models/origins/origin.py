"""Where a model comes from, and the optional packages that it may need."""

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import torch
from torch import nn

from nsbench.errors import UserError
from nsbench.models.record import Kind


@dataclass(frozen=True)
class Built:
    """A network as its origin makes it.

    Attributes:
        network: takes normalised images (N, 3, H, W).
        code: what names the code it consists of: a package's version, or a SHA-256 of files.
        parameters: numbers in its parameters.
    """

    network: nn.Module
    code: str
    parameters: int


class Origin(ABC):
    """Makes one network, as often as it is asked.

    Attributes:
        kind: kind of the source.
        label: the source without folders, such as resnet.py:resnet20.
        short: a name for reports.
        file_sha256: SHA-256 of the file that holds both code and weights; "" where weights come in a file of their own.
        differentiable: whether gradients reach the images.
        any_layout: whether it may be computed channels last, which is faster.
    """

    kind: Kind
    label: str
    short: str
    file_sha256: str = ""
    differentiable: ClassVar[bool] = True
    any_layout: ClassVar[bool] = True

    @abstractmethod
    def build(self, device: torch.device) -> Built:
        """The network with the weights it brings along; it may still be elsewhere than on `device`.

        Raises UserError when it cannot be made.
        """


def need(package: str, purpose: str, install: str = "") -> ModuleType:
    """The optional package of this name.

    Args:
        package: to import.
        purpose: what needs it, such as "timm:resnet18".
        install: argument of `pip install`; empty: the package's name.

    Raises UserError when it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"{purpose} needs the package {package}, which cannot be imported ({error}): "
            f"install it with `pip install {install or package}`."
        ) from None
