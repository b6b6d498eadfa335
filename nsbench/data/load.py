"""A data set by its name."""

from pathlib import Path

from nsbench.data.cifar.load import load_cifar
from nsbench.data.images import Dataset
from nsbench.data.library.folder import data_folder
from nsbench.data.library.manifests import load_manifest


def load_dataset(name: str, folder: Path | None) -> Dataset:
    """The data set `name`, read from the data folder where it is not embedded.

    Args:
        name: name of a manifest: `digits`, `cifar10` or `cifar100`.
        folder: the --data option; None stands for the default of `data_folder`.

    Raises:
        UserError: an unknown name, or files that are missing or damaged.
    """
    manifest = load_manifest(name)
    if manifest.kind == "embedded":
        from nsbench.data.digits import load_digits  # noqa: PLC0415  # 100 MB that no other set needs

        return load_digits(manifest)
    return load_cifar(manifest, data_folder(folder))
