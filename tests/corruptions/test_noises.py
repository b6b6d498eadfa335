"""Noise of CIFAR-10-C and -P, against slow restatements and the distributions it should have."""

import hashlib

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from nsbench.corruptions.kinds.noises import NOISE_SEQUENCES, NOISES, shot_noise_law
from nsbench.corruptions.numerics.keyed_random import keyed_normal, keyed_uniform
from nsbench.corruptions.spec import Draw

Pixels = NDArray[np.uint8]

CONSTANTS = {
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),
    "shot_noise": (500, 250, 100, 75, 50),
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),
    "speckle_noise": (0.06, 0.10, 0.12, 0.16, 0.20),
}
SEQUENCE_CONSTANTS = {
    "gaussian_noise": 0.02,
    "gaussian_noise_2": 0.04,
    "gaussian_noise_3": 0.06,
    "shot_noise": 700,
    "shot_noise_2": 400,
    "shot_noise_3": 200,
    "speckle_noise": 0.05,
    "speckle_noise_2": 0.07,
    "speckle_noise_3": 0.10,
}
GAUSSIAN = [name for name in SEQUENCE_CONSTANTS if name.startswith("gaussian")]
SHOT = [name for name in SEQUENCE_CONSTANTS if name.startswith("shot")]
SPECKLE = [name for name in SEQUENCE_CONSTANTS if name.startswith("speckle")]
PHOTONS = (700, 500, 400, 250, 200, 100, 75, 50)
SEVERITIES = (1, 2, 3, 4, 5)
KEY = 17


def random_images(count: int = 20) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def grey(value: int, images: int = 100) -> Pixels:
    return np.full((images, 32, 32, 3), value, dtype=np.uint8)


def draw(images: int, key: int = KEY) -> Draw:
    return Draw(key, torch.arange(images))


def run(pixels: Pixels, name: str, severity: int, key: int = KEY) -> Pixels:
    noise = NOISES[name]
    noisy: Pixels = noise.apply(torch.from_numpy(pixels), noise.constants[severity - 1], draw(len(pixels), key)).numpy()
    return noisy


def sequence(pixels: Pixels, name: str, key: int = KEY) -> Pixels:
    """The frames of each image, (B, T, 32, 32, 3)."""
    perturbation = NOISE_SEQUENCES[name]
    frames = perturbation.frames(torch.from_numpy(pixels), perturbation.constants, draw(len(pixels), key))
    stacked: Pixels = torch.stack(list(frames), dim=1).numpy()
    return stacked


def normal(images: int, frame: int = 0) -> NDArray[np.float32]:
    numbers: NDArray[np.float32] = keyed_normal(KEY, torch.arange(images), 3072, frame).numpy()
    return numbers.reshape(images, 32, 32, 3)


def slow_speckle(pixels: Pixels, numbers: NDArray[np.float32], sigma: float) -> Pixels:
    values = pixels / 255.0
    noisy = np.clip(values + values * (sigma * numbers.astype(np.float64)), 0, 1) * 255
    return noisy.astype(np.uint8)


def assert_levels_follow(noisy: Pixels, probabilities: NDArray[np.float64]) -> None:
    """Chi-square over the 256 levels, the rare ones together."""
    masses = probabilities * noisy.size
    counts = np.bincount(noisy.ravel(), minlength=256)
    assert not counts[masses == 0].any()
    common = masses >= 10
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(masses[common], masses[~common].sum())
    kept = expected > 0
    assert kept.sum() == 1 or stats.chisquare(observed[kept], expected[kept]).pvalue > 1e-3


def normal_levels(value: int, sigma: float) -> NDArray[np.float64]:
    edges = (np.arange(1, 256) / 255 - value / 255) / sigma
    return np.diff(np.concatenate([[0.0], stats.norm.cdf(edges), [1.0]]))


def poisson_levels(value: int, photons: int) -> NDArray[np.float64]:
    counts = np.arange(4 * photons)
    levels = np.uint8(np.clip(counts / photons, 0, 1) * 255)
    masses = stats.poisson.pmf(counts, value / 255.0 * photons)
    return np.array([masses[levels == level].sum() for level in range(256)])


@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_noise_is_its_definition_number_by_number(severity: int) -> None:
    pixels, sigma = random_images(), CONSTANTS["gaussian_noise"][severity - 1]
    expected = np.uint8(np.clip(pixels / 255.0 + sigma * normal(20).astype(np.float64), 0, 1) * 255)
    assert np.array_equal(run(pixels, "gaussian_noise", severity), expected)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_speckle_noise_is_its_definition_number_by_number(severity: int) -> None:
    pixels, sigma = random_images(), CONSTANTS["speckle_noise"][severity - 1]
    assert np.array_equal(run(pixels, "speckle_noise", severity), slow_speckle(pixels, normal(20), sigma))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_impulse_noise_is_its_definition_number_by_number(severity: int) -> None:
    pixels, share = random_images(), CONSTANTS["impulse_noise"][severity - 1]
    uniform = keyed_uniform(KEY, torch.arange(20), 3072).numpy().reshape(pixels.shape)
    expected = np.where(uniform < share / 2, 0, np.where(uniform < share, 255, pixels))
    assert np.array_equal(run(pixels, "impulse_noise", severity), expected)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaussian_sequences_are_their_definition_in_float32_in_every_frame(name: str) -> None:
    pixels = random_images(5)
    frames = sequence(pixels, name)
    sigma, values = np.float32(SEQUENCE_CONSTANTS[name]), pixels.astype(np.float32) / np.float32(255)
    for frame in range(1, 31):
        expected = np.uint8(np.clip(values + sigma * normal(5, frame), 0, 1) * np.float32(255))
        assert np.array_equal(frames[:, frame], expected)


@pytest.mark.parametrize("name", SPECKLE)
def test_speckle_sequences_are_their_definition_in_every_frame(name: str) -> None:
    pixels = random_images(5)
    frames = sequence(pixels, name)
    for frame in range(1, 31):
        expected = slow_speckle(pixels, normal(5, frame), SEQUENCE_CONSTANTS[name])
        assert np.array_equal(frames[:, frame], expected)


@pytest.mark.parametrize("value", [3, 128, 250])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_noise_has_the_distribution_of_truncated_normal_noise(severity: int, value: int) -> None:
    sigma = CONSTANTS["gaussian_noise"][severity - 1]
    assert_levels_follow(run(grey(value), "gaussian_noise", severity), normal_levels(value, sigma))


@pytest.mark.parametrize("value", [3, 128, 250])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_speckle_noise_is_normal_noise_in_proportion_to_the_value(severity: int, value: int) -> None:
    sigma = CONSTANTS["speckle_noise"][severity - 1] * value / 255
    assert_levels_follow(run(grey(value), "speckle_noise", severity), normal_levels(value, sigma))


@pytest.mark.parametrize("photons", PHOTONS)
def test_the_law_of_shot_noise_is_scipys_poisson_distribution_at_every_grey_level(photons: int) -> None:
    law = shot_noise_law(photons)
    expected = np.stack([poisson_levels(value, photons) for value in range(256)])
    np.testing.assert_allclose(law, expected, atol=1e-12)
    np.testing.assert_allclose(law, expected, rtol=1e-9, atol=1e-60)
    np.testing.assert_allclose(law.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("value", [0, 1, 20, 128, 254, 255])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_shot_noise_counts_photons_as_the_poisson_distribution_does(severity: int, value: int) -> None:
    photons = CONSTANTS["shot_noise"][severity - 1]
    assert_levels_follow(run(grey(value), "shot_noise", severity), poisson_levels(value, int(photons)))


@pytest.mark.parametrize("name", SHOT)
def test_shot_noise_sequences_count_photons_as_the_poisson_distribution_does(name: str) -> None:
    for value in (30, 200):
        noisy = sequence(grey(value, 10), name)[:, 1:]
        assert_levels_follow(noisy, poisson_levels(value, int(SEQUENCE_CONSTANTS[name])))


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


@pytest.mark.parametrize("name", ["shot_noise", "speckle_noise"])
def test_black_stays_black_under_noise_in_proportion_to_light(name: str) -> None:
    assert not run(grey(0, 4), name, 5).any()


@pytest.mark.parametrize("name", NOISES)
def test_noise_differs_between_keys_and_images(name: str) -> None:
    base, other_key = (run(grey(128, 20), name, 5, key) < 128 for key in (KEY, KEY + 1))
    for other in (other_key, np.roll(base, 1, axis=0)):
        expected = base.mean() * other.mean()
        assert np.mean(base & other) == pytest.approx(expected, abs=5 * np.sqrt(expected / base.size))


@pytest.mark.parametrize("name", NOISES)
def test_a_higher_severity_takes_the_image_further_from_the_original(name: str) -> None:
    pixels = random_images()
    distance = [np.mean((run(pixels, name, severity) - pixels.astype(float)) ** 2) for severity in SEVERITIES]
    assert np.all(np.diff([0, *distance]) > 0)


@pytest.mark.parametrize("name", NOISES)
def test_an_image_has_the_same_noise_to_the_bit_in_any_batch_and_order(name: str) -> None:
    noise, images = NOISES[name], torch.from_numpy(random_images())
    order = torch.from_numpy(np.random.default_rng(2).permutation(20))
    for constant in noise.constants:
        whole = noise.apply(images, constant, draw(20))
        parts = (order[:1], order[1:8], order[8:])
        assert torch.equal(
            torch.cat([noise.apply(images[part], constant, Draw(KEY, part)) for part in parts]), whole[order]
        )


@pytest.mark.parametrize("name", NOISE_SEQUENCES)
def test_an_image_has_the_same_sequence_to_the_bit_in_any_batch_and_order(name: str) -> None:
    perturbation, images = NOISE_SEQUENCES[name], torch.from_numpy(random_images(6))
    whole = list(perturbation.frames(images, perturbation.constants, draw(6)))
    part = torch.tensor([4, 1])
    for frame, alone in enumerate(perturbation.frames(images[part], perturbation.constants, Draw(KEY, part))):
        assert torch.equal(alone, whole[frame][part])


@pytest.mark.parametrize("name", NOISE_SEQUENCES)
def test_a_sequence_is_the_image_itself_and_30_independent_draws(name: str) -> None:
    pixels = grey(128, 10)
    frames = sequence(pixels, name)
    assert frames.shape == (10, 31, 32, 32, 3)
    assert np.array_equal(frames[:, 0], pixels)
    noise = frames[:, 1:].transpose(1, 0, 2, 3, 4).reshape(30, -1) - 128.0
    correlation = np.corrcoef(noise) - np.eye(30)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(noise.shape[1])


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "speckle_noise"])
def test_sequences_differ_between_keys(name: str) -> None:
    first, second = (sequence(grey(128, 10), name, key)[:, 1:].ravel() - 128.0 for key in (KEY, KEY + 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(first.size)


def test_the_constants_are_the_published_ones() -> None:
    assert {name: noise.constants for name, noise in NOISES.items()} == CONSTANTS
    assert {name: noise.constants for name, noise in NOISE_SEQUENCES.items()} == {
        name: (0, *30 * (constant,)) for name, constant in SEQUENCE_CONSTANTS.items()
    }


@pytest.mark.parametrize("name", NOISES)
def test_the_images_given_are_left_alone(name: str) -> None:
    images = torch.from_numpy(random_images(4))
    before = images.clone()
    noisy = NOISES[name].apply(images, NOISES[name].constants[2], Draw(KEY, torch.tensor([5, 900_000_000_000, 0, 2])))
    assert noisy.dtype == torch.uint8
    assert noisy.shape == images.shape
    noisy.zero_()
    assert torch.equal(images, before)


def test_version_1_still_makes_the_pixels_it_made() -> None:
    """A change of these pixels needs a new version of the set, hence a new name."""
    noisy = [run(random_images(), name, severity).tobytes() for name in NOISES for severity in (1, 4)]
    frames = [sequence(random_images(3), name)[:, [1, 30]].tobytes() for name in NOISE_SEQUENCES]
    digests = [hashlib.sha256(b"".join(made)).hexdigest()[:16] for made in (noisy, frames)]
    assert digests == ["0a34a722412b9363", "93bec12b322fc87d"]


@pytest.mark.gpu
@pytest.mark.parametrize("name", NOISES)
def test_a_gpu_makes_the_same_noise(name: str) -> None:
    images, indices = torch.from_numpy(random_images(40)), torch.arange(40)
    for constant in NOISES[name].constants:
        on_gpu = NOISES[name].apply(images.cuda(), constant, Draw(KEY, indices.cuda()))
        assert on_gpu.is_cuda
        assert torch.equal(on_gpu.cpu(), NOISES[name].apply(images, constant, Draw(KEY, indices)))


@pytest.mark.gpu
@pytest.mark.parametrize("name", NOISE_SEQUENCES)
def test_a_gpu_makes_the_same_noise_sequences(name: str) -> None:
    images, indices, perturbation = torch.from_numpy(random_images()), torch.arange(20), NOISE_SEQUENCES[name]
    on_gpu = perturbation.frames(images.cuda(), perturbation.constants, Draw(KEY, indices.cuda()))
    on_cpu = perturbation.frames(images, perturbation.constants, Draw(KEY, indices))
    assert all(torch.equal(gpu.cpu(), cpu) for gpu, cpu in zip(on_gpu, on_cpu, strict=True))
