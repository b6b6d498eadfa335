"""CIFAR-10 and CIFAR-100 from the official pickles.

A pickle can run any code when it is opened, so its size and MD5 are compared with the manifest first, and the
unpickler knows only the three names that these files use, each replaced by a plain stand-in here: not even numpy's
own are called.
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from nsbench.data.cifar.layout import CifarLayout
from nsbench.data.cifar.pieces import Piece, assemble
from nsbench.data.images import Dataset
from nsbench.data.library.manifests import Manifest, ManifestFile
from nsbench.errors import UserError


def read_pickles(manifest: Manifest, layout: CifarLayout, folder: Path) -> Dataset:
    """The official pickles in `folder`; UserError for a faulty file."""
    remedy = f"unpack {manifest.url} again"
    for file in manifest.files:
        _check_size(folder / file.name, file, remedy)
    files = {file.name: file for file in manifest.files}
    _verified_bytes(folder, files[layout.meta_file], remedy)  # never read: the manifest names the classes

    def read(file: ManifestFile) -> Piece:
        return _read_pickle(folder, file, manifest, layout.label_key, remedy)

    train = assemble(map(read, layout.training_files(manifest)), manifest.train_count, manifest, folder)
    test = assemble([read(files[layout.test_file])], manifest.test_count, manifest, folder)
    return manifest.dataset(train, test, f"{remedy} into {folder.parent}")


def _check_size(path: Path, file: ManifestFile, remedy: str) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing: {remedy}.")
    size = path.stat().st_size
    if size != file.bytes:
        fault = "truncated" if size < file.bytes else "too long"
        raise UserError(f"{path} is {fault} (expected {file.bytes} bytes, found {size}): {remedy}.")


def _verified_bytes(folder: Path, file: ManifestFile, remedy: str) -> bytes:
    content = (folder / file.name).read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != file.md5:
        raise UserError(
            f"{folder / file.name} has the wrong checksum (expected MD5 {file.md5}, found {found}): {remedy}."
        )
    return content


class _PickledDtype:
    """Stands in for numpy.dtype: keeps its name."""

    def __init__(self, name: bytes, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment, which single bytes do not have."""


class _PickledArray:
    """Stands in for numpy.ndarray: an array of bytes, nothing else."""

    def __init__(self, *_: object) -> None:
        self.array = np.empty(0, dtype=np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _PickledDtype, bool, bytes]) -> None:
        _, shape, dtype, fortran_order, content = state
        if dtype.name != b"u1":
            raise ValueError("its array is not uint8")
        self.array = np.frombuffer(content, dtype=np.uint8).reshape(shape, order="F" if fortran_order else "C")


_KNOWN_GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"): _PickledArray,
    ("numpy", "ndarray"): None,  # an argument of _reconstruct, never called
    ("numpy", "dtype"): _PickledDtype,
}


class _Unpickler(pickle.Unpickler):
    """Reads Python 2 pickles that hold lists, dictionaries, strings, numbers and byte arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN_GLOBALS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR file needs")
        return _KNOWN_GLOBALS[module, name]


def _read_pickle(folder: Path, file: ManifestFile, manifest: Manifest, label_key: bytes, remedy: str) -> Piece:
    content = _verified_bytes(folder, file, remedy)
    height, width, channels = manifest.image_shape
    try:
        fields = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        planes = fields[b"data"].array.reshape(-1, channels, height, width)
        labels = np.array(fields[label_key], dtype=np.int64).reshape(len(planes))
    except Exception as error:  # a pickle of another kind raises anything
        raise UserError(f"{folder / file.name} is not a {manifest.title} batch ({error}): {remedy}.") from error
    return Piece(folder / file.name, planes.transpose(0, 2, 3, 1), labels)
