"""The corruptions by name: all there are, refused when unknown, the same in any batch, and named by their constants."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nsbench.corruptions import corruptions
from nsbench.corruptions.corruptions import GENERATED_CORRUPTIONS, corrupt, corruption_set_version
from nsbench.corruptions.spec import SEVERITIES
from nsbench.errors import UserError
from nsbench.metrics.corruption import CORRUPTIONS, VALIDATION_CORRUPTIONS

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), dtype=np.uint8))
EVERY = pytest.mark.parametrize("name", GENERATED_CORRUPTIONS)


def test_all_nineteen_can_be_generated() -> None:
    assert set(GENERATED_CORRUPTIONS) == {*CORRUPTIONS, *VALIDATION_CORRUPTIONS}
    assert len(GENERATED_CORRUPTIONS) == 19


@EVERY
def test_an_image_is_the_same_to_the_bit_alone_in_a_batch_and_in_any_order(name: str) -> None:
    whole = corrupt(IMAGES, name, 3, indices=torch.arange(70))
    order = torch.from_numpy(np.random.default_rng(2).permutation(70))
    parts = [corrupt(IMAGES[part], name, 3, indices=part) for part in (order[:1], order[1:8], order[8:])]
    assert torch.equal(torch.cat(parts), whole[order])


@EVERY
def test_the_images_given_are_left_alone_and_every_severity_changes_them_its_own_way(name: str) -> None:
    few, before = IMAGES[:4], IMAGES[:4].clone()
    made = [corrupt(few, name, severity, indices=torch.tensor([5, 9 * 10**11, 0, 2])) for severity in SEVERITIES]
    assert torch.equal(few, before)
    assert {(one.dtype, tuple(one.shape)) for one in made} == {(torch.uint8, (4, 32, 32, 3))}
    assert len({one.numpy().tobytes() for one in [few, *made]}) == 6


def test_the_seed_and_the_severity_fix_the_random_numbers() -> None:
    grey = torch.full((20, 32, 32, 3), 128, dtype=torch.uint8)
    draws = ((5, 0), (5, 1), (4, 0))
    base, *others = [
        corrupt(grey, "gaussian_noise", severity, indices=torch.arange(20), seed=seed).numpy() < 128
        for severity, seed in draws
    ]
    for other in (*others, np.roll(base, 1, axis=0)):
        expected = base.mean() * other.mean()
        assert np.mean(base & other) == pytest.approx(expected, abs=5 * np.sqrt(expected / base.size))


def test_no_images_give_no_images() -> None:
    assert corrupt(IMAGES[:0], "fog", 1, indices=torch.arange(0)).shape == (0, 32, 32, 3)


@pytest.mark.parametrize(
    ("name", "severity", "message"),
    [
        ("fog_", 1, r"'fog_' cannot be generated: choose from gaussian_noise, .*jpeg_compression.*\."),
        ("contrast", 0, r"Severity 0 of contrast does not exist: choose from 1 to 5\."),
        ("contrast", 6, r"Severity 6 of contrast does not exist"),
    ],
)
def test_an_unknown_corruption_or_severity_is_refused_by_naming_those_there_are(
    name: str, severity: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        corrupt(IMAGES, name, severity, indices=torch.arange(70))


@pytest.mark.parametrize(
    ("images", "indices", "message"),
    [
        (torch.zeros((2, 32, 32, 3)), torch.arange(2), "images must be uint8"),
        (torch.zeros((2, 16, 24, 3), dtype=torch.uint8), torch.arange(2), r"of shape \(B, 32, 32, 3\)"),
        (torch.zeros((2, 32, 32, 3), dtype=torch.uint8), torch.arange(3), "indices must be int64"),
        (torch.zeros((2, 32, 32, 3), dtype=torch.uint8), torch.arange(2).int(), "indices must be int64"),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(images: torch.Tensor, indices: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corrupt(images, "contrast", 1, indices=indices)


def nudged(constants: Any) -> list[Any]:
    """The constants with one number changed, each in turn."""
    if isinstance(constants, int | float):
        return [constants * 1.01 + 1e-6]
    found = []
    for position, part in enumerate(constants):
        found += [(*constants[:position], changed, *constants[position + 1 :]) for changed in nudged(part)]
    return found


@EVERY
def test_changing_any_constant_or_algorithm_changes_the_sets_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    corruption, before = corruptions._CORRUPTIONS[name], corruption_set_version()
    assert len(corruption.constants) == 5
    others = [replace(corruption, constants=changed) for changed in nudged(corruption.constants)]
    assert len(others) >= 5
    for other in [*others, replace(corruption, algorithm=(*corruption.algorithm, "another"))]:
        monkeypatch.setitem(corruptions._CORRUPTIONS, name, other)
        assert corruption_set_version() != before


def test_a_users_frost_gives_the_set_another_name() -> None:
    photographs = tuple(torch.full((40, 50, 3), level, dtype=torch.uint8) for level in range(5))
    assert corruption_set_version(photographs).startswith(f"{corruption_set_version()} with frost ")
    assert corruption_set_version(photographs) != corruption_set_version(photographs[::-1])
    cut = corrupt(IMAGES, "frost", 3, indices=torch.arange(70), textures=photographs)
    assert not torch.equal(cut, corrupt(IMAGES, "frost", 3, indices=torch.arange(70)))


def test_version_1_still_makes_the_pixels_it_made(waves: Callable[[], torch.Tensor]) -> None:
    """A change of these pixels needs a new version of what made them, hence a new name of the set."""
    images, digest = waves(), hashlib.sha256()
    for name in GENERATED_CORRUPTIONS:
        for severity in SEVERITIES:
            digest.update(corrupt(images, name, severity, indices=torch.arange(len(images))).numpy().tobytes())
    assert (corruption_set_version(), digest.hexdigest()[:16]) == ("nsbench-c v1 023da2", "6f4571dd0a184e02")


@pytest.mark.gpu
@EVERY
def test_a_gpu_makes_the_same_pixels(name: str) -> None:
    for severity in SEVERITIES:
        on_gpu = corrupt(IMAGES.cuda(), name, severity, indices=torch.arange(70))
        assert on_gpu.is_cuda
        assert torch.equal(on_gpu.cpu(), corrupt(IMAGES, name, severity, indices=torch.arange(70)))
