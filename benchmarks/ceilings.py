"""What the machine can do at best, and the arithmetic that networks need."""

import math
import time
from collections.abc import Callable

import torch
from interleaved import Side, rate, synchronize

SECONDS = 0.5


def matmul(dtype: torch.dtype, device: torch.device, size: int | None = None) -> Side:
    """FLOP/s of a square matrix product of random numbers; warm.

    Args:
        dtype: dtype of both matrices.
        device: that multiplies.
        size: rows; 2048 on a CPU and 8192 on CUDA unless given.
    """
    size = size or (8192 if device.type == "cuda" else 2048)
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    return _repeated(lambda: torch.mm(left, right, out=out), 2 * size**3, device)


def copy(device: torch.device, size: int = 2**30) -> Side:
    """Bytes/s read and written by a copy of `size` random bytes; warm."""
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return _repeated(lambda: target.copy_(source), 2 * size, device)


def _repeated(call: Callable[[], object], work: int, device: torch.device) -> Side:
    """`call`, worth `work` units, as often as takes SECONDS."""
    for _ in range(3):
        call()
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    count = max(1, math.ceil(SECONDS / (time.perf_counter() - start)))

    def repeat() -> int:
        for _ in range(count):
            call()
        return count * work

    return lambda: rate(device, repeat)


def forward_flop(depth: int) -> int:
    """FLOP of the convolutions of one 32 x 32 image through the ResNet of this depth (6n + 2), width 1.

    A multiplication and an addition count as two. Blocks that stochastic depth drops are counted.

    >>> round(forward_flop(20) / 1e6)
    81
    """
    per_stage = (depth - 2) // 3
    total = _convolution_flop(3, 16, 32)
    for stage, side in enumerate((32, 16, 8)):
        channels = 16 * 2**stage
        incoming = channels if stage == 0 else channels // 2
        total += _convolution_flop(incoming, channels, side) + (per_stage - 1) * _convolution_flop(
            channels, channels, side
        )
    return total


def training_flop(depth: int) -> int:
    """FLOP of forward and backward: a gradient of the weights and one of the input, which the first layer needs not.

    >>> [round(training_flop(depth) / 1e6) for depth in (20, 26, 32, 38)]
    [242, 327, 412, 497]
    """
    return 3 * forward_flop(depth) - _convolution_flop(3, 16, 32)


def _convolution_flop(incoming: int, outgoing: int, side: int) -> int:
    return 2 * 9 * incoming * outgoing * side**2
