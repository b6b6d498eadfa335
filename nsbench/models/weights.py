"""Weights that a user names, put into a network which they fit."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nsbench.checkpoints.state_dicts import read_state_dict
from nsbench.checkpoints.store import sha256
from nsbench.errors import UserError

_COUNTER = "num_batches_tracked"  # of batch normalisation: absent from old files, and not used in evaluation


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
        wanted: dict[str, Tensor] = network.state_dict()
        _check_fit(wanted, state, where)
        network.load_state_dict({**wanted, **state})


def open_weights(file: str) -> Weights | None:
    """The file of weights that a user names, "" for none; its content is read later."""
    if not file:
        return None
    path = Path(file)
    if not path.is_file():
        raise UserError(f"{path} does not exist: name a .safetensors file or a file with a state dict.")
    return Weights(path, sha256(path))


def state_sha256(network: nn.Module) -> str:
    """Checksum of every tensor of a network's state dict, with its name, type and shape."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        if isinstance(value, Tensor) and not value.is_quantized:
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_fit(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    missing = [name for name in wanted if name not in found and not name.endswith(_COUNTER)]
    unexpected = [name for name in found if name not in wanted]
    misshapen = [name for name in found if name in wanted and found[name].shape != wanted[name].shape]
    faults = []
    if missing:
        faults.append(f"{_tensors(len(missing))} of the network absent from it (first {missing[0]})")
    if unexpected:
        faults.append(f"{_tensors(len(unexpected))} unknown to the network (first {unexpected[0]})")
    if misshapen:
        first = misshapen[0]
        there, here = tuple(found[first].shape), tuple(wanted[first].shape)
        faults.append(f"{_tensors(len(misshapen))} of another shape (first {first}: {there}, in the network {here})")
    if faults:
        raise UserError(
            f"The weights do not fit: {where} has {'; '.join(faults)}; "
            "name the network that these weights were trained in, or other weights."
        )


def _tensors(count: int) -> str:
    return f"{count:,} tensor{'s' if count != 1 else ''}"
