"""A data set by its name."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from nsbench.config.names import DATA_SETS
from nsbench.data.cifar.load import load_cifar
from nsbench.data.images import Dataset
from nsbench.data.library.manifests import list_manifests, load_manifest
from nsbench.errors import UserError
from nsbench.plugins import load_plugins

Load = Callable[[Path], Dataset]
"""Reads a data set, given the data folder; what it returns has the name that it is registered under."""

_REGISTERED: dict[str, Load] = {}


def register_data_set(name: str, load: Load) -> None:
    """Add a data set, which configurations, `--data-set` and `data.name` may name from then on.

    Args:
        name: lower-case letters, digits and -; it stands in the names of files and benchmarks.
        load: reads it; UserError where it cannot.

    Raises:
        UserError: another data set has this name, or it cannot be a name.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise UserError(f"{name!r} cannot be the name of a data set: use lower-case letters, digits and - alone.")
    if name in list_manifests() or _REGISTERED.get(name, load) is not load:
        raise UserError(f"There is another data set called {name!r}: choose another name.")
    _REGISTERED[name] = load
    DATA_SETS.add(name)


def registered_data_sets() -> tuple[str, ...]:
    """Names of the data sets that were added, those of installed packages included."""
    load_plugins()
    return tuple(_REGISTERED)


def data_folder(option: Path | None) -> Path:
    """Where data files are: the --data option, else the variable NSBENCH_DATA, else `data` in the working folder."""
    place = option or Path(os.environ.get("NSBENCH_DATA") or "data")
    try:
        return place.expanduser()
    except RuntimeError as error:  # ~ of a user who does not exist
        raise UserError(f"The data folder {place} cannot be found ({error}): write its whole path.") from error


def load_dataset(name: str, folder: Path | None) -> Dataset:
    """The data set `name`, read from the data folder where it is not embedded.

    Args:
        name: name of a manifest: `digits`, `cifar10` or `cifar100`; or of a registered data set.
        folder: the --data option; None stands for the default of `data_folder`.

    Raises:
        UserError: an unknown name, or files that are missing or damaged.
    """
    if name not in DATA_SETS():
        load_plugins()
    if name in _REGISTERED:
        return _named(name, _REGISTERED[name](data_folder(folder)))
    manifest = load_manifest(name)
    if manifest.kind == "embedded":
        from nsbench.data.digits import load_digits  # noqa: PLC0415  # 100 MB that no other set needs

        return load_digits(manifest)
    return load_cifar(manifest, data_folder(folder))


def class_count(name: str, folder: Path | None) -> int:
    """How many classes the data set `name` has; its files are needed only where it is a registered one.

    Arguments and errors as of `load_dataset`.
    """
    if name in list_manifests():
        return len(load_manifest(name).classes)
    return len(load_dataset(name, folder).classes)


def _named(name: str, found: Dataset) -> Dataset:
    """The data set; UserError unless it has this name."""
    if found.name != name:
        raise UserError(f"The data set {name!r} calls itself {found.name!r} when it is loaded: name it {name!r}.")
    return found
