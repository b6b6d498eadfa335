"""Generated sets by their name: what a user asks for, checked before any work."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from nsbench.corruptions.corruptions import GENERATED_CORRUPTIONS
from nsbench.corruptions.files import Contents, write_corruption_set, write_perturbation_set
from nsbench.corruptions.kinds.textures import read_textures
from nsbench.corruptions.perturbations import GENERATED_PERTURBATIONS
from nsbench.data.load import load_dataset
from nsbench.errors import UserError, hint, shortened
from nsbench.progress import Reporter
from nsbench.protocols.protocol import Protocol
from nsbench.protocols.registry import find_protocol, registered


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    Attributes:
        names: corruptions or perturbations; () for all.
        severities: severities of corruptions; () for all.
        limit: the first test images; 0 for all.
        seed: seed of the set.
        frost: folder of the published frost photographs; None for textures of our own.
    """

    names: tuple[str, ...] = ()
    severities: tuple[int, ...] = ()
    limit: int = 0
    seed: int = 0
    frost: Path | None = None


def generated_sets() -> tuple[str, ...]:
    """What can be generated: corruptions and perturbations of test images, by the name of the benchmark."""
    return tuple(one.name for one in registered() if one.members and one.generator is None)


def generate(
    name: str, request: Request, folder: Path, data: Path | None, device: torch.device, reporter: Reporter
) -> int:
    """Write a generated set in the official layout; what is there already is not made again.

    Args:
        name: one of `generated_sets()`.
        request: which part of it.
        folder: folder of the arrays.
        data: where the clean images are; None for the default.
        device: where to compute.
        reporter: shows progress.

    Returns:
        Arrays written.

    Raises:
        UserError: something named does not exist, data are missing, the folder holds something else, or is too small.
    """
    if name not in generated_sets():
        known = generated_sets()
        raise UserError(f"{shortened(name)!r} cannot be generated: choose from {', '.join(known)}.{hint(name, known)}")
    protocol = find_protocol(name)
    corrupts = protocol.kind == "corruption"
    if not corrupts and (request.severities or request.frost):
        option = "--severities" if request.severities else "--frost"
        raise UserError(f"{option} is for corruptions, and {name} has none: leave it out.")
    known = GENERATED_CORRUPTIONS if corrupts else GENERATED_PERTURBATIONS
    contents = Contents(
        names=_chosen(request.names, known, name),
        images=request.limit,
        seed=request.seed,
        severities=_severities(request.severities, protocol),
        textures=read_textures(request.frost) if request.frost else (),
    )
    write = write_corruption_set if corrupts else write_perturbation_set
    dataset = load_dataset(protocol.data_sets[0], data)
    no_training_images = dataset.train.select(np.arange(0))  # they would take more memory than the work
    return write(replace(dataset, train=no_training_images), contents, folder, device, reporter)


def _chosen(wanted: Sequence[str], known: tuple[str, ...], set_name: str) -> tuple[str, ...]:
    """The wanted names in their usual order; UserError for an unknown one."""
    for name in wanted:
        if name not in known:
            raise UserError(
                f"{set_name} has no {shortened(name)!r}: choose from {', '.join(known)}.{hint(name, known)}"
            )
    return tuple(name for name in known if name in wanted) if wanted else known


def _severities(wanted: Sequence[int], protocol: Protocol) -> tuple[int, ...]:
    for severity in wanted:
        if severity not in protocol.severities:
            raise UserError(f"Severity {severity} does not exist: choose from 1 to {protocol.severities[-1]}.")
    return tuple(sorted(set(wanted))) or protocol.severities
