"""Flip probabilities against slow loops and what must hold for every input."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsbench.metrics.corruption import corruption_set
from nsbench.metrics.perturbation import (
    IMAGENET_SET,
    flip_probabilities,
    flip_probability,
    flip_rate,
    imagenet_mean_flip_probability,
    imagenet_mean_flip_rate,
    mean_flip_probability,
    mean_flip_rate,
    perturbation_set,
)
from nsbench.protocols.cifar import CIFAR10_P

PERTURBATIONS, EXTRA_PERTURBATIONS = CIFAR10_P.counted, CIFAR10_P.shown
IMAGENET_PERTURBATIONS = IMAGENET_SET.counted
FRAMES = {member.name: member.frames for member in CIFAR10_P.members}
NOISE_PERTURBATIONS = {member.name for member in CIFAR10_P.members if member.independent}

quick = settings(deadline=None, derandomize=True, max_examples=30, database=None)
seeds = st.integers(0, 2**32 - 1)
frames = st.integers(2, 9)
ALL = PERTURBATIONS + EXTRA_PERTURBATIONS
each_noise = pytest.mark.parametrize("noise", [False, True])


def random_sequences(seed: int, length: int) -> Any:
    return np.random.default_rng(seed).integers(3, size=(12, length)).astype(np.uint8)


def slow_flip_probability(predicted: Any, noise: bool) -> float:
    flips = total = 0
    for sequence in predicted.tolist():
        for j in range(1, len(sequence)):
            flips += sequence[j] != (sequence[0] if noise else sequence[j - 1])
            total += 1
    return flips / total


@each_noise
@given(seed=seeds, length=frames)
@quick
def test_flip_probability_equals_its_slow_loop(noise: bool, seed: int, length: int) -> None:
    predicted = random_sequences(seed, length)
    found = flip_probability(predicted, noise)
    assert isinstance(found, float)
    assert found == pytest.approx(slow_flip_probability(predicted, noise), abs=1e-12)
    assert 0 <= found <= 1


@each_noise
@given(seed=seeds, length=frames)
@quick
def test_integer_weights_equal_duplicated_sequences(noise: bool, seed: int, length: int) -> None:
    predicted = random_sequences(seed, length)
    counts = np.random.default_rng(seed).integers(3, size=(4, 12))
    duplicated = [slow_flip_probability(np.repeat(predicted, row, axis=0), noise) for row in counts]
    np.testing.assert_allclose(flip_probability(predicted, noise, counts.astype(np.float64)), duplicated, atol=1e-12)
    np.testing.assert_allclose(flip_probability(predicted, noise, counts.astype(np.float32)), duplicated, atol=1e-6)


@each_noise
@given(seed=seeds, length=frames)
@quick
def test_a_sequence_of_one_class_never_flips(noise: bool, seed: int, length: int) -> None:
    constant = np.repeat(random_sequences(seed, 2)[:, :1], length, axis=1)
    assert flip_probability(constant, noise) == 0.0


def test_a_single_early_change_flips_once_in_time_and_ever_after_against_the_first_frame() -> None:
    predicted = np.array([[1, 2, 2, 2, 2]])
    assert flip_probability(predicted, noise=False) == 0.25
    assert flip_probability(predicted, noise=True) == 1.0


@given(seed=seeds, names=st.lists(st.sampled_from(PERTURBATIONS), min_size=1, unique=True))
@quick
def test_rates_and_means_equal_slow_loops_and_the_baseline_itself_has_1(seed: int, names: list[str]) -> None:
    ours, theirs = np.random.default_rng(seed).uniform(0.01, 0.5, size=(2, len(names)))
    declared = perturbation_set(names)
    rates = flip_rate(ours, theirs)
    slow = [ours[p] / theirs[p] for p in range(len(names))]
    np.testing.assert_allclose(rates, slow, rtol=1e-12)
    assert mean_flip_rate(rates, names, declared) == pytest.approx(sum(slow) / len(slow))
    assert mean_flip_probability(ours, names, declared) == pytest.approx(sum(ours) / len(names))
    assert mean_flip_rate(flip_rate(ours, ours), names, declared) == 1.0


def test_resamples_keep_their_axis_through_rates_and_means() -> None:
    ours = np.array([[0.1, 0.2], [0.3, 0.6]])
    rates = flip_rate(ours, np.array([0.2, 0.4]))
    np.testing.assert_allclose(rates, [[0.5, 0.5], [1.5, 1.5]])
    declared = perturbation_set(["tilt", "scale"])
    np.testing.assert_allclose(mean_flip_rate(rates, ["tilt", "scale"], declared), [0.5, 1.5])


def test_a_baseline_that_never_flips_gives_nan_and_no_warning() -> None:
    assert np.isnan(flip_rate(np.array([0.0, 0.1]), np.zeros(2))).all()


def test_ten_perturbations_count_and_ten_files_never_do() -> None:
    declared = perturbation_set([*EXTRA_PERTURBATIONS, *PERTURBATIONS])
    assert declared.complete
    in_the_order_of_the_script = """
        gaussian_noise shot_noise motion_blur zoom_blur spatter brightness translate rotate tilt scale"""
    assert declared.counted == PERTURBATIONS == tuple(in_the_order_of_the_script.split())
    assert len(set(PERTURBATIONS + EXTRA_PERTURBATIONS)) == 20
    assert declared.shown == EXTRA_PERTURBATIONS


def test_only_noise_perturbations_are_compared_with_the_first_frame() -> None:
    assert {"gaussian_noise", "shot_noise", "speckle_noise"} <= NOISE_PERTURBATIONS
    assert {"gaussian_noise_2", "shot_noise_3", "speckle_noise_2"} <= NOISE_PERTURBATIONS
    assert NOISE_PERTURBATIONS.isdisjoint({"motion_blur", "gaussian_blur", "snow", "brightness"})
    assert len(NOISE_PERTURBATIONS) == 9


def test_official_sequences_have_31_frames_but_for_two() -> None:
    assert {name: count for name, count in FRAMES.items() if count != 31} == {"motion_blur": 21, "translate": 16}
    assert set(FRAMES) == {*PERTURBATIONS, *EXTRA_PERTURBATIONS}


def whole_sequences(seed: int, names: Any = ALL, sequences: int = 6) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {name: random.integers(3, size=(sequences, FRAMES[name])).astype(np.uint8) for name in names}


@given(seed=seeds, names=st.lists(st.sampled_from(ALL), min_size=1, unique=True))
@quick
def test_noise_alone_is_counted_against_the_first_frame_when_the_name_decides(seed: int, names: list[str]) -> None:
    predicted, counts = whole_sequences(seed, names), np.random.default_rng(seed).integers(1, 4, size=(3, 6))
    slow = [slow_flip_probability(found, "_noise" in name) for name, found in predicted.items()]
    np.testing.assert_allclose(flip_probabilities(predicted), slow, atol=1e-12)
    found = flip_probabilities(predicted, counts.astype(np.float64))
    assert found.shape == (3, len(names))
    for b, row in enumerate(counts):
        repeated = {name: np.repeat(array, row, axis=0) for name, array in predicted.items()}
        np.testing.assert_allclose(found[b], flip_probabilities(repeated), atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_sequences_with_a_frame_too_few_or_too_many_are_refused_by_name(name: str) -> None:
    for frames in (FRAMES[name] - 1, FRAMES[name] + 1):
        predicted = whole_sequences(0) | {name: np.zeros((6, frames), np.uint8)}
        with pytest.raises(ValueError, match=f"{name} has sequences of {FRAMES[name]} frames"):
            flip_probabilities(predicted)


def test_perturbations_with_fewer_sequences_than_the_others_are_refused_by_name() -> None:
    predicted = whole_sequences(0) | {"tilt": np.zeros((5, 31), np.uint8), "snow": np.zeros((4, 31), np.uint8)}
    with pytest.raises(ValueError, match="there are 6 sequences, but fewer of: tilt 5, snow 4"):
        flip_probabilities(predicted)
    with pytest.raises(ValueError, match="unknown names: fog"):
        flip_probabilities({"fog": np.zeros((5, 31), np.uint8)})
    with pytest.raises(ValueError, match=r"weights are \(2, 5\), but there are 6 images or sequences"):
        flip_probabilities(whole_sequences(0), np.ones((2, 5)))


def test_the_ten_of_the_paper_have_snow_in_the_place_of_spatter() -> None:
    assert set(PERTURBATIONS) - set(IMAGENET_PERTURBATIONS) == {"spatter"}
    assert set(IMAGENET_PERTURBATIONS) - set(PERTURBATIONS) == {"snow"}
    values = np.random.default_rng(0).random((2, 10))
    for mean in (imagenet_mean_flip_probability, imagenet_mean_flip_rate):
        np.testing.assert_allclose(mean(values, IMAGENET_PERTURBATIONS[::-1]), values.sum(axis=1) / 10)
        with pytest.raises(ValueError, match=r"but the array has missing snow; extra spatter$"):
            mean(values, PERTURBATIONS)
        with pytest.raises(ValueError, match=r"but the array has missing scale$"):
            mean(values[:, :9], IMAGENET_PERTURBATIONS[:9])


@pytest.mark.parametrize("mean", [mean_flip_probability, mean_flip_rate])
def test_a_mean_is_refused_unless_it_has_exactly_the_declared_perturbations(mean: Any) -> None:
    with pytest.raises(ValueError, match=r"declared over brightness, tilt, but the array has missing brightness$"):
        mean(np.array([0.1]), ["tilt"], perturbation_set(["tilt", "brightness"]))
    with pytest.raises(ValueError, match=r"but the array has extra snow$"):
        mean(np.array([0.1, 0.2]), ["tilt", "snow"], perturbation_set(["tilt", "snow"]))
    with pytest.raises(ValueError, match="nothing that was measured counts"):
        mean(np.array([0.1]), ["snow"], perturbation_set(["snow"]))
    with pytest.raises(ValueError, match="1 names cannot name 2 rows"):
        mean(np.array([0.1, 0.2]), ["tilt"], perturbation_set(["tilt"]))


def test_names_of_the_other_benchmark_are_unknown() -> None:
    with pytest.raises(ValueError, match="unknown names: fog"):
        perturbation_set(["tilt", "fog"])
    with pytest.raises(ValueError, match="unknown names: tilt"):
        corruption_set(["tilt", "fog"])


def test_predictions_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two frames"):
        flip_probability(np.zeros((3, 1), np.uint8), noise=False)
    with pytest.raises(ValueError, match=r"predicted must be \(Q, T\)"):
        flip_probability(np.zeros(3, np.uint8), noise=False)
    with pytest.raises(ValueError, match="but the baseline's"):
        flip_rate(np.array([0.1, 0.2]), np.array([0.1]))


@each_noise
def test_the_arrays_given_are_left_alone(noise: bool) -> None:
    predicted, weights = random_sequences(0, 4), np.ones((2, 12))
    predicted.setflags(write=False)
    weights.setflags(write=False)
    flip_probability(predicted, noise, weights)
