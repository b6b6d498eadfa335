"""What the arrays of each cell are, by its name, and what is wrong with some that are not."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nsbench.errors import printable, shortened
from nsbench.predictions.tensor_file import Kind
from nsbench.protocols.attacks import sweep_names

Arrays = dict[str, NDArray[Any]]

FAST = "clean-bfloat16"
"""The cell of clean images predicted in the faster arithmetic."""

_PLAIN = ("clean", "held-out", "test_set")
_CORRUPTED = ("corruption", "protocol")
_DEPTHS = {"corruption": 2, "perturbation": 2, "test_set": 2, "protocol": 3}
"""Parts of a cell's name, by the first; of any other 1."""

_TYPES = {
    **{f"F{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    **{f"U{bits}": np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)},
    **{f"I{bits}": np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    "BOOL": np.dtype(np.bool_),
}
"""NumPy's types by their names in a safetensors file."""

LARGEST_LOGIT = 1e30
"""No logit is farther from 0: differences and sums of larger ones leave float32, in which they are stored."""

_ROUNDING = 1e-4
"""By this share a confidence may be below 1/K, which the largest of K probabilities is but for rounding."""


ANY = -1
"""A length that is not known."""


def class_dtype(classes: int) -> np.dtype[np.integer[Any]]:
    """The smallest type that holds predictions of this many classes.

    >>> class_dtype(256), class_dtype(257), class_dtype(70_000)
    (dtype('uint8'), dtype('uint16'), dtype('int32'))
    """
    if classes <= 2**8:
        return np.dtype(np.uint8)
    return np.dtype(np.uint16) if classes <= 2**16 else np.dtype(np.int32)


def is_cell(name: str) -> bool:
    """Whether a name has the form of a cell's."""
    first, *rest = name.split("/")
    return len(rest) + 1 == _DEPTHS.get(first, 1)


def kinds_of(cell: str, rows: int, classes: int, passes: int) -> dict[str, Kind]:
    """The arrays of a cell.

    Args:
        cell: its name.
        rows: N, images of the test set that it shows, or ANY.
        classes: K.
        passes: E, strengths of an attack, or T, frames of a perturbation, or ANY.
    """
    first, real, named = cell.split("/", maxsplit=1)[0], np.dtype(np.float32), class_dtype(classes)
    if first in _PLAIN:
        return {"logits": Kind(real, (rows, classes))}
    if cell == FAST:
        return {"predicted": Kind(named, (rows,))}
    if first in _CORRUPTED:
        return {"predicted": Kind(named, (rows,)), "confidence": Kind(real, (rows,))}
    if first == "perturbation":
        return {"predicted": Kind(named, (rows, passes))}
    zero = {"zero_gradient": Kind(np.dtype(np.bool_), (rows,))}
    return {"logits": Kind(real, (passes, rows, classes))} | (zero if cell in sweep_names() else {})


def fault_of_kinds(found: Mapping[str, Kind], wanted: Mapping[str, Kind]) -> str | None:
    """How arrays differ from those wanted, such as `it has no logits`; None where they do not."""
    for name in found:
        if name not in wanted:
            return f"it has {printable(shortened(name, 40))} too"
    for name, kind in wanted.items():
        if name not in found:
            return f"it has no {name}"
        if not _fits(found[name], kind):
            return f"its {name} are {_words(found[name])} instead of {_words(kind)}"
    return None


def fault_of_values(arrays: Arrays, classes: int) -> str | None:
    """What no model can have said; None where there is nothing of the kind."""
    least = 1 / classes
    right: dict[str, tuple[str, str, Callable[[NDArray[Any]], NDArray[np.bool_]]]] = {
        "logits": (
            "logits",
            f"NaN, infinite or beyond {LARGEST_LOGIT:g}",
            lambda array: np.abs(array) <= LARGEST_LOGIT,
        ),
        "predicted": (
            "predicted classes",
            f"none of 0 to {classes - 1:,}",
            lambda array: (array >= 0) & (array < classes),
        ),
        "confidence": (
            "confidences",
            f"outside [{least:.4g}, 1]",
            lambda array: (array >= least * (1 - _ROUNDING)) & (array <= 1),
        ),
        "zero_gradient": (
            "values of zero_gradient",
            "neither true nor false",
            lambda array: array.view(np.uint8) <= 1,
        ),
    }
    for name, array in arrays.items():
        called, fault, possible = right[name]
        count = int(np.count_nonzero(~possible(array)))
        if count:
            return f"{count:,} of its {called} {'is' if count == 1 else 'are'} {fault}"
    return None


def kinds_in(file: Any) -> dict[str, Kind]:
    """The arrays of an open safetensors file, from its header alone; of a type that NumPy has not, as void."""
    found = {}
    for name in file.keys():  # noqa: SIM118  # not a mapping
        array = file.get_slice(name)
        found[name] = Kind(_TYPES.get(array.get_dtype(), np.dtype(np.void)), tuple(array.get_shape()))
    return found


def _fits(found: Kind, wanted: Kind) -> bool:
    return (
        found.dtype == wanted.dtype
        and len(found.shape) == len(wanted.shape)
        and all(there in (here, ANY) for here, there in zip(found.shape, wanted.shape, strict=True))
    )


def _words(kind: Kind) -> str:
    known = "of another type" if kind.dtype == np.void else str(kind.dtype)
    return f"{known} ({', '.join('any' if one == ANY else str(one) for one in kind.shape)})"
