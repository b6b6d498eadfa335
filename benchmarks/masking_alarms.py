"""How often ordinary networks are flagged for gradient masking, over many draws of test images.

    python benchmarks/masking_alarms.py FOLDER...

A folder is a run or an evaluation whose networks hide nothing, with FGSM and stronger attacks among its predictions.
Each draw is a random part of the images; the attacks that were tried on fewer keep those of them that were drawn. The
exit status is 1 where more than 1 % of the draws are flagged.
"""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.masking import Outcomes, masking_signs, overshoots
from nsbench.predictions.store import load_labels
from nsbench.results.compare.sides import Side
from nsbench.results.measure.masking import outcomes_of
from nsbench.results.measure.predicted import Predicted
from nsbench.results.store import load_results

MOST = 0.01
"""Share of draws that may be flagged."""


@dataclass(frozen=True)
class Network:
    """What the attacks did to one network.

    Attributes:
        name: name of the network, after that of its folder.
        attacks: outcomes by name, each on the first images.
        zero_gradient: bool (N,).
        classes: K.
    """

    name: str
    attacks: Mapping[str, Outcomes]
    zero_gradient: NDArray[np.bool_]
    classes: int

    def flags(self, images: NDArray[np.intp]) -> tuple[list[str], bool]:
        """Kinds of signs on some images, in ascending order, and whether a rise is given as a footnote."""
        part = {
            name: Outcomes(one.epsilons, one.wrong[:, images[images < one.wrong.shape[1]]])
            for name, one in self.attacks.items()
        }
        signs = masking_signs(part, self.zero_gradient[images], self.classes)
        return [type(sign).__name__ for sign in signs], bool(overshoots(part, signs))


def networks(folder: Path) -> Iterator[Network]:
    """Every network of a run or an evaluation."""
    results = load_results(folder)
    classes = len(results.data.classes)
    labels = load_labels(folder, classes)
    for name in [str(one) for one in (*results.checkpoints, *results.models)]:
        config = Side(folder, results, name).config
        model = Predicted(folder, name, *labels, config, classes)
        zero = model.load("fgsm")["zero_gradient"]
        yield Network(f"{folder.name} {name}", outcomes_of(model, config), zero, classes)


def drawn(network: Network, size: int, draws: int) -> tuple[int, int, Counter[str]]:
    """Draws with a sign, draws with a footnote, and the kinds of the signs."""
    random, kinds, flagged, footnotes = np.random.default_rng(size), Counter[str](), 0, 0
    for _ in range(draws):
        images = np.sort(random.choice(len(network.zero_gradient), size, replace=False))
        signs, footnote = network.flags(images)
        kinds.update(signs)
        flagged += bool(signs)
        footnotes += footnote
    return flagged, footnotes, kinds


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each network and count of images; returns the exit status."""
    parser = ArgumentParser(description="How often ordinary networks are flagged for gradient masking.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a run or an evaluation")
    parser.add_argument("--draws", type=int, default=400, help="draws for each count of images; default: 400")
    options = parser.parse_args(arguments)
    print("| network | images | draws | flagged | footnote | signs |")
    print("|---|---:|---:|---:|---:|---|")
    total = flagged = 0
    for network in (one for folder in options.folders for one in networks(folder)):
        n = len(network.zero_gradient)
        for size in (n // 8, n // 4, n // 2, n):
            draws = options.draws if size < n else 1
            signs, footnotes, kinds = drawn(network, size, draws)
            flags = ", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "none"
            print(f"| {network.name} | {size} | {draws} | {signs} | {footnotes} | {flags} |", flush=True)
            total, flagged = total + draws, flagged + signs
    print(f"\n{flagged} of {total} draws are flagged: {100 * flagged / total:.2f} %.")
    return int(flagged > MOST * total)


if __name__ == "__main__":
    raise SystemExit(main())
