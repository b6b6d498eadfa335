"""A training step in float32 and bfloat16, contiguous and channels-last, eager and compiled, in turn.

Forward with model noise, cross-entropy, backward and SGD on one batch of random images that stays where it is; no input
noise. bfloat16 is automatic mixed precision: weights, statistics and loss stay float32.
"""

import shutil
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import ceilings
import ours
import torch
from interleaved import (
    Readings,
    Side,
    available_device,
    interleave,
    parser,
    positive,
    rate,
    ratios,
    report,
    resnet_depth,
    spread,
    table,
    use_threads,
)
from torch.nn.functional import cross_entropy

from nsbench.devices import prepare

NORM = ((0.4913, 0.4821, 0.4465), (0.2470, 0.2434, 0.2615))
BASE = "float32, channels-last"


@dataclass(frozen=True)
class Variant:
    """How a step is computed."""

    precision: ours.Precision
    channels_last: bool
    compiled: bool = False

    def __str__(self) -> str:
        words = [self.precision, "channels-last" if self.channels_last else "contiguous"]
        return ", ".join(words + ["compiled"] * self.compiled)


EAGER = tuple(Variant(precision, layout) for precision in ours.DTYPES for layout in (False, True))
COMPILED = tuple(replace(variant, compiled=True) for variant in EAGER if variant.channels_last)


def training_steps(variant: Variant, depth: int, batch: int, steps: int, device: torch.device) -> Callable[[], int]:
    """`steps` training steps; warm, and compiled if it is to be.

    Raises:
        RuntimeError: when the compiler cannot compile it.
    """
    torch.manual_seed(0)
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    network = ours.network(depth, NORM, device).to(memory_format=layout).train()
    forward = torch.compile(network, fullgraph=True, dynamic=False) if variant.compiled else network
    images = torch.rand(batch, 3, ours.SIDE, ours.SIDE).to(device).contiguous(memory_format=layout)
    labels = torch.randint(0, 10, (batch,), device=device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, fused=True)

    def work(count: int) -> int:
        for _ in range(count):
            with torch.autocast(device.type, torch.bfloat16, enabled=variant.precision == "bfloat16"):
                logits = forward(images)
            optimizer.zero_grad(set_to_none=True)
            cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
            optimizer.step()
        return count * batch

    work(2)
    return partial(work, steps)


def sides_of(options: Namespace, depth: int, batch: int) -> tuple[dict[str, Side], dict[str, str]]:
    """What is measured for one network and batch size, and why the rest is not."""
    sides: dict[str, Side] = {}
    missing = {}
    for variant in EAGER + COMPILED:
        if variant.compiled and (reason := no_compiler(options)):
            missing[str(variant)] = reason
            continue
        try:
            work = training_steps(variant, depth, batch, options.steps, options.device)
        except RuntimeError as error:
            if not variant.compiled:
                raise
            missing[str(variant)] = f"compilation failed: {str(error).splitlines()[0]}"
        else:
            sides[str(variant)] = partial(rate, options.device, work)
    for precision, dtype in ours.DTYPES.items():
        sides[f"matmul {precision}"] = ceilings.matmul(dtype, options.device)
    return sides, missing


def no_compiler(options: Namespace) -> str:
    """Why nothing is compiled here; empty if it can be."""
    if options.no_compile:
        return "--no-compile"
    if options.device.type == "cpu" and not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        return "there is no C++ compiler"
    return ""


def rows(readings: Readings, missing: dict[str, str], depth: int, batch: int) -> list[list[str]]:
    """Table rows of one network and batch size."""
    names, found = (f"ResNet-{depth}", str(batch)), []
    for side, values in readings.items():
        precision = side.split(",")[0]
        if precision in ours.DTYPES:
            share = ratios(readings, side, f"matmul {precision}", ceilings.training_flop(depth))
            ratio = spread(ratios(readings, side, BASE), ".2f")
            found.append([*names, side, spread(values), ratio, spread(share, ".0%")])
    return found + [[*names, side, f"not measured: {reason}", "", ""] for side, reason in missing.items()]


def options_from(arguments: Sequence[str] | None) -> Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--networks", nargs="+", type=resnet_depth, default=[20, 38], help="default: resnet20 resnet38")
    made.add_argument(
        "--batches", nargs="+", type=positive, default=[128, 512], help="images of a step; default: 128 512"
    )
    made.add_argument("--steps", type=positive, default=4, help="steps of a reading (default %(default)s)")
    made.add_argument("--device", type=available_device, default="cpu", help="cpu or cuda (default %(default)s)")
    made.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    return made.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = options_from(arguments)
    use_threads(options)
    prepare(options.device)
    found, record = [], {}
    for depth in options.networks:
        for batch in options.batches:
            torch.compiler.reset()  # what was compiled for another size counts towards no limit of this one
            sides, missing = sides_of(options, depth, batch)
            readings = interleave(sides, options.rounds)
            record[f"resnet{depth}, {batch}"] = readings
            found += rows(readings, missing, depth, batch)
    header = ["network", "batch", "step", "images/s", f"over {BASE}", "share of its matmul ceiling"]
    title = f"Training step, {options.rounds} rounds of {options.steps} steps: median (lowest to highest)"
    report(options, {title: table(header, found)}, record)


if __name__ == "__main__":
    main()
