"""Where a model comes from, and the optional packages that it may need."""

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import torch
from torch import nn

from nsbench.errors import UserError
from nsbench.models.record import Kind
from nsbench.models.weights import check_tensors
from nsbench.networks.cost import count_parameters


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


def built(network: nn.Module, code: str, label: str) -> Built:
    """A network as its origin made it, with its parameters counted.

    Raises UserError when a tensor of it is no plain numbers, as those of lazy and quantised modules.
    """
    check_tensors(network, label)
    return Built(network, code, count_parameters(network))


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


def must_be_file(path: Path, near: str = "") -> None:
    """Raise UserError unless a path leads to a regular file: a pipe or a device might never end.

    Args:
        path: path of a model.
        near: a hint at what else may be meant.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a regular file: name one.")
    if not path.exists():
        raise UserError(f"{path} does not exist: {near or 'check the path.'}")


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
