"""The stored predictions of one model beside the labels; what is missing or does not fit is refused by name."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nsbench.config.evaluation import EvaluationConfig
from nsbench.errors import UserError
from nsbench.metrics.temperature import fit_temperature, scale_logits
from nsbench.predictions.expected import Expected
from nsbench.predictions.kinds import Arrays
from nsbench.predictions.store import Labels, Stored, corruption_cell, perturbation_cell, refuse_folder, test_set_cell
from nsbench.protocols.cifar import CIFAR10_C

REMEDY = "run the same `nsbench evaluate` again"


class Predicted:
    """Predictions of one model, read as they are needed.

    Args:
        run: the folder with `predictions/`.
        model: the model's name.
        labels: true classes of all test images.
        held_out: true classes of the held-out images; empty where there are none.
        config: what was measured.
        classes: number of classes of the data set.
    """

    def __init__(
        self, run: Path, model: str, labels: Labels, held_out: Labels, config: EvaluationConfig, classes: int
    ) -> None:
        self.model, self.labels, self.held_out = model, labels, held_out
        self._expected = Expected(config, len(labels), len(held_out), classes)
        self._stored = Stored(run, model)

    def load(self, cell: str) -> Arrays:
        """The arrays of a cell.

        Raises UserError naming a cell that is missing, damaged, or of other images, strengths, frames or classes.
        """
        self._require(cell)
        return self._stored.load(cell)

    def _require(self, cell: str) -> None:
        path = self._stored.path(cell)
        refuse_folder(path)
        if not path.exists():
            raise UserError(f"{self.model} has no predictions for {cell}, which is to be measured: {REMEDY}.")
        fault = self._expected.fault(self._stored, cell)
        if fault is not None:
            raise UserError(f"{self.model}: the predictions for {cell} cannot be used ({fault}): {REMEDY}.")

    def image_identity(self, *cells: str) -> str:
        """Identity of the images of some cells.

        Raises UserError naming a cell that does not say.
        """
        found = []
        for cell in cells:
            self._require(cell)
            found.append(self._stored.image_identity(cell))
            if not found[-1]:
                raise UserError(
                    f"{self.model}: the predictions for {cell} do not say which images they are of: {REMEDY}."
                )
        return " ".join(found)

    def logits(self, cell: str) -> NDArray[np.float32]:
        """(N, K) of all images of a set."""
        found: NDArray[np.float32] = self.load(cell)["logits"]
        return found

    def test_set(self, protocol: str, labels: Labels) -> NDArray[np.float32]:
        """Logits (N, K) of a further test set, whose images have these labels."""
        cell = test_set_cell(protocol)
        found = self.logits(cell)
        if len(found) != len(labels):
            raise UserError(
                f"{self.model} has predictions for {len(found):,} of the {len(labels):,} images of {cell}: {REMEDY}."
            )
        return found

    @cached_property
    def clean(self) -> NDArray[np.float32]:
        """Logits (N, K) of the test images."""
        return self.logits("clean")

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """(N,) whether the clean image is misclassified."""
        return np.asarray(self.clean.argmax(1) != self.labels)

    @cached_property
    def temperature(self) -> float:
        """Fitted on the held-out images."""
        return fit_temperature(self.logits("held-out"), self.held_out)

    @cached_property
    def scaled(self) -> NDArray[np.float64]:
        """Logits (N, K) of the test images, divided by the temperature."""
        return scale_logits(self.clean, self.temperature)

    def corrupted(self, names: Sequence[str]) -> tuple[NDArray[np.integer[Any]], NDArray[np.float32]]:
        """Predicted classes and confidences (C, 5, N)."""
        return self.answers([[corruption_cell(name, one) for one in CIFAR10_C.severities] for name in names])

    def answers(self, cells: Sequence[Sequence[str]]) -> tuple[NDArray[np.integer[Any]], NDArray[np.float32]]:
        """Predicted classes and confidences (C, S, N) of cells of corruptions."""
        found = [[self.load(cell) for cell in row] for row in cells]
        predicted, confidence = (
            np.stack([np.stack([one[name] for one in row]) for row in found]) for name in ("predicted", "confidence")
        )
        return predicted, confidence

    def perturbed(self, names: Sequence[str]) -> dict[str, NDArray[np.integer[Any]]]:
        """Predicted classes (Q, T) by perturbation."""
        return {name: self.load(perturbation_cell(name))["predicted"] for name in names}
