"""The sequences by name: all there are, refused when unknown, the same in any batch, and named by their constants."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from nsbench.corruptions import perturbations
from nsbench.corruptions.perturbations import (
    GENERATED_PERTURBATIONS,
    check_perturbations,
    perturb,
    perturbation_set_version,
)
from nsbench.errors import UserError
from nsbench.protocols.cifar import CIFAR10_P

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (35, 32, 32, 3), dtype=np.uint8))
FRAMES = {member.name: member.frames for member in CIFAR10_P.members}
EVERY = pytest.mark.parametrize("name", GENERATED_PERTURBATIONS)


def test_every_perturbation_of_the_benchmark_is_made_with_its_frames_and_no_other() -> None:
    assert set(GENERATED_PERTURBATIONS) == set(CIFAR10_P.names)
    check_perturbations(CIFAR10_P.names, 32)


def test_a_sequence_of_other_frames_than_the_benchmarks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tilt = perturbations._PERTURBATIONS["tilt"]
    monkeypatch.setitem(perturbations._PERTURBATIONS, "tilt", replace(tilt, constants=tilt.constants[1:]))
    with pytest.raises(ValueError, match="cifar10-p has 31 of tilt, but 30 can be made"):
        check_perturbations(("tilt",), 32)


@pytest.mark.parametrize("name", [name for name, one in perturbations._PERTURBATIONS.items() if not one.sides])
def test_what_is_defined_for_any_side_is_made_at_any_and_the_same_in_any_batch(name: str) -> None:
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8))
    whole = perturb(images, name, indices=torch.arange(3))
    assert whole.shape == (3, FRAMES[name], 48, 48, 3)
    assert torch.equal(perturb(images[2:], name, indices=torch.arange(2, 3)), whole[2:])


def test_a_perturbation_of_another_side_is_refused_by_the_sides_there_are() -> None:
    with pytest.raises(UserError, match="tilt is defined for images of 32 x 32 pixels, and these have 48 x 48"):
        perturb(torch.zeros((1, 48, 48, 3), dtype=torch.uint8), "tilt", indices=torch.arange(1))
    with pytest.raises(UserError, match="rotate is defined for images of 32 x 32 pixels"):
        check_perturbations(("translate", "rotate"), 48)


@EVERY
def test_a_sequence_is_the_same_to_the_bit_alone_in_a_batch_and_in_any_order(name: str) -> None:
    whole, before = perturb(IMAGES, name, indices=torch.arange(35)), IMAGES.clone()
    order = torch.from_numpy(np.random.default_rng(2).permutation(35))
    parts = [perturb(IMAGES[part], name, indices=part) for part in (order[:1], order[1:4], order[4:])]
    assert torch.equal(torch.cat(parts), whole[order])
    assert torch.equal(IMAGES, before)
    assert (whole.dtype, tuple(whole.shape)) == (torch.uint8, (35, FRAMES[name], 32, 32, 3))


@EVERY
def test_the_frames_of_a_sequence_differ(name: str) -> None:
    frames = perturb(IMAGES[:1], name, indices=torch.arange(1))[0]
    different = len({frame.numpy().tobytes() for frame in frames})
    assert different >= (2 if name == "spatter" else FRAMES[name] - 1)


def test_the_same_noise_never_comes_twice() -> None:
    grey = torch.full((6, 32, 32, 3), 128, dtype=torch.uint8)
    noise = [name for name in GENERATED_PERTURBATIONS if "noise" in name]
    made = [
        perturb(grey, name, indices=torch.arange(6), seed=seed)[:, 1:].flatten(0, 1)
        for name in noise
        for seed in (0, 1)
    ]
    rows = (torch.cat(made).flatten(1) > 128).numpy().astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    likeness = rows @ rows.T / np.outer(np.linalg.norm(rows, axis=1), np.linalg.norm(rows, axis=1))
    np.fill_diagonal(likeness, 0)
    assert np.abs(likeness).max() < 0.15


def test_an_unknown_perturbation_is_refused_by_naming_those_there_are() -> None:
    message = r"Perturbation 'fog' cannot be generated: choose from gaussian_noise, .*tilt.*\."
    with pytest.raises(UserError, match=message):
        perturb(IMAGES, "fog", indices=torch.arange(35))


def test_arrays_of_another_type_or_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="images must be uint8"):
        perturb(torch.zeros((1, 32, 32, 3)), "translate", indices=torch.arange(1))
    with pytest.raises(ValueError, match="indices must be int64"):
        perturb(torch.zeros((1, 32, 32, 3), dtype=torch.uint8), "translate", indices=torch.arange(2))


@EVERY
def test_changing_a_constant_or_the_algorithm_changes_the_sets_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    perturbation, before = perturbations._PERTURBATIONS[name], perturbation_set_version()
    first, *rest = perturbation.constants
    changed = (first + 1, *rest) if isinstance(first, int | float) else ((first[0] + 1, *first[1:]), *rest)
    for other in (
        replace(perturbation, constants=changed),
        replace(perturbation, constants=perturbation.constants[:-1]),
        replace(perturbation, algorithm=(*perturbation.algorithm, "another")),
    ):
        monkeypatch.setitem(perturbations._PERTURBATIONS, name, other)
        assert perturbation_set_version() != before


def test_version_1_still_makes_the_pixels_it_made(waves: Callable[[], torch.Tensor]) -> None:
    """A change of these pixels needs a new version of what made them, hence a new name of the set."""
    images, digest = waves()[:3], hashlib.sha256()
    for name in GENERATED_PERTURBATIONS:
        digest.update(perturb(images, name, indices=torch.arange(3)).numpy().tobytes())
    assert (perturbation_set_version(), digest.hexdigest()[:16]) == ("nsbench-p v1 4c803e", "89573a09b25ccd41")


@pytest.mark.gpu
@EVERY
def test_a_gpu_makes_the_same_pixels(name: str) -> None:
    on_gpu = perturb(IMAGES[:8].cuda(), name, indices=torch.arange(8))
    assert on_gpu.is_cuda
    assert torch.equal(on_gpu.cpu(), perturb(IMAGES[:8], name, indices=torch.arange(8)))
