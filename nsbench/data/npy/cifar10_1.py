"""CIFAR-10.1, version 6: a second test set for CIFAR-10.

B. Recht, R. Roelofs, L. Schmidt, V. Shankar. Do CIFAR-10 Classifiers Generalize to CIFAR-10? 2018 (arXiv:1806.00451).
Its 2,000 images are balanced over the ten classes of CIFAR-10, whose labels they share.
"""

from pathlib import Path

import numpy as np

from nsbench.data.images import ImageSet
from nsbench.data.npy.arrays import open_array, readable
from nsbench.data.npy.folder import is_folder
from nsbench.errors import UserError
from nsbench.protocols.cifar import CIFAR10_1

_LAYOUT = CIFAR10_1.layout
_IMAGES, _LABELS = f"{_LAYOUT.images}.npy", f"{_LAYOUT.labels}.npy"
_CLASSES, _SIDE = 10, CIFAR10_1.side
_REMEDY = "download it again and check it with `nsbench data verify cifar10.1`"


def load_cifar10_1(data_folder: Path) -> ImageSet:
    """The 2,000 images and labels of CIFAR-10.1 v6.

    Args:
        data_folder: holds the two files itself or in `CIFAR-10.1`.

    Raises:
        UserError: a file is missing, or an array has another type, shape, length or other labels.
    """
    folder = _find(data_folder)
    images, labels = open_array(folder / _IMAGES, _REMEDY), open_array(folder / _LABELS, _REMEDY)
    images.check_pixels((_LAYOUT.count, _SIDE, _SIDE, 3))
    labels.check_labels(_LAYOUT.count)
    found = labels.read(0, _LAYOUT.count).astype(np.int64)
    classes, counts = np.unique(found, return_counts=True)
    if classes.tolist() != list(range(_CLASSES)) or len(set(counts.tolist())) > 1:
        per_class = _LAYOUT.count // _CLASSES
        raise UserError(f"{labels.path} does not have {per_class} labels of each class 0..{_CLASSES - 1}: {_REMEDY}.")
    return ImageSet(images.read(0, _LAYOUT.count), found)


def _find(data_folder: Path) -> Path:
    with readable(data_folder):
        for folder in (data_folder / name for name in _LAYOUT.folders):
            if is_folder(folder) and {_IMAGES, _LABELS} & {path.name for path in folder.iterdir()}:
                return folder
    raise UserError(
        f"The data folder {data_folder} holds no CIFAR-10.1: download it with `nsbench data fetch cifar10.1`, "
        "or name the folder that holds it with --data or NSBENCH_DATA."
    )
