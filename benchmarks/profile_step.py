"""Where the time of a training step goes: arithmetic, normalisation, optimiser, input noise, copies, waiting.

torch.profiler watches some steps of nsbench's own training. On a CPU, waiting is the wall time outside all operators
(the interpreter and the dispatcher); on CUDA it is the wall time in which no kernel ran. The profiler itself slows the
host, so waiting is an upper bound; the throughput without it is printed beside.
"""

import statistics
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import ours
import torch
from interleaved import (
    available_device,
    parser,
    positive,
    rate,
    report,
    resnet_depth,
    synchronize,
    table,
    use_threads,
)
from torch import Tensor
from torch.autograd.profiler import DeviceType  # type: ignore[attr-defined]  # where the events take it from
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from nsbench.devices import prepare
from nsbench.noise.draws import Draws
from nsbench.training.step import Noise

NORM = ((0.4913, 0.4821, 0.4465), (0.2470, 0.2434, 0.2615))
ARITHMETIC, PASSING, OPTIMISER = "convolution, matrix product", "normalisation, activation, sum", "optimiser"
NOISE, COPIES, OTHER, WAITING = "input noise", "copies, layout, draws", "other", "waiting for the host"
GROUPS = (ARITHMETIC, PASSING, OPTIMISER, NOISE, COPIES, OTHER)

# What a name must contain to belong to a group, the first group that fits; operators and CUDA kernels alike.
WORDS = {
    COPIES: (
        "memcpy",
        "memset",
        "copy",
        "nchwtonhwc",
        "nhwctonchw",
        "transpose",
        "contiguous",
        "clone",
        "reorder",
        "index_select",
        "rand",
    ),
    OPTIMISER: ("optimizer.", "multi_tensor", "fused_sgd", "sgd"),
    ARITHMETIC: ("conv", "gemm", "xmma", "cutlass", "cudnn_infer", "wgrad", "dgrad", "fprop", "addmm", "::mm", "nvjet"),
    PASSING: (
        *("batch_norm", "bn_", "batchnorm", "relu", "threshold", "triton", "elementwise", "reduce", "softmax"),
        *("aten::add", "aten::sub", "aten::mul", "aten::div", "aten::sum", "aten::mean", "aten::lerp", "dropout"),
        *("pad", "cross_entropy", "nll_loss", "bernoulli", "slice_backward", "aten::ge", "aten::lt"),
    ),
    NOISE: ("gather", "scatter"),
}
Seconds = dict[str, dict[str, float]]


def group_of(names: Iterable[str]) -> str:
    """The group of an operator, by its own name and, failing that, by those of the operators around it.

    Args:
        names: names of the operator and then of each that called it, the outermost last.
    """
    lowered = [name.lower() for name in names]
    if NOISE in lowered:
        return NOISE
    if any(name.startswith("optimizer.") for name in lowered):
        return OPTIMISER
    for name in lowered:
        for group, words in WORDS.items():
            if any(word in name for word in words):
                return group
    return OTHER


def callers(event: FunctionEvent) -> list[str]:
    """Names of the operator and of those that called it."""
    found = [event.name]
    while event.cpu_parent is not None:
        event = event.cpu_parent
        found.append(event.name)
    return found


def on_cpu(events: Iterable[FunctionEvent]) -> Seconds:
    """Seconds inside each operator itself, by group and name."""
    found: Seconds = defaultdict(lambda: defaultdict(float))
    for event in events:
        if event.device_type == DeviceType.CPU:
            found[group_of(callers(event))][event.name] += event.self_cpu_time_total / 1e6
    return found


def on_cuda(events: Sequence[FunctionEvent]) -> Seconds:
    """Seconds of each kernel, by group and name.

    A kernel belongs to the operator that launched it. One that a CUDA graph launched is known by its own name alone, so
    the noise's elementwise kernels then count as passing; `gpu.py` times the noise by itself.
    """
    found: Seconds = defaultdict(lambda: defaultdict(float))
    orphans: dict[str, float] = defaultdict(float)
    for event in events:
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation:
            orphans[event.name] += event.time_range.elapsed_us() / 1e6  # type: ignore[no-untyped-call]  # torch does not annotate it
    for event in events:
        if event.device_type == DeviceType.CPU and event.kernels:
            group = group_of(callers(event))
            for kernel in event.kernels:
                if kernel.name != event.name:  # else it is the shadow of a label
                    found[group][event.name] += kernel.duration / 1e6
                    orphans[kernel.name] -= kernel.duration / 1e6
    for name, seconds in orphans.items():
        if seconds > 1e-7:
            found[group_of([name])][name] += seconds
    return found


def labelled(noise: Noise) -> Noise:
    """Input noise that the profiler knows by name."""

    def apply(images: Tensor, draws: Draws) -> Tensor:
        with record_function(NOISE):
            return noise.apply(images, draws)

    return replace(noise, apply=apply)


def watched(work: Callable[[], int], device: torch.device) -> tuple[Seconds, float]:
    """Seconds by group and operator, and the wall time, of one call under the profiler."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    synchronize(device)
    with profile(activities=activities, acc_events=True) as watch:
        start = time.perf_counter()
        work()
        synchronize(device)
        wall = time.perf_counter() - start
    events: Any = watch.events()
    return (on_cuda if device.type == "cuda" else on_cpu)(list(events)), wall


def rows(seconds: Seconds, wall: float) -> list[list[str]]:
    """One row a group, with its three longest operators."""
    found = []
    for group in GROUPS:
        operators = seconds.get(group, {})
        longest = sorted(operators, key=lambda name: -operators[name])[:3]
        named = ", ".join(f"{name[:40]} {operators[name] / wall:.1%}" for name in longest)
        found.append([group, f"{sum(operators.values()) / wall:.1%}", named])
    busy = sum(sum(operators.values()) for operators in seconds.values())
    return [*found, [WAITING, f"{1 - busy / wall:.1%}", ""]]


def options_from(arguments: Sequence[str] | None) -> Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--network", type=resnet_depth, default="resnet20", help="default: %(default)s")
    made.add_argument("--device", type=available_device, default="cpu", help="cpu or cuda (default %(default)s)")
    made.add_argument("--precision", choices=list(ours.DTYPES), default="float32", help="default: %(default)s")
    made.add_argument("--execution", choices=ours.EXECUTIONS, default="eager", help="default: %(default)s")
    made.add_argument("--steps", type=positive, default=10, help="training steps to watch (default %(default)s)")
    made.add_argument("--batch", type=positive, default=ours.BATCH, help="images of a step (default %(default)s)")
    return made.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = options_from(arguments)
    use_threads(options)
    prepare(options.device)
    torch.manual_seed(0)
    images = options.steps * options.batch
    network = ours.network(options.network, NORM, options.device)
    data = ours.training_set(ours.random_images(images), options.device)
    noise = labelled(ours.run_noise(options.device, options.execution))
    work = ours.training(network, data, noise, images, options.precision, options.execution, options.batch)
    work()
    plain = [rate(options.device, work) for _ in range(options.rounds)]
    seconds, wall = watched(work, options.device)
    title = (
        f"ResNet-{options.network}, {options.precision}, {options.execution}, {options.steps} x {options.batch}: "
        f"{statistics.median(plain):,.0f} images/s ({images / wall:,.0f} watched): shares of the wall time"
    )
    text = table(["group", "share", "longest operators"], rows(seconds, wall))
    report(options, {title: text}, {"images/s": plain, "seconds": seconds, "wall": wall})


if __name__ == "__main__":
    main()
