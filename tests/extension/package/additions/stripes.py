"""A data set of stripes: level, upright or slanted, in noise."""

from pathlib import Path

import numpy as np

from nsbench.extend import Dataset, ImageSet, content_checksum, register_data_set

CLASSES = ("level", "upright", "slanted")
SIDE, TRAIN, TEST = 32, 600, 300


def draw(count: int, seed: int) -> ImageSet:
    """As many images of each class, each at a phase and in noise of its own."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    ways = np.stack([rows, columns, (rows + columns) / np.sqrt(2)])[labels]
    waves = 128 + 60 * np.sin(ways[..., None] + random.uniform(0, 2 * np.pi, (count, 1, 1, 3)))
    return ImageSet((waves + random.normal(0, 20, waves.shape)).clip(0, 255).astype(np.uint8), labels)


def load(_data_folder: Path) -> Dataset:
    """The data set; it is made here, where another would be read from the data folder."""
    train, test = draw(TRAIN, seed=1), draw(TEST, seed=2)
    return Dataset(
        name="stripes",
        title="Stripes",
        licence="CC0",
        citation="Made up for this example.",
        classes=CLASSES,
        mean=(0.5, 0.5, 0.5),
        std=(0.18, 0.18, 0.18),
        train=train,
        test=test,
        checksum=content_checksum(train, test),
    )


register_data_set("stripes", load)
