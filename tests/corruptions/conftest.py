"""Images for the generators' tests."""

from collections.abc import Callable

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session")
def waves() -> Callable[[], torch.Tensor]:
    """Coloured waves, the nearest thing to photographs that a formula gives."""

    def make() -> torch.Tensor:
        rng = np.random.default_rng(1)
        down, across = np.mgrid[:32, :32]
        phase, pitch_down, pitch_across = rng.integers(0, 256, (3, 8, 1, 1, 3))
        steps = (phase * 4 + pitch_down * down[..., None] // 3 + pitch_across * across[..., None] // 3) % 512
        return torch.from_numpy(np.minimum(steps, 511 - steps).astype(np.uint8))

    return make
