"""Which arithmetic and which execution a device is given when the configuration leaves it open."""

from typing import Literal

import torch
from torch import nn

from nsbench.config.schema import TrainingConfig

COMPILATION_PAYS = 1_000_000


def settle(settings: TrainingConfig, budget: int, network: nn.Module, device: torch.device) -> TrainingConfig:
    """The settings with `auto` replaced by what the device does best; `budget` is the images to see."""
    precision = settings.precision if settings.precision != "auto" else fast_precision(network, device)
    execution = settings.execution if settings.execution != "auto" else fast_execution(device, budget)
    return settings.model_copy(update={"precision": precision, "execution": execution})


def fast_precision(network: nn.Module, device: torch.device) -> Literal["float32", "bfloat16"]:
    """bfloat16 where there are matrix units for it; without them a CPU is ten times slower in bfloat16.

    Depthwise convolutions do not use a CPU's matrix units, so networks that have them stay in float32 there.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", None)  # there is no public question; None in another PyTorch
    depthwise = any(isinstance(layer, nn.Conv2d) and layer.groups > 1 for layer in network.modules())
    return "bfloat16" if tiles is not None and tiles() and not depthwise else "float32"


def fast_execution(device: torch.device, budget: int) -> Literal["eager", "graph", "compiled"]:
    """Compilation takes about a minute, so short work on CUDA is captured as it is."""
    if device.type == "cpu":
        return "eager"
    return "compiled" if budget >= COMPILATION_PAYS else "graph"
