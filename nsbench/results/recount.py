"""Errors counted once more from predictions and labels, to be compared with what a record says of them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nsbench.config.evaluation import EvaluationConfig
from nsbench.errors import UserError
from nsbench.predictions.expected import Expected
from nsbench.predictions.store import (
    Stored,
    corruption_cell,
    further_cell,
    load_labels,
    load_test_set_labels,
    test_set_cell,
)
from nsbench.results.key import Key
from nsbench.results.measured import Measurement
from nsbench.results.quantities import ROUNDING
from nsbench.results.record import Results

Wrong = NDArray[np.bool_]


def fault_of_errors(folder: Path, results: Results, config: EvaluationConfig) -> str | None:
    """The first top-1 error of a record that its predictions do not give, in words; None where all are theirs.

    Clean images, attacks, cells of corruptions and further test sets are counted; means, calibration and flips are not.
    What is missing or damaged is passed over, since it is named where predictions are looked at.

    Args:
        folder: the folder with `predictions/`.
        results: its record.
        config: what was measured.
    """
    classes = len(results.data.classes)
    try:
        labels, held_out = load_labels(folder, classes)
    except UserError:
        return None
    expected = Expected(config, len(labels), len(held_out), classes)
    for model in (*results.checkpoints, *results.models):
        counted = _Counted(folder, str(model), expected, labels)
        for one in results.measurements:
            if one.model == str(model) and one.metric == "top1_error" and (fault := counted.fault(one)):
                return fault
    return None


class _Counted:
    """What one model got wrong; each cell is read once, in the order of the record."""

    def __init__(self, folder: Path, model: str, expected: Expected, labels: NDArray[np.int64]) -> None:
        self.folder, self.expected, self.labels = folder, expected, labels
        self.stored = Stored(folder, model)
        self.last: tuple[str, Wrong | None] = ("", None)
        self.clean = self._wrong("clean", labels)

    def fault(self, one: Measurement) -> str | None:
        """How a number differs from what is counted."""
        wrong = self._of(one.key)
        if wrong is None or one.value is None:
            return None
        found, images = float(wrong.mean()), len(wrong)
        if abs(found - one.value) <= ROUNDING and images == one.n:
            return None
        return (
            f"it says {one.value:.4g} for {one.key} of {one.model} on {one.n:,} images, "
            f"its predictions give {found:.4g} on {images:,}"
        )

    def _of(self, key: Key) -> Wrong | None:
        """(N,) whether an image is misclassified; None where that is not known."""
        if key.kind in ("clean", "scaled"):
            return self.clean  # a temperature changes no order
        if key.kind == "test_set":
            try:
                labels = load_test_set_labels(self.folder, key.protocol, self.expected.classes)
            except UserError:
                return None
            return self._wrong(test_set_cell(key.protocol), labels)
        if key.kind == "attack":
            return self._attacked(key)
        if key.severity is None:
            return None
        own = corruption_cell(key.member, key.severity)
        return self._wrong(own if key.standard else further_cell(key.protocol, key.member, key.severity), self.labels)

    def _attacked(self, key: Key) -> Wrong | None:
        """An image that is wrong when clean stays wrong."""
        strengths = self.expected.strengths(key.member)
        if key.strength not in strengths or self.clean is None:
            return None
        wrong = self._wrong(key.member, self.labels)
        return None if wrong is None else wrong[strengths.index(key.strength)] | self.clean[: wrong.shape[1]]

    def _wrong(self, cell: str, labels: NDArray[np.int64]) -> Wrong | None:
        """(N,), or (E, N) under an attack."""
        if self.last[0] != cell:
            self.last = (cell, self._read(cell, labels))
        return self.last[1]

    def _read(self, cell: str, labels: NDArray[np.int64]) -> Wrong | None:
        if self.expected.fault(self.stored, cell) is not None:
            return None
        found = self.stored.load(cell)
        predicted = found["predicted"] if "predicted" in found else found["logits"].argmax(-1)
        n = predicted.shape[-1]
        return np.asarray(predicted != labels[:n]) if n <= len(labels) else None
