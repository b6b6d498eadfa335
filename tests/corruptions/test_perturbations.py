"""CIFAR-10-P sequences, against slow restatements of their definitions, one image at a time."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from torchvision.transforms import functional  # type: ignore[import-untyped] # torchvision ships no types

from nsbench.corruptions import perturbations
from nsbench.corruptions.corruptions import corrupt
from nsbench.corruptions.perturbations import (
    GENERATED_PERTURBATIONS,
    frame_count,
    perturb,
    perturbation_set_version,
)
from nsbench.errors import UserError

Pixels = NDArray[np.uint8]


def random_images() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)


def smooth_images() -> Pixels:
    """Coloured gradients, and black, white and grey."""
    down, across = np.mgrid[:32, :32]
    gradient = np.stack([down * 8, across * 8, 255 - (down + across) * 4], axis=-1)
    plain = [np.full((32, 32, 3), value) for value in (0, 255, 77)]
    return np.stack([gradient, gradient[::-1], gradient[..., ::-1], *plain]).astype(np.uint8)


def run(pixels: Pixels, name: str, seed: int = 0) -> Pixels:
    images = torch.from_numpy(pixels)
    sequences: Pixels = perturb(images, name, indices=torch.arange(len(pixels)), seed=seed).numpy()
    return sequences


@pytest.mark.parametrize("frame", range(31))
def test_brightness_is_its_definition_in_every_frame(frame: int) -> None:
    pixels = np.concatenate([random_images(), smooth_images()])
    expected = []
    for image in pixels:
        hsv = rgb_to_hsv(image / 255.0)
        hsv[..., 2] = np.clip(hsv[..., 2] + (frame - 15) * 1.5 / 100.0, 0, 1)
        expected.append(np.uint8(hsv_to_rgb(hsv) * 255))
    difference = np.abs(run(pixels, "brightness")[:, frame].astype(int) - np.stack(expected))
    assert difference.max() <= 1
    assert np.mean(difference > 0) <= 1e-5


def test_brightness_rises_from_frame_to_frame() -> None:
    means = run(smooth_images()[:3], "brightness").mean(axis=(0, 2, 3, 4))
    assert np.all(np.diff(means) > 0)


def test_brightness_shares_its_arithmetic_with_the_corruption() -> None:
    images = torch.from_numpy(random_images())
    sequences = perturb(images, "brightness", indices=torch.arange(12))
    assert torch.equal(sequences[:, 25], corrupt(images, "brightness", 3, indices=torch.arange(12)))


@pytest.mark.parametrize("frame", range(16))
def test_translate_is_torchvisions_affine_map(frame: int) -> None:
    pixels = random_images()
    expected = [
        np.array(functional.affine(Image.fromarray(image), angle=0, translate=[frame - 7, 0], scale=1, shear=[0.0]))
        for image in pixels
    ]
    assert np.array_equal(run(pixels, "translate")[:, frame], np.stack(expected))


def test_translate_moves_from_left_to_right_over_black_and_passes_the_image_itself() -> None:
    pixels = smooth_images().clip(1)
    sequences = run(pixels, "translate")
    assert np.array_equal(sequences[:, 7], pixels)
    assert np.array_equal(sequences[:, 0, :, :25], pixels[:, :, 7:])
    assert not sequences[:, 0, :, 25:].any()
    assert np.array_equal(sequences[:, 15, :, 8:], pixels[:, :, :24])
    assert not sequences[:, 15, :, :8].any()


@pytest.mark.parametrize("value", [2, 128, 252])
def test_gaussian_noise_has_the_distribution_of_truncated_normal_noise(value: int) -> None:
    pixels = np.full((20, 32, 32, 3), value, dtype=np.uint8)
    noisy = run(pixels, "gaussian_noise")[:, 1:]
    edges = (np.arange(1, 256) / 255 - value / 255) / 0.02
    expected = np.diff(np.concatenate([[0.0], stats.norm.cdf(edges), [1.0]])) * noisy.size
    counts = np.bincount(noisy.ravel(), minlength=256)
    common = expected >= 10
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_gaussian_noise_begins_with_the_image_itself() -> None:
    assert np.array_equal(run(random_images(), "gaussian_noise")[:, 0], random_images())


def test_gaussian_noise_draws_every_frame_anew() -> None:
    pixels = np.full((20, 32, 32, 3), 128, dtype=np.uint8)
    noise = run(pixels, "gaussian_noise")[:, 1:].transpose(1, 0, 2, 3, 4).reshape(30, -1) - 128.0
    correlation = np.corrcoef(noise) - np.eye(30)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(noise.shape[1])


def test_gaussian_noise_differs_between_seeds() -> None:
    pixels = np.full((20, 32, 32, 3), 128, dtype=np.uint8)
    first, second = (run(pixels, "gaussian_noise", seed)[:, 1:].ravel() - 128.0 for seed in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(first.size)


@pytest.mark.parametrize("name", GENERATED_PERTURBATIONS)
def test_a_sequence_is_the_same_to_the_bit_in_any_batch_and_order(name: str) -> None:
    images = torch.from_numpy(random_images())
    whole = perturb(images, name, indices=torch.arange(12))
    order = torch.from_numpy(np.random.default_rng(2).permutation(12))
    parts = [perturb(images[part], name, indices=part) for part in (order[:1], order[1:5], order[5:])]
    assert torch.equal(torch.cat(parts), whole[order])


@pytest.mark.parametrize(("name", "frames"), [("gaussian_noise", 31), ("brightness", 31), ("translate", 16)])
def test_sequences_have_the_published_number_of_frames(name: str, frames: int) -> None:
    assert frame_count(name) == frames
    assert run(random_images(), name).shape == (12, frames, 32, 32, 3)


@pytest.mark.parametrize("name", GENERATED_PERTURBATIONS)
def test_the_images_given_are_left_alone_whatever_their_height_and_width(name: str) -> None:
    images = torch.from_numpy(random_images()[:3, :10, :6].copy())
    before = images.clone()
    sequences = perturb(images, name, indices=torch.arange(3))
    sequences.zero_()
    assert torch.equal(images, before)
    assert sequences.dtype == torch.uint8
    assert sequences.shape == (3, frame_count(name), 10, 6, 3)


def test_an_unknown_perturbation_is_refused_by_naming_those_there_are() -> None:
    images = torch.zeros((1, 32, 32, 3), dtype=torch.uint8)
    message = r"Perturbation 'tilt' cannot be generated: choose from gaussian_noise, brightness, translate\."
    with pytest.raises(UserError, match=message):
        perturb(images, "tilt", indices=torch.arange(1))
    with pytest.raises(UserError, match=message):
        frame_count("tilt")


def test_arrays_of_another_type_or_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="images must be uint8"):
        perturb(torch.zeros((1, 32, 32, 3)), "translate", indices=torch.arange(1))
    with pytest.raises(ValueError, match="indices must be int64"):
        perturb(torch.zeros((1, 32, 32, 3), dtype=torch.uint8), "translate", indices=torch.arange(2))


@pytest.mark.parametrize("name", GENERATED_PERTURBATIONS)
def test_changing_a_constant_changes_the_sets_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    perturbation = perturbations._PERTURBATIONS[name]
    before = perturbation_set_version()
    changed = (*perturbation.constants[:-1], perturbation.constants[-1] + 1)
    monkeypatch.setitem(perturbations._PERTURBATIONS, name, replace(perturbation, constants=changed))
    assert perturbation_set_version() != before
    monkeypatch.setitem(perturbations._PERTURBATIONS, name, replace(perturbation, constants=changed[:-1]))
    assert perturbation_set_version() != before


def test_version_1_still_makes_the_pixels_it_made() -> None:
    """A change of these pixels needs a new algorithm version, hence a new name."""
    digest = hashlib.sha256(b"".join(run(smooth_images(), name).tobytes() for name in GENERATED_PERTURBATIONS))
    assert (perturbation_set_version(), digest.hexdigest()[:16]) == ("nsbench-p v1 f956ba", "6d69f63c501acf70")


@pytest.mark.gpu
@pytest.mark.parametrize("name", GENERATED_PERTURBATIONS)
def test_a_gpu_makes_the_same_pixels(name: str) -> None:
    images, indices = torch.from_numpy(np.concatenate([random_images(), smooth_images()])), torch.arange(18)
    on_gpu = perturb(images.cuda(), name, indices=indices)
    assert on_gpu.is_cuda
    assert torch.equal(on_gpu.cpu(), perturb(images, name, indices=indices))
