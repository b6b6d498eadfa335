"""Fidelity of the generators: the published ones and ours on the same real test images, compared and judged.

Exit status 1 means that a criterion is missed; each miss is named.
"""

import io
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import fidelity_table
import numpy as np
import public_resnets
import published_generators
import published_replay
import torch
from fidelity_cells import Cell, corruption_cells, perturbation_cells
from fidelity_comparison import Comparison
from fidelity_statistics import Agreement, Pixels, Summary, agreement, join, summarise
from fidelity_verdict import judge
from interleaved import positive
from numpy.typing import NDArray
from published_sets import PublishedSets

from nsbench.corruptions.corruptions import corrupt, corruption_set_version
from nsbench.corruptions.kinds.textures import read_textures
from nsbench.corruptions.perturbations import perturb, perturbation_set_version
from nsbench.data.images import ImageSet
from nsbench.data.load import load_dataset
from nsbench.files import write_bytes, write_text
from nsbench.metrics.perturbation import flip_probability

BATCH = 250


class Comparer:
    """Both sides' sets of the same clean images, and one network that looks at them."""

    def __init__(self, options: Namespace, test: ImageSet, network: public_resnets.PublicResNet) -> None:
        self._clean, self._labels, self._network = test.images, test.labels, network
        self._sets = PublishedSets(options.cache, options.published, test.images, options.affine)
        self._options = options
        self.photographs = read_textures(options.published / published_generators.CORRUPTIONS_SCRIPT.parent)

    def compare(self, cells: Sequence[Cell]) -> Iterator[Comparison]:
        """Compare set by set."""
        self._sets.make([(cell, seed) for cell in cells for seed in self._seeds(cell)], self._options.workers)
        for number, cell in enumerate(cells, start=1):
            yield self._compare(cell)
            print(f"compared {cell}: {number} of {len(cells)}", file=sys.stderr)

    def replay(self, cells: Sequence[Cell]) -> Iterator[tuple[str, Agreement]]:
        """How far our sequences, seed 0, are from published ones of the same random numbers; with their names."""
        generators = published_generators.load(self._options.published, self._options.affine)
        for cell in cells:
            if not cell.severity and cell.name in published_replay.REPLAYED:
                frames = [
                    published_replay.replay(generators, image, cell.name, index)
                    for index, image in enumerate(self._clean)
                ]
                yield cell.name, agreement(np.stack(frames), self._ours(cell, 0))
                print(f"replayed {cell}", file=sys.stderr)

    def _compare(self, cell: Cell) -> Comparison:
        seeds = self._seeds(cell)
        published = join([self._published(cell, seed) for seed in seeds])
        if cell.random:
            return Comparison(cell, published, join([self._summarise(cell, self._ours(cell, s)) for s in seeds]), None)
        ours = self._ours(cell, 0)
        return Comparison(cell, published, self._summarise(cell, ours), agreement(self._sets.read(cell, 0), ours))

    def _seeds(self, cell: Cell) -> range:
        first = self._options.first_seed
        return range(first, first + self._options.seeds) if cell.random else range(1)

    def _published(self, cell: Cell, seed: int) -> Summary:
        """Summary of a published set, kept beside it."""
        path = self._sets.path(cell, seed).with_suffix(f".{self._network.digest}.npz")
        if path.exists():
            with np.load(path) as saved:
                return Summary(**saved)
        found = self._summarise(cell, self._sets.read(cell, seed))
        file = io.BytesIO()
        np.savez(file, **asdict(found))
        write_bytes(path, file.getvalue())
        return found

    def _ours(self, cell: Cell, seed: int) -> Pixels:
        parts = []
        for start in range(0, len(self._clean), BATCH):
            images = torch.tensor(self._clean[start : start + BATCH])
            indices = torch.arange(start, start + len(images))
            if cell.severity:
                textures = self.photographs if cell.name == "frost" and not cell.variant else ()
                made = corrupt(images, cell.name, cell.severity, indices=indices, seed=seed, textures=textures)
            else:
                made = perturb(images, cell.name, indices=indices, seed=seed)
            parts.append(made.numpy())
        return np.concatenate(parts)

    def _summarise(self, cell: Cell, images: Pixels) -> Summary:
        return summarise(images, self._clean, self._score(cell, images))

    def _score(self, cell: Cell, images: Pixels) -> NDArray[np.float64]:
        """For each image whether it is misclassified; for each sequence the share of its frames that flip."""
        classes = self._network.classify(images.reshape(-1, *images.shape[-3:]))
        if cell.severity:
            return np.asarray(classes != self._labels, dtype=np.float64)
        each = np.eye(len(images))
        return np.asarray(flip_probability(classes.reshape(images.shape[:2]), cell.noise, each), dtype=np.float64)


def command_line() -> ArgumentParser:
    """The options."""
    made = ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    made.add_argument(
        "--published",
        type=published_generators.folder,
        required=True,
        metavar="DIR",
        help="checkout of hendrycks/robustness",
    )
    made.add_argument(
        "--resnets",
        type=public_resnets.folder,
        required=True,
        metavar="DIR",
        help="checkout of akamaster/pytorch_resnet_cifar10",
    )
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that holds CIFAR-10")
    made.add_argument("--cache", type=Path, required=True, metavar="DIR", help="where published images are kept")
    made.add_argument("--out", type=Path, metavar="FILE", help="page to write; printed unless given")
    made.add_argument("--network", choices=list(public_resnets.CORRECT), default="resnet20", help="default: resnet20")
    made.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="precision of the network (default: float32)",
    )
    made.add_argument(
        "--affine", choices=["0.2", "modern"], default="0.2", help="torchvision's convention (default: 0.2)"
    )
    made.add_argument("--images", type=positive, default=500, help="first test images (default: %(default)s)")
    made.add_argument("--seeds", type=positive, default=4, help="random sets on either side (default: %(default)s)")
    made.add_argument("--first-seed", type=int, default=0, metavar="N", help="default: 0")
    made.add_argument("--workers", type=positive, default=1, help="processes of the published code (default: 1)")
    made.add_argument("--threads", type=positive, help="threads of PyTorch")
    made.add_argument("--only", nargs="+", metavar="NAME", help="corruptions and perturbations; default: all")
    return made


def chosen(names: Sequence[str] | None) -> list[Cell]:
    """The sets to compare."""
    cells = corruption_cells() + perturbation_cells()
    unknown = set(names or ()) - {cell.name for cell in cells}
    if unknown:
        raise SystemExit(f"Unknown corruptions or perturbations: {', '.join(sorted(unknown))}.")
    return [cell for cell in cells if not names or cell.name in names]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, write the page, and say what is missed."""
    options = command_line().parse_args(arguments)
    cells = chosen(options.only)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    test = load_dataset("cifar10", options.data).test
    network = public_resnets.PublicResNet(options.resnets, options.network, options.precision)
    network.check(test)
    comparer = Comparer(options, test.select(np.arange(options.images)), network)
    comparisons = list(comparer.compare(cells))
    replayed = dict(comparer.replay(cells))
    verdict = judge(comparisons, replayed)
    sets = (corruption_set_version(), corruption_set_version(comparer.photographs), perturbation_set_version())
    write(options, fidelity_table.page(comparisons, replayed, verdict, facts(options, sets)))
    for miss in verdict.misses:
        print(f"missed: {miss}", file=sys.stderr)
    return 1 if verdict.misses else 0


def facts(options: Namespace, sets: tuple[str, ...]) -> fidelity_table.Facts:
    """What the page says of the comparison."""
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    versions = published_generators.versions()
    network = f"{options.network} in {options.precision}"
    return fidelity_table.Facts(options.images, seeds, network, options.affine, sets, versions)


def write(options: Namespace, page: str) -> None:
    """Write or print the page."""
    if options.out is None:
        print(page)
    else:
        write_text(options.out, page)


if __name__ == "__main__":
    sys.exit(main())
