"""CIFAR-10 and CIFAR-100 from the official pickles or from parquet files: both give the same arrays."""

from pathlib import Path

from nsbench.data.cifar.layout import LAYOUTS
from nsbench.data.cifar.pickles import read_pickles
from nsbench.data.images import Dataset
from nsbench.data.library.manifests import Manifest
from nsbench.data.npy.arrays import readable
from nsbench.errors import UserError


def load_cifar(manifest: Manifest, folder: Path) -> Dataset:
    """CIFAR-10 or CIFAR-100 in the official order, from whichever layout is under the data folder.

    Looked for, in this order: the unpacked archive's folder (such as `cifar-10-batches-py`) under
    `folder`, `folder` itself if it holds the pickles, then parquet files in `CifarLayout.parquet_folders`.

    Raises:
        UserError: nothing found, or a file that is missing, truncated, altered or of another kind.
    """
    layout = LAYOUTS[manifest.name]
    with readable(folder):
        pickles = _find_pickles(manifest, folder)
        if pickles:
            return read_pickles(manifest, layout, pickles)
        from nsbench.data.cifar.parquet import read_parquet  # noqa: PLC0415  # 50 MB that pickles do not need

        return read_parquet(manifest, layout, _find_parquet(manifest, layout.parquet_folders, folder))


def _find_pickles(manifest: Manifest, folder: Path) -> Path | None:
    unpacked = folder / _archive_folder(manifest)
    if unpacked.is_dir():
        return unpacked
    return folder if any((folder / file.name).is_file() for file in manifest.files) else None


def _find_parquet(manifest: Manifest, places: tuple[str, ...], folder: Path) -> Path:
    from nsbench.data.cifar.parquet import holds_parquet  # noqa: PLC0415  # likewise

    for candidate in (folder / name for name in places):
        if holds_parquet(candidate):
            return candidate
    fault = f"holds no {manifest.title}" if folder.exists() else "does not exist"
    name = _archive_folder(manifest)
    raise UserError(
        f"The data folder {folder} {fault}: download {manifest.url} and unpack it there so that "
        f"{folder / name} exists, or name the folder that holds {name} with --data or NSBENCH_DATA."
    )


def _archive_folder(manifest: Manifest) -> str:
    assert manifest.folder is not None, "whatever is downloaded has a folder"
    return manifest.folder
