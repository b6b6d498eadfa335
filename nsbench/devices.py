"""The device to compute on."""

import torch

from nsbench.allocator import keep_freed_memory
from nsbench.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device to compute on; `auto` takes CUDA where there is one."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {name!r} does not exist: use auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda was asked for, but PyTorch finds no CUDA device here: use --device cpu or auto.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def prepare(device: torch.device) -> None:
    """Make a device fast or exact where that is not its default: repeatable float32 on CUDA."""
    if device.type == "cpu":
        keep_freed_memory()
        return
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
