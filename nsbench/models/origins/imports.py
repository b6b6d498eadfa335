"""A user's Python code imported beside ours, forgotten again afterwards, and named by its bytes."""

import hashlib
import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import ModuleType

import torch

from nsbench.foreign import installed_places


@contextmanager
def undisturbed() -> Iterator[None]:
    """Undo what a user's code changes for everyone while it loads, and send what it prints to standard error.

    The current folder, the filters of warnings, and torch's default type and device and whether it records gradients
    are as before afterwards: neither our own work nor the next model depends on them.
    """
    folder, recording = Path.cwd(), torch.is_grad_enabled()
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    try:
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):
            yield
    finally:
        os.chdir(folder)
        torch.set_grad_enabled(recording)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device)


@contextmanager
def importable(folder: Path, *, first: bool) -> Iterator[None]:
    """Make the modules in a folder importable, and forget on leaving those that were imported from it.

    Two files in different folders may each import a module `layers` of their own: neither gets the other's.

    Args:
        folder: absolute.
        first: whether its modules go before installed ones, as beside a script, or after them.
    """
    before = set(sys.modules)
    path = str(folder)
    sys.path.insert(0 if first else len(sys.path), path)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if path in sys.path:  # the code may have taken it off
            sys.path.remove(path)
        for name in set(sys.modules) - before:
            if lies_in(sys.modules[name], folder):
                del sys.modules[name]


def import_file(path: Path) -> ModuleType:
    """Execute a Python file as a module of its own name for us; its folder must be importable."""
    name = f"nsbench_model_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and type hints look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def code_of(module: ModuleType) -> str:
    """What names the code that a module consists of.

    Returns:
        Package and version for an installed package; otherwise a SHA-256 over the files of the module and of every
        loaded module that is beside its top package and is not installed.
    """
    top = module.__name__.partition(".")[0]
    distributions = packages_distributions().get(top, []) if _is_installed(module) else []
    if distributions:
        return " ".join(f"{name} {version(name)}" for name in sorted(set(distributions)))
    home = _home(sys.modules.get(top, module))  # it may have taken itself off
    files = {_file_of(module)}
    files |= {_file_of(other) for other in list(sys.modules.values()) if lies_in(other, home) and _counts(other)}
    digest = hashlib.sha256()
    for file in sorted(file for file in files if file is not None):
        digest.update(os.path.relpath(file, home).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def lies_in(module: ModuleType, folder: Path) -> bool:
    """Whether a module is a file under a folder and not part of an installed package."""
    file = _file_of(module)
    return file is not None and file.is_relative_to(folder) and not _is_installed(module)


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) and Path(file).is_absolute() else None


def _home(top: ModuleType) -> Path:
    """The folder that a top-level module or package is in."""
    file = _file_of(top)
    if file is None:  # a package without __init__.py
        return Path(next(iter(top.__path__))).parent
    return file.parent.parent if file.name == "__init__.py" else file.parent


def _counts(module: ModuleType) -> bool:
    """Whether a module may be part of a model: neither the running script nor nsbench is."""
    name = getattr(module, "__name__", "")
    return name != "__main__" and name.partition(".")[0] != "nsbench"


def _is_installed(module: ModuleType) -> bool:
    file = _file_of(module)
    return file is not None and any(file.is_relative_to(place) for place in installed_places())
