"""How much to train and how: budget, learning rates, and where the work is cut."""

import math
from dataclasses import dataclass

from nsbench.config.schema import OptimisationConfig
from nsbench.noise.draws import InputNoise
from nsbench.training.objectives import SELF_TRAINING, Objective

MAX_SEGMENTS = 50
BLOCK_IMAGES = 32_768


@dataclass(frozen=True)
class Rates:
    """Which weights learn, and how fast.

    Attributes:
        body: factor of the learning rate of everything before the last layer.
        head: factor of the learning rate of the last layer.
        head_only: only the last layer learns.
    """

    body: float = 1.0
    head: float = 1.0
    head_only: bool = False


@dataclass(frozen=True)
class SecondStream:
    """Unlabelled images that each step sees beside its batch.

    Attributes:
        ratio: how many of them accompany each image of the batch.
        views: input noise of each look at them; the draws of the views are independent.
    """

    ratio: int
    views: tuple[InputNoise, ...]


@dataclass(frozen=True)
class Schedule:
    """How much to train and how.

    Attributes:
        budget: images to see; rounded up to whole batches.
        settings: the optimiser; its precision and execution are no longer `auto`.
        seed: names that every random draw of this training derives from.
        fingerprint: hash of everything that determines the weights.
        save_every: least time in seconds between two saved states; it changes no result.
        mixup_alpha: parameter of mixup's Beta distribution; 0 switches it off.
        objective: the loss of a batch.
        rates: learning rates of body and head.
        second: the second stream, if the method has one.
    """

    budget: int
    settings: OptimisationConfig
    seed: tuple[str | int, ...]
    fingerprint: str
    save_every: float
    mixup_alpha: float = 0.0
    objective: Objective = SELF_TRAINING
    rates: Rates = Rates()
    second: SecondStream | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps: the budget in whole batches, rounded up."""
        return math.ceil(self.budget / self.settings.batch_size)

    @property
    def images(self) -> int:
        """Images seen."""
        return self.steps * self.settings.batch_size

    def segment(self, step: int, size: int) -> range:
        """The steps around `step` that blocks are cut from: an epoch of `size` images, or a fiftieth of the budget."""
        return self._around(step, max(self._epoch(size), math.ceil(self.steps / MAX_SEGMENTS)))

    def reading(self, step: int, size: int) -> range:
        """The steps around `step` between two readings.

        A segment; where the weights that are best on the test images are kept always an epoch, as in the study. Blocks
        stay as they are, so that what is kept does not change what is drawn.
        """
        best_test = self.settings.selection == "best-test"
        return self._around(step, self._epoch(size)) if best_test else self.segment(step, size)

    def _epoch(self, size: int) -> int:
        return max(1, math.ceil(size / self.settings.batch_size))

    def _around(self, step: int, length: int) -> range:
        start = step // length * length
        return range(start, min(start + length, self.steps))

    def block(self, step: int, size: int) -> range:
        """The steps around `step` whose random numbers are drawn together; it lies within a segment."""
        segment = self.segment(step, size)
        length = max(1, BLOCK_IMAGES // self.settings.batch_size)
        start = step - (step - segment.start) % length
        return range(start, min(start + length, segment.stop))

    def learning_rate(self, step: int) -> float:
        """The schedule at a step: times `decay` at each milestone passed, or a half cosine; the warm-up first."""
        settings, share = self.settings, step / self.steps
        if share < settings.warmup:
            return settings.learning_rate * (step + 1) / (settings.warmup * self.steps)
        if settings.schedule == "cosine":
            left = (share - settings.warmup) / (1 - settings.warmup)
            return settings.learning_rate * (1 + math.cos(math.pi * left)) / 2
        passed = sum(step >= milestone * self.steps for milestone in settings.milestones)
        return settings.learning_rate * settings.decay**passed

    def falls_between(self, first: int, last: int) -> bool:
        """Whether the learning rate passes a milestone after step `first` and not after step `last`."""
        steps = self.settings.schedule == "steps"
        return steps and any(first < math.ceil(share * self.steps) <= last for share in self.settings.milestones)
