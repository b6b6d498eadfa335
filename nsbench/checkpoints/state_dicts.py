"""State dicts from files that run no code: safetensors, and what torch reads without unpickling objects."""

import pickle
import re
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.parameter import is_lazy

from nsbench.errors import UserError, shortened

INNER = ("state_dict", "model", "net")
"""Where training scripts keep the state dict inside a larger one."""

PREFIXES = ("module.", "_orig_mod.")
"""What data parallelism and compilation put before every name."""

_LONGEST = 100


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], str]:
    """The state dict in a file, and in words where it was found.

    Raises UserError for a file that is damaged, holds no state dict, or holds more than tensors.
    """
    content: object = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    state, where = _state_dict_in(content, path)
    for prefix in PREFIXES * 2:  # either may stand outside the other
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
            where += f" without {prefix!r}"
    for name, tensor in state.items():
        if oddity(tensor):
            raise UserError(
                f"{path} was not used, since its tensor {shown(name)} is {oddity(tensor)}: save plain tensors."
            )
    return state, where


def oddity(tensor: Tensor) -> str:
    """What keeps a tensor from being plain numbers in memory, such as "quantised"; empty for a plain one."""
    if is_lazy(tensor):
        return "without a shape, as in a lazy module before its first batch"
    if tensor.is_quantized:
        return "quantised"
    if tensor.is_nested:
        return "nested"
    if tensor.is_meta:
        return "without numbers, on torch's meta device"
    return "" if tensor.layout == torch.strided else f"sparse ({str(tensor.layout).removeprefix('torch.')})"


def numbers(tensor: Tensor) -> str:
    """What kind of numbers a tensor holds; within a kind they are rounded, and no kind stands for another."""
    return "complex" if tensor.is_complex() else "fractions" if tensor.is_floating_point() else "whole numbers"


def shown(name: str) -> str:
    """The name of a tensor as it fits into a sentence, since a file may call it anything."""
    return name if name.isprintable() and len(name) <= _LONGEST else repr(shortened(name, _LONGEST))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - SafetensorError, and what torch says of a type that it does not know
        raise UserError(f"{path} is damaged or is not a safetensors file: write or fetch it again.") from None


def _read_torch(path: Path) -> object:
    _refuse_packed(path)
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
            f"{path} is damaged, or is not a state dict that torch.save wrote: write or fetch it again, "
            "with torch.save(model.state_dict(), FILE)."
        ) from None


def _refuse_packed(path: Path) -> None:
    """Raise UserError for an archive that unpacks to more than its own size, perhaps to more than memory holds."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # torch's older format, or damaged
        return
    if unpacked > path.stat().st_size:
        raise UserError(
            f"{path} was not opened, since it unpacks to {unpacked:,} bytes, and torch.save compresses nothing: "
            "write it again with torch.save(model.state_dict(), FILE)."
        )


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
