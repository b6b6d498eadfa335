"""Pixelate, against Pillow: not one pixel may differ."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from nsbench.corruptions.kinds.pixelate import PIXELATE, covered_pixels, sources
from nsbench.corruptions.spec import Draw
from tests.corruptions.pictures import Pixels, real_images

FACTORS = (0.95, 0.9, 0.85, 0.75, 0.65)


def random_images() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)


def loud_images() -> Pixels:
    """Only 0, 1, 254 and 255: every mean of two is met whose rounding could go wrong."""
    values = np.array([0, 1, 254, 255], dtype=np.uint8)
    return values[np.random.default_rng(1).integers(0, 4, (100, 32, 32, 3))]


def cifar_images() -> Pixels:
    return real_images(500)


def pillow_pixelate(pixels: Pixels, factor: float) -> Pixels:
    size = int(32 * factor)
    image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX)
    return np.asarray(image.resize((32, 32), Image.Resampling.BOX))


def pixelate(pixels: Pixels, factor: float) -> Pixels:
    draw = Draw(0, torch.arange(len(pixels)))
    coarse: Pixels = PIXELATE["pixelate"].apply(torch.from_numpy(pixels), factor, draw).numpy()
    return coarse


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("images", [random_images, loud_images, pytest.param(cifar_images, marks=pytest.mark.cifar)])
def test_every_pixel_is_what_pillow_makes_of_it(images: Callable[[], Pixels], factor: float) -> None:
    pixels = images()
    expected = np.stack([pillow_pixelate(image, factor) for image in pixels])
    assert np.array_equal(pixelate(pixels, factor), expected)


def test_the_box_of_each_pixel_covers_the_centres_that_lie_in_it() -> None:
    for length, size in [(32, int(32 * factor)) for factor in FACTORS]:
        for place, (first, last) in enumerate(covered_pixels(length, size)):
            left, right = place * length / size, (place + 1) * length / size
            assert [pixel for pixel in range(length) if left < pixel + 0.5 < right] == list(range(first, last + 1))


@pytest.mark.parametrize("factor", FACTORS)
def test_no_more_rows_and_columns_are_left_than_the_smaller_image_had(factor: float) -> None:
    firsts, lasts = sources(int(32 * factor), 32)
    assert len(set(zip(firsts, lasts, strict=True))) == int(32 * factor)
    coarse = pixelate(random_images()[:1], factor)[0]
    assert len(np.unique(coarse.reshape(32, -1), axis=0)) == int(32 * factor)
    assert len(np.unique(coarse.swapaxes(0, 1).reshape(32, -1), axis=0)) == int(32 * factor)


@pytest.mark.parametrize("factor", FACTORS)
def test_an_image_of_one_colour_stays_as_it_is(factor: float) -> None:
    colours = np.arange(256, dtype=np.uint8)
    pixels = np.stack([colours, colours[::-1], np.roll(colours, 99)], axis=1)[:, None, None]
    pixels = np.broadcast_to(pixels, (256, 32, 32, 3)).copy()
    assert np.array_equal(pixelate(pixels, factor), pixels)


def test_an_image_is_the_same_to_the_bit_in_any_batch_and_order() -> None:
    pixels = random_images()
    order = np.random.default_rng(3).permutation(100)
    for factor in FACTORS:
        parts = [pixelate(pixels[part], factor) for part in (order[:1], order[1:8], order[8:])]
        assert np.array_equal(np.concatenate(parts), pixelate(pixels, factor)[order])


def test_the_images_given_are_left_alone_whatever_their_strides() -> None:
    wide = torch.from_numpy(np.concatenate([random_images(), loud_images()], axis=2))
    images, before = wide[:, :, 16:48], wide.clone()
    assert not images.is_contiguous()
    coarse = PIXELATE["pixelate"].apply(images, 0.75, Draw(0, torch.arange(100)))
    assert torch.equal(wide, before)
    assert coarse.dtype == torch.uint8
    assert np.array_equal(coarse.numpy(), pixelate(images.contiguous().numpy(), 0.75))


def test_the_constants_are_the_published_ones() -> None:
    assert {name: corruption.constants for name, corruption in PIXELATE.items()} == {"pixelate": FACTORS}


def test_version_1_still_makes_the_pixels_it_made() -> None:
    """A change of these pixels needs a new algorithm version, hence a new name of the set."""
    digest = hashlib.sha256(b"".join(pixelate(random_images(), factor).tobytes() for factor in FACTORS))
    assert digest.hexdigest()[:16] == "7af96793747f7f9d"


@pytest.mark.gpu
@pytest.mark.parametrize("factor", FACTORS)
def test_a_gpu_makes_the_same_pixels(factor: float) -> None:
    images = torch.from_numpy(random_images()).cuda()
    on_gpu = PIXELATE["pixelate"].apply(images, factor, Draw(0, torch.arange(100, device="cuda")))
    assert on_gpu.is_cuda
    assert np.array_equal(on_gpu.cpu().numpy(), pixelate(random_images(), factor))
