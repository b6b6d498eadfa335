"""The stored predictions of one model beside the labels; what is missing or does not fit is refused by name."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nsbench.errors import UserError
from nsbench.metrics.perturbation import check_sequences
from nsbench.metrics.temperature import fit_temperature, scale_logits
from nsbench.predictions.store import Arrays, Labels, Stored, corruption_cell, perturbation_cell
from nsbench.protocols.cifar import CIFAR10_C

REMEDY = "run the same `nsbench evaluate` again"


class Predicted:
    """Predictions of one model, read as they are needed.

    Args:
        run: the folder with `predictions/`.
        model: the model's name.
        labels: true classes of all test images.
        held_out: true classes of the held-out images; empty where there are none.
    """

    def __init__(self, run: Path, model: str, labels: Labels, held_out: Labels) -> None:
        self.model, self.labels, self.held_out = model, labels, held_out
        self._stored = Stored(run, model)

    def load(self, cell: str) -> Arrays:
        """The arrays of a cell.

        Raises UserError naming a cell that is missing.
        """
        self._require(cell)
        return self._stored.load(cell)

    def _require(self, cell: str) -> None:
        if not self._stored.has(cell):
            raise UserError(f"{self.model} has no predictions for {cell}, which is to be measured: {REMEDY}.")

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

    def logits(self, cell: str, labels: Labels) -> NDArray[np.float32]:
        """(N, K) of all images that have these labels."""
        found: NDArray[np.float32] = self.load(cell)["logits"]
        if len(found) != len(labels):
            raise UserError(
                f"{self.model} has predictions for {len(found):,} of the {len(labels):,} images of {cell}: {REMEDY}."
            )
        return found

    @cached_property
    def clean(self) -> NDArray[np.float32]:
        """Logits (N, K) of the test images."""
        return self.logits("clean", self.labels)

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """(N,) whether the clean image is misclassified."""
        return np.asarray(self.clean.argmax(1) != self.labels)

    @cached_property
    def temperature(self) -> float:
        """Fitted on the held-out images."""
        return fit_temperature(self.logits("held-out", self.held_out), self.held_out)

    @cached_property
    def scaled(self) -> NDArray[np.float64]:
        """Logits (N, K) of the test images, divided by the temperature."""
        return scale_logits(self.clean, self.temperature)

    def attacked(self, attack: str, epsilons: Sequence[float]) -> Arrays:
        """Logits (E, N, K) and what else an attack keeps.

        Raises UserError where the strengths are not as many as these.
        """
        found = self.load(attack)
        if len(found["logits"]) != len(epsilons):
            raise UserError(
                f"{self.model} has predictions for {len(found['logits'])} of the {len(epsilons)} strengths of "
                f"{attack}: {REMEDY}."
            )
        return found

    def corrupted(self, names: Sequence[str]) -> tuple[NDArray[np.integer[Any]], NDArray[np.float32]]:
        """Predicted classes and confidences (C, 5, N).

        Raises UserError naming a severity that is missing or has other images.
        """
        cells = [corruption_cell(name, severity) for name in names for severity in CIFAR10_C.severities]
        found = [self.load(cell) for cell in cells]
        most = max(len(arrays["predicted"]) for arrays in found)
        for cell, arrays in zip(cells, found, strict=True):
            if not len(arrays["predicted"]) == len(arrays["confidence"]) == most:
                raise UserError(
                    f"{self.model} has predictions for {len(arrays['predicted']):,} of the {most:,} images of {cell}: "
                    f"{REMEDY}."
                )
        shape = (len(names), len(CIFAR10_C.severities), most)
        predicted, confidence = (np.stack([arrays[key] for arrays in found]) for key in ("predicted", "confidence"))
        return predicted.reshape(shape), confidence.reshape(shape)

    def perturbed(self, names: Sequence[str]) -> dict[str, NDArray[np.integer[Any]]]:
        """Predicted classes (Q, T) by perturbation.

        Raises UserError naming one that is missing or has too few frames or sequences.
        """
        found = {name: self.load(perturbation_cell(name))["predicted"] for name in names}
        try:
            check_sequences(found)
        except ValueError as error:
            raise UserError(f"{self.model}: {error}: {REMEDY}.") from None
        return found
