"""The report's variants against slow loops of its formulas, and their refusal of fewer files."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsbench.metrics.corruption import (
    corruption_error,
    relative_corruption_error,
)
from nsbench.metrics.declared import DeclaredSet, declared_mean
from nsbench.metrics.paper import (
    PAPER_CORRUPTIONS,
    PAPER_PERTURBATIONS,
    paper_flip_probabilities,
    paper_flip_probability,
    paper_mean_corruption_error,
    paper_mean_error,
    paper_mean_flip_probability,
    paper_mean_flip_rate,
    paper_relative_mean_corruption_error,
)
from nsbench.metrics.perturbation import flip_probabilities, flip_probability, flip_rate
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P

CORRUPTIONS, VALIDATION_CORRUPTIONS = CIFAR10_C.counted, CIFAR10_C.shown
FRAMES = {member.name: member.frames for member in CIFAR10_P.members}
NOISE_PERTURBATIONS = {member.name for member in CIFAR10_P.members if member.independent}

quick = settings(deadline=None, derandomize=True, max_examples=20, database=None)
seeds = st.integers(0, 2**32 - 1)
NINETEEN, TWENTY = PAPER_CORRUPTIONS.counted, PAPER_PERTURBATIONS.counted


@given(seed=seeds)
@quick
def test_corruption_numbers_are_means_over_all_nineteen_files(seed: int) -> None:
    ours, theirs = np.random.default_rng(seed).uniform(0.1, 0.9, size=(2, 19, 5))
    plain = ratio = relative = 0.0
    for c in range(19):
        plain += sum(ours[c][s] for s in range(5)) / 95
        ratio += sum(ours[c][s] for s in range(5)) / sum(theirs[c][s] for s in range(5)) / 19
        rise, base = sum(ours[c][s] - 0.05 for s in range(5)), sum(theirs[c][s] - 0.08 for s in range(5))
        relative += rise / base / 19
    assert paper_mean_error(ours, NINETEEN) == pytest.approx(plain)
    assert paper_mean_corruption_error(corruption_error(ours, theirs), NINETEEN) == pytest.approx(ratio)
    found = relative_corruption_error(ours, 0.05, theirs, 0.08)
    assert paper_relative_mean_corruption_error(found, NINETEEN) == pytest.approx(relative)


def test_the_baseline_itself_has_1() -> None:
    errors, flips = np.random.default_rng(0).uniform(0.1, 0.9, size=(19, 5)), np.linspace(0.1, 0.5, 20)
    assert paper_mean_corruption_error(corruption_error(errors, errors), NINETEEN) == 1.0
    relative = relative_corruption_error(errors, 0.05, errors, 0.05)
    assert paper_relative_mean_corruption_error(relative, NINETEEN) == 1.0
    assert paper_mean_flip_rate(flip_rate(flips, flips), TWENTY) == 1.0


def slow_report_flips(predicted: Any) -> float:
    """FP_p of the report: 1 / (m (n - 1)) times the flips of frames 2..n against frame 1."""
    flips = 0
    sequences, frames = predicted.shape
    for i in range(sequences):
        for j in range(1, frames):
            flips += int(predicted[i][j] != predicted[i][0])
    return float(flips / (sequences * (frames - 1)))


def whole_sequences(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {name: random.integers(3, size=(5, FRAMES[name])).astype(np.uint8) for name in TWENTY}


@given(seed=seeds)
@quick
def test_every_perturbation_is_counted_against_the_first_frame(seed: int) -> None:
    predicted = whole_sequences(seed)
    slow = [slow_report_flips(found) for found in predicted.values()]
    found = paper_flip_probabilities(predicted)
    np.testing.assert_allclose(found, slow, atol=1e-12)
    assert [paper_flip_probability(one) for one in predicted.values()] == pytest.approx(slow)
    assert paper_mean_flip_probability(found, TWENTY) == pytest.approx(sum(slow) / 20)
    rates = flip_rate(found, found[::-1])
    assert paper_mean_flip_rate(rates, TWENTY) == pytest.approx(sum(slow[p] / slow[19 - p] for p in range(20)) / 20)


def test_on_noise_the_report_and_the_paper_agree_and_elsewhere_they_do_not() -> None:
    predicted = whole_sequences(4)
    same = paper_flip_probabilities(predicted) == flip_probabilities(predicted)
    assert {name for name, equal in zip(predicted, same, strict=True) if equal} == NOISE_PERTURBATIONS


def test_a_lasting_change_counts_in_every_later_frame() -> None:
    predicted = np.array([[1, 1, 2, 2, 2]])
    assert paper_flip_probability(predicted) == 0.75
    assert flip_probability(predicted, noise=False) == 0.25


@given(seed=seeds)
@quick
def test_constant_sequences_never_flip_and_weights_repeat_sequences(seed: int) -> None:
    random = np.random.default_rng(seed)
    assert paper_flip_probability(np.repeat(random.integers(9, size=(4, 1)), 6, axis=1)) == 0.0
    predicted, counts = random.integers(3, size=(6, 5)), random.integers(1, 4, size=(3, 6))
    repeated = [slow_report_flips(np.repeat(predicted, row, axis=0)) for row in counts]
    np.testing.assert_allclose(paper_flip_probability(predicted, counts.astype(np.float64)), repeated, atol=1e-12)
    assert paper_flip_probability(predicted, np.ones((1, 6))) == pytest.approx([paper_flip_probability(predicted)])


@pytest.mark.parametrize("left_out", NINETEEN)
def test_eighteen_corruptions_are_refused_and_the_missing_one_is_named(left_out: str) -> None:
    names = [name for name in NINETEEN if name != left_out]
    with pytest.raises(ValueError, match=f"but the array has missing {left_out}$"):
        paper_mean_error(np.full((18, 5), 0.1), names)
    for mean in (paper_mean_corruption_error, paper_relative_mean_corruption_error):
        with pytest.raises(ValueError, match=f"but the array has missing {left_out}$"):
            mean(np.ones(18), names)


@pytest.mark.parametrize("left_out", TWENTY)
def test_nineteen_perturbations_are_refused_and_the_missing_one_is_named(left_out: str) -> None:
    names = [name for name in TWENTY if name != left_out]
    for mean in (paper_mean_flip_probability, paper_mean_flip_rate):
        with pytest.raises(ValueError, match=f"but the array has missing {left_out}$"):
            mean(np.ones(19), names)


def test_the_fifteen_of_the_benchmark_are_not_the_nineteen_of_the_report() -> None:
    assert set(NINETEEN) == {*CORRUPTIONS, *VALIDATION_CORRUPTIONS}
    assert len(NINETEEN) == 19
    with pytest.raises(ValueError, match="missing speckle_noise, gaussian_blur, spatter, saturate"):
        paper_mean_error(np.full((15, 5), 0.1), CORRUPTIONS)


def test_a_cell_without_a_number_and_sequences_that_were_cut_are_refused() -> None:
    errors = np.full((19, 5), 0.1)
    errors[7, 2] = np.nan
    with pytest.raises(ValueError, match="snow has no number at severity 3"):
        paper_mean_error(errors, NINETEEN)
    predicted = whole_sequences(0)
    predicted["translate"] = predicted["translate"][:, :15]
    with pytest.raises(ValueError, match="translate has sequences of 16 frames"):
        paper_flip_probabilities(predicted)


def test_a_mean_over_fewer_seeds_than_declared_is_refused_by_name() -> None:
    seeds_declared = DeclaredSet.exactly(["seed0", "seed1", "seed2"])
    values = np.array([[0.1, 0.2, 0.6], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(declared_mean(values, ["seed2", "seed0", "seed1"], seeds_declared), [0.3, 0.5])
    with pytest.raises(ValueError, match=r"over seed0, seed1, seed2, but the array has missing seed1$"):
        declared_mean(values[:, :2], ["seed0", "seed2"], seeds_declared)
    with pytest.raises(ValueError, match="names come twice: seed1"):
        DeclaredSet.exactly(["seed1", "seed1"])
