"""A folder of arrays in the layout of CIFAR-10-C and CIFAR-10-P: one `.npy` file a corruption or perturbation."""

import json
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nsbench.data.images import Dataset
from nsbench.data.library.manifests import list_manifests
from nsbench.data.npy.arrays import ArrayFile, open_array, readable
from nsbench.errors import UserError

DESCRIPTION = "nsbench-set.json"
"""The file that nsbench puts beside arrays of its own making."""
LABELS = "labels"
"""The stem of the file of labels, which corruptions have and perturbations have not."""


@dataclass(frozen=True, eq=False)
class ArrayFolder:
    """Where arrays lie, and whose they are.

    Attributes:
        path: of the folder.
        title: of the official set, such as `CIFAR-10-C`.
        stems: names of the `.npy` files in it, sorted.
        images: how many of the first test images each array is made of.
        generated: the content of `nsbench-set.json` where nsbench made the arrays; None for downloaded ones.
        remedy: what a user is told to do about a faulty file.
    """

    path: Path
    title: str
    stems: tuple[str, ...]
    images: int
    generated: dict[str, Any] | None
    remedy: str

    def open(self, stem: str) -> ArrayFile:
        """The array `stem`; UserError as `open_array` raises it."""
        return open_array(self.path / f"{stem}.npy", self.remedy)

    def check_names(self, names: Iterable[str]) -> None:
        """Raise UserError, which names all that are missing, unless there is an array of each name."""
        missing = [f"{name}.npy" for name in names if name not in self.stems]
        if missing:
            raise UserError(f"{self.path} lacks {', '.join(missing)}: {self.remedy}.")


def find_array_folder(
    data_folder: Path, dataset: Dataset, kind: Literal["C", "P"], names: Sequence[str]
) -> ArrayFolder:
    """The folder of arrays made of the test images of `dataset`.

    It is looked for under its official name, such as `CIFAR-10-C`, in the data folder, which may also be that
    folder itself, under this name or another.

    Args:
        data_folder: where data files lie.
        dataset: the clean images.
        kind: `C` for corruptions, `P` for perturbations.
        names: of the arrays wanted.

    Raises:
        UserError: there is no such folder, it cannot be read, or nsbench made it of other images.
    """
    title, name = f"{dataset.title}-{kind}", f"{dataset.name}-{kind.lower()}"
    with readable(data_folder):
        folder = _find(data_folder, title, kind, names)
        if folder is None:
            fault = f"holds no {title}" if data_folder.exists() else "does not exist"
            download = f"download it with `nsbench data fetch {name}`, " if name in list_manifests() else ""
            raise UserError(
                f"The data folder {data_folder} {fault}: {download}make it with `nsbench data generate {name}`, "
                f"or name the folder that holds {title} with --data or NSBENCH_DATA."
            )
        stems = tuple(sorted(path.stem for path in folder.iterdir() if path.suffix == ".npy"))
        if (folder / DESCRIPTION).exists():
            remedy = f"make it again with `nsbench data generate {name}`"
            generated = _read_description(folder / DESCRIPTION, dataset, remedy)
            return ArrayFolder(folder, title, stems, generated["images"], generated, remedy)
    remedy = "download it again"
    if name in list_manifests():
        remedy += f" and check it with `nsbench data verify {name}`"
    return ArrayFolder(folder, title, stems, len(dataset.test), None, remedy)


def _find(data_folder: Path, title: str, kind: Literal["C", "P"], names: Sequence[str]) -> Path | None:
    if is_folder(data_folder / title):
        return data_folder / title
    if not is_folder(data_folder):
        return None
    has_labels = (data_folder / f"{LABELS}.npy").exists()
    if kind == "C":
        looks_right = has_labels
    else:
        looks_right = not has_labels and any((data_folder / f"{name}.npy").exists() for name in names)
    return data_folder if looks_right or data_folder.absolute().name == title else None


def is_folder(path: Path) -> bool:
    """Whether there is a folder; unlike Path.is_dir, a circle of links is an error and not an absence."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _read_description(path: Path, dataset: Dataset, remedy: str) -> dict[str, Any]:
    """The description of a generated set, held to what is known of the clean images; UserError if they disagree."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        checksum, images = found["data_checksum"], found["images"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise UserError(f"{path} is damaged: {remedy}.") from None
    if checksum != dataset.checksum:
        raise UserError(f"{path} says that its images were not made of {dataset.title} as it is here: {remedy}.")
    if type(images) is not int or not 0 < images <= len(dataset.test):
        raise UserError(f"{path} says images = {images!r}, not one of 1..{len(dataset.test)}: {remedy}.")
    return dict(found)
