"""CIFAR-10-C and -P: nsbench against the published analysis, many networks at once, and generated images.

Parts: `files` (the same arrays on disk, equal networks, both sides), `models` (several networks in one evaluation, and
in one each), `generated` (images made on the device and shown to one network; how long the full sets would take).

Timed on our side is everything from the opening of the files to the last prediction on disk, on the published side its
functions `analysis_model_corrupted` and `analysis_model_perturbated`. The sides share a process, so what nsbench does
to keep freed memory serves the published side too.
"""

import importlib
import tempfile
import warnings
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import evaluation
import numpy as np
import published
from evaluation import Ours, Predictions, Shown, ceiling_share, check_equal, compared, measured
from interleaved import (
    Readings,
    Side,
    available_device,
    described,
    parser,
    positive,
    rate,
    resnet_depth,
    save,
    spread,
    table,
    use_threads,
)
from numpy.typing import NDArray
from torch import nn
from torchvision import transforms  # type: ignore[import-untyped]  # torchvision ships no types

from nsbench.corruptions.corruptions import GENERATED_CORRUPTIONS
from nsbench.corruptions.perturbations import GENERATED_PERTURBATIONS
from nsbench.data.images import Dataset
from nsbench.devices import prepare
from nsbench.models.in_memory import InMemory
from nsbench.networks.classifier import Classifier
from nsbench.predictions.store import corruption_cell, perturbation_cell
from nsbench.protocols.cifar import CIFAR10_C

SEVERITIES = CIFAR10_C.severities

BATCH = 512
"""Images of a batch of the published analysis: the default of its command line."""
SOME_CORRUPTIONS, SOME_PERTURBATIONS = ("fog", "jpeg_compression"), ("brightness",)
FULL = Shown(GENERATED_CORRUPTIONS, GENERATED_PERTURBATIONS, 10_000)
FIRST = 20
"""Images that are classified on the CPU too before another device is timed."""
Part = tuple[str, Readings]


class Published:
    """The published analysis of one network, on arrays in files.

    Args:
        code: the published code.
        network: ours, whose weights it gets.
        sets: folder of `CIFAR-10-C` and `CIFAR-10-P`.
        norm: channel means and deviations.
        options: the command line.
    """

    def __init__(
        self, code: published.PublishedCode, network: Classifier, sets: Path, norm: published.Norm, options: Namespace
    ) -> None:
        self._analysis: Any = importlib.import_module("analysis")
        self._network = with_weights_of(network, code.network(options.network, survival=0.8, dropout=0.5))
        self._network.to(options.device).eval()
        self._transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(*norm)])
        self._sets, self._device = sets, options.device

    def side(self, shown: Shown, workers: int) -> Side:
        """Images per second of the corruptions or of the perturbations, whichever are shown."""
        return partial(rate, self._device, partial(self._analyse, shown, workers))

    def predictions(self, shown: Shown) -> Predictions:
        """What its loop predicts for every image, in our cells."""
        found: list[NDArray[np.int64]] = []
        predict = self._analysis.predict_model

        def recorded(*arguments: Any) -> NDArray[np.int64]:
            found.append(predict(*arguments))
            return found[-1]

        self._analysis.predict_model = recorded
        try:
            self._analyse(shown, 0)
        finally:
            self._analysis.predict_model = predict
        # It takes the files by their sorted names. Of sequences it takes all first frames, then all second ones.
        if shown.corruptions:
            return {
                corruption_cell(name, severity): block
                for name, blocks in zip(sorted(shown.corruptions), found, strict=True)
                for severity, block in zip(SEVERITIES, blocks.reshape(len(SEVERITIES), -1), strict=True)
            }
        return {
            perturbation_cell(name): frames.reshape(-1, shown.images).T
            for name, frames in zip(sorted(shown.perturbations), found, strict=True)
        }

    def _analyse(self, shown: Shown, workers: int) -> int:
        """One pass over a set; what it logs is right for 10,000 images only, so it is ignored."""
        analyse, title = (
            (self._analysis.analysis_model_corrupted, "CIFAR-10-C")
            if shown.corruptions
            else (self._analysis.analysis_model_perturbated, "CIFAR-10-P")
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            analyse(
                self._network,
                str(self._sets / title),
                self._transform,
                self._device,
                batch_size=BATCH,
                num_workers=workers,
                log={},
            )
        return shown.count


def with_weights_of(network: Classifier, theirs: nn.Module) -> nn.Module:
    """The published network with the weights of ours; its tensors come in the same order."""
    weights = {key: value for key, value in network.state_dict().items() if not key.startswith("normalize.")}
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights.values(), strict=True)))
    return theirs


def arrays_only(sets: Path) -> Path:
    """A folder with links to the arrays of both sets and nothing else: the published code reads every file it finds."""
    plain = sets / "arrays"
    for array in sets.glob("CIFAR-10-*/*.npy"):
        link = plain / array.relative_to(sets)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(array.resolve())
    return plain


def files(options: Namespace, data: Dataset, folder: Path) -> Part:
    """Both sides on the same files."""
    shown = some(options)
    evaluation.write_sets(shown, folder, options.data, options.device)
    network = evaluation.trained(options.network, data)
    subjects, mine = [InMemory("network", network, inside=True)], Ours(data, "official", folder, options.device)
    code = None if options.published is None else published.load(options.published)
    theirs = None if code is None else Published(code, network, arrays_only(folder), (data.mean, data.std), options)
    sides: dict[str, Side] = {}
    for title, part in shown.parts().items():
        if theirs is not None:
            (predicted,) = mine.predictions(subjects, part)
            print(check_equal(f"{title}, ours and published", predicted, theirs.predictions(part)))
            for workers in options.workers:
                sides[f"{title}, published, {workers} workers"] = theirs.side(part, workers)
        sides[f"{title}, ours"] = mine.side(subjects, part)
    readings = measured(sides, options)
    bases = {name: f"{name[:10]}, ours" for name in sides}
    return compared(readings, bases, options, "images", "ours / this side", inverse=True), readings


def models(options: Namespace, data: Dataset, folder: Path) -> Part:
    """Several networks in one evaluation, and each in one of its own."""
    shown = some(options)
    evaluation.write_sets(shown, folder, options.data, options.device)
    subjects = [
        InMemory(f"network{seed}", evaluation.trained(options.network, data, seed), inside=True)
        for seed in range(options.models)
    ]
    sides: dict[str, Side] = {}
    kinds: dict[str, evaluation.Kind] = {"from files": "official", "generated": "generated"}
    for name, kind in kinds.items():
        mine = Ours(data, kind, folder, options.device)
        apart = mine.predictions(subjects, shown, together=False)
        for subject, one, other in zip(subjects, mine.predictions(subjects, shown), apart, strict=True):
            print(check_equal(f"{name}, {subject.name} with others and alone", one, other))
        sides[f"{name}, in one each"] = mine.side(subjects, shown, together=False)
        sides[f"{name}, in one"] = mine.side(subjects, shown)
    readings = measured(sides, options)
    bases = {name: f"{name.removesuffix(' each')} each" for name in sides}
    title = f"evaluations of {options.models} networks"
    return compared(readings, bases, options, title, "over one each"), readings


def generated(options: Namespace, data: Dataset, folder: Path) -> Part:
    """One network on images made on the device, and the seconds that the full sets would take at that speed."""
    names = options.corruptions or FULL.corruptions, options.perturbations or FULL.perturbations
    shown = Shown(*names, options.images)
    subjects = [InMemory("network", evaluation.trained(options.network, data), inside=True)]
    mine, few = Ours(data, "generated", folder, options.device), replace(shown, images=min(FIRST, options.images))
    (expected,) = Ours(data, "generated", folder, evaluation.CPU).predictions(subjects, few)
    print(check_equal(f"{options.device.type} and CPU", mine.predictions(subjects, few)[0], expected))
    sides = {title: mine.side(subjects, part) for title, part in shown.parts().items()}
    if options.device.type == "cuda":  # what it does first it does slowly, and only once
        for side in sides.values():
            side()
    readings = measured(sides, options)
    return full_sets(readings, options), readings


def full_sets(readings: Readings, options: Namespace) -> str:
    """A table of the seconds that the full sets take at the speeds read, one by one and together."""
    found: list[list[str]] = []
    taken: list[list[float]] = []
    full = FULL.parts()
    for title in readings.keys() & full.keys():
        count = full[title].count
        taken.append([count / speed for speed in readings[title]])
        share = ceiling_share(readings, title, options)
        found.append([title, spread(readings[title]), share, f"{count:,}", spread(taken[-1], ".1f")])
    total = [sum(times) for times in zip(*taken, strict=True)]
    header = ["set", "images/s", "share of the matmul ceiling", "images of the full set", "seconds for them"]
    return table(header, [*sorted(found), ["together", "", "", f"{FULL.count:,}", spread(total, ".1f")]])


def some(options: Namespace) -> Shown:
    """What is shown where files are written."""
    names = options.corruptions or SOME_CORRUPTIONS, options.perturbations or SOME_PERTURBATIONS
    return Shown(*names, options.images)


PARTS: dict[str, Callable[[Namespace, Dataset, Path], Part]] = {
    "files": files,
    "models": models,
    "generated": generated,
}


def workers(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def options_from(arguments: Sequence[str] | None) -> Namespace:
    """The command line."""
    made = parser(__doc__, rounds=3, threads=None)
    made.add_argument("--published", type=published.folder, metavar="DIR", help="the published code; none: ours only")
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that holds CIFAR-10")
    made.add_argument("--parts", nargs="+", choices=list(PARTS), default=["files"], help="default: files")
    made.add_argument("--network", type=resnet_depth, default=20, help="default: resnet20")
    made.add_argument("--images", type=positive, default=500, help="first test images (default %(default)s)")
    for kind, known in (("corruptions", GENERATED_CORRUPTIONS), ("perturbations", GENERATED_PERTURBATIONS)):
        made.add_argument(f"--{kind}", nargs="+", choices=known, metavar="NAME", help="default: few; all if generated")
    made.add_argument(
        "--workers", nargs="+", type=workers, default=[2, 0], help="workers of the published loader; default: 2 0"
    )
    made.add_argument("--models", type=positive, default=3, help="networks of the part models (default %(default)s)")
    made.add_argument("--device", type=available_device, default="cpu", help="cpu or cuda (default %(default)s)")
    options = made.parse_args(arguments)
    options.corruptions, options.perturbations = tuple(options.corruptions or ()), tuple(options.perturbations or ())
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, part by part."""
    options = options_from(arguments)
    use_threads(options)
    prepare(options.device)
    data = evaluation.read(options.data, options.images)
    print(described(options))
    done: dict[str, Readings] = {}
    for name in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            text, done[name] = PARTS[name](options, data, Path(folder))
        title = f"{name}: ResNet-{options.network}, {options.images} test images, {options.rounds} rounds"
        print(f"\n{title}: median (lowest to highest)\n\n{text}", flush=True)
        save(options, done)


if __name__ == "__main__":
    main()
