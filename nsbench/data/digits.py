"""The embedded handwritten digits: real images that need no download."""

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits as read_bundled_digits

from nsbench.data.images import Dataset, ImageSet
from nsbench.data.library.manifests import Manifest
from nsbench.data.splits import shuffled
from nsbench.seeds import derive_seed

_TEST_IMAGES_PER_CLASS = 50
_SCALE = 4  # 8x8 to 32x32
_LARGEST = 16  # grey levels are 0..16


def load_digits(manifest: Manifest) -> Dataset:
    """The 1,797 digits that scikit-learn bundles, as 32x32 RGB images, white ink on black.

    The split is fixed: 50 test images of each class, drawn at random, the rest for training. Writers
    are not recorded, so the same hand may be in both parts: accuracy here flatters a new hand.

    Raises:
        UserError: the bundled digits are not those of the manifest.
    """
    bundled = read_bundled_digits()
    images = enlarge(bundled.images.astype(np.uint8))
    labels = bundled.target.astype(np.int64)
    in_test = _test_mask(labels)
    train = ImageSet(images[~in_test], labels[~in_test])
    test = ImageSet(images[in_test], labels[in_test])
    return manifest.dataset(train, test, "reinstall scikit-learn, which bundles them")


def enlarge(digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge (N, 8, 8) grey levels 0..16 to (N, 32, 32, 3) in 0..255, bilinearly.

    Pixel centres are aligned and the border is repeated, as Pillow and torch do it, but in integers,
    rounding half up once at the end, so that the result is the same everywhere. Bilinear rather
    than nearest: nearest leaves 4x4 blocks whose edges a network learns before it learns the strokes.
    """
    weights = _bilinear_weights(digits.shape[-1])
    levels = weights @ digits.astype(np.int64) @ weights.T
    whole = _LARGEST * (2 * _SCALE) ** 2
    grey = ((levels * 255 * 2 + whole) // (2 * whole)).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=-1)


def _bilinear_weights(size: int) -> NDArray[np.int64]:
    """(size * 4, size) weights of the source pixels in each target pixel; each row adds up to 8."""
    twice = 2 * _SCALE
    centre = 2 * np.arange(size * _SCALE) + 1 - _SCALE  # in units of 1/8 source pixel
    below, part = np.divmod(centre, twice)
    weights = np.zeros((size * _SCALE, size), dtype=np.int64)
    rows = np.arange(size * _SCALE)
    np.add.at(weights, (rows, below.clip(0, size - 1)), twice - part)
    np.add.at(weights, (rows, (below + 1).clip(0, size - 1)), part)
    return weights


def _test_mask(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    mask = np.zeros(len(labels), dtype=bool)
    for name in np.unique(labels).tolist():
        members = shuffled(np.flatnonzero(labels == name), derive_seed("digits", "test", name))
        mask[members[:_TEST_IMAGES_PER_CLASS]] = True
    return mask
