"""What a corruption and a perturbation are, what is asked of them, and the name of a set made of them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nsbench.corruptions.numerics import keyed_random
from nsbench.errors import UserError
from nsbench.protocols.protocol import Protocol


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
    """One a severity, ascending: a number or a tuple of numbers each."""
    apply: Callable[[torch.Tensor, Any, Draw], torch.Tensor]
    """(images uint8 (B, S, S, 3), constant, draw) -> uint8 (B, S, S, 3); leaves its input alone."""
    algorithm: tuple[float | str, ...] = ()
    """Whatever else fixes the pixels, such as the width of a kernel: part of the set's name."""
    sides: tuple[int, ...] = ()
    """The S that it is defined for, in pixels; () for any, whose constants mean pixels all the same."""


@dataclass(frozen=True)
class Perturbation:
    """A perturbation and its constants in each frame."""

    constants: tuple[Any, ...]
    """One a frame."""
    frames: Callable[[torch.Tensor, tuple[Any, ...], Draw], Iterator[torch.Tensor]]
    """(images uint8 (B, S, S, 3), constants, draw) -> the frames in order, each uint8 (B, S, S, 3)."""
    algorithm: tuple[float | str, ...] = ()
    """Whatever else fixes the pixels."""
    sides: tuple[int, ...] = ()
    """As those of a corruption."""


def check_side(name: str, member: Corruption | Perturbation, side: int) -> None:
    """Raise UserError unless a corruption or perturbation is defined for images of this height and width."""
    if member.sides and side not in member.sides:
        defined = " or ".join(f"{one} x {one}" for one in member.sides)
        raise UserError(
            f"{name} is defined for images of {defined} pixels, and these have {side} x {side}: leave it out."
        )


def check_members(members: Mapping[str, Corruption | Perturbation], protocol: Protocol, names: Sequence[str]) -> None:
    """Raise ValueError unless the members `names` of a benchmark can be made, each as the benchmark has it.

    This is the one place where what is made is held to what is measured.
    """
    for name in names:
        expected = len(protocol.severities) or protocol.member(name).frames
        found = len(members[name].constants) if name in members else 0
        if found != expected:
            raise ValueError(f"{protocol.name} has {expected} of {name}, but {found} can be made")


def set_version(family: str, version: str, members: Mapping[str, Corruption | Perturbation]) -> str:
    """Name a generated set after everything that determines its pixels, such as `nsbench-c v1 3f9a2c`."""
    content = {name: [member.constants, member.algorithm] for name, member in members.items()}
    text = json.dumps([keyed_random.VERSION, version, content], sort_keys=True)
    return f"{family} v{version} {hashlib.sha256(text.encode()).hexdigest()[:6]}"
