"""Trained weights copied into a new network: from a checkpoint, or from any state dict of the same shapes."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nsbench.checkpoints.store import read_checkpoint, sha256
from nsbench.errors import UserError
from nsbench.networks.classifier import Classifier

_WRAPPERS = ("module.", "_orig_mod.")  # what data parallelism and compilation put before every name
_INNER = ("state_dict", "model")  # where training scripts keep the state dict inside a larger one


def initialise(network: Classifier, source: Path) -> str:
    """Copy trained weights into `network`, in place and wherever it lies, and return their SHA-256.

    Every tensor of the network must be in the source with its shape, and no other, with these exceptions: a head that
    is absent or has another number of classes leaves the network's own head as it was drawn; absent normalisation
    constants and batch counters stay as they are too. Nothing is copied unless everything fits.

    Args:
        network: its body gets the weights.
        source: a checkpoint folder, a `.safetensors` file, or a `.pt` or `.pth` file with a state dict, bare or under
            "state_dict" or "model".

    Raises UserError for a source that cannot be read or does not fit.
    """
    checksum = weights_sha256_of(source)
    found = _without_wrappers(_read(source))
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
    if source.is_dir():
        checkpoint = read_checkpoint(source)
        if checkpoint is None:
            raise UserError(
                f"There is no checkpoint in {source}: name a folder with a checkpoint.json, "
                "such as RUN/STUDY/seed0/gen0-resnet20, or a file of weights."
            )
        return checkpoint.record.weights_sha256
    if not source.is_file():
        raise UserError(f"{source} does not exist: name a checkpoint folder or a .safetensors, .pt or .pth file.")
    return sha256(source)


def _read(source: Path) -> dict[str, Tensor]:
    if source.is_dir():
        return _read_safetensors(source / "weights.safetensors")
    if source.suffix == ".safetensors":
        return _read_safetensors(source)
    if source.suffix in (".pt", ".pth"):
        return _read_pickle(source)
    raise UserError(f"{source} is no file of weights: name a checkpoint folder or a .safetensors, .pt or .pth file.")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError:
        raise UserError(f"{path} is damaged or is no safetensors file: write or fetch it again.") from None


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's own, about older formats that it still reads
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} holds more than tensors, or is damaged, and was not opened, since loading it could run any code: "
            "save the state dict alone, with torch.save(model.state_dict(), FILE)."
        ) from None
    except Exception:  # noqa: BLE001 - altered bytes make torch.load fail in a dozen ways, AssertionError among them
        raise UserError(f"{path} is damaged or was not written by torch.save: write or fetch it again.") from None
    return _state_dict_in(content, path)


def _state_dict_in(content: object, path: Path) -> dict[str, Tensor]:
    inner = [content[key] for key in _INNER if isinstance(content, dict) and isinstance(content.get(key), dict)]
    state = inner[0] if inner else content
    if not isinstance(state, dict) or not state or not all(_is_entry(*entry) for entry in state.items()):
        raise UserError(f"{path} holds no state dict: save one with torch.save(model.state_dict(), FILE).")
    return state


def _is_entry(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


def _without_wrappers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with every wrapper's prefix taken off that all names share."""
    for prefix in _WRAPPERS * 2:  # either may stand outside the other
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


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
    return [name for name in wanted if name in found and name not in fresh]


def _keeps_its_head(network: Classifier, found: Mapping[str, Tensor]) -> bool:
    """Whether the source has no head for this network: none at all, or one for another number of classes."""
    weight, bias = (found.get(f"{network.head_prefix}{part}") for part in ("weight", "bias"))
    if weight is None or bias is None:
        return weight is None and bias is None
    classes, features = network.head.weight.shape
    other = len(weight) if weight.ndim else 0
    return other != classes and weight.shape == (other, features) and bias.shape == (other,)


def _may_be_absent(name: str) -> bool:
    return name.startswith("normalize.") or name.endswith("num_batches_tracked")


def _refusal(source: Path, name: str, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> UserError:
    return UserError(
        f"{source} does not fit: {name} is {_shape(found.get(name))} there and {_shape(wanted.get(name))} in the "
        "network; choose the network that these weights were trained in, or other weights."
    )


def _shape(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"of shape {tuple(tensor.shape)}"
