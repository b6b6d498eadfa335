"""Making CIFAR-10-C and -P: nsbench in batches against the published generators image by image, in turn.

One process, real images in memory, nothing written; all severities of a corruption alike. A unit is an image of
CIFAR-10-C or a sequence of CIFAR-10-P. The published side gets the images as its functions take them.
"""

import warnings
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
import published_generators
import torch
from fidelity_cells import Cell, corruption_cells, perturbation_cells
from fidelity_statistics import Pixels, agreement
from fidelity_verdict import LARGEST_DIFFERENCE
from interleaved import (
    Readings,
    available_device,
    interleave,
    parser,
    positive,
    ratios,
    report,
    spread,
    synchronize,
    table,
    timed_for,
    use_threads,
)
from PIL import Image
from published_generators import PublishedGenerators

from nsbench.corruptions.corruptions import corrupt
from nsbench.corruptions.perturbations import perturb
from nsbench.data.load import load_dataset

Work = Callable[[], int]
CPU = torch.device("cpu")
CHECKED = 5
"""Images that are compared before anything is timed."""
SET = {True: "CIFAR-10-C", False: "CIFAR-10-P"}


def ours(cells: Sequence[Cell], images: Pixels, device: torch.device, batch: int) -> Work:
    """Every one of `cells`, which share a name, made of a batch; images repeat where they are fewer."""
    positions = torch.arange(batch)
    pixels = torch.tensor(images)[positions % len(images)].to(device)
    indices = positions.to(device)

    def work() -> int:
        for cell in cells:
            generate(cell, pixels, indices)
        synchronize(device)
        return batch * len(cells)

    return work


def generate(cell: Cell, pixels: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Our version of a batch."""
    if cell.severity:
        return corrupt(pixels, cell.name, cell.severity, indices=indices)
    return perturb(pixels, cell.name, indices=indices)


def published(code: PublishedGenerators, cells: Sequence[Cell], images: Pixels) -> Work:
    """The published function of every one of `cells`, image after image: one image a call."""
    name, severities = cells[0].name, [cell.severity for cell in cells]
    pictures = cycle([Image.fromarray(image) for image in images])
    arrays = cycle(images)

    def corruption() -> int:
        picture = next(pictures)
        for severity in severities:
            np.uint8(code.corruptions[name](picture, severity))
        return len(severities)

    def sequence() -> int:
        np.array(code.perturbations[name](next(arrays))).astype(np.uint8)
        return 1

    return corruption if severities[0] else sequence


def check_equal(code: PublishedGenerators, cells: Sequence[Cell], images: Pixels) -> None:
    """Where nothing is random, both sides make the same images, to a level."""
    some = images[:CHECKED]
    for cell in cells:
        if not cell.random:
            mine = generate(cell, torch.tensor(some), torch.arange(len(some))).numpy()
            theirs = [
                code.corrupt(image, cell.name, cell.severity) if cell.severity else code.sequence(image, cell.name)
                for image in some
            ]
            apart = agreement(np.stack(theirs), mine)
            if apart.largest > LARGEST_DIFFERENCE:
                raise SystemExit(f"{cell} differs by up to {apart.largest} levels: the sides do not do the same work.")


def grouped(names: Sequence[str] | None) -> dict[str, list[Cell]]:
    """The cells of each corruption and perturbation, by a title such as `CIFAR-10-C fog`."""
    found: dict[str, list[Cell]] = {}
    for cell in corruption_cells() + perturbation_cells():
        if not cell.variant and (not names or cell.name in names):
            found.setdefault(f"{SET[cell.severity > 0]} {cell.name}", []).append(cell)
    if not found:
        raise SystemExit("--only names no corruption and no perturbation.")
    return found


def works(options: Namespace, groups: Mapping[str, Sequence[Cell]], images: Pixels) -> dict[str, Work]:
    """What is measured: of each group the published side, if there is one, and ours on each device."""
    code = None if options.published is None else published_generators.load(options.published)
    found: dict[str, Work] = {}
    for title, cells in groups.items():
        if code is not None:
            check_equal(code, cells, images)
            found[f"{title}, published"] = published(code, cells, images)
        found[f"{title}, ours cpu"] = ours(cells, images, CPU, options.batch)
        if options.device.type != "cpu":
            found[f"{title}, ours {options.device}"] = ours(cells, images, options.device, options.device_batch)
    return found


def whole(readings: Readings, titles: Sequence[str], side: str) -> list[float]:
    """Units per second of a whole set in each round, each group equally often."""
    rounds = zip(*(readings[f"{title}, {side}"] for title in titles), strict=True)
    return [len(titles) / sum(1 / rate for rate in rates) for rates in rounds]


def rows(readings: Readings, titles: Sequence[str], sides: Sequence[str]) -> list[list[str]]:
    """A row for each group, then one for the set."""
    label = "all of these"
    extended = readings | {f"{label}, {side}": whole(readings, titles, side) for side in sides}
    found = []
    for title in [*titles, label]:
        rates = [spread(extended[f"{title}, {side}"]) for side in sides]
        found.append([title.partition(" ")[2] if title in titles else label, *rates])
        if sides[0] == "published":
            over = [spread(ratios(extended, f"{title}, {side}", f"{title}, published"), ".1f") for side in sides[1:]]
            found[-1] += over
        share = [single / len(titles) for single in ratios(extended, f"{label}, ours cpu", f"{title}, ours cpu")]
        found[-1].append(spread(share, ".1%") if title in titles else "")
    return found


def tables(readings: Readings, titles: Sequence[str], options: Namespace) -> dict[str, str]:
    """A table for each set."""
    sides = list(dict.fromkeys(name.rpartition(", ")[2] for name in readings))
    over = [f"{side} / published" for side in sides[1:]] if sides[0] == "published" else []
    header = ["", *(f"{side}, units/s" for side in sides), *over, "share of our time on the cpu"]
    found = {}
    for name in SET.values():
        chosen = [title for title in titles if title.startswith(name)]
        if chosen:
            heading = f"{name}, {options.rounds} rounds: median (lowest to highest)"
            found[heading] = table(header, rows(readings, chosen, sides))
    if not over:
        found = {f"{heading}; published not measured: --published names no folder": found[heading] for heading in found}
    return found


def options_from(arguments: Sequence[str] | None) -> Namespace:
    """The command line."""
    made = parser(__doc__, threads=1)
    made.add_argument(
        "--published", type=published_generators.folder, metavar="DIR", help="checkout of hendrycks/robustness"
    )
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that holds CIFAR-10")
    made.add_argument("--device", type=available_device, default="cpu", help="cuda measures it beside the CPU")
    made.add_argument("--batch", type=positive, default=250, help="images of a batch on the CPU (default %(default)s)")
    made.add_argument("--device-batch", type=positive, default=5000, help="elsewhere (default %(default)s)")
    made.add_argument("--images", type=positive, default=500, help="first test images (default %(default)s)")
    made.add_argument("--seconds", type=float, default=1.0, help="least length of a reading (default %(default)s)")
    made.add_argument("--only", nargs="+", metavar="NAME", help="corruptions and perturbations; default: all")
    return made.parse_args(arguments)


def use_one_thread_in_opencv() -> None:
    """The published code works on one image; threads would only get in each other's way."""
    import cv2  # type: ignore[import-not-found]  # only the published side needs it

    cv2.setNumThreads(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = options_from(arguments)
    use_threads(options)
    if options.published is not None:
        use_one_thread_in_opencv()
    np.random.seed(0)  # noqa: NPY002 - the published code draws from the global generator
    images = load_dataset("cifar10", options.data).test.images[: options.images]
    groups = grouped(options.only)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = works(options, groups, images)
        for work in found.values():
            work()
        sides = {name: partial(timed_for, options.seconds, work) for name, work in found.items()}
        readings = interleave(sides, options.rounds)
    report(options, tables(readings, list(groups), options), readings)


if __name__ == "__main__":
    main()
