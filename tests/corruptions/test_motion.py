"""Motion blur, against ImageMagick's definition restated slowly, and against values that ImageMagick itself gave."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

from nsbench.corruptions.kinds.motion import (
    MOTION,
    MOTION_SEQUENCES,
    Gauss,
    blur_along,
    blur_along_random_lines,
    line_places,
    line_weights,
)
from nsbench.corruptions.spec import Draw
from tests.corruptions.pictures import Pixels, real_images

CORRUPTION = MOTION["motion_blur"]
SEQUENCE = MOTION_SEQUENCES["motion_blur"]
KERNELS = [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)]
SNOW_KERNELS = [(8, 3.0), (10, 4.0), (12, 6.0), (14, 12.0), (10, 2.0)]


def random_images(count: int = 20) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def cifar_images() -> Pixels:
    return real_images(80)


def rippled_image() -> Pixels:
    down, across, channel = np.mgrid[:32, :32, :3]
    return np.asarray((7 * down + 5 * across**2 + 40 * channel) % 256, dtype=np.uint8)


def slow_motion_blur(image: Pixels, radius: int, sigma: float, angle: float) -> Pixels:
    """Blur one image in 16 bits, in ImageMagick's order; the normalisation of the kernel includes its thin end."""
    length = 2 * radius + 1
    kernel = np.array(
        [math.exp(-(step**2) / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma) for step in range(length)]
    )
    kernel /= kernel.sum()
    x, y = length * math.cos(math.radians(angle)), length * math.sin(math.radians(angle))
    down, across = np.mgrid[:32, :32]
    total = np.zeros(image.shape)
    for step in range(length):
        rows = np.clip(down + math.ceil(step * y / math.hypot(x, y) - 0.5), 0, 31)
        columns = np.clip(across + math.ceil(step * x / math.hypot(x, y) - 0.5), 0, 31)
        total += kernel[step] * (image[rows, columns] * 257.0)
    return np.asarray(np.floor(total + 0.5) // 257, dtype=np.uint8)


def assert_equal_but_for_few_levels(ours: Pixels, expected: Pixels) -> None:
    """Integer weights show in one value in 150,000."""
    difference = np.abs(ours.astype(int) - expected)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 2 + ours.size * 3e-5


def corrupted(pixels: Pixels, severity: int, key: int = 0, device: str = "cpu") -> Pixels:
    draw = Draw(key, torch.arange(len(pixels), device=device))
    images = torch.from_numpy(pixels).to(device)
    blurred: Pixels = CORRUPTION.apply(images, CORRUPTION.constants[severity - 1], draw).cpu().numpy()
    return blurred


def frames(pixels: Pixels, device: str = "cpu") -> Pixels:
    draw = Draw(0, torch.arange(len(pixels), device=device))
    made = SEQUENCE.frames(torch.from_numpy(pixels).to(device), SEQUENCE.constants, draw)
    sequences: Pixels = torch.stack(list(made), dim=1).cpu().numpy()
    return sequences


def test_the_constants_are_the_published_ones() -> None:
    assert list(CORRUPTION.constants) == KERNELS
    assert SEQUENCE.constants == (*range(-180, 0, 9), 0)


@pytest.mark.parametrize("images", [random_images, pytest.param(cifar_images, marks=pytest.mark.cifar)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_blur_along_random_angles_is_imagemagicks_definition(
    kernel: tuple[int, float], images: Callable[[], Pixels]
) -> None:
    pixels = images()
    shares = np.random.default_rng(1).random(len(pixels))
    uniform = torch.from_numpy(shares)
    ours = blur_along_random_lines(torch.from_numpy(pixels), Gauss(*kernel), (-45.0, 45.0), uniform).numpy()
    slow = [slow_motion_blur(image, *kernel, 90 * share - 45) for image, share in zip(pixels, shares, strict=True)]
    assert_equal_but_for_few_levels(ours, np.stack(slow))


@pytest.mark.parametrize("kernel", SNOW_KERNELS)
def test_one_channel_is_blurred_as_three_are(kernel: tuple[int, float]) -> None:
    pixels = random_images()[..., :1].copy()
    shares = np.random.default_rng(2).random(len(pixels))
    uniform = torch.from_numpy(shares)
    ours = blur_along_random_lines(torch.from_numpy(pixels), Gauss(*kernel), (-135.0, -45.0), uniform).numpy()
    slow = [slow_motion_blur(image, *kernel, 90 * share - 135) for image, share in zip(pixels, shares, strict=True)]
    assert_equal_but_for_few_levels(ours, np.stack(slow))


@pytest.mark.parametrize("images", [random_images, pytest.param(cifar_images, marks=pytest.mark.cifar)])
def test_each_frame_is_imagemagicks_definition(images: Callable[[], Pixels]) -> None:
    pixels = images()[:20]
    slow = [[slow_motion_blur(image, 6, 1.8, (frame - 20) * 9) for frame in range(21)] for image in pixels]
    assert_equal_but_for_few_levels(frames(pixels), np.array(slow))


@pytest.mark.parametrize(
    ("gauss", "angle", "seen"),
    [
        (Gauss(6, 1), 33.0, [102, 161, 56, 186, 95, 150, 147, 235, 158, 169, 158]),
        (Gauss(9, 2.5), -17.5, [113, 143, 103, 148, 110, 166, 143, 198, 153, 162, 90]),
        (Gauss(6, 1.8), -144.0, [90, 114, 126, 160, 103, 134, 175, 140, 177, 146, 203]),
    ],
)
def test_values_are_those_that_imagemagick_gave(gauss: Gauss, angle: float, seen: list[int]) -> None:
    """Seen from MagickMotionBlurImage of ImageMagick 6.9.11-60 Q16, called as the published generator calls it."""
    (blurred,) = blur_along(torch.from_numpy(rippled_image()[None]), gauss, (angle,))
    assert blurred[0, 8, ::3, 1].tolist() == seen


@pytest.mark.parametrize(
    ("gauss", "angle", "seen"),
    [
        (Gauss(14, 12), -100.0, [79, 96, 135, 111, 127, 140, 103, 67, 183, 138, 128]),
        (Gauss(10, 2), -62.0, [133, 191, 84, 65, 122, 189, 184, 110, 190, 201, 41]),
    ],
)
def test_grey_values_are_those_that_imagemagick_gave(gauss: Gauss, angle: float, seen: list[int]) -> None:
    (blurred,) = blur_along(torch.from_numpy(rippled_image()[None, ..., :1].copy()), gauss, (angle,))
    assert blurred[0, 20, ::3, 0].tolist() == seen


@pytest.mark.parametrize(("low", "high"), [(-45.0, 45.0), (-135.0, -45.0), (-180.0, 180.0)])
def test_the_table_of_lines_gives_the_line_of_the_angle(low: float, high: float) -> None:
    gauss = Gauss(6, 2)
    image = torch.from_numpy(random_images(1))
    uniform = torch.from_numpy(np.random.default_rng(3).random(300))
    ours = blur_along_random_lines(image.expand(300, -1, -1, -1), gauss, (low, high), uniform)
    angles = tuple(low + (high - low) * share for share in uniform.tolist())
    assert torch.equal(ours, torch.cat(list(blur_along(image, gauss, angles))))


@pytest.mark.parametrize("kernel", KERNELS + SNOW_KERNELS)
def test_weights_are_half_a_gaussian_of_sum_2_to_the_23(kernel: tuple[int, float]) -> None:
    weights = line_weights(Gauss(*kernel))
    assert sum(weights) == 2**23
    assert min(weights) > 0
    shares = np.exp(-(np.arange(2 * kernel[0] + 1) ** 2) / (2 * kernel[1] ** 2))
    shares /= shares.sum()
    assert np.array(weights) / 2**23 == pytest.approx(shares[: len(weights)], abs=1e-6)
    assert shares[len(weights) :].sum() < 1e-7


def test_a_line_runs_from_its_start_along_the_angle_each_place_rounded_half_down() -> None:
    gauss = Gauss(6, 1)
    assert line_places(gauss, 0) == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]
    assert line_places(gauss, -90) == [(0, 0), (-1, 0), (-2, 0), (-3, 0), (-4, 0), (-5, 0)]
    # 0.5 down per pixel of the line, 0.87 to the right
    assert line_places(gauss, 30.001) == [(0, 0), (1, 1), (1, 2), (2, 3), (2, 3), (3, 4)]
    assert line_places(gauss, 29.999) == [(0, 0), (0, 1), (1, 2), (1, 3), (2, 3), (2, 4)]


def test_the_angle_is_uniform_between_minus_45_and_45_degrees() -> None:
    spot = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    spot[:, 16, 16] = 255
    count, steps = 3000, 3000
    observed = Counter(image.tobytes() for image in corrupted(spot.repeat(count, axis=0), 1, key=7))
    angles = tuple(-45 + 90 * (step + 0.5) / steps for step in range(steps))
    expected = Counter(image.numpy().tobytes() for image in blur_along(torch.from_numpy(spot), Gauss(6, 1), angles))
    assert set(observed) == set(expected)
    chance = [expected[image] * count / steps for image in observed]
    assert min(chance) > 5
    assert stats.chisquare(list(observed.values()), chance).pvalue > 1e-3


@pytest.mark.parametrize("severity", range(1, 6))
def test_a_plain_image_stays_as_it_is(severity: int) -> None:
    levels = np.arange(256, dtype=np.uint8)
    plain = np.broadcast_to(levels[:, None, None, None], (256, 32, 32, 3)).copy()
    assert np.array_equal(corrupted(plain, severity), plain)
    if severity == 1:
        assert np.array_equal(frames(plain), plain[:, None].repeat(21, axis=1))


def test_the_last_frame_mirrors_the_first_and_none_is_the_image() -> None:
    pixels = random_images(4)
    made = frames(pixels)
    assert made.shape == (4, 21, 32, 32, 3)
    assert np.array_equal(made[:, 20], frames(pixels[:, :, ::-1].copy())[:, 0, :, ::-1])
    assert np.all(np.any(made != pixels[:, None], axis=(2, 3, 4)))


@pytest.mark.parametrize("severity", range(1, 6))
def test_an_image_is_the_same_to_the_bit_in_any_batch_and_order(severity: int) -> None:
    images = torch.from_numpy(random_images())
    constant = CORRUPTION.constants[severity - 1]
    whole = CORRUPTION.apply(images, constant, Draw(3, torch.arange(20)))
    order = torch.from_numpy(np.random.default_rng(2).permutation(20))
    parts = [CORRUPTION.apply(images[part], constant, Draw(3, part)) for part in (order[:1], order[1:8], order[8:])]
    assert torch.equal(torch.cat(parts), whole[order])


def test_the_images_given_are_left_alone() -> None:
    pixels = random_images(3)
    before = pixels.copy()
    corrupted(pixels, 5)
    frames(pixels)
    assert np.array_equal(pixels, before)


def test_version_1_still_makes_the_pixels_it_made() -> None:
    pixels = random_images()
    made = [corrupted(pixels, severity) for severity in range(1, 6)] + [frames(pixels)]
    assert hashlib.sha256(b"".join(array.tobytes() for array in made)).hexdigest()[:16] == "73b00d89c1a5365b"


@pytest.mark.gpu
def test_a_gpu_makes_the_same_pixels() -> None:
    pixels = random_images()
    for severity in range(1, 6):
        assert np.array_equal(corrupted(pixels, severity, device="cuda"), corrupted(pixels, severity))
    assert np.array_equal(frames(pixels, device="cuda"), frames(pixels))
