"""Images for the tests of the generators."""

import io
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def coloured_waves(count: int) -> Pixels:
    """The nearest thing to photographs that a formula gives, uint8 (count, 32, 32, 3)."""
    rng = np.random.default_rng(1)
    down, across = np.mgrid[:32, :32] / 32
    phase, pitch_down, pitch_across = rng.uniform(0, 6, (3, count, 1, 1, 3))
    waves = np.sin(phase + pitch_down * down[..., None] + pitch_across * across[..., None])
    return np.asarray(127.5 + 127.5 * waves, dtype=np.uint8)


def real_images(count: int) -> Pixels:
    """The first test images of the real CIFAR-10, uint8 (count, 32, 32, 3); skips the test where there is none."""
    folder = os.environ.get("NSBENCH_TEST_CIFAR10")
    files = sorted(Path(folder, "parquet").glob("test*.parquet")) if folder else []
    if not files:
        pytest.skip("NSBENCH_TEST_CIFAR10 names no folder that holds parquet/test*.parquet")
    rows = pq.read_table(files[0], columns=["img"]).slice(0, count)["img"].to_pylist()
    return np.stack([np.array(Image.open(io.BytesIO(row["bytes"]))) for row in rows])
