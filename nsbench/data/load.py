"""A data set by its name."""

import os
from pathlib import Path

from nsbench.data.cifar10 import load_cifar10
from nsbench.data.digits import load_digits
from nsbench.data.images import Dataset
from nsbench.data.manifests import load_manifest


def load_dataset(name: str, folder: Path | None) -> Dataset:
    """The data set `name`, read from the data folder where it is not embedded.

    Args:
        name: of a manifest: `digits` or `cifar10`.
        folder: the --data option; None stands for the default of `data_folder`.

    Raises:
        UserError: an unknown name, or files that are missing or damaged.
    """
    manifest = load_manifest(name)
    if manifest.kind == "embedded":
        return load_digits(manifest)
    return load_cifar10(manifest, data_folder(folder))


def data_folder(option: Path | None) -> Path:
    """Where data files lie: the --data option, else the variable NSBENCH_DATA, else `data` in the working folder."""
    return (option or Path(os.environ.get("NSBENCH_DATA") or "data")).expanduser()
