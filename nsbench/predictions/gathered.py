"""The predictions of one model for one cell, gathered until the cell is complete."""

from torch import Tensor

from nsbench.errors import UserError
from nsbench.files import remove_leftovers_of
from nsbench.predictions.cell import FINITE, Cell, Part
from nsbench.predictions.kinds import LARGEST_LOGIT
from nsbench.predictions.store import Stored
from nsbench.predictions.tensor_file import Kind, TensorFile

HELD = 2**24
"""Bytes of predictions of a cell that stay on the device, where the host need not wait for them: 16 MB. CIFAR-10's
largest cell, the FGSM sweep of 10,000 images, has 3."""


class Gathered:
    """Predictions that come a chunk at a time; beyond `held` bytes they go to the disk beside their final place.

    Whoever gathers has the cell claimed, so what an earlier attempt left there is a killed process's, and is deleted.

    Args:
        cell: what is predicted.
        stored: the model's predictions.
        identity: identity of the model.
        held: bytes that are kept in memory.

    Attributes:
        failure: why the model has no predictions for the cell; None while nothing is wrong.
    """

    def __init__(self, cell: Cell, stored: Stored, identity: str, held: int) -> None:
        self.failure: UserError | None = None
        self._cell, self._stored, self._held = cell, stored, held
        self._fingerprint = cell.fingerprint(identity)
        remove_leftovers_of(stored.path(cell.name))
        self._parts: list[Part] = []
        self._bytes = 0
        self._written = 0
        self._file: TensorFile | None = None
        self._not_finite: Tensor | int = 0

    def take(self, said: Part | UserError) -> None:
        """Take what was predicted for the next images, or why nothing was, after which nothing is taken."""
        if isinstance(said, UserError):
            self.failure = said
        else:
            self._add(said)

    def _add(self, part: Part) -> None:
        self._not_finite = self._not_finite + (~self._cell.finite(part)).sum()
        part = {name: values for name, values in part.items() if name != FINITE}
        self._parts.append(part)
        self._bytes += sum(values.numel() * values.element_size() for values in part.values())
        if self._bytes > self._held:
            self._spill()

    def finish(self) -> None:
        """Write the cell, which appears whole; none of it where logits are not numbers, which is a failure."""
        self.failure = self.failure or self._garbage()
        if self.failure is not None:
            return
        if self._file is None:
            arrays = self._cell.join(self._parts)
            self._stored.save(self._cell.name, arrays, self._fingerprint, self._cell.image_identity)
        else:
            self._spill()
            self._file.finish()

    def _garbage(self) -> UserError | None:
        """What to say of logits that are no numbers; the host waits for the device to count them."""
        count = int(self._not_finite)
        if not count:
            return None
        return UserError(
            f"{self._stored.model} on {self._cell.name}: its logits are NaN, infinite or beyond {LARGEST_LOGIT:g} "
            f"for {count:,} of {self._cell.shown}: check its weights and its preprocessing."
        )

    def discard(self) -> None:
        """Delete what is on the disk of a cell that was not finished."""
        if self._file is not None:
            self._file.discard()

    def _spill(self) -> None:
        """Write what is in memory to its place in the file."""
        if not self._parts:
            return
        arrays = self._cell.join(self._parts)
        axes = {name: self._cell.axis(name) for name in arrays}
        if self._file is None:
            kinds = {}
            for name, array in arrays.items():
                before, after = array.shape[: axes[name]], array.shape[axes[name] + 1 :]
                kinds[name] = Kind(array.dtype, (*before, len(self._cell.subset), *after))
            self._file = self._stored.begin(self._cell.name, kinds, self._fingerprint, self._cell.image_identity)
        start = self._written
        for name, array in arrays.items():
            self._file.put(name, start, array, axes[name])
            self._written = start + array.shape[axes[name]]
        self._parts, self._bytes = [], 0
