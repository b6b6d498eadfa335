"""What the published generators make of the first test images, kept on disk: made once, image by image.

Each image has seeds of its own, so neither the number of processes nor the order can change a set.
"""

import hashlib
import io
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import published_generators
import torch
from fidelity_cells import Cell
from published_generators import Convention, Pixels

from nsbench.files import write_bytes, write_text
from nsbench.seeds import derive_seed

_ADAPTATION = 1
"""Counts changes of `published_generators` that change an image."""


class PublishedSets:
    """Sets on disk, in a folder named after all that their pixels depend on.

    Args:
        cache: where that folder lies.
        checkout: checkout of the published code.
        images: the clean images, uint8 (N, 32, 32, 3).
        convention: convention of the affine transform.
    """

    def __init__(self, cache: Path, checkout: Path, images: Pixels, convention: Convention) -> None:
        self.images, self._checkout, self._convention = images, checkout, convention
        origin = {
            "adaptation": _ADAPTATION,
            "scripts": _digest(*(text.encode() for text in published_generators.script_texts(checkout))),
            "images": _digest(images.tobytes()),
            "convention": convention,
            "versions": published_generators.versions(),
        }
        text = json.dumps(origin, indent=1) + "\n"
        self.folder = cache / _digest(text.encode())
        write_text(self.folder / "origin.json", text)

    def make(self, wanted: Iterable[tuple[Cell, int]], workers: int) -> None:
        """Make the sets, each of a cell and a seed, that are not there yet."""
        files = {self.path(cell, seed): (cell, seed) for cell, seed in wanted}
        missing = [made_of for path, made_of in files.items() if not path.exists()]
        with ProcessPoolExecutor(workers) as pool:
            jobs = [pool.submit(self._make, cell, seed) for cell, seed in missing]
            for number, ((cell, seed), job) in enumerate(zip(missing, jobs, strict=True), start=1):
                job.result()
                print(f"published {cell}, seed {seed}: {number} of {len(missing)}", file=sys.stderr)

    def read(self, cell: Cell, seed: int) -> Pixels:
        """uint8 (N, 32, 32, 3), or (N, T, 32, 32, 3) for a perturbation; `make` has made it."""
        with np.load(self.path(cell, seed)) as saved:
            images: Pixels = saved["images"]
        return images

    def path(self, cell: Cell, seed: int) -> Path:
        """The file of one set."""
        return self.folder / f"{cell.name}-{cell.severity or 'sequences'}-{seed}.npz"

    def _make(self, cell: Cell, seed: int) -> None:
        """Make one set, in a process of its own."""
        import cv2  # type: ignore[import-not-found]  # only the published code needs it

        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        generators = _generators(self._checkout, self._convention)
        made = []
        for index, image in enumerate(self.images):
            number = derive_seed(cell.name, cell.severity, seed, index) % 2**32
            np.random.seed(number)  # noqa: NPY002 - the published code draws from the global generator
            torch.manual_seed(number)
            if cell.severity:
                made.append(generators.corrupt(image, cell.name, cell.severity))
            else:
                made.append(generators.sequence(image, cell.name))
        file = io.BytesIO()
        np.savez(file, images=np.stack(made))
        write_bytes(self.path(cell, seed), file.getvalue())


@cache
def _generators(checkout: Path, convention: Convention) -> published_generators.PublishedGenerators:
    return published_generators.load(checkout, convention)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]
