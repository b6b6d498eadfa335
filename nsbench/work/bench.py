"""Where work is done: folder, device, progress, claims."""

from dataclasses import dataclass
from pathlib import Path

import torch

from nsbench.claims import Claims
from nsbench.progress import Reporter


@dataclass(frozen=True)
class Bench:
    """Where work is done.

    Attributes:
        folder: folder of the run or the evaluation.
        device: computes.
        reporter: shows progress.
        claims: claims on the units of work in the folder.
    """

    folder: Path
    device: torch.device
    reporter: Reporter
    claims: Claims
