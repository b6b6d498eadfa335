"""The published sequences made with the random numbers of ours: what then differs is the program, not chance."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from published_generators import Pixels, PublishedGenerators

from nsbench.corruptions.numerics.keyed_random import keyed_normal
from nsbench.corruptions.numerics.pixels import SIDE
from nsbench.seeds import derive_seed

_NOISES = tuple(f"{kind}_noise{level}" for kind in ("gaussian", "speckle") for level in ("", "_2", "_3"))
REPLAYED = (*_NOISES, "spatter", "snow")
"""Sequences whose random numbers are all normal. Shot noise draws pixels where the published code draws counts."""


def replay(generators: PublishedGenerators, image: Pixels, name: str, index: int, seed: int = 0) -> Pixels:
    """The published sequence of one image, of our normal numbers for it.

    Args:
        generators: the published functions.
        image: uint8 (32, 32, 3).
        name: a name in REPLAYED.
        index: index of the image in its data set.
        seed: seed of our set.

    Returns:
        uint8 (T, 32, 32, 3).
    """
    draw = _noise if name in _NOISES else _snow if name == "snow" else _layer
    with _normal_numbers(draw, derive_seed(seed, "perturbation", name), torch.tensor([index])):
        return generators.sequence(image, name)


def _noise(key: int, index: torch.Tensor, call: int) -> torch.Tensor:
    """(32, 32, 3), frame after frame; the first frame, the image itself, has none."""
    return keyed_normal(key, index, SIDE * SIDE * 3, stream=call).view(SIDE, SIDE, 3)


def _layer(key: int, index: torch.Tensor, _: int) -> torch.Tensor:
    """(32, 32), once."""
    return keyed_normal(key, index, SIDE * SIDE).view(SIDE, SIDE)


def _snow(key: int, index: torch.Tensor, _: int) -> torch.Tensor:
    """(32, 32), once; the published code enlarges the middle alone, so ours draws no more than that."""
    half, border = SIDE // 2, SIDE // 4
    middle = keyed_normal(key, index, half * half).view(half, half)
    return torch.nn.functional.pad(middle, (border,) * 4)


@contextmanager
def _normal_numbers(
    draw: Callable[[int, torch.Tensor, int], torch.Tensor], key: int, index: torch.Tensor
) -> Iterator[None]:
    """Let `np.random.normal` and `torch.randn_like` give what `draw` does in its first call, its second, and so on."""
    calls = count(1)

    def normal(loc: float = 0.0, scale: float = 1.0, size: tuple[int, ...] = ()) -> NDArray[np.float64]:
        drawn = draw(key, index, next(calls)).double().numpy()
        assert drawn.shape == size
        return np.asarray(loc + scale * drawn)

    def randn_like(pixels: torch.Tensor) -> torch.Tensor:
        drawn = draw(key, index, next(calls)).permute(2, 0, 1)
        assert (drawn.shape, drawn.dtype) == (pixels.shape, pixels.dtype)
        return drawn

    with patch.object(np.random, "normal", normal), patch.object(torch, "randn_like", randn_like):
        yield
