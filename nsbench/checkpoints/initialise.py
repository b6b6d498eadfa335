"""Trained weights copied into a new network: from a checkpoint, or from any state dict of the same shapes."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from nsbench.checkpoints.labels import named_folder
from nsbench.checkpoints.state_dicts import numbers, read_state_dict, shown
from nsbench.checkpoints.store import read_checkpoint, sha256
from nsbench.errors import UserError
from nsbench.networks.classifier import Classifier

_COUNTER = "num_batches_tracked"  # of batch normalisation


def initialise(network: Classifier, source: Path) -> str:
    """Copy trained weights into `network`, in place and on whatever device it is, and return their SHA-256.

    Every tensor of the network must be in the source with its shape, and no other, with these exceptions: a head that
    is absent or has another number of classes leaves the network's own head as it was drawn; absent normalisation
    constants and batch counters stay as they are too. Nothing is copied unless everything fits.

    Args:
        network: its body gets the weights.
        source: a checkpoint folder, a `.safetensors` file, or a `.pt` or `.pth` file with a state dict, bare or under
            "state_dict", "model" or "net".

    Raises UserError for a source that cannot be read or does not fit.
    """
    source = named_folder(source)
    checksum = weights_sha256_of(source)
    found = _read(source)
    wanted: dict[str, Tensor] = network.state_dict()
    fitting = {name: found[name] for name in _names_to_copy(network, wanted, found, source)}
    with torch.no_grad():
        for name, tensor in fitting.items():
            wanted[name].copy_(tensor)
    return checksum


def weights_sha256_of(source: Path) -> str:
    """SHA-256 of the file that holds the weights, without loading it; the same value that `initialise` returns.

    Raises UserError when there is no such file or folder, or the checkpoint is damaged.
    """
    source = named_folder(source)
    if source.is_dir():
        checkpoint = read_checkpoint(source)
        if checkpoint is None:
            raise UserError(
                f"There is no checkpoint in {source}: name a folder with a checkpoint.json, "
                "such as one in RUN/networks, or RUN/STUDY/seed0/gen0-resnet20, or a file of weights."
            )
        return checkpoint.record.weights_sha256
    if source.exists() and not source.is_file():
        raise UserError(f"{source} is not a regular file: name a checkpoint folder or a file of weights.")
    if not source.is_file():
        raise UserError(f"{source} does not exist: name a checkpoint folder or a .safetensors, .pt or .pth file.")
    return sha256(source)


def _read(source: Path) -> dict[str, Tensor]:
    if source.is_dir():
        return read_state_dict(source / "weights.safetensors")[0]
    if source.suffix in (".safetensors", ".pt", ".pth"):
        return read_state_dict(source)[0]
    raise UserError(f"{source} is not a file of weights: name a checkpoint folder or a .safetensors, .pt or .pth file.")


def _names_to_copy(
    network: Classifier, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], source: Path
) -> list[str]:
    """Names of the network's tensors that the source gives; raises UserError at the first that does not fit."""
    own_head = [name for name in wanted if name.startswith(network.head_prefix)]
    fresh = own_head if _keeps_its_head(network, found) else []
    for name in wanted:
        if name in found and name not in fresh and found[name].shape != wanted[name].shape:
            raise _refusal(source, name, wanted, found)
        if name not in found and name not in fresh and not _may_be_absent(name):
            raise _refusal(source, name, wanted, found)
    head = network.head_prefix.split(".")[0] + "."
    for name in found:
        if name not in wanted and not name.startswith(head):
            raise _refusal(source, name, wanted, found)
    copied = [name for name in wanted if name in found and name not in fresh]
    for name in copied:
        if not name.endswith(_COUNTER):
            _check_numbers(source, name, wanted[name], found[name])
    return copied


def _check_numbers(source: Path, name: str, wanted: Tensor, found: Tensor) -> None:
    """Raise UserError unless a tensor holds finite numbers of the kind that the network computes with."""
    if numbers(found) != numbers(wanted):
        fault = f"{numbers(found)}, in the network {numbers(wanted)}"
    else:
        fault = "" if bool(found.isfinite().all()) else "NaN or infinite in places"
    if fault:
        raise UserError(f"{source} does not fit: {shown(name)} is {fault}; choose other weights.")


def _keeps_its_head(network: Classifier, found: Mapping[str, Tensor]) -> bool:
    """Whether the source has no head for this network: none at all, or one for another number of classes."""
    weight, bias = (found.get(f"{network.head_prefix}{part}") for part in ("weight", "bias"))
    if weight is None or bias is None:
        return weight is None and bias is None
    classes, features = network.head.weight.shape
    other = len(weight) if weight.ndim else 0
    return other != classes and weight.shape == (other, features) and bias.shape == (other,)


def _may_be_absent(name: str) -> bool:
    return name.startswith("normalize.") or name.endswith(_COUNTER)


def _refusal(source: Path, name: str, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> UserError:
    return UserError(
        f"{source} does not fit: {shown(name)} is {_shape(found.get(name))} there and {_shape(wanted.get(name))} in "
        "the network; choose the network that these weights were trained in, or other weights."
    )


def _shape(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"of shape {tuple(tensor.shape)}"
