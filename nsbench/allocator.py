"""Memory that glibc keeps instead of giving it back after every tensor.

A training step on the CPU frees and takes the same tens of megabytes again and again; each time the kernel would
hand out zeroed pages anew. Keeping them changes no result. `docs/performance.md` has the measurement.
"""

import ctypes
import sys

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed memory; returns False where the C library has no such call."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_TRIM_THRESHOLD, _NEVER))
