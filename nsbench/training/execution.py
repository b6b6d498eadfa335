"""How the steps of a block are executed: one by one, or as a captured CUDA graph.

Both run the same `Step`. Model noise is seeded before each step, so training may be cut after any step.
"""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from nsbench.seeds import derive_seed
from nsbench.training.schedule import Schedule
from nsbench.training.step import Step
from nsbench.training.stream import Inputs

_WARM_UPS = 3


class Execution(Protocol):
    """Runs steps of a block."""

    def run(self, block: Inputs, steps: range, first: int) -> Iterator[int]:
        """Run a block.

        Args:
            block: what was drawn for `steps`, on the device.
            steps: the block's steps.
            first: the step to begin with, in `steps`.

        Yields:
            The next step to do, each time the state of the learner is whole and may be read.

        Raises:
            Exception: out of memory, or what a method raises, with the state as it was after the last yield.
        """
        ...


def choose(step: Step, schedule: Schedule) -> Execution:
    """The execution that the schedule asks for."""
    on_cpu = step.learner.device.type == "cpu"
    eager = schedule.settings.execution == "eager" or (on_cpu and schedule.settings.execution == "compiled")
    return Eager(step, schedule) if eager else Captured(step, schedule, capture=not on_cpu)


def seed_model_noise(schedule: Schedule, step: int) -> None:
    """Seed dropout and stochastic depth of one step."""
    torch.manual_seed(derive_seed(*schedule.seed, "model noise", step))


class Eager:
    """Steps one by one."""

    def __init__(self, step: Step, schedule: Schedule) -> None:
        self.step, self.schedule = step, schedule

    def run(self, block: Inputs, steps: range, first: int) -> Iterator[int]:
        """Run a block; see `Execution`."""
        for number in range(first, steps.stop):
            seed_model_noise(self.schedule, number)
            kept = _copies(_statistics(self.step))
            try:
                self.step(block.at(number - steps.start))
            except (RuntimeError, MemoryError):
                _copy(kept, _statistics(self.step))
                raise
            yield number + 1


class Captured:
    """Steps as replays of one CUDA graph that holds noise, forward, backward, optimiser and counters.

    The graph reads its inputs from fixed memory, at a position that it moves on itself; the host hands over a block and
    launches. It runs at most one block ahead of the device.

    Args:
        step: what to capture.
        schedule: seeds.
        capture: False runs the same function without a graph, where there is no CUDA.
    """

    def __init__(self, step: Step, schedule: Schedule, *, capture: bool) -> None:
        self.step, self.schedule, self.capture = step, schedule, capture
        self.position = torch.zeros(1, dtype=torch.int64, device=step.learner.device)
        self.inputs: Inputs | None = None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.previous: torch.cuda.Event | None = None

    def run(self, block: Inputs, steps: range, first: int) -> Iterator[int]:
        """Run a block; see `Execution`."""
        inputs = self._take(block)
        if self.capture and self.graph is None:
            self.graph = self._captured(inputs)
        self.position.fill_(first - steps.start)
        kept = {} if self.graph else _copies(self.step.tensors())
        try:
            for number in range(first, steps.stop):
                seed_model_noise(self.schedule, number)
                if self.graph is None:
                    self._once(inputs)
                else:
                    self.graph.replay()
        except (RuntimeError, MemoryError):
            if kept:  # a graph takes no memory after its capture
                self.step.restore(kept)
            raise
        self._wait()
        yield steps.stop

    def _take(self, block: Inputs) -> Inputs:
        """Copy the block into the fixed memory, whose size the first and largest block sets."""
        if self.inputs is None or len(self.inputs.rate) < len(block.rate):
            self.inputs, self.graph = block.map(torch.empty_like), None
        for own, given in zip(self.inputs.tensors(), block.tensors(), strict=True):
            own[: len(given)].copy_(given, non_blocking=True)
        return self.inputs

    def _once(self, inputs: Inputs) -> None:
        self.step(inputs.gather(self.position))
        self.position.add_(1).remainder_(len(inputs.rate))

    def _captured(self, inputs: Inputs) -> torch.cuda.CUDAGraph:
        """Warm up on a side stream, capture, and put everything back as it was."""
        kept, graph = _copies(self.step.tensors()), torch.cuda.CUDAGraph()
        try:
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch does not annotate it
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self.position.zero_()
                for _ in range(_WARM_UPS):
                    self._once(inputs)
            torch.cuda.current_stream().wait_stream(side)
            with torch.cuda.graph(graph):
                self._once(inputs)
        finally:
            self.step.restore(kept)
        return graph

    def _wait(self) -> None:
        """Let the host run one block ahead of the device, and no further."""
        if not self.capture:
            return
        if self.previous is not None:
            self.previous.synchronize()
        self.previous = torch.cuda.Event()  # type: ignore[no-untyped-call]  # likewise
        self.previous.record()


def _statistics(step: Step) -> dict[str, Tensor]:
    """What a step that runs out of memory before its optimiser has already changed."""
    return dict(step.learner.network.named_buffers())


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])
