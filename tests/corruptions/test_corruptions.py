"""The corruptions by name: all there are, refused when unknown, the same in any batch, and named by their constants."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nsbench.corruptions import corruptions
from nsbench.corruptions.corruptions import (
    GENERATED_CORRUPTIONS,
    check_corruptions,
    corrupt,
    corruption_set_version,
)
from nsbench.errors import UserError
from nsbench.protocols.cifar import CIFAR10_C
from nsbench.protocols.protocol import Protocol
from nsbench.protocols.registry import registered

SEVERITIES = CIFAR10_C.severities
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), dtype=np.uint8))
EVERY = pytest.mark.parametrize("name", GENERATED_CORRUPTIONS)


def test_every_corruption_of_the_benchmark_is_made_at_its_severities_and_no_other() -> None:
    assert set(GENERATED_CORRUPTIONS) == set(CIFAR10_C.names)
    check_corruptions(CIFAR10_C.names, 32)


@pytest.mark.parametrize(
    "protocol", [one for one in registered() if one.kind == "corruption"], ids=lambda one: one.name
)
def test_the_corruptions_of_every_data_set_are_those_that_are_made(protocol: Protocol) -> None:
    assert (protocol.members, protocol.severities) == (CIFAR10_C.members, CIFAR10_C.severities)


def test_a_corruption_that_is_not_made_as_the_benchmark_has_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fog = corruptions._CORRUPTIONS["fog"]
    monkeypatch.setitem(corruptions._CORRUPTIONS, "fog", replace(fog, constants=fog.constants[:4]))
    with pytest.raises(ValueError, match="cifar10-c has 5 of fog, but 4 can be made"):
        check_corruptions(CIFAR10_C.names, 32)
    monkeypatch.delitem(corruptions._CORRUPTIONS, "fog")
    with pytest.raises(ValueError, match="cifar10-c has 5 of fog, but 0 can be made"):
        check_corruptions(CIFAR10_C.names, 32)


ANY_SIDE = [name for name in GENERATED_CORRUPTIONS if not corruptions._CORRUPTIONS[name].sides]


@pytest.mark.parametrize("name", ANY_SIDE)
@pytest.mark.parametrize("side", [20, 48])
def test_what_is_defined_for_any_side_is_made_at_any_and_the_same_in_any_batch(name: str, side: int) -> None:
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (5, side, side, 3), dtype=np.uint8))
    whole = corrupt(images, name, 5, indices=torch.arange(5))
    assert whole.shape == images.shape
    assert torch.equal(corrupt(images[3:], name, 5, indices=torch.arange(3, 5)), whole[3:])
    assert all((made != clean).any() for made, clean in zip(whole, images, strict=True))


@pytest.mark.parametrize("name", ["gaussian_blur", "defocus_blur", "motion_blur"])
def test_far_from_the_rim_a_blur_is_the_same_whatever_the_side(name: str) -> None:
    images = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))
    large = corrupt(images, name, 2, indices=torch.arange(4))[:, 16:48, 16:48]
    small = corrupt(images[:, 16:48, 16:48].contiguous(), name, 2, indices=torch.arange(4))
    assert torch.equal(large[:, 12:20, 12:20], small[:, 12:20, 12:20])
    assert not torch.equal(large, small)


def test_a_corruption_of_another_side_is_refused_by_the_sides_there_are() -> None:
    message = "fog is defined for images of 32 x 32 pixels, and these have 64 x 64: leave it out"
    with pytest.raises(UserError, match=message):
        corrupt(torch.zeros((1, 64, 64, 3), dtype=torch.uint8), "fog", 1, indices=torch.arange(1))
    with pytest.raises(UserError, match=message):
        check_corruptions(("contrast", "fog"), 64)
    with pytest.raises(UserError, match="zoom_blur is defined for images of 32 x 32 or 64 x 64 pixels"):
        check_corruptions(("zoom_blur",), 96)


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
        (torch.zeros((2, 16, 24, 3), dtype=torch.uint8), torch.arange(2), r"of shape \(B, S, S, 3\)"),
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
