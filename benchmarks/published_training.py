"""Training with full noise: nsbench against the published code, each in a warm process, chunks of images in turn.

Timed on both sides: everything from choosing the images of a batch to the optimiser's step, and the reading of the
loss. Full noise: RandAugment (N = 2, M = 27), crop, flip; stochastic depth 0.8, dropout 0.5; batches of 512.
"""

import multiprocessing
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import ceilings
import ours
import published
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

from nsbench.data.images import Dataset, ImageSet
from nsbench.data.load import load_dataset
from nsbench.devices import prepare

Build = Callable[[Namespace, int, ours.Precision], Callable[[], int]]


def published_side(options: Namespace, depth: int, precision: ours.Precision) -> Callable[[], int]:
    """The published loop, warm; first it is made sure that both networks are the same function."""
    del precision
    data, chunk = read(options)
    code = published.load(options.published)
    check_networks_agree(code, depth, data)
    network = code.network(depth, survival=0.8, dropout=0.5).to(options.device).train()
    norm = (data.mean, data.std)
    first = chunk.select(torch.arange(published.BATCH).numpy())
    published.training(code, network, first, norm, options.workers, options.device)()
    return published.training(code, network, chunk, norm, options.workers, options.device)


def our_side(options: Namespace, depth: int, precision: ours.Precision) -> Callable[[], int]:
    """Our training, warm."""
    prepare(options.device)
    data, chunk = read(options)
    network = ours.network(depth, (data.mean, data.std), options.device)
    resident, noise = ours.training_set(chunk, options.device), ours.run_noise(options.device, options.execution)

    def training(images: int) -> Callable[[], int]:
        return ours.training(network, resident, noise, images, precision, options.execution)

    training(ours.BATCH)()
    return training(len(chunk))


def read(options: Namespace) -> tuple[Dataset, ImageSet]:
    """CIFAR-10, and as many of its first training images as a chunk has."""
    data = load_dataset("cifar10", options.data)
    return data, data.train.select(torch.arange(options.images).numpy())


def check_networks_agree(code: published.PublishedCode, depth: int, data: Dataset) -> None:
    """Equal weights give equal logits at inference, and equal gradients without model noise."""
    norm = (data.mean, data.std)
    mine = ours.network(depth, norm, torch.device("cpu"), ours.NO_MODEL_NOISE)
    theirs = code.network(depth, survival=1.0, dropout=0.0)
    weights = {key: value for key, value in mine.state_dict().items() if not key.startswith("normalize.")}
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights.values(), strict=True)))
    pixels = torch.tensor(data.train.images[:64]).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in norm)
    labels = torch.tensor(data.train.labels[:64])
    for network, images in ((mine.train(), pixels), (theirs.train(), (pixels - mean) / std)):
        torch.nn.functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(mine.eval()(pixels), theirs.eval()((pixels - mean) / std), rtol=1e-4, atol=1e-4)


class Process:
    """A side in a process of its own, which makes itself ready and then times one chunk each time it is called."""

    def __init__(self, build: Build, options: Namespace, depth: int, precision: ours.Precision) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, build, options, depth, precision))
        self.process.start()
        theirs.close()
        self._answer()

    def __call__(self) -> float:
        """Images per second of one chunk."""
        self.line.send(True)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self.line.close()
        self.process.join()

    def _answer(self) -> float:
        try:
            return float(self.line.recv())
        except EOFError:
            sys.exit("A side failed; its error stands above.")


def serve(line: Connection, build: Build, options: Namespace, depth: int, precision: ours.Precision) -> None:
    """The process behind a side."""
    use_threads(options)
    torch.manual_seed(0)
    chunk = build(options, depth, precision)
    line.send(0.0)
    while True:
        try:
            line.recv()
        except EOFError:
            return
        line.send(rate(options.device, chunk))


def measure(options: Namespace, depth: int) -> Readings:
    """Readings for one network: images per second, and FLOP/s of the matrix products."""
    processes = {"published": Process(published_side, options, depth, "float32")}
    for precision in options.precisions:
        processes[f"ours {precision}"] = Process(our_side, options, depth, precision)
    sides: dict[str, Side] = dict(processes)
    for precision in options.precisions:
        sides[f"matmul {precision}"] = ceilings.matmul(ours.DTYPES[precision], options.device)
    try:
        return interleave(sides, options.rounds)
    finally:
        for process in processes.values():
            process.close()


def rows(readings: Readings, depth: int) -> list[list[str]]:
    """Table rows of one network."""
    flop = ceilings.training_flop(depth)
    name = f"ResNet-{depth}"
    found = [[name, "published", spread(readings["published"]), "", ""]]
    for side in readings:
        if side.startswith("ours "):
            share = ratios(readings, side, side.replace("ours", "matmul"), flop)
            ratio = spread(ratios(readings, side, "published"), ".2f")
            found.append([name, side, spread(readings[side]), ratio, spread(share, ".0%")])
    return found


def options_from(arguments: Sequence[str] | None) -> Namespace:
    """The command line."""
    made: ArgumentParser = parser(__doc__, threads=2)
    made.add_argument("--published", type=published.folder, required=True, metavar="DIR", help="the published code")
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that holds CIFAR-10")
    made.add_argument("--networks", nargs="+", type=resnet_depth, default=[20, 38], help="default: resnet20 resnet38")
    made.add_argument("--images", type=positive, default=5120, help="images of a chunk (default %(default)s)")
    made.add_argument(
        "--workers", type=positive, default=2, help="workers of the published loader (default %(default)s)"
    )
    made.add_argument("--device", type=available_device, default="cpu", help="cpu or cuda (default %(default)s)")
    made.add_argument(
        "--precisions",
        nargs="+",
        choices=list(ours.DTYPES),
        default=list(ours.DTYPES),
        help="precisions of our side; default: both",
    )
    made.add_argument("--execution", choices=ours.EXECUTIONS, default="eager", help="execution of our side")
    options = made.parse_args(arguments)
    options.images = -(-options.images // ours.BATCH) * ours.BATCH
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = options_from(arguments)
    use_threads(options)
    readings = {depth: measure(options, depth) for depth in options.networks}
    header = ["network", "side", "images/s", "ours / published", "share of the matmul ceiling"]
    found = [row for depth, taken in readings.items() for row in rows(taken, depth)]
    title = f"Training, {options.images} images a chunk, {options.rounds} rounds: median (lowest to highest)"
    report(options, {title: table(header, found)}, {f"resnet{depth}": taken for depth, taken in readings.items()})


if __name__ == "__main__":
    main()
