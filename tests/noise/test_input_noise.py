"""Input noise equals the published pipeline run with Pillow, to the bit: each operation, and all of it in order."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nsbench.noise.augment import Augmenter
from nsbench.noise.dense import DenseAugmenter
from nsbench.noise.draws import Draws, InputNoise
from nsbench.noise.tables import GEOMETRIC, OPERATIONS, stretches

CPU = torch.device("cpu")
MAGNITUDES = [0, 1, 3, 9, 15, 21, 27, 30]
EXECUTIONS = [Augmenter, DenseAugmenter]
CASES = [(name, sign) for name in OPERATIONS for sign in ((False, True) if name in GEOMETRIC else (False,))]

Pixels = NDArray[np.uint8]
Execution = type[Augmenter] | type[DenseAugmenter]


@pytest.fixture
def compare(published, planar, interleaved) -> Callable[[Execution, Pixels, int], list[str]]:
    """Run each operation and sign on each image; the names of those that differ from Pillow anywhere."""

    def differing(execution: Execution, images: Pixels, magnitude: int) -> list[str]:
        side, count = images.shape[1], len(images)
        augment = execution(InputNoise(1, magnitude, 0, flip=False), side, CPU)
        oracle, wrong = published(magnitude), []
        draws = draws_of_all_cases(count, magnitude)
        given = planar(np.concatenate([images] * len(CASES)))
        parts = [augment(given[at : at + 256], draws.rows(at, at + 256)) for at in range(0, len(given), 256)]
        ours = interleaved(torch.cat(parts), side)
        for (name, negative), start in zip(CASES, range(0, len(ours), count), strict=True):
            centers = draws.centers[start : start + count, 0].double().tolist()
            theirs = [
                np.asarray(oracle.operation(Image.fromarray(image), name, negative, center))
                for image, center in zip(images, centers, strict=True)
            ]
            if not np.array_equal(ours[start : start + count], np.stack(theirs)):
                wrong.append(f"{name}{' negative' if negative else ''}")
        return wrong

    return differing


def draws_of_all_cases(count: int, seed: int) -> Draws:
    """`count` images through the first case, `count` through the second and so on; cutout squares anywhere."""
    generator = torch.Generator().manual_seed(seed)
    total = len(CASES) * count
    return Draws(
        operations=torch.tensor([OPERATIONS.index(name) for name, _ in CASES]).repeat_interleave(count)[:, None],
        negative=torch.tensor([negative for _, negative in CASES]).repeat_interleave(count)[:, None],
        centers=torch.rand((total, 1, 2), generator=generator),
        crops=torch.zeros((total, 2), dtype=torch.int64),
        flips=torch.zeros(total, dtype=torch.bool),
    )


def test_the_operations_are_the_seventeen_published_ones(published_operations: tuple[str, ...]) -> None:
    assert sorted(OPERATIONS) == sorted(published_operations)
    assert len(CASES) == 22


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("side", [8, 32])
@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_every_operation_equals_pillow_on_made_images(execution, side, magnitude, compare, varied) -> None:
    assert compare(execution, varied(side), magnitude) == []


@pytest.mark.cifar
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_every_operation_equals_pillow_on_real_images(execution, magnitude, compare, real) -> None:
    assert compare(execution, real(60, magnitude), magnitude) == []


@pytest.mark.slow
@pytest.mark.cifar
@pytest.mark.parametrize("magnitude", range(31))
def test_every_operation_equals_pillow_on_real_images_at_every_magnitude(magnitude, compare, real) -> None:
    images = real(500, 2 * magnitude)
    for execution in EXECUTIONS:
        assert compare(execution, images, magnitude) == []


@pytest.fixture
def differs_from_loop(published, planar, interleaved) -> Callable[[Execution, Pixels, InputNoise], list[int]]:
    """The whole noise against the published loop over images; the images that differ."""

    def differing(execution: Execution, images: Pixels, noise: InputNoise) -> list[int]:
        side, oracle = images.shape[1], published(noise.magnitude)
        augment = execution(noise, side, CPU)
        draws = augment.draw(len(images), torch.Generator().manual_seed(noise.magnitude))
        ours = interleaved(augment(planar(images), draws), side)
        wrong = []
        for row, image in enumerate(images):
            names = [OPERATIONS[index] for index in draws.operations[row]]
            rounds = list(zip(names, draws.negative[row].tolist(), draws.centers[row].double().tolist(), strict=True))
            corner = tuple(draws.crops[row].tolist())
            theirs = oracle.pipeline(image, rounds, noise.crop_padding, corner, bool(draws.flips[row]))
            if not np.array_equal(ours[row], theirs):
                wrong.append(row)
        return wrong

    return differing


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("side", [8, 32])
@pytest.mark.parametrize(
    "noise",
    [
        InputNoise(2, 27, 4, flip=True),
        InputNoise(3, 9, 0, flip=True),
        InputNoise(1, 30, 2, flip=False),
        InputNoise(2, 0, 0, flip=False),
        InputNoise(0, 27, 4, flip=True),
    ],
)
def test_all_of_the_noise_equals_the_published_loop_on_made_images(
    execution, side, noise, differs_from_loop, varied
) -> None:
    assert differs_from_loop(execution, np.concatenate([varied(side)] * 3), noise) == []


@pytest.mark.cifar
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("magnitude", [3, 9, 27])
def test_all_of_the_noise_equals_the_published_loop_on_real_images(
    execution, magnitude, differs_from_loop, real
) -> None:
    assert differs_from_loop(execution, real(500, magnitude), InputNoise(2, magnitude, 4, flip=True)) == []


@pytest.mark.parametrize("lows", [range(3, 256, 17), pytest.param(range(256), marks=pytest.mark.slow)])
def test_autocontrast_equals_pillow_for_every_lowest_and_highest_value(lows: range) -> None:
    tables = stretches().reshape(256, 256, 256)
    ramp = np.arange(256, dtype=np.uint8)[None, :, None]
    for low in lows:
        for first in range(low, 256, 3):
            highs = np.minimum(first + np.arange(3), 255).astype(np.uint8)  # three channels a call
            between = np.clip(ramp, low, highs)
            theirs = np.asarray(ImageOps.autocontrast(Image.fromarray(between)))[0]
            ours = np.take_along_axis(tables[low, highs].T, between[0].astype(np.int64), axis=0)
            assert np.array_equal(ours, theirs), (low, highs)


def test_an_equalize_entry_beyond_255_is_clipped(varied) -> None:
    """The case that the made images are meant to hold: without it a missing clip would go unseen."""
    histograms = [np.bincount(image[..., 0].reshape(-1), minlength=256) for image in varied(32)]
    tops = np.array([histogram[histogram.nonzero()[0][-1]] for histogram in histograms])
    step = (1024 - tops) // 255
    entries = (1024 - tops + step // 2) // np.maximum(step, 1)
    assert (entries[step > 0] > 255).any()


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_the_images_given_are_not_changed_nor_shared(execution, planar, varied) -> None:
    images = planar(varied(32))
    before = images.clone()
    for noise in (InputNoise(2, 27, 4, flip=True), InputNoise(0, 27, 0, flip=False)):
        augment = execution(noise, 32, CPU)
        augment(images, augment.draw(len(images), torch.Generator().manual_seed(4))).fill_(7)
        assert torch.equal(images, before)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_no_operations_no_crop_no_flip_is_the_identity(execution, planar, varied) -> None:
    images = planar(varied(32))
    augment = execution(InputNoise(0, 27, 0, flip=False), 32, CPU)
    assert torch.equal(augment(images, augment.draw(len(images), torch.Generator())), images)
