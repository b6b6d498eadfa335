"""A further test set in two files, images and labels, such as CIFAR-10.1."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nsbench.data.images import Dataset, ImageSet
from nsbench.data.library.manifests import list_manifests
from nsbench.data.npy.arrays import ArrayFile, open_array, readable
from nsbench.data.npy.compared import compare_official
from nsbench.data.npy.folder import is_folder
from nsbench.errors import UserError
from nsbench.progress import Reporter
from nsbench.protocols.protocol import Protocol


def load_test_set(protocol: Protocol, dataset: Dataset, data_folder: Path) -> ImageSet:
    """The images and labels of a test set.

    Args:
        protocol: one of the kind `test_set`; its layout says how the files are called, and how many images there are.
        dataset: whose classes it has, and images of the same size.
        data_folder: holds the two files itself or in one of the folders of the layout.

    Raises:
        UserError: a file is missing, or an array has another type, shape, length or other labels.
    """
    remedy = f"download it again{_checked(protocol)}"
    folder = _find(data_folder, protocol)
    images, labels = (open_array(folder / name, remedy) for name in _files(protocol))
    count = protocol.layout.count or (labels.shape or (0,))[0]
    images.check_pixels((count, *dataset.test.images.shape[1:]))
    labels.check_labels(count)
    return ImageSet(images.read(0, count), _labels(labels, count, len(dataset.classes), protocol.layout.balanced))


def compare_test_set(protocol: Protocol, data_folder: Path, reporter: Reporter) -> tuple[str, ...]:
    """Compare the files of a test set as `compare_official` does; the names of those of which no checksum is known."""
    return compare_official(protocol.name, _find(data_folder, protocol), _files(protocol), reporter)


def _labels(file: ArrayFile, count: int, classes: int, balanced: bool) -> NDArray[np.int64]:
    found = file.read(0, count).astype(np.int64)
    if found.size and not 0 <= found.min() <= found.max() < classes:
        raise UserError(f"{file.path} has labels beyond the classes 0..{classes - 1}: {file.remedy}.")
    if balanced and len(set(np.bincount(found, minlength=classes).tolist())) > 1:
        raise UserError(f"{file.path} has not {count // classes} labels of each class 0..{classes - 1}: {file.remedy}.")
    return found


def _files(protocol: Protocol) -> tuple[str, str]:
    return f"{protocol.layout.images}.npy", f"{protocol.layout.labels}.npy"


def _checked(protocol: Protocol) -> str:
    return f" and check it with `nsbench data verify {protocol.name}`" if protocol.name in list_manifests() else ""


def _find(data_folder: Path, protocol: Protocol) -> Path:
    with readable(data_folder):
        for folder in (data_folder / name for name in protocol.layout.folders):
            if is_folder(folder) and set(_files(protocol)) & {path.name for path in folder.iterdir()}:
                return folder
    fetch = f"download it with `nsbench data fetch {protocol.name}`, or " if protocol.name in list_manifests() else ""
    raise UserError(
        f"The data folder {data_folder} holds no {protocol.title}: {fetch}name the folder that holds it with --data or "
        "NSBENCH_DATA."
    )
