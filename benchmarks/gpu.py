"""Everything there is to know about a CUDA machine, in one call: equal results first, then ceilings and speeds.

Parts: `checks` (the device gives what the CPU gives), `ceilings` (copy bandwidth, matrix products), `noise` (dense
input noise), `inference` and `training`. Each part prints its table as soon as it has it, and one that fails does not
stop the rest. The host waits for the device at the ends of a reading only.
"""

import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial

import ceilings
import ours
import torch
from interleaved import (
    Readings,
    Side,
    available_device,
    described,
    interleave,
    parser,
    positive,
    rate,
    ratios,
    resnet_depth,
    save,
    spread,
    table,
    use_threads,
)
from torch import Tensor, nn

from nsbench.devices import prepare
from nsbench.networks.classifier import ModelNoise
from nsbench.networks.inference import logits
from nsbench.noise.draws import Draws

NORM = ((0.4913, 0.4821, 0.4465), (0.2470, 0.2434, 0.2615))
CPU = torch.device("cpu")
CHECK_STEPS, CHECK_DEPTH = 4, 20
# Memory that training moves for one image in bfloat16 with realistic fusion, KiB: ResNet-20, and each six layers more.
TRAINING_KIB, TRAINING_KIB_PER_SIX_LAYERS = 5612, 1736
Part = tuple[str, Readings]


def checks(options: Namespace) -> Part:
    """What must hold before a time means anything."""
    found = [*noise_checks(options), *inference_checks(options), *training_checks(options)]
    return table(["check", "result"], [[name, result] for name, result in found]), {}


def noise_checks(options: Namespace) -> list[tuple[str, str]]:
    """Grouped on the CPU, grouped on the device, dense, and dense compiled: the same images to the bit."""
    images = ours.random_images(options.batch)
    draws = ours.draw(options.batch, torch.Generator().manual_seed(1))
    expected = ours.grouped(CPU)(ours.planar(images, CPU), draws)
    resident, there = ours.planar(images, options.device), draws.to(options.device)
    given = {
        "grouped on the device": ours.grouped(options.device)(resident, draws),
        "dense on the device": ours.dense(options.device)(resident, there),
        "dense and compiled": compiled_noise(options.device)(resident, there),
    }
    return [(f"{name} equals grouped on the CPU", verdict(out.cpu(), expected)) for name, out in given.items()]


def inference_checks(options: Namespace) -> list[tuple[str, str]]:
    """Logits of one network on both devices."""
    torch.manual_seed(0)
    network = ours.network(CHECK_DEPTH, NORM, CPU).eval()
    images = torch.tensor(ours.random_images(options.batch).images)
    expected = logits(network, images)
    given = logits(network.to(options.device), images.to(options.device)).cpu()
    same = (given.argmax(1) == expected.argmax(1)).float().mean()
    far = (given - expected).abs().max()
    return [("float32 logits of the device and of the CPU", f"differ by {far:.1e} at most; {same:.2%} same class")]


def training_checks(options: Namespace) -> list[tuple[str, str]]:
    """Weights after some steps from one seed. A compiler draws other random numbers, so it is compared without them."""
    full, none = ours.MODEL_NOISE, ours.NO_MODEL_NOISE
    cases: list[tuple[str, ours.Execution, ours.Execution, ModelNoise]] = [
        ("eager, repeated", "eager", "eager", full),
        ("as a CUDA graph, against eager", "graph", "eager", full),
        ("compiled, repeated", "compiled", "compiled", full),
        ("compiled, against eager, no model noise", "compiled", "eager", none),
    ]
    return [
        (
            f"{CHECK_STEPS} training steps {name}",
            verdict(*(trained_weights(options, way, noise) for way in (one, other))),
        )
        for name, one, other, noise in cases
        if one in options.executions
    ]


def trained_weights(options: Namespace, execution: ours.Execution, model_noise: ModelNoise) -> Tensor:
    """All weights of a network, one after another, after some steps in bfloat16."""
    torch.manual_seed(0)
    count = CHECK_STEPS * options.batch
    network = ours.network(CHECK_DEPTH, NORM, options.device, model_noise)
    data, noise = (
        ours.training_set(ours.random_images(count), options.device),
        ours.run_noise(options.device, execution),
    )
    ours.training(network, data, noise, count, "bfloat16", execution, options.batch)()
    return torch.cat([weights.detach().reshape(-1) for weights in network.parameters()]).cpu()


def verdict(given: Tensor, expected: Tensor) -> str:
    """Equal to the bit, or how far apart."""
    if torch.equal(given, expected):
        return "equal to the bit"
    far = (given.double() - expected.double()).abs().max()
    return f"DIFFERENT, by {far:.1e} at most, of values up to {expected.double().abs().max():.1e}"


def device_ceilings(options: Namespace) -> Part:
    """Copy bandwidth and matrix products."""
    size = 2**30 if options.device.type == "cuda" else 2**24
    sides: dict[str, Side] = {"copy, GB/s read and written": ceilings.copy(options.device, size)}
    for precision, dtype in ours.DTYPES.items():
        sides[f"matrix product {precision}, GFLOP/s"] = ceilings.matmul(dtype, options.device)
    readings = interleave(sides, options.rounds)
    found = [[name, spread([value / 1e9 for value in values])] for name, values in readings.items()]
    return table(["ceiling", "reached"], found), readings


def input_noise(options: Namespace) -> Part:
    """Dense input noise on one batch: eager, as a CUDA graph, compiled, compiled as a CUDA graph."""
    images = ours.planar(ours.random_images(options.batch), options.device)
    draws = ours.draw(options.batch, torch.Generator().manual_seed(1)).to(options.device)
    eager = partial(ours.dense(options.device), images, draws)
    compiled = partial(compiled_noise(options.device), images, draws)
    calls: dict[str, Callable[[], object]] = {"eager": eager, "compiled": compiled}
    if options.device.type == "cuda":
        calls |= {"eager, CUDA graph": captured(eager), "compiled, CUDA graph": captured(compiled)}
    readings = interleave({name: repeated(options, call) for name, call in calls.items()}, options.rounds)
    times = {name: [1e6 * options.batch / value for value in values] for name, values in readings.items()}
    found = [[name, spread(times[name]), spread(values)] for name, values in readings.items()]
    return table(["input noise", f"microseconds for {options.batch} images", "images/s"], found), readings


def compiled_noise(device: torch.device) -> ours.Apply:
    """Dense input noise, compiled as one graph."""
    apply = torch.compile(ours.dense(device).apply, fullgraph=True, dynamic=False)

    def noise_of(images: Tensor, draws: Draws) -> Tensor:
        return apply(images, *draws.tensors())

    return noise_of


def captured(call: Callable[[], object]) -> Callable[[], object]:
    """`call` as the replay of a CUDA graph; it must read from and write to memory that stays."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch does not annotate it
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def repeated(options: Namespace, call: Callable[[], object]) -> Side:
    """Images per second of `call`, which handles one batch; warm."""

    def work(count: int) -> int:
        for _ in range(count):
            call()
        return count * int(options.batch)

    work(3)
    return partial(rate, options.device, partial(work, options.repeats))


def inference(options: Namespace) -> Part:
    """Logits of uint8 batches that are on the device, eager and compiled."""
    images = torch.tensor(ours.random_images(options.batch).images).to(options.device)
    found: list[list[str]] = []
    all_readings: Readings = {}
    for depth in options.networks:
        sides = {name: repeated(options, call) for name, call in inference_calls(options, depth, images).items()}
        sides["matmul bfloat16"] = ceilings.matmul(torch.bfloat16, options.device)
        readings = interleave(sides, options.rounds)
        for name in list(sides)[:-1]:
            share = ratios(readings, name, "matmul bfloat16", ceilings.forward_flop(depth))
            found.append([f"ResNet-{depth}", name, spread(readings[name]), spread(share, ".1%")])
            all_readings[f"resnet{depth}, {name}"] = readings[name]
    header = ["network", f"inference, batches of {options.batch}", "images/s", "share of the bfloat16 matmul ceiling"]
    return table(header, found), all_readings


def inference_calls(options: Namespace, depth: int, images: Tensor) -> dict[str, Callable[[], object]]:
    """One batch through a network in several ways."""
    network = ours.network(depth, NORM, options.device).eval()
    compiled: nn.Module = torch.compile(network, fullgraph=True, dynamic=False)  # type: ignore[assignment]  # a Module

    def half(forward: nn.Module) -> Tensor:
        with torch.autocast(options.device.type, torch.bfloat16):
            return logits(forward, images)

    return {
        "float32": partial(logits, network, images),
        "bfloat16": partial(half, network),
        "bfloat16, compiled": partial(half, compiled),
    }


def training(options: Namespace) -> Part:
    """Nsbench's own training with full noise, by execution, in bfloat16."""
    data = ours.training_set(ours.random_images(min(options.images, 50_000)), options.device)
    found: list[list[str]] = []
    all_readings: Readings = {}
    for depth in options.networks:
        sides: dict[str, Side] = {}
        for execution in options.executions:
            network = ours.network(depth, NORM, options.device)
            whole = ours.run_noise(options.device, execution)
            work = ours.training(network, data, whole, options.images, "bfloat16", execution, options.batch)
            work()
            sides[execution] = partial(rate, options.device, work)
        sides["matmul"] = ceilings.matmul(torch.bfloat16, options.device)
        sides["copy"] = ceilings.copy(options.device, 2**30 if options.device.type == "cuda" else 2**24)
        readings = interleave(sides, options.rounds)
        found += training_rows(readings, depth, options.executions)
        all_readings |= {f"resnet{depth}, {name}": values for name, values in readings.items()}
    header = ["network", "training", "images/s", "share of the matmul ceiling", "share of the memory floor"]
    return table(header, found), all_readings


def training_rows(readings: Readings, depth: int, executions: Sequence[str]) -> list[list[str]]:
    """Table rows of one network."""
    moved = 1024 * (TRAINING_KIB + TRAINING_KIB_PER_SIX_LAYERS * (depth - 20) / 6)
    found = []
    for name in executions:
        arithmetic = ratios(readings, name, "matmul", ceilings.training_flop(depth))
        memory = ratios(readings, name, "copy", moved)
        found.append(
            [f"ResNet-{depth}", name, spread(readings[name]), spread(arithmetic, ".1%"), spread(memory, ".0%")]
        )
    return found


PARTS: dict[str, Callable[[Namespace], Part]] = {
    "checks": checks,
    "ceilings": device_ceilings,
    "noise": input_noise,
    "inference": inference,
    "training": training,
}


def options_from(arguments: Sequence[str] | None) -> Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--device", type=available_device, default="cuda", help="cpu only tries the script out")
    made.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="default: all")
    made.add_argument("--networks", nargs="+", type=resnet_depth, default=[20, 38], help="default: resnet20 resnet38")
    made.add_argument(
        "--executions", nargs="+", choices=ours.EXECUTIONS, default=list(ours.EXECUTIONS), help="ways of training"
    )
    made.add_argument("--batch", type=positive, default=ours.BATCH, help="images of a batch (default %(default)s)")
    made.add_argument("--repeats", type=positive, default=200, help="batches of a reading (default %(default)s)")
    made.add_argument(
        "--images", type=positive, default=204_800, help="images of a training reading (default %(default)s)"
    )
    return made.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts; exit with status 1 if one failed."""
    options = options_from(arguments)
    use_threads(options)
    prepare(options.device)
    done: dict[str, Readings] = {}
    failed = []
    print(described(options))
    for name in options.parts:
        torch.compiler.reset()  # a network compiled for one part counts towards no limit of the next
        try:
            text, done[name] = PARTS[name](options)
        except RuntimeError:
            failed.append(name)
            traceback.print_exc()
        else:
            print(f"\n{name}\n\n{text}", flush=True)
            save(options, done)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
