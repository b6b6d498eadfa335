"""Input noise equals Pillow's, image by image and operation by operation."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from nsbench.noise.augment import Augmenter
from nsbench.noise.draws import Draws, InputNoise
from nsbench.noise.tables import CUTOUT_COLOR, GEOMETRIC, OPERATIONS, strength, transform

SIDE = 32
CPU = torch.device("cpu")


def planar(images: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(images.reshape(len(images), SIDE * SIDE, 3).transpose(0, 2, 1).copy())


def interleaved(images: torch.Tensor) -> NDArray[np.uint8]:
    return images.numpy().transpose(0, 2, 1).reshape(-1, SIDE, SIDE, 3)


def draws_for(operation: str, count: int, *, negative: bool = False, center: tuple[float, float] = (0.5, 0.5)) -> Draws:
    return Draws(
        operations=torch.full((count, 1), OPERATIONS.index(operation)),
        negative=torch.full((count, 1), negative),
        centers=torch.tensor(center).expand(count, 1, 2),
        crops=torch.zeros((count, 2), dtype=torch.int64),
        flips=torch.zeros(count, dtype=torch.bool),
    )


def by_pillow(
    image: Image.Image, operation: str, magnitude: int, negative: bool, center: tuple[float, float]
) -> Image.Image:
    """The published pipeline's operation, one image at a time."""
    if operation in GEOMETRIC:
        return transform(image, operation, (-1 if negative else 1) * strength(operation, magnitude))
    if operation == "cutout":
        return cut_out(image, strength("cutout", magnitude) * SIDE, center)
    enhancers = {
        "color": ImageEnhance.Color,
        "contrast": ImageEnhance.Contrast,
        "brightness": ImageEnhance.Brightness,
        "sharpness": ImageEnhance.Sharpness,
    }
    if operation in enhancers:
        return enhancers[operation](image).enhance(strength("enhance", magnitude))
    rules: dict[str, Callable[[], Image.Image]] = {
        "identity": lambda: image,
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "invert": lambda: ImageOps.invert(image),
        "posterize": lambda: ImageOps.posterize(image, max(1, int(strength("posterize", magnitude)))),
        "solarize": lambda: ImageOps.solarize(image, strength("solarize", magnitude)),
        "solarize_add": lambda: solarize_add(image, magnitude),
    }
    return rules[operation]()


def solarize_add(image: Image.Image, magnitude: int) -> Image.Image:
    raised = np.asarray(image).astype(int) + strength("solarize_add", magnitude)
    return ImageOps.solarize(Image.fromarray(np.clip(raised, 0, 255).astype(np.uint8)), 128)


def cut_out(image: Image.Image, extent: float, center: tuple[float, float]) -> Image.Image:
    if extent <= 0:
        return image
    corners = [int(max(0, c * SIDE - extent / 2)) for c in np.float32(center).astype(float)]
    far = [min(SIDE, corner + extent) for corner in corners]
    image = image.copy()
    ImageDraw.Draw(image).rectangle((*corners, *far), CUTOUT_COLOR)
    return image


def varied_images() -> NDArray[np.uint8]:
    """Random, flat, two-valued, dark and smooth images: the corner cases of the histogram rules."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (20, SIDE, SIDE, 3))
    narrow = rng.integers(100, 140, (6, SIDE, SIDE, 3))
    flat = np.broadcast_to(rng.integers(0, 256, (4, 1, 1, 3)), (4, SIDE, SIDE, 3))
    two = rng.choice([17, 200], (4, SIDE, SIDE, 3))
    ramp = np.linspace(0, 255, SIDE * SIDE * 3).reshape(1, SIDE, SIDE, 3)
    few = np.where(rng.random((6, SIDE, SIDE, 3)) < 0.95, 3, rng.integers(0, 256, (6, SIDE, SIDE, 3)))
    return np.concatenate([noise, narrow, flat, two, ramp, few]).astype(np.uint8)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("magnitude", [0, 3, 9, 14, 27, 30])
def test_every_operation_equals_pillow_to_the_bit(operation: str, magnitude: int) -> None:
    images = varied_images()
    augment = Augmenter(InputNoise(1, magnitude, 0, flip=False), SIDE, CPU)
    for negative, center in [(False, (0.5, 0.5)), (True, (0.01, 0.97)), (True, (0.999, 0.31))]:
        ours = interleaved(augment(planar(images), draws_for(operation, len(images), negative=negative, center=center)))
        theirs = [by_pillow(Image.fromarray(image), operation, magnitude, negative, center) for image in images]
        np.testing.assert_array_equal(ours, np.stack([np.asarray(image) for image in theirs]))


def test_two_rounds_are_applied_in_the_order_drawn() -> None:
    images = varied_images()
    noise = InputNoise(2, 27, 0, flip=False)
    augment = Augmenter(noise, SIDE, CPU)
    draws = augment.draw(len(images), torch.Generator().manual_seed(1))
    ours = interleaved(augment(planar(images), draws))
    for image, result, operations, negative, centers in zip(
        images, ours, draws.operations, draws.negative, draws.centers, strict=True
    ):
        expected = Image.fromarray(image)
        for operation, sign, center in zip(operations, negative, centers, strict=True):
            expected = by_pillow(expected, OPERATIONS[operation], 27, bool(sign), (float(center[0]), float(center[1])))
        np.testing.assert_array_equal(result, np.asarray(expected))


def test_crop_and_flip_equal_slicing_a_padded_image() -> None:
    images = varied_images()
    augment = Augmenter(InputNoise(0, 0, 4, flip=True), SIDE, CPU)
    draws = augment.draw(len(images), torch.Generator().manual_seed(2))
    ours = interleaved(augment(planar(images), draws))
    for image, result, (top, left), flip in zip(images, ours, draws.crops, draws.flips, strict=True):
        crop = np.pad(image, ((4, 4), (4, 4), (0, 0)))[top : top + SIDE, left : left + SIDE]
        np.testing.assert_array_equal(result, crop[:, ::-1] if flip else crop)


def test_each_image_gets_its_own_draw_and_every_operation_is_equally_likely() -> None:
    augment = Augmenter(InputNoise(2, 27, 4, flip=True), SIDE, CPU)
    draws = augment.draw(20_000, torch.Generator().manual_seed(3))
    counts = torch.bincount(draws.operations.reshape(-1), minlength=len(OPERATIONS)).double()
    expected = 40_000 / len(OPERATIONS)
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 39.3  # 0.1 % point of chi-square with 16 degrees of freedom
    assert abs(draws.negative.double().mean() - 0.5) < 0.02
    assert abs(draws.flips.double().mean() - 0.5) < 0.02
    assert draws.crops.min() == 0
    assert draws.crops.max() == 8


def test_the_same_generator_state_gives_the_same_noise_and_input_is_not_changed() -> None:
    images = planar(varied_images())
    before = images.clone()
    augment = Augmenter(InputNoise(2, 27, 4, flip=True), SIDE, CPU)
    first = augment(images, augment.draw(len(images), torch.Generator().manual_seed(4)))
    second = augment(images, augment.draw(len(images), torch.Generator().manual_seed(4)))
    assert torch.equal(first, second)
    assert torch.equal(images, before)
    assert not torch.equal(first, images)


def test_no_operations_no_crop_no_flip_is_the_identity() -> None:
    images = planar(varied_images())
    augment = Augmenter(InputNoise(0, 27, 0, flip=False), SIDE, CPU)
    assert torch.equal(augment(images, augment.draw(len(images), torch.Generator())), images)
