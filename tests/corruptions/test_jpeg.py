"""JPEG compression, against Pillow: not one pixel may differ."""

import hashlib
import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, JpegImagePlugin, features

from nsbench.corruptions.kinds import jpeg
from nsbench.corruptions.kinds.jpeg import JPEG, quantisation_steps
from nsbench.corruptions.spec import Draw
from tests.corruptions.pictures import Pixels, coloured_waves, real_images

QUALITIES = (80, 65, 58, 50, 40)

against_pillow = pytest.mark.skipif(
    not features.check_feature("libjpeg_turbo"), reason="Pillow is built on another library than libjpeg-turbo"
)


def random_images() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)


def smooth_images() -> Pixels:
    return coloured_waves(50)


def loud_images() -> Pixels:
    """Only 0 and 255, in pixels, in squares of 2 and of 8: the clipping of every step is met."""
    rng = np.random.default_rng(2)
    sizes = [rng.integers(0, 2, (20, 32 // size, 32 // size, 3)).repeat(size, 1).repeat(size, 2) for size in (1, 2, 8)]
    return (np.concatenate(sizes) * 255).astype(np.uint8)


def extreme_images() -> Pixels:
    """Black and white by the sign of each cosine of the transform, which makes its coefficient as large as it gets."""
    place = np.arange(8)
    signs = np.cos((2 * place + 1) * place[:, None] * np.pi / 16) >= 0
    patterns = signs[:, None, :, None] == signs[None, :, None, :]
    tiled = np.tile(patterns.reshape(64, 8, 8), (1, 4, 4))
    return np.repeat(np.concatenate([tiled, ~tiled])[..., None], 3, axis=3).astype(np.uint8) * np.uint8(255)


def cifar_images() -> Pixels:
    return real_images(500)


def pillow_file(pixels: Pixels, quality: int) -> JpegImagePlugin.JpegImageFile:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=quality)
    image = Image.open(file)
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    return image


def compress(pixels: Pixels, quality: int) -> Pixels:
    draw = Draw(0, torch.arange(len(pixels)))
    compressed: Pixels = JPEG["jpeg_compression"].apply(torch.from_numpy(pixels), quality, draw).numpy()
    return compressed


@against_pillow
@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize(
    "images",
    [
        random_images,
        smooth_images,
        loud_images,
        extreme_images,
        pytest.param(cifar_images, marks=pytest.mark.cifar),
    ],
)
def test_every_pixel_is_what_pillow_makes_of_it(images: Callable[[], Pixels], quality: int) -> None:
    pixels = images()
    expected = np.stack([np.asarray(pillow_file(image, quality)) for image in pixels])
    assert np.array_equal(compress(pixels, quality), expected)


@against_pillow
@pytest.mark.parametrize("quality", [1, 10, 25, 95, 100])
def test_qualities_that_the_benchmark_does_not_use_agree_with_pillow_too(quality: int) -> None:
    pixels = np.concatenate([random_images(), loud_images()])
    expected = np.stack([np.asarray(pillow_file(image, quality)) for image in pixels])
    assert np.array_equal(compress(pixels, quality), expected)


@against_pillow
def test_the_quantisation_tables_are_those_in_pillows_files_at_every_quality() -> None:
    image = random_images()[0]
    for quality in range(1, 101):
        written = pillow_file(image, quality).quantization
        for number, table in enumerate((jpeg._LUMA_STEPS, jpeg._CHROMA_STEPS)):
            assert quantisation_steps(table, quality).ravel().tolist() == list(written[number])


def test_the_transform_is_the_cosine_transform_to_13_bits() -> None:
    place = np.arange(8)
    exact = np.cos((2 * place + 1) * place[:, None] * np.pi / 16) * 2**13 * np.sqrt(2)
    exact[0] = 2**13
    assert np.abs(jpeg._cosines() - exact).max() < 1.5


@pytest.mark.parametrize("quality", QUALITIES)
def test_grey_stays_grey(quality: int) -> None:
    pixels = np.repeat(random_images()[..., :1], 3, axis=3)
    compressed = compress(pixels, quality)
    assert np.array_equal(compressed, np.repeat(compressed[..., :1], 3, axis=3))


def test_each_quality_takes_photographs_further_from_the_original() -> None:
    pixels = smooth_images()
    distance = [np.mean((compress(pixels, quality) - pixels.astype(float)) ** 2) for quality in QUALITIES]
    assert np.all(np.diff([0, *distance]) > 0)


@pytest.mark.parametrize("quality", QUALITIES)
def test_an_image_is_the_same_to_the_bit_in_any_batch_and_order(quality: int) -> None:
    pixels = np.concatenate([random_images(), smooth_images()])
    order = np.random.default_rng(3).permutation(100)
    parts = [compress(pixels[part], quality) for part in (order[:1], order[1:8], order[8:])]
    assert np.array_equal(np.concatenate(parts), compress(pixels, quality)[order])


def test_the_images_given_are_left_alone_whatever_their_strides() -> None:
    wide = torch.from_numpy(np.concatenate([random_images(), smooth_images()], axis=2))
    images, before = wide[:, :, 16:48], wide.clone()
    assert not images.is_contiguous()
    compressed = JPEG["jpeg_compression"].apply(images, 50, Draw(0, torch.arange(50)))
    assert torch.equal(wide, before)
    assert compressed.dtype == torch.uint8
    assert compressed.is_contiguous()
    assert np.array_equal(compressed.numpy(), compress(images.contiguous().numpy(), 50))


def test_the_constants_are_the_published_ones() -> None:
    assert {name: corruption.constants for name, corruption in JPEG.items()} == {"jpeg_compression": QUALITIES}


def test_version_1_still_makes_the_pixels_it_made() -> None:
    """A change of these pixels needs a new algorithm version, hence a new name of the set."""
    digest = hashlib.sha256(b"".join(compress(random_images(), quality).tobytes() for quality in QUALITIES))
    assert digest.hexdigest()[:16] == "3cf64d502f5f70eb"


@pytest.mark.gpu
@pytest.mark.parametrize("quality", QUALITIES)
def test_a_gpu_makes_the_same_pixels(quality: int) -> None:
    pixels = np.concatenate([random_images(), smooth_images(), loud_images(), extreme_images()])
    images = torch.from_numpy(pixels).cuda()
    draw = Draw(0, torch.arange(len(pixels), device="cuda"))
    on_gpu = JPEG["jpeg_compression"].apply(images, quality, draw)
    assert on_gpu.is_cuda
    assert np.array_equal(on_gpu.cpu().numpy(), compress(pixels, quality))
