"""Weights that a user names, put into a network which they fit."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nsbench.checkpoints.state_dicts import numbers, oddity, read_state_dict, shown
from nsbench.checkpoints.store import sha256
from nsbench.errors import UserError
from nsbench.foreign import one_sentence

_COUNTER = "num_batches_tracked"  # of batch normalisation: absent from old files, and not used in evaluation

_PLAIN = (bool, int, float, str, bytes, type(None))  # what a module may keep beside tensors, as its extra state


@dataclass(frozen=True)
class Weights:
    """A file of weights.

    Attributes:
        path: path of the file.
        sha256: SHA-256 of its bytes.
    """

    path: Path
    sha256: str

    def into(self, network: nn.Module) -> None:
        """Copy the weights into a network, which must have exactly these tensors.

        Raises UserError that names the first tensor of each kind that does not fit, and how many there are.
        """
        state, where = read_state_dict(self.path)
        with one_sentence(f"{self.path} could not be put into the network"):
            wanted: dict[str, Tensor] = network.state_dict()
            _check_fit(wanted, state, where)
            network.load_state_dict({**wanted, **state})


def open_weights(file: str) -> Weights | None:
    """The file of weights that a user names, "" for none; its content is read later."""
    if not file:
        return None
    path = Path(file)
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a regular file: name a .safetensors file or a file with a state dict.")
    if not path.is_file():
        raise UserError(f"{path} does not exist: name a .safetensors file or a file with a state dict.")
    return Weights(path, sha256(path))


def state_sha256(network: nn.Module) -> str:
    """Checksum of all that a network's state dict holds, and of buffers outside it, each with its name.

    The network has passed `check_tensors`.
    """
    digest = hashlib.sha256()
    for name, value in _state(network):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        else:
            digest.update(f"{name} {value!r}\n".encode())
    return digest.hexdigest()


def check_tensors(network: nn.Module, label: str) -> None:
    """Raise UserError unless all that a network holds is plain numbers, which its identity can cover.

    Args:
        network: as it was made.
        label: to name it by.
    """
    with one_sentence(f"{label} does not say what it holds"):
        content = [*network.named_parameters(), *_state(network)]
        for name, value in content:
            if isinstance(value, Tensor):
                fault = oddity(value)
            else:
                fault = "" if isinstance(value, _PLAIN) else f"a {type(value).__name__} and no tensor"
            if fault:
                raise UserError(
                    f"{label} cannot be measured, since {shown(name)} is {fault}: give the network with plain tensors, "
                    "not quantised, and lazy modules after their first batch."
                )


def _state(network: nn.Module) -> Iterator[tuple[str, object]]:
    """The entries of a network's state dict, and the buffers that it leaves out."""
    state = network.state_dict()
    yield from state.items()
    yield from ((name, buffer) for name, buffer in network.named_buffers() if name not in state)


def _check_fit(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    missing = [name for name in wanted if name not in found and not name.endswith(_COUNTER)]
    unexpected = [name for name in found if name not in wanted]
    misshapen = [name for name in found if name in wanted and found[name].shape != wanted[name].shape]
    unlike = [
        name
        for name in found
        if name in wanted and numbers(found[name]) != numbers(wanted[name]) and not name.endswith(_COUNTER)
    ]
    faults = []
    if missing:
        faults.append(f"{_tensors(len(missing))} of the network absent from it (first {shown(missing[0])})")
    if unexpected:
        faults.append(f"{_tensors(len(unexpected))} unknown to the network (first {shown(unexpected[0])})")
    if misshapen:
        first = misshapen[0]
        there, here = tuple(found[first].shape), tuple(wanted[first].shape)
        faults.append(
            f"{_tensors(len(misshapen))} of another shape (first {shown(first)}: {there}, in the network {here})"
        )
    if unlike:
        first = unlike[0]
        kinds = f"{numbers(found[first])}, in the network {numbers(wanted[first])}"
        faults.append(f"{_tensors(len(unlike))} of another type (first {shown(first)}: {kinds})")
    if faults:
        raise UserError(
            f"The weights do not fit: {where} has {'; '.join(faults)}; "
            "name the network that these weights were trained in, or other weights."
        )


def _tensors(count: int) -> str:
    return f"{count:,} tensor{'s' if count != 1 else ''}"
