"""The embedded digits: whole, fixed, and enlarged as Pillow would."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits as read_bundled_digits

from nsbench.data.digits import enlarge, load_digits
from nsbench.data.images import Dataset, content_checksum
from nsbench.data.library.manifests import load_manifest
from nsbench.errors import UserError


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_digits(load_manifest("digits"))


def test_digits_are_1297_training_and_500_test_images_with_50_of_each_class_in_test(digits: Dataset) -> None:
    assert digits.train.images.shape == (1297, 32, 32, 3)
    assert digits.test.images.shape == (500, 32, 32, 3)
    assert np.bincount(digits.test.labels).tolist() == [50] * 10
    assert np.bincount(digits.train.labels).min() >= 120


def test_digits_hold_every_bundled_image_once_with_its_label(digits: Dataset) -> None:
    bundled = read_bundled_digits()
    expected = sorted(
        image.tobytes() + bytes([label])
        for image, label in zip(enlarge(bundled.images.astype(np.uint8)), bundled.target, strict=True)
    )
    parts = (digits.train, digits.test)
    found = sorted(i.tobytes() + bytes([n]) for part in parts for i, n in zip(part.images, part.labels, strict=True))
    assert found == expected


def test_digits_have_the_mean_and_standard_deviation_of_the_manifest(digits: Dataset) -> None:
    pixels = digits.train.images.reshape(-1, 3) / 255
    np.testing.assert_allclose(pixels.mean(axis=0), digits.mean, atol=5e-5)
    np.testing.assert_allclose(pixels.std(axis=0), digits.std, atol=5e-5)


def test_digits_are_white_ink_on_a_black_background(digits: Dataset) -> None:
    corner, whole = digits.train.images[:, :4, :4], digits.train.images
    assert corner.mean() < 10 < whole.mean()
    assert (np.median(whole, axis=(1, 2, 3)) < 128).mean() > 0.95
    assert (whole.min(), whole.max()) == (0, 255)


def test_digits_are_grey(digits: Dataset) -> None:
    assert (digits.train.images == digits.train.images[..., :1]).all()


def test_enlarging_agrees_with_pillows_bilinear_resampling() -> None:
    levels = np.random.default_rng(0).integers(0, 17, (50, 8, 8), dtype=np.uint8)
    pillow = [Image.fromarray(image.astype(np.float32)).resize((32, 32), Image.Resampling.BILINEAR) for image in levels]
    expected = np.stack([np.asarray(image) for image in pillow]) * (255 / 16)
    assert np.abs(enlarge(levels)[..., 0] - expected).max() < 0.51


def test_enlarging_a_constant_image_keeps_it() -> None:
    for level, grey in ((0, 0), (8, 128), (16, 255)):
        assert (enlarge(np.full((1, 8, 8), level, dtype=np.uint8)) == grey).all()


def test_digits_never_change(digits: Dataset) -> None:
    assert digits.checksum == "512fc42941ff6d8dbf68954a74140d27b8058e4f0b807edd6ce780af27419f49"
    assert digits.checksum == content_checksum(digits.train, digits.test)


def test_other_digits_than_the_known_ones_are_refused() -> None:
    other = load_manifest("digits").model_copy(update={"checksum": "0" * 64})
    with pytest.raises(UserError, match=r"not the known ones .* reinstall scikit-learn"):
        load_digits(other)
