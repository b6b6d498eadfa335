"""Which arithmetic and which execution a device gets when the configuration leaves it open."""

from typing import Literal

import torch
from torch import nn

from nsbench.config.schema import OptimisationConfig

COMPILATION_PAYS = 1_000_000


def settle(settings: OptimisationConfig, budget: int, network: nn.Module, device: torch.device) -> OptimisationConfig:
    """The settings with `auto` replaced by what the device does best; `budget` is the images to see."""
    precision = settings.precision if settings.precision != "auto" else fast_precision(network, device)
    execution = settings.execution if settings.execution != "auto" else fast_execution(device, budget)
    return settings.model_copy(update={"precision": precision, "execution": execution})


def fast_precision(network: nn.Module, device: torch.device) -> Literal["float32", "bfloat16"]:
    """bfloat16 where the device multiplies in it; a CPU that does not is ten times slower in bfloat16.

    Decided by what the processor says it can do, never by a measurement: the same command must give the same weights
    on a machine that is busy. Depthwise convolutions gain nothing on a CPU, so networks that have them stay in float32.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    depthwise = any(isinstance(layer, nn.Conv2d) and layer.groups > 1 for layer in network.modules())
    return "bfloat16" if multiplies_bfloat16() and not depthwise else "float32"


def multiplies_bfloat16() -> bool:
    """Whether the CPU has instructions for products of bfloat16: matrix units (AMX), or AVX-512's dot products.

    PyTorch has no public question. Its private ones come and go with its versions: one that is absent counts as no.
    """
    asked = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return any(supported() for supported in asked if supported is not None)


def fast_execution(device: torch.device, budget: int) -> Literal["eager", "graph", "compiled"]:
    """Compilation takes about a minute, so short work on CUDA is captured as it is."""
    if device.type == "cpu":
        return "eager"
    return "compiled" if budget >= COMPILATION_PAYS else "graph"
