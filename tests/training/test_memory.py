"""Memory that runs out on a CPU halves the batches, as on a GPU; any other error is left alone."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nsbench.devices import is_out_of_memory
from nsbench.networks.inference import BatchSize
from nsbench.training.step import TrainingSet
from tests.training.test_execution import Greedy

Make = Callable[..., Any]
CPU_WORDS = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"


class GreedyOnCpu(Greedy):
    """A network that runs out of memory in the words of a CPU."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits, unless there are too many images."""
        try:
            return super().forward(images)
        except torch.OutOfMemoryError:
            raise RuntimeError(CPU_WORDS) from None


@pytest.mark.parametrize("execution", ["eager", "graph"])
def test_memory_that_runs_out_on_a_cpu_halves_the_batches_and_leaves_no_trace_in_the_weights(
    execution: str, data: TrainingSet, run: Make, make_schedule: Make, same: Make
) -> None:
    torch.manual_seed(0)
    greedy, asked = GreedyOnCpu(limit=4), GreedyOnCpu(limit=4)
    asked.load_state_dict(greedy.state_dict())
    assert run(greedy, data, make_schedule(160, execution=execution)).micro_batch == 4
    run(asked, data, make_schedule(160, micro_batch=4, execution=execution))
    assert same(greedy, asked)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(CPU_WORDS), torch.OutOfMemoryError("CUDA")])
def test_a_forward_pass_that_runs_out_of_memory_is_cut_in_half(error: Exception) -> None:
    def work(part: slice) -> int:
        if part.stop - part.start > 3:
            raise error
        return part.stop - part.start

    assert BatchSize(8).over(9, work) == [2, 2, 2, 2, 1]


@pytest.mark.parametrize("error", [RuntimeError("sizes do not match"), ValueError("not enough memory"), OSError()])
def test_no_other_error_is_taken_for_a_lack_of_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)):
        BatchSize(8).over(9, lambda _: (_ for _ in ()).throw(error))


LIMITED = """
import resource, torch
from nsbench.networks.inference import BatchSize
torch.set_num_threads(1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 600 * 2**20,) * 2)
sizes = BatchSize(16).over(16, lambda part: len(torch.ones(part.stop - part.start, 32 * 2**20)))
print(sizes)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_process_that_may_not_have_more_memory_gets_along_with_smaller_batches() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{[4] * 4}\n"
