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

The labels of the images are beside them in `labels.safetensors`. Every file is sealed (`nsbench.predictions.sealed`),
and is looked at whole, once a process, before anything in it is believed.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import safetensors
from numpy.typing import NDArray

from nsbench.errors import UserError, describe, shortened
from nsbench.files import remove_leftovers_of, write_bytes
from nsbench.predictions.kinds import ANY, Arrays, fault_of_kinds, fault_of_values, is_cell, kinds_in, kinds_of
from nsbench.predictions.sealed import damage, origin_of, sealed
from nsbench.predictions.tensor_file import Kind, TensorFile

Labels = NDArray[np.int64]


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

    Raises:
        UserError: the name, or later that of a cell, would lead out of the folder.
    """

    def __init__(self, run: Path, model: str) -> None:
        self.model = model
        self._folder = run / "predictions" / _inside(model)

    def path(self, cell: str) -> Path:
        """Where a cell's file is."""
        return self._folder / f"{_inside(cell)}.safetensors"

    def cells(self) -> list[str]:
        """Names of the cells that have files."""
        files = (path.relative_to(self._folder) for path in self._folder.rglob("*.safetensors"))
        return sorted(name for path in files if is_cell(name := path.as_posix().removesuffix(".safetensors")))

    def save(self, cell: str, arrays: Arrays, fingerprint: str, image_identity: str) -> None:
        """Write a cell; its file appears whole or not at all.

        Args:
            cell: its name.
            arrays: as the table at the head of this module says.
            fingerprint: hash of all that determines them.
            image_identity: identity of the images alone; two models with the same one are paired.
        """
        write_bytes(self.path(cell), sealed(arrays, f"{fingerprint} {image_identity}"))

    def begin(self, cell: str, arrays: Mapping[str, Kind], fingerprint: str, image_identity: str) -> TensorFile:
        """A cell's file, to be written part by part; arguments as of `save`, with the arrays' kinds."""
        return TensorFile(self.path(cell), arrays, f"{fingerprint} {image_identity}")

    def has(self, cell: str, fingerprint: str | None = None) -> bool:
        """Whether a cell is there and whole, made under this fingerprint if one is given."""
        if self.damage(cell) is not None:
            return False
        return fingerprint is None or self._origin(cell)[0] == fingerprint

    def damage(self, cell: str) -> str | None:
        """Why a cell's file cannot be read, such as `its checksum is another`; None for one that is whole."""
        return _damage(self.path(cell))

    def fault(self, cell: str, rows: int, classes: int, passes: int = ANY) -> str | None:
        """What is wrong with a cell, such as `its checksum is another` or `it has no logits`; None for a good one.

        Args:
            cell: its name.
            rows: N, images of the test set that it should show, or ANY.
            classes: K, those of the data set.
            passes: E, strengths of an attack, or T, frames of a perturbation, or ANY.
        """
        path, wanted = self.path(cell), tuple(kinds_of(cell, rows, classes, passes).items())
        return _damage(path) or _fault(path, _state(path), wanted, classes)

    def image_identity(self, cell: str) -> str:
        """Identity of the images that a cell shows; empty if there is none."""
        return self._origin(cell)[1] if self.has(cell) else ""

    def load(self, cell: str) -> Arrays:
        """The arrays of a cell.

        Raises UserError when the file is missing or damaged.
        """
        return _load(self.path(cell))

    def _origin(self, cell: str) -> tuple[str, str]:
        """Fingerprint and identity of the images."""
        path = self.path(cell)
        fingerprint, _, image_identity = _origin_of(path, _state(path)).partition(" ")
        return fingerprint, image_identity


def _inside(name: str) -> str:
    """A name that is part of a path, once it cannot lead out of its folder."""
    if not name.isprintable() or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise UserError(f"The name {shortened(name)!r} cannot be part of a path: use letters, digits, '_' and '-'.")
    return name


State = tuple[int, int, int]


def _state(path: Path) -> State | None:
    """Size, time of change and number of a file, which change when it does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _damage(path: Path) -> str | None:
    state = _state(path)
    return _damage_of(path, state) if state else damage(path)


@lru_cache(maxsize=2**16)
def _damage_of(path: Path, state: State) -> str | None:  # noqa: ARG001  # what is cached is of a file in this state
    return damage(path)


@lru_cache(maxsize=2**16)
def _origin_of(path: Path, state: State | None) -> str:  # noqa: ARG001  # likewise
    return origin_of(path)


@lru_cache(maxsize=2**16)
def _fault(
    path: Path,
    state: State | None,  # noqa: ARG001  # likewise
    wanted: tuple[tuple[str, Kind], ...],
    classes: int,
) -> str | None:
    try:
        with safetensors.safe_open(path, framework="np") as file:
            fault = fault_of_kinds(kinds_in(file), dict(wanted))
            return fault or fault_of_values({name: file.get_tensor(name) for name, _ in wanted}, classes)
    except (OSError, safetensors.SafetensorError):
        return "it cannot be read"


def refuse_folder(path: Path) -> None:
    """Raise UserError where a folder is in the place of a file, which cannot be replaced."""
    if path.is_dir():
        raise UserError(f"{path} is a folder where a file belongs: delete it, and run the same command again.")


LABELS = "labels"
"""The text of the file of labels."""


def save_labels(run: Path, test: Labels, held_out: Labels, further: Mapping[str, Labels] | None = None) -> None:
    """Write the true classes of all test images, of the held-out ones, and of further test sets by their cells."""
    refuse_folder(_labels_path(run))
    labels = {"test": test, "held_out": held_out, **(further or {})}
    remove_leftovers_of(_labels_path(run))
    write_bytes(_labels_path(run), sealed({name: found.astype(np.int64) for name, found in labels.items()}, LABELS))


def load_labels(run: Path, classes: int) -> tuple[Labels, Labels]:
    """True classes (N,) of the test images and (M,) of the held-out ones.

    Raises UserError when the file is missing or damaged, or has others than these classes.
    """
    found = _all_labels(run, classes)
    return found["test"], found["held_out"]


def load_test_set_labels(run: Path, protocol: str, classes: int) -> Labels:
    """True classes (N,) of a further test set.

    Raises UserError when the file is missing or damaged, or has none of it.
    """
    found = _all_labels(run, classes)
    if test_set_cell(protocol) not in found:
        raise UserError(f"The predictions in {run} have no labels of {protocol}: run `nsbench evaluate` again.")
    return found[test_set_cell(protocol)]


def _all_labels(run: Path, classes: int) -> Arrays:
    path = _labels_path(run)
    found = _load(path)
    good = {"test", "held_out"} <= set(found) and all(
        one.dtype == np.int64 and one.ndim == 1 and not np.any((one < 0) | (one >= classes)) for one in found.values()
    )
    if not good:
        raise UserError(f"{path} does not hold labels of {classes} classes: run `nsbench evaluate` again.")
    return found


def _labels_path(run: Path) -> Path:
    return run / "predictions" / "labels.safetensors"


def _load(path: Path) -> Arrays:
    found = _damage(path)
    if found is None:
        try:
            with safetensors.safe_open(path, framework="np") as file:
                return {name: file.get_tensor(name) for name in kinds_in(file)}
        except (OSError, TypeError, KeyError, safetensors.SafetensorError) as error:
            found = describe(error)
    raise UserError(f"The predictions in {path} are missing or damaged ({found}): run `nsbench evaluate` again.")
