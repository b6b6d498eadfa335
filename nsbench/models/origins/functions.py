"""Models that a function returns: in a file, in an importable package, or in a repository for torch.hub."""

import difflib
import importlib
import importlib.util
import inspect
import pkgutil
import re
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from nsbench.errors import UserError, describe
from nsbench.foreign import one_sentence
from nsbench.models.origins.imports import code_of, import_file, importable, undisturbed
from nsbench.models.origins.origin import Built, Origin, built, must_be_file
from nsbench.models.record import Kind

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Function(Origin):
    """A function without arguments that returns a network; its code is executed.

    Args:
        function: its name; dots lead into classes or objects.
        arguments: what a function is called with, where its signature has such a parameter.
    """

    def __init__(self, function: str, arguments: dict[str, Any] | None = None) -> None:
        self.function, self.arguments = function, arguments or {}
        self.short = function.rpartition(".")[2]

    def build(self, device: torch.device) -> Built:  # noqa: ARG002 - moved by the caller
        """Import the code, call the function, and forget the imports."""
        with undisturbed(), self._imports():
            with one_sentence(f"{self.where} could not be imported"):
                module = self._module()
            with one_sentence(f"{self.label} failed"):
                function = self._find(module)
                network = function(**self._accepted(function))
            with one_sentence(f"The code of {self.label} cannot be read"):
                code = code_of(module)
        if not isinstance(network, nn.Module):
            raise UserError(f"{self.label} returned {_article(network)}, not a torch.nn.Module: return the network.")
        return built(network, code, self.label)

    @property
    @abstractmethod
    def where(self) -> str:
        """The file or module as the user named it."""

    @abstractmethod
    def _imports(self) -> AbstractContextManager[None]:
        """Where the code's own imports are found."""

    @abstractmethod
    def _module(self) -> ModuleType:
        """The module that holds the function."""

    def _find(self, module: ModuleType) -> Callable[..., Any]:
        found: Any = module
        for part in self.function.split("."):
            found = getattr(found, part, None)
        if callable(found):
            return found  # type: ignore[no-any-return]  # an attribute's type is known at run time only
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        near = difflib.get_close_matches(self.function, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names[:8]) or 'no function'}."
        raise UserError(f"There is no function {self.function!r} in {self.where}: {hint}")

    def _accepted(self, function: Callable[..., Any]) -> dict[str, Any]:
        if not self.arguments:
            return {}
        known = inspect.signature(function).parameters
        return {name: value for name, value in self.arguments.items() if name in known}


class FileFunction(Function):
    """A function in a Python file, whose folder is importable while it runs.

    Args:
        path: path of the file.
        function: its name.
        arguments: as for every function.
    """

    kind: Kind = "function"

    def __init__(self, path: Path, function: str, arguments: dict[str, Any] | None = None) -> None:
        super().__init__(function, arguments)
        self.path = path
        self.folder = path.absolute().parent
        self.label = f"{path.name}:{function}"
        must_be_file(path, _near_file(path))

    @property
    def where(self) -> str:
        """The path as it was typed."""
        return str(self.path)

    def _imports(self) -> AbstractContextManager[None]:
        return importable(self.folder, first=True)

    def _module(self) -> ModuleType:
        return import_file(self.path.absolute())


class HubFunction(FileFunction):
    """An entry point of a repository for torch.hub, with its pretrained weights where it has any.

    Args:
        folder: the repository on disk.
        repository: as results name it.
        name: name of the entry point.
        pretrained: whether to ask for the weights that it brings along.
    """

    kind: Kind = "torchhub"

    def __init__(self, folder: Path, repository: str, name: str, *, pretrained: bool) -> None:
        super().__init__(folder / "hubconf.py", name, {"pretrained": pretrained})
        self.label = f"torchhub:{repository}:{name}"


class ModuleFunction(Function):
    """A function in an importable module: installed, or in the current folder.

    Args:
        module: its dotted name.
        function: its name.
    """

    kind = "function"

    def __init__(self, module: str, function: str) -> None:
        super().__init__(function)
        self.module = module
        self.label = f"{module}:{function}"
        self.folder = Path.cwd()
        if not _MODULE.fullmatch(module):
            raise UserError(f"{module!r} is neither a Python file nor the name of a module: write FILE.py:FUNCTION.")

    @property
    def where(self) -> str:
        """The dotted name."""
        return self.module

    def _imports(self) -> AbstractContextManager[None]:
        return importable(self.folder, first=False)

    def _module(self) -> ModuleType:
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{self.module}.".startswith(f"{error.name}."):
                raise
            raise UserError(f"There is no module {error.name!r} here: {_near_module(error.name)}") from None


def hub_function(source: str, *, pretrained: bool) -> HubFunction:
    """The entry point that torchhub:REPO:NAME names; REPO is OWNER/NAME[:REF] on GitHub or a folder here.

    torch.hub fetches a repository that is not in its cache.
    """
    repository, _, name = source.rpartition(":")
    if not repository or not name:
        raise UserError(f"torchhub:{source} is incomplete: write torchhub:OWNER/NAME:ENTRY or torchhub:FOLDER:ENTRY.")
    folder = Path(repository)
    if folder.is_dir():
        return HubFunction(folder, folder.absolute().name, name, pretrained=pretrained)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(:[\w./-]+)?", repository):
        raise UserError(
            f"torchhub:{source}: {repository} is neither a folder here nor OWNER/NAME or OWNER/NAME:REF on GitHub."
        )
    return HubFunction(_fetched(repository), repository, name, pretrained=pretrained)


def _fetched(repository: str) -> Path:
    """The folder into which torch.hub puts a repository."""
    try:
        with undisturbed():
            torch.hub.list(repository, trust_repo=True, verbose=False)  # type: ignore[no-untyped-call]  # torch's own
    except (Exception, SystemExit) as error:
        raise UserError(
            f"torch.hub could not open {repository} ({describe(error)}): check the name and the network, "
            "or clone it and name the folder."
        ) from error
    path, _, ref = repository.partition(":")
    stem = path.replace("/", "_")
    refs = [ref.replace("/", "_")] if ref else ["main", "master"]
    folders = [Path(torch.hub.get_dir()) / f"{stem}_{one}" for one in refs]
    found = next((folder for folder in folders if folder.is_dir()), None)
    if found is None:
        raise UserError(f"torch.hub put {repository} into an unknown folder: clone it and name the folder.")
    return found


def _near_file(path: Path) -> str:
    beside = [entry.name for entry in path.parent.glob("*.py")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    return f"did you mean {path.with_name(near[0])}?" if near else "check the path."


def _near_module(name: str) -> str:
    parent, _, last = name.rpartition(".")
    places = importlib.import_module(parent).__path__ if parent else None
    near = difflib.get_close_matches(last, [found.name for found in pkgutil.iter_modules(places)], n=1)
    hint = f"did you mean {f'{parent}.' if parent else ''}{near[0]}, or " if near else ""
    return f"{hint}is it installed, or to be run from the folder that holds it?"


def _article(value: object) -> str:
    kind = type(value).__name__
    return "nothing" if value is None else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
