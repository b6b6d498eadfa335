"""Snow, against its definition restated slowly and given the same random numbers.

The motion of the flakes and their enlargement are proved in test_motion.py and test_zoom.py; the restatement here uses
that motion, and scipy's enlargement.
"""

import hashlib

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage, stats

from nsbench.corruptions.kinds.motion import Gauss, blur_along, blur_along_random_lines
from nsbench.corruptions.kinds.snow import SNOW, SNOW_SEQUENCES, Flakes, lying_flakes, whiten
from nsbench.corruptions.numerics.keyed_random import keyed_normal, keyed_uniform
from nsbench.corruptions.spec import Draw

Pixels = NDArray[np.uint8]
CORRUPTION = SNOW["snow"]
SEQUENCE = SNOW_SEQUENCES["snow"]
CONSTANTS: list[tuple[float, ...]] = [
    (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
    (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
    (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
]
KEY = 11


def random_images(count: int = 20) -> Pixels:
    """Half of them plain, since snow covers them all alike."""
    rng = np.random.default_rng(0)
    noisy = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    noisy[::2] = rng.integers(0, 256, (len(noisy[::2]), 1, 1, 3), dtype=np.uint8)
    return noisy


def corrupted(pixels: Pixels, severity: int, key: int = KEY, device: str = "cpu") -> Pixels:
    draw = Draw(key, torch.arange(len(pixels), device=device))
    images = torch.from_numpy(pixels).to(device)
    snowy: Pixels = CORRUPTION.apply(images, CORRUPTION.constants[severity - 1], draw).cpu().numpy()
    return snowy


def frames(pixels: Pixels, device: str = "cpu") -> Pixels:
    draw = Draw(KEY, torch.arange(len(pixels), device=device))
    made = SEQUENCE.frames(torch.from_numpy(pixels).to(device), SEQUENCE.constants, draw)
    sequences: Pixels = torch.stack(list(made), dim=1).cpu().numpy()
    return sequences


def slow_flakes(normal: NDArray[np.float64], mean: float, deviation: float, factor: float, threshold: float) -> Pixels:
    """Enlarge the centre, given as (S, S), as scipy does, and keep what reaches the threshold: uint8 (32, 32)."""
    layer = ndimage.zoom(mean + deviation * normal, factor, order=1)
    trim = (len(layer) - 32) // 2
    layer = layer[trim : trim + 32, trim : trim + 32]
    layer[layer < threshold] = 0
    return np.asarray(np.clip(layer, 0, 1) * 255, dtype=np.uint8)


def slow_snow(values: NDArray[np.floating], layer: Pixels, share: float) -> Pixels:
    """Whiten one image (32, 32, 3) in [0, 1] in its own precision, and add the layer (32, 32) and its half turn."""
    grey = values.astype(np.float64) @ [0.299, 0.587, 0.114]
    white = np.maximum(values, (grey.astype(np.float32) * 1.5 + 0.5)[..., None])
    mixed = share * values + (1 - share) * white
    flakes = (layer / 255)[..., None]
    return np.asarray(np.clip(mixed + flakes + np.rot90(flakes, k=2), 0, 1) * 255, dtype=np.uint8)


def drawn_normal(count: int, factor: float) -> NDArray[np.float64]:
    """The numbers that flakes are made of: as many as the zoom shows."""
    size = int(np.ceil(32 / factor))
    numbers = keyed_normal(KEY, torch.arange(count), size * size)
    return numbers.double().view(count, size, size).numpy()


def assert_equal_but_for_few_levels(ours: Pixels, expected: Pixels) -> None:
    """The last bit of grey shows where the exact value is a whole number: in one value in 10,000."""
    difference = np.abs(ours.astype(int) - expected)
    assert difference.max() <= 1
    assert np.mean(difference > 0) <= 3e-4


def test_the_constants_are_the_published_ones() -> None:
    assert list(CORRUPTION.constants) == CONSTANTS
    assert SEQUENCE.constants == tuple(range(-150, -29, 4))


@pytest.mark.parametrize("severity", range(1, 6))
def test_snow_is_its_definition(severity: int) -> None:
    *flakes, radius, sigma, share = CONSTANTS[severity - 1]
    pixels = random_images()
    lying = [slow_flakes(normal, *flakes) for normal in drawn_normal(len(pixels), flakes[2])]
    uniform = keyed_uniform(KEY, torch.arange(len(pixels)), 1, stream=1)[:, 0]
    layers = torch.from_numpy(np.stack(lying)[..., None])
    layers = blur_along_random_lines(layers, Gauss(int(radius), sigma), (-135.0, -45.0), uniform)
    values = (pixels / 255).astype(np.float32)
    expected = [slow_snow(image, layer[..., 0], share) for image, layer in zip(values, layers.numpy(), strict=True)]
    assert_equal_but_for_few_levels(corrupted(pixels, severity), np.stack(expected))


def test_each_frame_is_its_definition() -> None:
    pixels = random_images(8)
    lying = [slow_flakes(normal, 0.05, 0.3, 2, 0.5) for normal in drawn_normal(8, 2)]
    layers = torch.from_numpy(np.stack(lying)[..., None])
    made = frames(pixels)
    assert made.shape == (8, 31, 32, 32, 3)
    for frame, layer in enumerate(blur_along(layers, Gauss(10, 2), tuple(frame * 4 - 150 for frame in range(31)))):
        expected = [
            slow_snow(image / 255, flakes[..., 0], 0.85) for image, flakes in zip(pixels, layer.numpy(), strict=True)
        ]
        assert_equal_but_for_few_levels(made[:, frame], np.stack(expected))


@pytest.mark.parametrize("severity", [1, 2, 3, 5])
def test_flakes_are_as_many_as_normal_numbers_reach_the_threshold(severity: int) -> None:
    """Where a zoom shows a pixel of the centre itself, and not a mixture: at the corner, which severity 4 trims."""
    mean, deviation, factor, threshold = CONSTANTS[severity - 1][:4]
    size = int(np.ceil(32 / factor))
    normal = keyed_normal(5, torch.arange(1000), size * size).view(-1, size, size)
    flakes = lying_flakes(normal, Flakes(mean, deviation, factor, threshold), 32).numpy()
    assert flakes.shape == (1000, 32, 32, 1)
    shown = flakes if factor == 1 else flakes[:, :1, :1]
    chance = stats.norm.sf((threshold - mean) / deviation)
    assert stats.binomtest(int(np.count_nonzero(shown)), shown.size, chance).pvalue > 1e-3
    assert shown[shown > 0].min() >= int(threshold * 255)


@pytest.mark.parametrize("severity", range(1, 6))
def test_snow_on_black_looks_the_same_upside_down(severity: int) -> None:
    snowy = corrupted(np.zeros((20, 32, 32, 3), dtype=np.uint8), severity)
    assert np.array_equal(snowy, snowy[:, ::-1, ::-1])
    assert len({image.tobytes() for image in snowy}) == 20


def test_whitening_leaves_white_white_and_lifts_black_by_half_of_what_is_taken() -> None:
    values = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]).double().view(1, 1, 3, 3)
    black, white, red = whiten(values, 0.9)[0, 0]
    assert black.tolist() == pytest.approx([0.05] * 3)
    assert white.tolist() == pytest.approx([0.9 + 0.1 * 2] * 3)
    assert red.tolist() == pytest.approx([1.0, 0.1 * (0.299 * 1.5 + 0.5), 0.1 * (0.299 * 1.5 + 0.5)])


@pytest.mark.parametrize("severity", range(1, 6))
def test_an_image_is_the_same_to_the_bit_in_any_batch_and_order(severity: int) -> None:
    images = torch.from_numpy(random_images())
    constant = CORRUPTION.constants[severity - 1]
    whole = CORRUPTION.apply(images, constant, Draw(3, torch.arange(20)))
    order = torch.from_numpy(np.random.default_rng(2).permutation(20))
    parts = [CORRUPTION.apply(images[part], constant, Draw(3, part)) for part in (order[:1], order[1:8], order[8:])]
    assert torch.equal(torch.cat(parts), whole[order])


def test_a_sequence_is_the_same_to_the_bit_in_any_batch() -> None:
    pixels = random_images(6)
    draw = Draw(KEY, torch.tensor([4]))
    alone = list(SEQUENCE.frames(torch.from_numpy(pixels[4:5]), SEQUENCE.constants, draw))
    assert np.array_equal(torch.stack(alone, dim=1).numpy(), frames(pixels)[4:5])


def test_the_images_given_and_the_numbers_given_are_left_alone() -> None:
    pixels = random_images(3)
    before = pixels.copy()
    corrupted(pixels, 5)
    frames(pixels)
    assert np.array_equal(pixels, before)
    normal = torch.ones((3, 32, 32), dtype=torch.float64)
    lying_flakes(normal, Flakes(0.1, 0.2, 1, 0.6), 32)
    assert torch.equal(normal, torch.ones_like(normal))


def test_version_1_still_makes_the_pixels_it_made() -> None:
    pixels = random_images()
    made = [corrupted(pixels, severity) for severity in range(1, 6)] + [frames(pixels[:5])]
    assert hashlib.sha256(b"".join(array.tobytes() for array in made)).hexdigest()[:16] == "5f4e2ac8f59b5a2a"


@pytest.mark.gpu
def test_a_gpu_makes_the_same_pixels() -> None:
    pixels = random_images()
    for severity in range(1, 6):
        assert np.array_equal(corrupted(pixels, severity, device="cuda"), corrupted(pixels, severity))
    assert np.array_equal(frames(pixels[:5], device="cuda"), frames(pixels[:5]))
