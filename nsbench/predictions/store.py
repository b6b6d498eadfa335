"""Predictions on disk: after them no model and no GPU is needed.

One file a cell, so that interrupted work continues at the next cell. Cells are called `clean`, `held-out`,
`fgsm` and the names of other attacks, `corruption/NAME-SEVERITY` and `perturbation/NAME`; those of further benchmarks
`test_set/NAME` and `protocol/NAME/MEMBER-SEVERITY`.

| cell | arrays |
|---|---|
| `clean`, `held-out`, `test_set/NAME` | `logits` float32 (N, K) |
| `clean-bfloat16` | `predicted` (N,) |
| an attack | `logits` float32 (E, N, K); FGSM also `zero_gradient` bool (N,) |
| `corruption/NAME-SEVERITY` | `predicted` (N,), `confidence` float32 (N,) of the predicted class |
| `protocol/NAME/MEMBER-SEVERITY` | likewise |
| `perturbation/NAME` | `predicted` (N, T) |

Predicted classes are of the type that `class_dtype` gives: uint8 for up to 256 classes.

The labels of the images are beside them in `labels.safetensors`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save

from nsbench.errors import UserError
from nsbench.files import write_bytes
from nsbench.predictions.tensor_file import Kind, TensorFile

Arrays = dict[str, NDArray[Any]]
Labels = NDArray[np.int64]

_KEY = "fingerprint and images"  # one entry: several would come in any order, and the bytes be others each time

FAST = "clean-bfloat16"
"""The cell of clean images predicted in the faster arithmetic."""


def class_dtype(classes: int) -> np.dtype[np.integer[Any]]:
    """The smallest type that holds predictions of this many classes.

    >>> class_dtype(256), class_dtype(257), class_dtype(70_000)
    (dtype('uint8'), dtype('uint16'), dtype('int32'))
    """
    if classes <= 2**8:
        return np.dtype(np.uint8)
    return np.dtype(np.uint16) if classes <= 2**16 else np.dtype(np.int32)


def corruption_cell(name: str, severity: int) -> str:
    """The cell of a corruption at a severity."""
    return f"corruption/{name}-{severity}"


def perturbation_cell(name: str) -> str:
    """The cell of a perturbation."""
    return f"perturbation/{name}"


def test_set_cell(protocol: str) -> str:
    """The cell of a further test set."""
    return f"test_set/{protocol}"


def further_cell(protocol: str, member: str, severity: int) -> str:
    """The cell of a corruption of a further benchmark at a severity."""
    return f"protocol/{protocol}/{member}-{severity}"


class Stored:
    """The stored predictions of one model.

    Args:
        run: the run folder.
        model: the model's name.
    """

    def __init__(self, run: Path, model: str) -> None:
        self.model = model
        self._folder = run / "predictions" / model

    def path(self, cell: str) -> Path:
        """Where a cell's file is."""
        return self._folder / f"{cell}.safetensors"

    def save(self, cell: str, arrays: Arrays, fingerprint: str, image_identity: str) -> None:
        """Write a cell; its file appears whole or not at all.

        Args:
            cell: its name.
            arrays: as the table at the head of this module says.
            fingerprint: hash of all that determines them.
            image_identity: identity of the images alone; two models with the same one are paired.
        """
        write_bytes(self.path(cell), save(arrays, _metadata(fingerprint, image_identity)))

    def begin(self, cell: str, arrays: Mapping[str, Kind], fingerprint: str, image_identity: str) -> TensorFile:
        """A cell's file, to be written part by part; arguments as of `save`, with the arrays' kinds."""
        return TensorFile(self.path(cell), arrays, _metadata(fingerprint, image_identity))

    def has(self, cell: str, fingerprint: str | None = None) -> bool:
        """Whether a cell is there, made under this fingerprint if one is given."""
        found = self._origin(cell)
        return found is not None and (fingerprint is None or found[0] == fingerprint)

    def image_identity(self, cell: str) -> str:
        """Identity of the images that a cell shows; empty if there is none."""
        return (self._origin(cell) or ("", ""))[1]

    def load(self, cell: str) -> Arrays:
        """The arrays of a cell.

        Raises UserError when the file is missing or damaged.
        """
        return _load(self.path(cell))

    def _origin(self, cell: str) -> tuple[str, str] | None:
        """Fingerprint and identity of the images; None where there is no cell that can be read."""
        path = self.path(cell)
        if not path.is_file():
            return None
        try:
            with safetensors.safe_open(path, framework="np") as file:
                fingerprint, _, image_identity = (file.metadata() or {}).get(_KEY, "").partition(" ")
                return fingerprint, image_identity
        except safetensors.SafetensorError:
            return None


def _metadata(fingerprint: str, image_identity: str) -> dict[str, str]:
    return {_KEY: f"{fingerprint} {image_identity}"}


def save_labels(run: Path, test: Labels, held_out: Labels, further: Mapping[str, Labels] | None = None) -> None:
    """Write the true classes of all test images, of the held-out ones, and of further test sets by their cells."""
    labels = {"test": test, "held_out": held_out, **(further or {})}
    write_bytes(_labels_path(run), save({name: found.astype(np.int64) for name, found in labels.items()}))


def load_labels(run: Path) -> tuple[Labels, Labels]:
    """True classes (N,) of the test images and (M,) of the held-out ones.

    Raises UserError when the file is missing or damaged.
    """
    found = _load(_labels_path(run))
    return found["test"], found["held_out"]


def load_test_set_labels(run: Path, protocol: str) -> Labels:
    """True classes (N,) of a further test set.

    Raises UserError when the file is missing or damaged, or has none of it.
    """
    found = _load(_labels_path(run))
    if test_set_cell(protocol) not in found:
        raise UserError(f"The predictions in {run} have no labels of {protocol}: run `nsbench evaluate` again.")
    return found[test_set_cell(protocol)]


def _labels_path(run: Path) -> Path:
    return run / "predictions" / "labels.safetensors"


def _load(path: Path) -> Arrays:
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except (OSError, safetensors.SafetensorError):
        raise UserError(f"The predictions in {path} are missing or damaged: run `nsbench evaluate` again.") from None
