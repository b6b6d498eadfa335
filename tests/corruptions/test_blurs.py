"""Gaussian, defocus and glass blur, against slow restatements of their definitions, one image at a time."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage, stats

from nsbench.corruptions.kinds.blurs import BLUR_SEQUENCES, BLURS, copy_neighbours, disk_kernel, draw_moves
from nsbench.corruptions.numerics.gaussian import blur
from nsbench.corruptions.spec import Draw
from tests.corruptions.pictures import Pixels, coloured_waves, real_images

SIGMAS = (0.4, 0.6, 0.7, 0.8, 1.0)
DISKS = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
GLASS = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))
SEVERITIES = (1, 2, 3, 4, 5)
KEY = 17
NO_DRAW = Draw(0, torch.arange(0))


def random_images() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)


def smooth_images() -> Pixels:
    return coloured_waves(20)


def plain_images() -> Pixels:
    """Black, white, and every 15th grey."""
    greys = np.arange(0, 256, 15, dtype=np.uint8)
    return np.broadcast_to(greys[:, None, None, None], (len(greys), 32, 32, 3)).copy()


def cifar_images() -> Pixels:
    return real_images(100)


IMAGES = [random_images, smooth_images, pytest.param(cifar_images, marks=pytest.mark.cifar)]


def slow_gaussian(pixels: Pixels, sigma: float, truncate: float = 4.0) -> Pixels:
    blurred: list[NDArray[np.float64]] = [
        ndimage.gaussian_filter(pixels[..., c] / 255.0, sigma, mode="nearest", truncate=truncate) for c in range(3)
    ]
    return np.asarray(np.stack(blurred, axis=-1).clip(0, 1) * 255).astype(np.uint8)


def slow_disk(radius: float, alias_blur: float) -> NDArray[np.float64]:
    """The published kernel in float64 on its published grid of 17 x 17."""
    disk = np.zeros((17, 17))
    for row, column in np.ndindex(17, 17):
        disk[row, column] = (row - 8) ** 2 + (column - 8) ** 2 <= radius**2
    bell = np.exp([-0.5 / alias_blur**2, 0, -0.5 / alias_blur**2])
    soft = np.zeros((17, 17))
    for row, column in np.ndindex(3, 3):
        soft += np.roll(disk / disk.sum(), (row - 1, column - 1), (0, 1)) * bell[row] * bell[column] / bell.sum() ** 2
    return soft


def slow_defocus(pixels: Pixels, disk: tuple[float, float]) -> Pixels:
    kernel = disk_kernel(*disk).astype(np.float64)
    blurred = [ndimage.correlate(pixels[..., c] / 255.0, kernel, mode="mirror") for c in range(3)]
    return np.asarray(np.stack(blurred, axis=-1).clip(0, 1) * 255).astype(np.uint8)


def published_swap(pixels: Pixels, moves: NDArray[np.int64]) -> Pixels:
    """The published loop with numpy's own semantics: both sides of the assignment are views of one array."""
    x = pixels.copy()
    for h in range(31, 1, -1):
        for w in range(31, 1, -1):
            h_from, w_from = h - (moves[h, w] >> 1), w - (moves[h, w] & 1)
            x[h, w], x[h_from, w_from] = x[h_from, w_from], x[h, w]
    return x


def slow_glass(pixels: Pixels, sigma: float, moves: list[NDArray[np.int64]]) -> Pixels:
    x = slow_gaussian(pixels, sigma)
    for iteration in moves:
        x = published_swap(x, iteration)
    return slow_gaussian(x, sigma)


def run(pixels: Pixels, name: str, severity: int, key: int = KEY) -> Pixels:
    corruption, draw = BLURS[name], Draw(key, torch.arange(len(pixels)))
    blurred: Pixels = corruption.apply(torch.from_numpy(pixels), corruption.constants[severity - 1], draw).numpy()
    return blurred


def sequence(pixels: Pixels) -> Pixels:
    """The frames of each image under Gaussian blur, (B, T, 32, 32, 3)."""
    perturbation = BLUR_SEQUENCES["gaussian_blur"]
    frames = perturbation.frames(torch.from_numpy(pixels), perturbation.constants, NO_DRAW)
    stacked: Pixels = torch.stack(list(frames), dim=1).numpy()
    return stacked


def assert_within_a_level(found: Pixels, expected: list[Pixels], share: float) -> None:
    """At most this share of the elements may differ, by one level."""
    difference = np.abs(found.astype(int) - np.stack(expected))
    assert difference.max() <= 1
    assert np.mean(difference > 0) <= share


def moves_of(images: int, iteration: int = 0) -> NDArray[np.int64]:
    moves: NDArray[np.int64] = draw_moves(Draw(KEY, torch.arange(images)), iteration, 32).numpy()
    return moves


@pytest.mark.parametrize("border", ["nearest", "reflect"])
@pytest.mark.parametrize(
    ("sigma", "truncate"), [(0.05, 4.0), (0.4, 4.0), (0.7, 4.0), (1.75, 4.0), (0.45, 7.0), (0.96, 3.0), (6.4, 3.0)]
)
def test_the_gaussian_blur_of_an_array_is_scipys_to_the_last_bit(sigma: float, truncate: float, border: str) -> None:
    values = np.random.default_rng(3).random((3, 32, 32, 2))
    expected = ndimage.gaussian_filter(values, (0, sigma, sigma, 0), mode=border, truncate=truncate)
    found = blur(torch.from_numpy(values), sigma, truncate=truncate, border=border).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    assert np.mean(found != expected) < 0.01


def test_blur_takes_the_axes_it_is_given_and_leaves_its_input_alone() -> None:
    values = torch.rand((3, 8, 32), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = values.clone()
    expected = ndimage.gaussian_filter1d(values.numpy(), 1.5, axis=2, mode="nearest")
    np.testing.assert_allclose(blur(values, 1.5, axes=(2,)).numpy(), expected, rtol=0, atol=1e-15)
    assert torch.equal(values, before)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("images", [*IMAGES, plain_images])
def test_gaussian_blur_is_its_definition(images: Callable[[], Pixels], severity: int) -> None:
    pixels = images()
    expected = [slow_gaussian(image, SIGMAS[severity - 1]) for image in pixels]
    # Where the exact answer is a whole number, the last bit of numpy's exponential shows (seen: no pixel differs).
    assert_within_a_level(run(pixels, "gaussian_blur", severity), expected, 1.0 if images is plain_images else 1e-3)


@pytest.mark.parametrize("frame", range(31))
def test_the_blur_sequence_is_its_definition_in_every_frame(frame: int) -> None:
    pixels = np.concatenate([random_images()[:5], smooth_images()[:5]])
    expected = [slow_gaussian(image, 0.3 + 0.015 * frame, 7.0) for image in pixels]
    assert_within_a_level(sequence(pixels)[:, frame], expected, 1e-3)


@pytest.mark.parametrize("disk", DISKS)
def test_the_disk_is_the_published_kernel_in_float32(disk: tuple[float, float]) -> None:
    whole, kernel = slow_disk(*disk), disk_kernel(*disk)
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel, whole[6:11, 6:11], rtol=1e-6, atol=1e-40)
    assert np.count_nonzero(whole) == np.count_nonzero(whole[6:11, 6:11])
    assert all(np.array_equal(kernel, other) for other in (kernel.T, kernel[::-1], kernel[:, ::-1]))


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("images", IMAGES)
def test_defocus_blur_is_its_definition(images: Callable[[], Pixels], severity: int) -> None:
    pixels = images()
    expected = [slow_defocus(image, DISKS[severity - 1]) for image in pixels]
    assert_within_a_level(run(pixels, "defocus_blur", severity), expected, 1e-5)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_defocus_blur_leaves_plain_images_alone_since_its_weights_sum_to_a_little_more_than_one(severity: int) -> None:
    assert np.array_equal(run(plain_images(), "defocus_blur", severity), plain_images())


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("images", IMAGES)
def test_glass_blur_is_the_published_loop_with_the_same_moves(images: Callable[[], Pixels], severity: int) -> None:
    pixels, (sigma, iterations) = images()[:6], GLASS[severity - 1]
    moves = [moves_of(6, iteration) for iteration in range(iterations)]
    expected = [slow_glass(image, sigma, [drawn[i] for drawn in moves]) for i, image in enumerate(pixels)]
    assert_within_a_level(run(pixels, "glass_blur", severity), expected, 1e-3)


def test_the_published_swap_copies_and_so_loses_pixels_which_we_keep_because_the_official_files_have_it() -> None:
    places = np.arange(1024, dtype=np.int64)
    image = np.stack([places // 256, places % 256, 0 * places], axis=-1).astype(np.uint8).reshape(1, 32, 32, 3)
    moves = moves_of(1)
    copied = copy_neighbours(torch.from_numpy(image), torch.from_numpy(moves)).numpy()
    assert np.array_equal(copied[0], published_swap(image[0], moves[0]))
    assert len(np.unique(copied.reshape(-1, 3), axis=0)) < 800


def test_glass_blur_moves_pixels_down_and_to_the_right_but_for_the_first_two_rows_and_columns() -> None:
    images = torch.from_numpy(random_images())
    moved = copy_neighbours(images, torch.full((20, 32, 32), 3))
    assert torch.equal(moved[:, 2:, 2:], images[:, 1:31, 1:31])
    assert torch.equal(moved[:, :2], images[:, :2])
    assert torch.equal(moved[:, :, :2], images[:, :, :2])
    assert torch.equal(copy_neighbours(images, torch.full((20, 32, 32), 1))[:, 2:, 2:], images[:, 2:, 1:31])
    assert torch.equal(copy_neighbours(images, torch.zeros((20, 32, 32), dtype=torch.int64)), images)


def test_each_move_is_made_a_quarter_of_the_time_and_says_nothing_about_its_neighbours() -> None:
    first, second = moves_of(300), moves_of(300, 1)
    assert stats.chisquare(np.bincount(first.ravel(), minlength=4)).pvalue > 1e-3
    pairs = [(first[:, 1:], first[:, :-1]), (first[:, :, 1:], first[:, :, :-1]), (first[1:], first[:-1])]
    for one, other in (*pairs, (first, second)):
        counts = np.bincount((one * 4 + other).ravel(), minlength=16)
        assert stats.chisquare(counts).pvalue > 1e-3
    by_place = np.stack([(first == move).sum(axis=0) for move in range(4)])
    assert stats.chisquare(by_place, axis=0).pvalue.min() > 1e-3 / 1024


@pytest.mark.parametrize("name", ["gaussian_blur", "defocus_blur"])
def test_a_higher_severity_takes_the_image_further_from_the_original(name: str) -> None:
    pixels = random_images()
    distance = [np.mean((run(pixels, name, severity) - pixels.astype(float)) ** 2) for severity in SEVERITIES]
    assert np.all(np.diff([0, *distance]) > 0)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", BLURS)
def test_an_image_is_the_same_to_the_bit_in_any_batch_and_order(name: str, severity: int) -> None:
    images, corruption = torch.from_numpy(random_images()), BLURS[name]
    constant = corruption.constants[severity - 1]
    order = torch.from_numpy(np.random.default_rng(2).permutation(20))
    parts = [corruption.apply(images[part], constant, Draw(KEY, part)) for part in (order[:1], order[1:8], order[8:])]
    assert torch.equal(torch.cat(parts), corruption.apply(images, constant, Draw(KEY, torch.arange(20)))[order])


def test_glass_blur_differs_between_keys_and_images() -> None:
    pixels = np.broadcast_to(random_images()[:1], (2, 32, 32, 3)).copy()
    first, second = run(pixels, "glass_blur", 1)
    other = run(pixels[:1], "glass_blur", 1, KEY + 1)[0]
    assert np.mean(first != second) > 0.5
    assert np.mean(first != other) > 0.5


@pytest.mark.parametrize("name", BLURS)
def test_the_images_given_are_left_alone(name: str) -> None:
    pixels = random_images()
    for severity in SEVERITIES:
        blurred = run(pixels, name, severity)
        blurred[:] = 0
    assert np.array_equal(pixels, random_images())
    assert blurred.dtype == np.uint8
    assert blurred.shape == pixels.shape


def test_the_constants_are_the_published_ones() -> None:
    constants = {name: corruption.constants for name, corruption in BLURS.items()}
    assert constants == {"gaussian_blur": SIGMAS, "defocus_blur": DISKS, "glass_blur": GLASS}
    assert BLUR_SEQUENCES["gaussian_blur"].constants == tuple(0.3 + 0.015 * frame for frame in range(31))


def test_version_1_still_makes_the_pixels_it_made() -> None:
    """A change of these pixels needs a new version of the set, hence a new name.

    The first, the second and the last digest are those of the published generator too.
    """
    pixels = np.concatenate([random_images(), smooth_images()])
    made = {name: b"".join(run(pixels, name, severity).tobytes() for severity in SEVERITIES) for name in BLURS}
    made["sequence"] = sequence(pixels[15:25]).tobytes()
    assert {name: hashlib.sha256(content).hexdigest()[:16] for name, content in made.items()} == {
        "gaussian_blur": "34c0141ee9e6b548",
        "defocus_blur": "1f0a425d7fe7411d",
        "glass_blur": "c41cd05b5e8b97cb",
        "sequence": "411c11357a6b2c67",
    }


@pytest.mark.gpu
@pytest.mark.parametrize("name", BLURS)
def test_a_gpu_makes_the_same_pixels(name: str) -> None:
    images, indices = torch.from_numpy(np.concatenate([random_images(), smooth_images()])), torch.arange(40)
    for constant in BLURS[name].constants:
        on_gpu = BLURS[name].apply(images.cuda(), constant, Draw(KEY, indices.cuda()))
        assert on_gpu.is_cuda
        assert torch.equal(on_gpu.cpu(), BLURS[name].apply(images, constant, Draw(KEY, indices)))


@pytest.mark.gpu
def test_a_gpu_makes_the_same_sequence() -> None:
    images, perturbation = torch.from_numpy(random_images()), BLUR_SEQUENCES["gaussian_blur"]
    on_gpu = perturbation.frames(images.cuda(), perturbation.constants, NO_DRAW)
    on_cpu = perturbation.frames(images, perturbation.constants, NO_DRAW)
    assert all(torch.equal(gpu.cpu(), cpu) for gpu, cpu in zip(on_gpu, on_cpu, strict=True))
