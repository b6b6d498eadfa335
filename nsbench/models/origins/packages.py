"""Optional packages, imported when a model needs them."""

import importlib
from types import ModuleType

from nsbench.errors import UserError


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
