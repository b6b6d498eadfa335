"""The stream of training images: which image each step sees, and all that is drawn for it, before it is applied."""

from typing import NamedTuple

import torch
from torch import Tensor

from nsbench.noise.draws import Draws, InputNoise, draw
from nsbench.seeds import derive_seed
from nsbench.training.average import share
from nsbench.training.mixup import draw_partners
from nsbench.training.plan import Plan


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

    @property
    def draws(self) -> Draws:
        """The input noise of one step."""
        return Draws(self.operations, self.negative, self.centers, self.crops, self.flips)

    def at(self, step: int) -> "Inputs":
        """One step of a block."""
        return Inputs(*(tensor[step] for tensor in self))

    def gather(self, step: Tensor) -> "Inputs":
        """One step of a block by its number, (1,) int64 on the block's device: the host need not know it."""
        return Inputs(*(tensor.index_select(0, step).squeeze(0) for tensor in self))

    def to(self, device: torch.device) -> "Inputs":
        """The block on a device; the copy runs beside the host's work."""
        if device.type == "cpu":
            return self
        return Inputs(*(tensor.pin_memory().to(device, non_blocking=True) for tensor in self))


def draw_block(plan: Plan, rows: Tensor, noise: InputNoise, steps: range) -> Inputs:
    """Draw a block on the CPU.

    Args:
        plan: seeds, batch size and schedule.
        rows: int64 (n,), the resident image behind each row of the training set.
        noise: input noise.
        steps: a block of the plan.
    """
    size, batch = len(steps), plan.settings.batch_size
    positions = order(len(rows), steps.start * batch, steps.stop * batch, plan.seed)
    generator = torch.Generator().manual_seed(derive_seed(*plan.seed, "input noise", steps.start))
    draws = draw(len(positions), noise, generator)
    flat = (positions, rows[positions], *draws.tensors())
    return Inputs._make(
        (
            *(tensor.view(size, batch, *tensor.shape[1:]) for tensor in flat),
            *draw_partners(size, batch, plan.mixup_alpha, (*plan.seed, "mixup", steps.start)),
            torch.tensor([plan.learning_rate(step) for step in steps]),
            torch.tensor([share(plan.settings.average_decay, step) for step in steps]),
        )
    )


def order(size: int, start: int, stop: int, seed: tuple[str | int, ...]) -> Tensor:
    """Positions start..stop-1 of an endless stream of permutations of range(size)."""
    parts = []
    for epoch in range(start // size, (stop - 1) // size + 1):
        generator = torch.Generator().manual_seed(derive_seed(*seed, "order", epoch))
        first = epoch * size
        parts.append(torch.randperm(size, generator=generator)[max(start - first, 0) : stop - first])
    return torch.cat(parts)
