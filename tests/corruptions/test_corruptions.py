"""CIFAR-10-C corruptions, against slow restatements of their definitions, one image at a time."""

import colorsys
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, stats
from sklearn.datasets import load_digits

from nsbench.corruptions import corruptions
from nsbench.corruptions.corruptions import GENERATED_CORRUPTIONS, SEVERITIES, corrupt, corruption_set_version
from nsbench.errors import UserError

Pixels = NDArray[np.uint8]

CONSTANTS: dict[str, tuple[float, ...]] = {
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),
    "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1.0),
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "jpeg_compression": (80, 65, 58, 50, 40),
}


def slow_blur(pixels: Pixels, sigma: float) -> NDArray[np.float64]:
    blurred: list[NDArray[np.float64]] = [
        ndimage.gaussian_filter(pixels[..., c] / 255.0, sigma, mode="nearest", truncate=4.0) for c in range(3)
    ]
    return np.stack(blurred, axis=-1).clip(0, 1) * 255


def slow_brightness(pixels: Pixels, shift: float) -> NDArray[np.float64]:
    hsv = rgb_to_hsv(pixels / 255.0)
    hsv[..., 2] = np.clip(hsv[..., 2] + shift, 0, 1)
    rgb: NDArray[np.float64] = hsv_to_rgb(hsv)
    return np.clip(rgb, 0, 1) * 255


def slow_contrast(pixels: Pixels, factor: float) -> NDArray[np.float64]:
    values = pixels / 255.0
    mean = values.mean(axis=(0, 1))
    shrunk: NDArray[np.float64] = ((values - mean) * factor + mean).clip(0, 1)
    return shrunk * 255


def slow_jpeg(pixels: Pixels, quality: float) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=int(quality))
    return np.array(Image.open(file))


SLOW: dict[str, Callable[[Pixels, float], NDArray[np.float64] | Pixels]] = {
    "gaussian_blur": slow_blur,
    "brightness": slow_brightness,
    "contrast": slow_contrast,
    "jpeg_compression": slow_jpeg,
}


def plain_images() -> Pixels:
    """Black, white, and every 15th grey."""
    greys = np.arange(0, 256, 15, dtype=np.uint8)
    return np.broadcast_to(greys[:, None, None, None], (len(greys), 32, 32, 3)).copy()


def random_images() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)


def smooth_images() -> Pixels:
    """Coloured waves, the nearest thing to photographs that a formula gives."""
    rng = np.random.default_rng(1)
    down, across = np.mgrid[:32, :32] / 32
    phase, pitch_down, pitch_across = rng.uniform(0, 6, (3, 20, 1, 1, 3))
    waves = np.sin(phase + pitch_down * down[..., None] + pitch_across * across[..., None])
    return np.asarray(127.5 + 127.5 * waves, dtype=np.uint8)


def digit_images() -> Pixels:
    digits = np.asarray(load_digits().images[:20] * 255 / 16, dtype=np.uint8)
    return np.repeat(digits.repeat(4, axis=1).repeat(4, axis=2)[..., None], 3, axis=3)


def cifar_images() -> Pixels:
    folder = os.environ.get("NSBENCH_TEST_CIFAR10")
    files = sorted(Path(folder, "parquet").glob("test*.parquet")) if folder else []
    if not files:
        pytest.skip("NSBENCH_TEST_CIFAR10 names no folder that holds parquet/test*.parquet")
    rows = pq.read_table(files[0], columns=["img"]).slice(0, 500)["img"].to_pylist()
    return np.stack([np.array(Image.open(io.BytesIO(row["bytes"]))) for row in rows])


def run(pixels: Pixels, name: str, severity: int, seed: int = 0) -> Pixels:
    images = torch.from_numpy(pixels)
    corrupted: Pixels = corrupt(images, name, severity, indices=torch.arange(len(pixels)), seed=seed).numpy()
    return corrupted


def distance_from_definition(pixels: Pixels, name: str, severity: int) -> NDArray[np.int64]:
    expected = np.stack([np.uint8(SLOW[name](image, CONSTANTS[name][severity - 1])) for image in pixels])
    difference: NDArray[np.int64] = np.abs(run(pixels, name, severity).astype(np.int64) - expected)
    return difference


def grey(value: int, images: int = 100) -> Pixels:
    return np.full((images, 32, 32, 3), value, dtype=np.uint8)


# Where the exact answer is a whole number, the last bit of a float decides between it and the number below. Brightness
# follows matplotlib's order of operations and blur scipy's, but for an exponential whose last bit depends on the
# processor (seen: no pixel differs). The mean of contrast is summed exactly, which numpy's is not (seen: 0.04 %).
ALLOWED_SHARE = {"gaussian_blur": 1e-3, "brightness": 0.0, "contrast": 2e-3, "jpeg_compression": 0.0}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize(
    "images", [random_images, smooth_images, digit_images, pytest.param(cifar_images, marks=pytest.mark.cifar)]
)
def test_each_deterministic_corruption_is_its_definition(
    images: Callable[[], Pixels], name: str, severity: int
) -> None:
    difference = distance_from_definition(images(), name, severity)
    assert difference.max() <= 1
    assert np.mean(difference > 0) <= ALLOWED_SHARE[name]


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", SLOW)
def test_plain_images_stay_within_one_level_of_the_definition(name: str, severity: int) -> None:
    assert distance_from_definition(plain_images(), name, severity).max() <= 1


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_agrees_with_pythons_own_colour_conversion_pixel_by_pixel(severity: int) -> None:
    pixels = random_images()[:2]
    shift = CONSTANTS["brightness"][severity - 1]
    expected = np.empty(pixels.shape)
    for place in np.ndindex(pixels.shape[:3]):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixels[place] / 255.0))
        expected[place] = colorsys.hsv_to_rgb(hue, saturation, min(value + shift, 1.0))
    difference = np.abs(run(pixels, "brightness", severity).astype(int) - np.uint8(expected * 255))
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 0.01


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_keeps_grey_grey_and_lifts_it_by_its_constant(severity: int) -> None:
    bright = run(plain_images(), "brightness", severity)
    assert np.all(bright == bright[..., :1])
    expected = np.minimum(plain_images() / 255 + CONSTANTS["brightness"][severity - 1], 1) * 255
    assert np.all(expected - bright >= -1e-9)
    assert np.all(expected - bright < 1 + 1e-9)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_leaves_an_image_of_one_colour_as_it_is(severity: int) -> None:
    pixels = np.broadcast_to(np.array([13, 130, 255], dtype=np.uint8), (1, 32, 32, 3)).copy()
    assert np.array_equal(run(pixels, "contrast", severity), pixels)


@pytest.mark.parametrize("value", [3, 128, 250])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_noise_has_the_distribution_of_truncated_normal_noise(severity: int, value: int) -> None:
    noisy = run(grey(value), "gaussian_noise", severity)
    edges = (np.arange(1, 256) / 255 - value / 255) / CONSTANTS["gaussian_noise"][severity - 1]
    expected = np.diff(np.concatenate([[0.0], stats.norm.cdf(edges), [1.0]])) * noisy.size
    counts = np.bincount(noisy.ravel(), minlength=256)
    common = expected >= 10
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("severity", SEVERITIES)
def test_impulse_noise_replaces_its_share_of_elements_half_by_black_and_half_by_white(severity: int) -> None:
    noisy = run(grey(100, 300), "impulse_noise", severity)
    assert set(np.unique(noisy)) == {0, 100, 255}
    share = CONSTANTS["impulse_noise"][severity - 1]
    for level in (0, 255):
        assert stats.binomtest(int((noisy == level).sum()), noisy.size, share / 2).pvalue > 1e-3
    hit_twice = int(((noisy != 100).sum(axis=-1) >= 2).sum())
    chance = 3 * share**2 * (1 - share) + share**3
    assert stats.binomtest(hit_twice, noisy.size // 3, chance).pvalue > 1e-3


def test_impulse_noise_leaves_every_other_element_alone_at_every_level() -> None:
    pixels = np.arange(256, dtype=np.uint8).repeat(12).reshape(1, 32, 32, 3)
    noisy = run(pixels, "impulse_noise", 1)
    kept = (noisy != 0) & (noisy != 255)
    assert np.array_equal(noisy[kept], pixels[kept])
    assert kept.mean() > 0.96


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", GENERATED_CORRUPTIONS)
def test_an_image_is_the_same_to_the_bit_in_any_batch_and_order(name: str, severity: int) -> None:
    images = torch.from_numpy(random_images())
    whole = corrupt(images, name, severity, indices=torch.arange(20))
    order = torch.from_numpy(np.random.default_rng(2).permutation(20))
    parts = [corrupt(images[part], name, severity, indices=part) for part in (order[:1], order[1:8], order[8:])]
    assert torch.equal(torch.cat(parts), whole[order])


@pytest.mark.parametrize("name", ["gaussian_noise", "impulse_noise"])
def test_noise_differs_between_seeds_severities_images_and_corruptions(name: str) -> None:
    draws = ((5, 0), (5, 1), (4, 0))
    base, *others = [run(grey(128, 20), name, severity, seed) < 128 for severity, seed in draws]
    for other in (*others, np.roll(base, 1, axis=0)):
        expected = base.mean() * other.mean()
        assert np.mean(base & other) == pytest.approx(expected, abs=5 * np.sqrt(expected / base.size))


@pytest.mark.parametrize("name", GENERATED_CORRUPTIONS)
def test_a_higher_severity_takes_the_image_further_from_the_original(name: str) -> None:
    pixels = smooth_images()
    distance = [np.mean((run(pixels, name, severity) - pixels.astype(float)) ** 2) for severity in SEVERITIES]
    assert np.all(np.diff([0, *distance]) > 0)


@pytest.mark.parametrize("name", GENERATED_CORRUPTIONS)
def test_the_images_given_are_left_alone_whatever_their_height_and_width(name: str) -> None:
    images = torch.from_numpy(random_images()[:4, :16, :24].copy())
    before = images.clone()
    corrupted = corrupt(images, name, 3, indices=torch.tensor([5, 900_000_000_000, 0, 2]))
    assert torch.equal(images, before)
    assert corrupted.dtype == torch.uint8
    assert corrupted.shape == (4, 16, 24, 3)


@pytest.mark.parametrize(
    ("name", "severity", "message"),
    [
        ("fog_", 1, r"'fog_' cannot be generated: choose from gaussian_noise, .*, jpeg_compression\."),
        ("contrast", 0, r"Severity 0 of contrast does not exist: choose from 1 to 5\."),
        ("contrast", 6, r"Severity 6 of contrast does not exist"),
    ],
)
def test_an_unknown_corruption_or_severity_is_refused_by_naming_those_there_are(
    name: str, severity: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(grey(0, 1), name, severity)


@pytest.mark.parametrize(
    ("images", "indices", "message"),
    [
        (torch.zeros((2, 32, 32, 3)), torch.arange(2), "images must be uint8"),
        (torch.zeros((2, 32, 32, 3), dtype=torch.uint8), torch.arange(3), "indices must be int64"),
        (torch.zeros((2, 32, 32, 3), dtype=torch.uint8), torch.arange(2).int(), "indices must be int64"),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(images: torch.Tensor, indices: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corrupt(images, "contrast", 1, indices=indices)


@pytest.mark.parametrize("name", GENERATED_CORRUPTIONS)
def test_the_constants_are_the_published_ones_and_changing_any_changes_the_sets_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corruption = corruptions._CORRUPTIONS[name]
    assert corruption.constants == CONSTANTS[name]
    before = corruption_set_version()
    for position in range(5):
        changed = list(corruption.constants)
        changed[position] *= 1.01
        monkeypatch.setitem(corruptions._CORRUPTIONS, name, replace(corruption, constants=tuple(changed)))
        assert corruption_set_version() != before


def test_version_1_still_makes_the_pixels_it_made() -> None:
    """A change of these pixels needs a new algorithm version, hence a new name. JPEG depends on Pillow's library."""
    pixels = np.concatenate([random_images(), digit_images()])
    names = [name for name in GENERATED_CORRUPTIONS if name != "jpeg_compression"]
    digest = hashlib.sha256(b"".join(run(pixels, name, severity).tobytes() for name in names for severity in (1, 4)))
    assert (corruption_set_version(), digest.hexdigest()[:16]) == ("nsbench-c v1 29ba6d", "0241e27690455c12")


@pytest.mark.gpu
@pytest.mark.parametrize("name", GENERATED_CORRUPTIONS)
def test_a_gpu_makes_the_same_pixels(name: str) -> None:
    images, indices = torch.from_numpy(np.concatenate([random_images(), smooth_images()])), torch.arange(40)
    for severity in SEVERITIES:
        on_gpu = corrupt(images.cuda(), name, severity, indices=indices)
        assert on_gpu.is_cuda
        assert torch.equal(on_gpu.cpu(), corrupt(images, name, severity, indices=indices))
