"""The stream of training images: which image each step sees, and all that is drawn for it, before it is applied."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import NamedTuple

import torch
from torch import Tensor

from nsbench.noise.draws import Draws, InputNoise, draw
from nsbench.seeds import derive_seed
from nsbench.training.average import share
from nsbench.training.mixup import draw_partners
from nsbench.training.schedule import Schedule


class Inputs(NamedTuple):
    """What one step reads; or, with one more dimension in front, what the steps of a block read.

    Attributes:
        positions: (B,) int64, rows of the training set.
        rows: (B,) int64, rows of the resident images.
        operations, negative, centers, crops, flips: as in `Draws`.
        weights: (B,) float32, mixup's share of the image itself; empty without mixup.
        partners: (B,) int64, mixup's partner in the batch; empty without mixup.
        rate: () float32, the learning rate.
        share: () float32, weight of the step's result in the weight average.
        unlabeled: (U,) int64, rows of the resident images in the second stream; empty without one.
        views: the five tensors of `Draws` for each view of the second stream, one view after the other.
    """

    positions: Tensor
    rows: Tensor
    operations: Tensor
    negative: Tensor
    centers: Tensor
    crops: Tensor
    flips: Tensor
    weights: Tensor
    partners: Tensor
    rate: Tensor
    share: Tensor
    unlabeled: Tensor
    views: tuple[Tensor, ...] = ()

    @property
    def draws(self) -> Draws:
        """The input noise of one step."""
        return Draws(self.operations, self.negative, self.centers, self.crops, self.flips)

    @property
    def view_draws(self) -> Iterator[Draws]:
        """The input noise of each view of the second stream, in one step."""
        each = len(fields(Draws))
        for start in range(0, len(self.views), each):
            yield Draws(*self.views[start : start + each])

    def tensors(self) -> tuple[Tensor, ...]:
        """All of it, in a fixed order."""
        return (*self._single(), *self.views)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Inputs":
        """The same with every tensor changed."""
        return Inputs._make((*map(change, self._single()), tuple(map(change, self.views))))

    def _single(self) -> tuple[Tensor, ...]:
        """All but the views."""
        return tuple(one for one in self if isinstance(one, Tensor))

    def at(self, step: int) -> "Inputs":
        """One step of a block."""
        return self.map(lambda tensor: tensor[step])

    def gather(self, step: Tensor) -> "Inputs":
        """One step of a block by its number, (1,) int64 on the block's device: the host need not know it."""
        return self.map(lambda tensor: tensor.index_select(0, step).squeeze(0))

    def to(self, device: torch.device) -> "Inputs":
        """The block on a device; the copy runs beside the host's work."""
        if device.type == "cpu":
            return self
        return self.map(lambda tensor: tensor.pin_memory().to(device, non_blocking=True))


def draw_block(
    schedule: Schedule, rows: Tensor, noise: InputNoise, steps: range, unlabeled: Tensor | None = None
) -> Inputs:
    """Draw a block on the CPU.

    Args:
        schedule: seeds, batch size, learning rates and second stream.
        rows: int64 (n,), the resident image of each row of the training set.
        noise: input noise.
        steps: a block of the schedule.
        unlabeled: int64 (u,), the resident images of the second stream.
    """
    size, batch = len(steps), schedule.settings.batch_size
    positions = order(len(rows), steps.start * batch, steps.stop * batch, schedule.seed)
    generator = torch.Generator().manual_seed(derive_seed(*schedule.seed, "input noise", steps.start))
    draws = draw(len(positions), noise, generator)
    flat = (positions, rows[positions], *draws.tensors())
    return Inputs._make(
        (
            *(tensor.view(size, batch, *tensor.shape[1:]) for tensor in flat),
            *draw_partners(size, batch, schedule.mixup_alpha, (*schedule.seed, "mixup", steps.start)),
            torch.tensor([schedule.learning_rate(step) for step in steps]),
            torch.tensor([share(schedule.settings.average_decay, step) for step in steps]),
            *_second(schedule, steps, unlabeled),
        )
    )


def _second(schedule: Schedule, steps: range, unlabeled: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Rows of the second stream (steps, U), and the draws of its views."""
    size = len(steps)
    if schedule.second is None or unlabeled is None or not len(unlabeled):
        return torch.empty(size, 0, dtype=torch.int64), ()
    each = schedule.settings.batch_size * schedule.second.ratio
    places = order(len(unlabeled), steps.start * each, steps.stop * each, (*schedule.seed, "unlabelled"))
    views: list[Tensor] = []
    for number, noise in enumerate(schedule.second.views):
        generator = torch.Generator().manual_seed(derive_seed(*schedule.seed, "view", number, steps.start))
        views += [one.view(size, each, *one.shape[1:]) for one in draw(len(places), noise, generator).tensors()]
    return unlabeled[places].view(size, each), tuple(views)


def order(size: int, start: int, stop: int, seed: tuple[str | int, ...]) -> Tensor:
    """Positions start..stop-1 of an endless stream of permutations of range(size)."""
    parts = []
    for epoch in range(start // size, (stop - 1) // size + 1):
        generator = torch.Generator().manual_seed(derive_seed(*seed, "order", epoch))
        first = epoch * size
        parts.append(torch.randperm(size, generator=generator)[max(start - first, 0) : stop - first])
    return torch.cat(parts)
