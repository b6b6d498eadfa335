"""A folder of arrays in the layout of CIFAR-10-C and CIFAR-10-P: one `.npy` file a corruption or perturbation."""

import json
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsbench.data.images import Dataset
from nsbench.data.library.manifests import list_manifests
from nsbench.data.npy.arrays import ArrayFile, open_array, readable
from nsbench.errors import UserError, shortened
from nsbench.files import read_regular
from nsbench.protocols.cifar import LABELS
from nsbench.protocols.protocol import Protocol
from nsbench.protocols.registry import further_names

DESCRIPTION = "nsbench-set.json"
"""The file that nsbench puts beside arrays of its own making."""
_SET_NAME = re.compile(r"nsbench-[cp] v[0-9]+( [a-z0-9 ]{1,60})?")
"""The name of a generated set, which reports print."""


@dataclass(frozen=True, eq=False)
class ArrayFolder:
    """Where arrays are, and whose they are.

    Attributes:
        path: path of the folder.
        title: title of the official set, such as `CIFAR-10-C`.
        stems: names of the `.npy` files in it, sorted.
        images: how many of the first test images each array is made of.
        generated: the content of `nsbench-set.json` where nsbench made the arrays; None for downloaded ones.
        remedy: what a user can do about a faulty file.
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
            raise UserError(f"{self.path} does not hold {', '.join(missing)}: {self.remedy}.")


def find_array_folder(data_folder: Path, dataset: Dataset, protocol: Protocol, names: Sequence[str]) -> ArrayFolder:
    """The folder of arrays made of the test images of `dataset`.

    It is looked for under its official name, such as `CIFAR-10-C`, in the data folder, which may also be that
    folder itself, under this name or another.

    Args:
        data_folder: where data files are.
        dataset: the clean images.
        protocol: corruptions or perturbations of this data set.
        names: names of the arrays wanted.

    Raises:
        UserError: there is no such folder, it cannot be read, or nsbench made it of other images.
    """
    title, name = protocol.title, protocol.name
    with readable(data_folder):
        folder = _find(data_folder, protocol, names)
        if folder is None:
            fault = f"holds no {title}" if data_folder.exists() else "does not exist"
            download = f"download it with `nsbench data fetch {name}`, " if name in list_manifests() else ""
            make = "" if name in further_names() else f"make it with `nsbench data generate {name}`, or "
            raise UserError(
                f"The data folder {data_folder} {fault}: {download}{make}name "
                f"the folder that holds {title} with --data or NSBENCH_DATA."
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


def _find(data_folder: Path, protocol: Protocol, names: Sequence[str]) -> Path | None:
    for folder in protocol.layout.folders:
        if is_folder(data_folder / folder):
            return data_folder / folder
    if not is_folder(data_folder):
        return None
    named = data_folder.absolute().name in protocol.layout.folders
    return data_folder if named or _looks_right(data_folder, protocol, names) else None


def _looks_right(folder: Path, protocol: Protocol, names: Sequence[str]) -> bool:
    """Whether a folder of another name holds such arrays: labels, or without any of them one of the arrays wanted."""
    stems = {path.stem for path in folder.iterdir() if path.suffix == ".npy"}
    if protocol.layout.labels:
        return protocol.layout.labels in stems
    return LABELS not in stems and not stems.isdisjoint(names)


def is_folder(path: Path) -> bool:
    """Whether there is a folder; unlike Path.is_dir, a circle of links is an error and not an absence."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _read_description(path: Path, dataset: Dataset, remedy: str) -> dict[str, Any]:
    """The description of a generated set, held to what is known of the clean images; UserError if they disagree."""
    try:
        found = json.loads(read_regular(path))
        checksum, images, name = found["data_checksum"], found["images"], found["set"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise UserError(f"{path} is damaged: {remedy}.") from None
    if checksum != dataset.checksum:
        raise UserError(f"{path} says that its images were not made of {dataset.title} as it is here: {remedy}.")
    if type(images) is not int or not 0 < images <= len(dataset.test):
        raise UserError(f"{path} says images = {shortened(repr(images))}, not one of 1..{len(dataset.test)}: {remedy}.")
    if not (isinstance(name, str) and _SET_NAME.fullmatch(name) and _is_seed(found.get("seed"))):
        raise UserError(f"{path} does not say which set and which seed it is in nsbench's words: {remedy}.")
    return dict(found)


def _is_seed(value: object) -> bool:
    return value is None or (type(value) is int and value >= 0)
