"""A mean states what it averages, and refuses to average anything less or more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from nsbench.metrics.classification import Floats, Value, float_if_scalar


@dataclass(frozen=True)
class DeclaredSet:
    """What a mean stands for: the members it averages, and what keeps it from being the published one."""

    counted: tuple[str, ...]
    """Canonical members that were measured, in canonical order: these and only these are averaged."""
    shown: tuple[str, ...]
    """Members that were measured but never count."""
    missing: tuple[str, ...]
    """Canonical members that were not measured."""

    @property
    def complete(self) -> bool:
        """Whether the mean may be printed under the full benchmark's name."""
        return not self.missing

    @classmethod
    def exactly(cls, names: Sequence[str]) -> Self:
        """Declare a mean over all of these names, be they corruptions, perturbations or seeds, and no other.

        Raises:
            ValueError: a name comes twice.

        >>> declared_mean(np.array([0.25, 0.75]), ["seed0", "seed1"], DeclaredSet.exactly(["seed0", "seed1"]))
        0.5
        >>> declared_mean(np.array([0.25]), ["seed0"], DeclaredSet.exactly(["seed0", "seed1"]))
        Traceback (most recent call last):
        ValueError: the mean is declared over seed0, seed1, but the array has missing seed1
        """
        _refuse_repeated(names)
        return cls(counted=tuple(names), shown=(), missing=())

    @classmethod
    def divide(cls, names: Sequence[str], canonical: Sequence[str], shown: Sequence[str]) -> Self:
        """Divide measured names into those that count and those that are only shown.

        Raises:
            ValueError: a name is neither, or comes twice.
        """
        unknown = [name for name in names if name not in canonical and name not in shown]
        if unknown:
            raise ValueError(f"unknown names: {', '.join(unknown)}; known are {', '.join([*canonical, *shown])}")
        _refuse_repeated(names)
        return cls(
            counted=tuple(name for name in canonical if name in names),
            shown=tuple(name for name in shown if name in names),
            missing=tuple(name for name in canonical if name not in names),
        )

    def require(self, names: Sequence[str], rows: int) -> None:
        """Raise ValueError unless an array's `rows` have `names`, and these are exactly the counted ones."""
        if len(names) != rows:
            raise ValueError(f"{len(names)} names cannot name {rows} rows")
        if not self.counted:
            raise ValueError("nothing that was measured counts in this mean")
        _refuse_repeated(names)
        missing = [name for name in self.counted if name not in names]
        extra = [name for name in names if name not in self.counted]
        if missing or extra:
            found = [f"{what} {', '.join(which)}" for what, which in (("missing", missing), ("extra", extra)) if which]
            raise ValueError(
                f"the mean is declared over {', '.join(self.counted)}, but the array has {'; '.join(found)}"
            )


def declared_mean(values: Floats, names: Sequence[str], declared: DeclaredSet) -> Value:
    """Average (..., C) over its last axis, whose entries must be exactly the declared ones; nan if one of them is."""
    declared.require(names, values.shape[-1])
    return float_if_scalar(np.asarray(values.mean(axis=-1, dtype=np.float64)))


def _refuse_repeated(names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise ValueError(f"names come twice: {', '.join(repeated)}")
