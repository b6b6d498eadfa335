"""The device to compute on, and what makes it fast."""

import ctypes
import sys

import torch

from nsbench.errors import UserError

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20
_NEVER = 2**31 - 1
_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "std::bad_alloc")
"""What torch says of a CPU whose memory has run out: its allocator's own words, and those of libraries below it."""


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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: on a CPU that is a MemoryError, or a RuntimeError that only its words give away.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."))
    True
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed memory instead of giving it back; returns False where the C library has no such call.

    A training step on the CPU frees and takes the same tens of megabytes again and again; each time the kernel would
    hand out zeroed pages again. Keeping them changes no result. `docs/performance.md` has the measurement.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_TRIM_THRESHOLD, _NEVER))
