"""One network trained on one set of images, by budget, resumable to the bit.

Work is cut into segments. Order, input noise and model noise of a segment come from seeds named after it, so a
training that was killed continues at the last saved segment as if nothing had happened.
"""

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from nsbench.config.schema import TrainingConfig
from nsbench.errors import UserError
from nsbench.files import write_bytes
from nsbench.noise.augment import Augmenter
from nsbench.progress import Task
from nsbench.seeds import derive_seed
from nsbench.training.learner import Learner
from nsbench.training.mixup import draw_partners

MAX_SEGMENTS = 50


@dataclass(frozen=True)
class TrainingSet:
    """Images resident on the device, and the rows of them that one network is trained on.

    Attributes:
        images: uint8 (N, 3, side * side), shared by all networks of a run.
        rows: int64 (n,) on the CPU, indices into `images`; a duplicated image appears more than once.
        targets: float32 (n, classes) on the device, each row a distribution.
    """

    images: Tensor
    rows: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Point:
    """Training progress after a segment; loss and accuracy are means over the segment's noisy images."""

    images: int
    learning_rate: float
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Plan:
    """How much to train and how.

    Attributes:
        budget: images to see; rounded up to whole batches.
        settings: the optimiser.
        seed: names that every random draw of this training derives from.
        fingerprint: of everything that determines the weights.
        save_every: least time in seconds between two saved states; it changes no result.
        mixup_alpha: of mixup's Beta distribution; 0 switches it off.
    """

    budget: int
    settings: TrainingConfig
    seed: tuple[str | int, ...]
    fingerprint: str
    save_every: float
    mixup_alpha: float = 0.0

    @property
    def steps(self) -> int:
        """Optimiser steps: the budget in whole batches, rounded up."""
        return math.ceil(self.budget / self.settings.batch_size)

    @property
    def images(self) -> int:
        """Images seen."""
        return self.steps * self.settings.batch_size

    def segment_steps(self, size: int) -> int:
        """Steps between two readings: an epoch of `size` images, or a fiftieth of the budget if that is more."""
        return max(1, math.ceil(size / self.settings.batch_size), math.ceil(self.steps / MAX_SEGMENTS))

    def learning_rate(self, step: int) -> float:
        """The schedule at a step: at each milestone passed times `decay`, or a half cosine; first the warm-up."""
        settings, share = self.settings, step / self.steps
        if share < settings.warmup:
            return settings.learning_rate * (step + 1) / (settings.warmup * self.steps)
        if settings.schedule == "cosine":
            left = (share - settings.warmup) / (1 - settings.warmup)
            return settings.learning_rate * (1 + math.cos(math.pi * left)) / 2
        passed = sum(step >= milestone * self.steps for milestone in settings.milestones)
        return settings.learning_rate * settings.decay**passed


def train(
    network: nn.Module, data: TrainingSet, augment: Augmenter, plan: Plan, state: Path, task: Task
) -> list[Point]:
    """Train `network` in place and return its history.

    Args:
        network: on the device of `data.images`.
        data: what to learn.
        augment: input noise.
        plan: budget, optimiser and seeds.
        state: file that holds the training in progress; read if it exists under the same fingerprint.
        task: progress in images.

    Raises:
        UserError: when the loss is no longer finite.
    """
    learner = Learner(network, plan.settings)
    history, step = _resume(learner, plan, state)
    task.begin_at(step * plan.settings.batch_size)
    length = plan.segment_steps(len(data.rows))
    saved = time.monotonic()
    while step < plan.steps:
        stop = min(step + length, plan.steps)
        history.append(_segment(learner, data, augment, plan, range(step, stop), task))
        step = stop
        _check(history[-1], plan, task)
        if step < plan.steps and time.monotonic() - saved >= plan.save_every:
            _save(learner, plan, history, step, state)
            saved = time.monotonic()
    learner.finish()
    return history


def _segment(learner: Learner, data: TrainingSet, augment: Augmenter, plan: Plan, steps: range, task: Task) -> Point:
    size = plan.settings.batch_size
    order = _order(len(data.rows), steps.start * size, steps.stop * size, plan.seed)
    draws = augment.draw(len(order), torch.Generator().manual_seed(derive_seed(*plan.seed, "input noise", steps.start)))
    partners = draw_partners(len(order), size, plan.mixup_alpha, (*plan.seed, "mixup", steps.start))
    torch.manual_seed(derive_seed(*plan.seed, "model noise", steps.start))
    device = data.images.device
    total_loss, total_hits = torch.zeros((), device=device), torch.zeros((), device=device)
    for position, step in enumerate(steps):
        part = slice(position * size, (position + 1) * size)
        chosen = order[part]
        images = data.images.index_select(0, data.rows[chosen].to(device, non_blocking=True))
        targets = data.targets.index_select(0, chosen.to(device, non_blocking=True))
        noisy = _to_float(augment(images, draws.rows(part.start, part.stop)), augment.side)
        if partners is not None:
            noisy, targets = partners.mix(noisy, targets, part)
        loss, hits = learner.step(noisy, targets, plan.learning_rate(step), step)
        total_loss += loss
        total_hits += hits
        task.advance(size)
    count = len(steps)
    return Point(
        images=steps.stop * size,
        learning_rate=plan.learning_rate(steps[-1]),
        loss=float(total_loss) / count,
        accuracy=float(total_hits) / (count * size),
    )


def _order(size: int, start: int, stop: int, seed: tuple[str | int, ...]) -> Tensor:
    """Positions start..stop-1 of an endless stream of permutations of range(size)."""
    parts = []
    for epoch in range(start // size, (stop - 1) // size + 1):
        generator = torch.Generator().manual_seed(derive_seed(*seed, "order", epoch))
        first = epoch * size
        parts.append(torch.randperm(size, generator=generator)[max(start - first, 0) : stop - first])
    return torch.cat(parts)


def _to_float(planar: Tensor, side: int) -> Tensor:
    return planar.view(-1, 3, side, side).float().div_(255).contiguous(memory_format=torch.channels_last)


def _check(point: Point, plan: Plan, task: Task) -> None:
    if not math.isfinite(point.loss):
        raise UserError(
            f"The loss of {task.title} is {point.loss} after {point.images:,} images: "
            f"lower training.learning_rate (now {plan.settings.learning_rate:g})."
        )
    task.log(f"loss {point.loss:.3f}, accuracy {100 * point.accuracy:.1f} %")


def _save(learner: Learner, plan: Plan, history: list[Point], step: int, state: Path) -> None:
    metadata = {
        "fingerprint": plan.fingerprint,
        "step": str(step),
        "history": json.dumps([asdict(point) for point in history]),
    }
    write_bytes(state, save(learner.tensors(), metadata))


def _resume(learner: Learner, plan: Plan, state: Path) -> tuple[list[Point], int]:
    """History and step of a saved state, which the learner takes; nothing and 0 if there is none."""
    try:
        with safetensors.safe_open(
            state, framework="pt", device=str(next(learner.network.parameters()).device)
        ) as file:
            metadata = file.metadata() or {}
            if metadata.get("fingerprint") != plan.fingerprint:
                return [], 0
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except (FileNotFoundError, safetensors.SafetensorError):
        return [], 0
    learner.restore(tensors)
    return [Point(**point) for point in json.loads(metadata["history"])], int(metadata["step"])
