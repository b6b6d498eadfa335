"""Weights from files that run no code: safetensors, and state dicts that torch reads without unpickling objects."""

import hashlib
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from nsbench.checkpoints.store import sha256
from nsbench.errors import UserError

INNER = ("state_dict", "model", "net")
"""Where training scripts keep the state dict inside a larger one."""

PREFIXES = ("module.", "_orig_mod.")
"""What data parallelism and compilation put before every name."""

_COUNTER = "num_batches_tracked"  # of batch normalisation: absent from old files, and not used in evaluation


@dataclass(frozen=True)
class Weights:
    """A file of weights.

    Attributes:
        path: of the file.
        sha256: of its bytes.
    """

    path: Path
    sha256: str

    def into(self, network: nn.Module) -> None:
        """Copy the weights into a network, which must have exactly these tensors.

        Raises UserError that names the first tensor of each kind that does not fit, and how many there are.
        """
        state, where = read_state(self.path)
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


def read_state(path: Path) -> tuple[dict[str, Tensor], str]:
    """The state dict in a file, and in words where it was found.

    Raises UserError for a file that is damaged, holds no state dict, or holds more than tensors.
    """
    content: object = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    state, where = _state_dict_in(content, path)
    for prefix in PREFIXES * 2:  # either may stand outside the other
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
            where += f" without {prefix!r}"
    return state, where


def state_sha256(network: nn.Module) -> str:
    """Checksum of every tensor of a network's state dict, with its name, type and shape."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        if isinstance(value, Tensor) and not value.is_quantized:
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError:
        raise UserError(f"{path} is damaged or is no safetensors file: write or fetch it again.") from None


def _read_torch(path: Path) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's own, about older formats that it still reads
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"more than tensors ({found[1]})" if found else "more than tensors, or is damaged,"
        raise UserError(
            f"{path} holds {what} and was not opened, since loading it could run any code: where you trust it, "
            'save its tensors alone, with safetensors.torch.save_file(torch.load(FILE, weights_only=False)["state_dict"'
            '], "NEW.safetensors") or whatever its state dict is called, and give that file.'
        ) from None
    except Exception:  # noqa: BLE001 - altered bytes make torch.load fail in a dozen ways, AssertionError among them
        raise UserError(
            f"{path} is damaged, or is no state dict that torch.save wrote: write or fetch it again, "
            "with torch.save(model.state_dict(), FILE)."
        ) from None


def _state_dict_in(content: object, path: Path) -> tuple[dict[str, Tensor], str]:
    inner = [key for key in INNER if isinstance(content, dict) and isinstance(content.get(key), dict)]
    if len(inner) > 1:
        raise UserError(
            f"{path} holds several state dicts ({', '.join(inner)}): save the one that you mean in a file of its own."
        )
    state = content[inner[0]] if inner and isinstance(content, dict) else content
    if not isinstance(state, dict) or not state or not all(_is_entry(*entry) for entry in state.items()):
        raise UserError(f"{path} holds no state dict: save one with torch.save(model.state_dict(), FILE).")
    return state, f"{path}, {inner[0]!r}" if inner else str(path)


def _is_entry(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


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
