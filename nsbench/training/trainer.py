"""One network trained on one set of images, by budget, resumable to the bit.

Everything random is drawn from seeds named after its block or step, so training that was killed continues at the
last saved step as if nothing had happened.
"""

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from nsbench.devices import is_out_of_memory
from nsbench.errors import UserError
from nsbench.networks.classifier import Classifier
from nsbench.progress import Task
from nsbench.training.execution import Execution, choose
from nsbench.training.learner import Learner
from nsbench.training.schedule import Schedule
from nsbench.training.selection import NO_EXAMINERS, Examiners
from nsbench.training.state import Point, Progress, load_state, save_state
from nsbench.training.step import Noise, Step, TrainingSet
from nsbench.training.stream import Inputs, draw_block

ENGINE_VERSION = 2
"""Raised whenever the same recipe gives other weights than before: it is part of every recipe's hash."""


@dataclass(frozen=True)
class Outcome:
    """What training leaves beside the weights.

    Attributes:
        history: one point for each segment.
        micro_batch: images per backward pass where a batch was learnt in parts, else 0.
    """

    history: list[Point]
    micro_batch: int


def train(
    network: Classifier,
    data: TrainingSet,
    noise: Noise,
    schedule: Schedule,
    state: Path,
    task: Task,
    examiners: Examiners = NO_EXAMINERS,
    views: tuple[Noise, ...] = (),
) -> Outcome:
    """Train `network` in place; afterwards it holds the weights to keep, in evaluation mode.

    Args:
        network: on the device of `data.images`.
        data: what to learn.
        noise: input noise.
        schedule: budget, objective, optimiser and seeds.
        state: file that holds the training in progress; read if it exists under the same fingerprint.
        task: progress in images.
        examiners: images to be examined on.
        views: noise of the second stream, as the schedule has it.

    Raises:
        UserError: when the loss is no longer finite, or one image alone needs too much memory.
    """
    step = Step(Learner(network, schedule), data, noise, views)
    progress = load_state(state, schedule, step, task.reporter.warn)
    return _Training(step, schedule, state, task, examiners, progress, choose(step, schedule)).run()


@dataclass
class _Training:
    """The loop, and what it carries from step to step."""

    step: Step
    schedule: Schedule
    state: Path
    task: Task
    examiners: Examiners
    progress: Progress
    execution: Execution
    saved: float = field(default_factory=time.monotonic)
    block: tuple[range, Inputs] | None = None

    def run(self) -> Outcome:
        self.task.begin_at(self.progress.step * self.schedule.settings.batch_size)
        while self.progress.step < self.schedule.steps:
            try:
                self._block()
            except (RuntimeError, MemoryError) as error:
                smaller = is_out_of_memory(error)
                if not smaller:
                    raise
            else:
                smaller = False
            if smaller:  # outside the handler, whose traceback would hold the memory
                self._halve()
        self.step.learner.finish()
        self.progress.best.put_into(self.step.learner.network)
        whole = self.step.learner.micro_batch >= self.schedule.settings.batch_size
        return Outcome(self.progress.history, 0 if whole else self.step.learner.micro_batch)

    def _block(self) -> None:
        size = len(self.step.data.rows)
        steps, reading = self.schedule.block(self.progress.step, size), self.schedule.reading(self.progress.step, size)
        until = range(steps.start, min(steps.stop, reading.stop))
        for done in self.execution.run(self._drawn(steps), until, self.progress.step):
            before = self.progress.step
            self.task.advance((done - before) * self.schedule.settings.batch_size)
            self.progress.step = done
            if done == reading.stop:
                self._close(reading)
            due = time.monotonic() - self.saved >= self.schedule.save_every or self.schedule.falls_between(before, done)
            if due and done < self.schedule.steps:
                save_state(self.state, self.schedule.fingerprint, self.step, self.progress)
                self.saved = time.monotonic()

    def _drawn(self, steps: range) -> Inputs:
        """The inputs of a block; several readings may lie in one, which is drawn once."""
        if self.block is None or self.block[0] != steps:
            drawn = draw_block(
                self.schedule, self.step.data.rows, self.step.noise.noise, steps, self.step.data.unlabeled
            )
            self.block = steps, drawn.to(self.step.learner.device)
        return self.block[1]

    def _close(self, reading: range) -> None:
        """Read the totals since the last reading, examine the network, and keep it if it is the best."""
        size, count = self.schedule.settings.batch_size, len(reading)
        point = Point(
            images=reading.stop * size,
            learning_rate=self.schedule.learning_rate(reading[-1]),
            loss=float(self.step.loss) / count,
            accuracy=float(self.step.hits) / (count * size),
        )
        if not math.isfinite(point.loss):
            raise UserError(
                f"The loss of {self.task.title} is {point.loss} after {point.images:,} images: "
                f"lower training.learning_rate (now {self.schedule.settings.learning_rate:g})."
            )
        self.step.reset()
        self.progress.history.append(self._examined(point))
        self.task.log(f"loss {point.loss:.3f}, accuracy {100 * point.accuracy:.1f} %")

    def _examined(self, point: Point) -> Point:
        validation, test = self.examiners.validation, self.examiners.test
        if validation is None and test is None:
            return point
        with self.step.learner.as_kept() as network:
            seen = validation.accuracy(network, self.step.learner.device) if validation is not None else None
            tested = test.accuracy(network, self.step.learner.device) if test is not None else None
            score = {"last": None, "best-validation": seen, "best-test": tested}[self.schedule.settings.selection]
            if score is not None:
                self.progress.best.consider(score, network)
        return replace(point, validation_accuracy=seen, test_accuracy=tested)

    def _halve(self) -> None:
        """Learn batches in smaller parts from here on."""
        size = self.step.learner.micro_batch
        if size == 1:
            raise UserError(
                f"{self.task.title} runs out of memory with a single image: choose a smaller network, or --device cpu."
            )
        self.step.learner.micro_batch = (size + 1) // 2
        self.execution = choose(self.step, self.schedule)
        self.step.learner.optimizer.zero_grad(set_to_none=True)
        if self.step.learner.device.type == "cuda":
            torch.cuda.empty_cache()
        self.task.reporter.warn(
            f"{self.task.title} ran out of memory: batches of {self.schedule.settings.batch_size:,} are learnt in "
            f"parts of {self.step.learner.micro_batch:,} from here on, with the gradients added up."
        )
