"""CIFAR-10-C: nsbench's evaluation against RobustBench's loop, which loads a file anew for every severity.

Its function `corruptions_evaluation` runs from a checkout of the public repository RobustBench/robustbench, with its
own loader and its own count of right answers. What it imports for attacks, downloads and its model zoo alone is left
out. Two obstacles are cleared: the loop calls an argument of its loader of CIFAR-10-C by a name that the loader does
not know, and at the end it divides by the results of a network called AlexNet, which are not among those it has for
CIFAR-10, so our network bears this name. The loader takes files of all 10,000 test images, so parts of such are shown.
"""

import contextlib
import copy
import importlib
import io
import sys
import tempfile
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import evaluation
import torch
from evaluation import Ours, Predictions, Shown, check_equal, compared, measured
from interleaved import (
    Side,
    available_device,
    parser,
    positive,
    rate,
    report,
    resnet_depth,
    use_threads,
)
from torch import nn

from nsbench.corruptions.corruptions import GENERATED_CORRUPTIONS
from nsbench.devices import prepare
from nsbench.models.in_memory import InMemory

TEST_IMAGES = 10_000
LEFT_OUT: dict[str, dict[str, Any]] = {
    "autoattack": {"AutoAttack": None},
    "autoattack.state": {"EvaluationState": None},
    "gdown": {},
    "requests": {},
    "timm": {},
    "tqdm": {"tqdm": iter},
    "robustbench.loaders": {"CustomImageFolder": None},
    "robustbench.zenodo_download": {"DownloadError": OSError, "zenodo_download": None},
}


class RobustBench:
    """Its loop over corruptions and severities, with one network.

    Args:
        checkout: checkout of the repository.
        network: takes images in [0, 1].
        sets: folder that holds `CIFAR-10-C`.
        options: the command line.
    """

    def __init__(self, checkout: Path, network: nn.Module, sets: Path, options: Namespace) -> None:
        self._code = load(checkout)
        plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        self._network: nn.Module = plain.to(options.device).eval()
        self._sets, self._device, self._batch = sets, options.device, options.batch

    def side(self, shown: Shown) -> Side:
        """Images per second of all corruptions shown."""
        return partial(rate, self._device, partial(self._measure, shown))

    def predictions(self, shown: Shown) -> Predictions:
        """What its loop predicts, in our cells."""
        found: list[torch.Tensor] = []
        handle = self._network.register_forward_hook(lambda *call: found.append(call[-1].argmax(1).cpu()))
        try:
            self._measure(shown)
        finally:
            handle.remove()
        blocks = torch.cat(found).reshape(len(shown.cells), shown.images).numpy()
        return dict(zip(shown.cells, blocks, strict=True))

    def _measure(self, shown: Shown) -> int:
        code = self._code
        data, threat = code.BenchmarkDataset.cifar_10, code.ThreatModel.corruptions
        code.CORRUPTIONS_DICT[data][threat] = shown.corruptions
        with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty), contextlib.redirect_stdout(io.StringIO()):
            code.corruptions_evaluation(
                self._batch,
                str(self._sets),
                data,
                threat,
                self._device,
                self._network,
                shown.images,
                to_disk=False,
                prepr=None,
                model_name="AlexNet",
            )
        return shown.count


def load(checkout: Path) -> Any:
    """Its module `robustbench.eval`."""
    modules = {name: _module(name, **content) for name, content in LEFT_OUT.items()}
    for name in ("robustbench", "robustbench.model_zoo"):
        modules[name] = _module(name, __path__=[str(checkout.joinpath(*name.split(".")))], model_dicts={})
    with standing_in(modules):
        code: Any = importlib.import_module("robustbench.eval")
    loaders = code.CORRUPTION_DATASET_LOADERS[code.BenchmarkDataset.cifar_10]
    loader = loaders[code.ThreatModel.corruptions]
    loaders[code.ThreatModel.corruptions] = lambda *arguments, prepr, **named: loader(*arguments, _=prepr, **named)
    return code


@contextlib.contextmanager
def standing_in(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """Let an import find these modules; afterwards their names mean what they meant before."""
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)


def _module(name: str, **content: Any) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update({"__path__": [], **content})
    return made


def checkout_folder(text: str) -> Path:
    """The folder of RobustBench, for a command line."""
    path = Path(text).expanduser().resolve()
    if not (path / "robustbench" / "eval.py").is_file():
        raise ArgumentTypeError(
            f"{text} holds no robustbench/eval.py: clone the public repository RobustBench/robustbench"
        )
    return path


def corrupted(options: Namespace, folder: Path) -> Path:
    """`folder`, with CIFAR-10-C in it, or with a link to where such sets are kept."""
    full = Shown(tuple(options.corruptions), (), TEST_IMAGES)
    evaluation.write_sets(full, options.sets or folder, options.data, options.device)
    if options.sets:
        (folder / "CIFAR-10-C").symlink_to((options.sets / "CIFAR-10-C").resolve())
    return folder


def options_from(arguments: Sequence[str] | None) -> Namespace:
    """The command line."""
    made = parser(__doc__, rounds=3)
    made.add_argument("--robustbench", type=checkout_folder, metavar="DIR", help="its checkout; without one, ours only")
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that holds CIFAR-10")
    made.add_argument("--sets", type=Path, metavar="DIR", help="folder that keeps the generated CIFAR-10-C")
    made.add_argument("--network", type=resnet_depth, default=20, help="default: resnet20")
    made.add_argument(
        "--corruptions", nargs="+", choices=GENERATED_CORRUPTIONS, default=["fog", "jpeg_compression"], metavar="NAME"
    )
    made.add_argument("--images", type=positive, default=1000, help="images of each cell (default %(default)s)")
    made.add_argument("--batch", type=positive, default=500, help="batch of its loop (default %(default)s, its own)")
    made.add_argument("--device", type=available_device, default="cpu", help="cpu or cuda (default %(default)s)")
    return made.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = options_from(arguments)
    use_threads(options)
    prepare(options.device)
    shown = Shown(tuple(options.corruptions), (), options.images)
    data = evaluation.read(options.data, TEST_IMAGES)
    network = evaluation.trained(options.network, data)
    subjects = [InMemory("network", network, inside=True)]
    sides: dict[str, Side] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = corrupted(options, Path(name))
        mine = Ours(data, "official", folder, options.device)
        if options.robustbench is not None:
            theirs = RobustBench(options.robustbench, network, folder, options)
            print(check_equal("ours and RobustBench", mine.predictions(subjects, shown)[0], theirs.predictions(shown)))
            sides["RobustBench"] = theirs.side(shown)
        sides["ours"] = mine.side(subjects, shown)
        readings = measured(sides, options)
    title = f"CIFAR-10-C, {shown.images} images a cell, ResNet-{options.network}, {options.rounds} rounds"
    bases = dict.fromkeys(sides, "ours")
    text = compared(readings, bases, options, "side", "ours / this side", inverse=True)
    report(options, {f"{title}: median (lowest to highest)": text}, readings)


if __name__ == "__main__":
    main()
