"""What a corruption and a perturbation are, and the name of a set made of them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nsbench.corruptions.numerics import keyed_random

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Draw:
    """What the random numbers of a batch are keyed by."""

    key: int
    indices: torch.Tensor
    """int64 (B,), the indices of the images in their data set, on the device of the images."""
    textures: tuple[torch.Tensor, ...] = ()
    """Photographs that frost is cut from, each uint8 (H, W, 3), on the device of the images; () for our own."""


@dataclass(frozen=True)
class Corruption:
    """A corruption and its constants at each severity."""

    constants: tuple[Any, ...]
    """In the order of SEVERITIES: a number or a tuple of numbers each."""
    apply: Callable[[torch.Tensor, Any, Draw], torch.Tensor]
    """(images uint8 (B, 32, 32, 3), constant, draw) -> uint8 (B, 32, 32, 3); leaves its input alone."""
    algorithm: tuple[float | str, ...] = ()
    """Whatever else fixes the pixels, such as the width of a kernel: part of the set's name."""


@dataclass(frozen=True)
class Perturbation:
    """A perturbation and its constants in each frame."""

    constants: tuple[Any, ...]
    """One a frame."""
    frames: Callable[[torch.Tensor, tuple[Any, ...], Draw], Iterator[torch.Tensor]]
    """(images uint8 (B, 32, 32, 3), constants, draw) -> the frames in order, each uint8 (B, 32, 32, 3)."""
    algorithm: tuple[float | str, ...] = ()
    """Whatever else fixes the pixels."""


def set_version(family: str, version: str, members: Mapping[str, Corruption | Perturbation]) -> str:
    """Name a generated set after everything that determines its pixels, such as `nsbench-c v1 3f9a2c`."""
    content = {name: [member.constants, member.algorithm] for name, member in members.items()}
    text = json.dumps([keyed_random.VERSION, version, content], sort_keys=True)
    return f"{family} v{version} {hashlib.sha256(text.encode()).hexdigest()[:6]}"
