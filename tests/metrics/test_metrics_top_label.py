"""Calibration under corruption, from stored confidences: against slow loops, other precisions and the other metrics."""

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsbench.metrics import bins
from nsbench.metrics.calibration import expected_calibration_error
from nsbench.metrics.classification import softmax
from nsbench.metrics.corruption import corruption_set, mean_expected_calibration_error
from nsbench.metrics.top_label import top_label, top_label_calibration_error
from nsbench.metrics.uncertainty import resample_weights
from nsbench.protocols.cifar import CIFAR10_C

CORRUPTIONS, SEVERITIES = CIFAR10_C.counted, CIFAR10_C.severities

quick = settings(deadline=None, derandomize=True, max_examples=25, database=None)
seeds = st.integers(0, 2**32 - 1)
bin_numbers = st.sampled_from([1, 2, 10, 15])


def random_cells(seed: int, corruptions: int = 3, images: int = 25) -> tuple[Any, Any]:
    """float32 confidences, some of them exactly 1 or on an edge, and whether the prediction is right."""
    random = np.random.default_rng(seed)
    confidence = random.integers(1, 61, size=(corruptions, 5, images)).astype(np.float32) / 60
    return confidence, random.random(confidence.shape) < confidence**2


def slow_error(confidence: Any, correct: Any, counts: Any, bins: int) -> float:
    """Guo et al.: a loop over bins, each of them a list of images repeated as often as they are counted."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = []
        for p, hit, count in zip(confidence.tolist(), correct.tolist(), counts.tolist(), strict=True):
            if (m - 1) / bins < p <= m / bins:
                inside += [(p, hit)] * int(count)
        if inside:
            accuracy, mean = sum(hit for _, hit in inside) / len(inside), math.fsum(p for p, _ in inside) / len(inside)
            total += len(inside) / counts.sum() * abs(accuracy - mean)
    return float(total)


@given(seed=seeds, m=bin_numbers)
@quick
def test_every_cell_and_resample_equals_the_slow_loop(seed: int, m: int) -> None:
    confidence, correct = random_cells(seed)
    weights = resample_weights(25, 3, seed)
    found = np.asarray(top_label_calibration_error(confidence, correct, m, weights))
    plain = np.asarray(top_label_calibration_error(confidence, correct, m))
    assert (found.shape, plain.shape) == ((3, 3, 5), (3, 5))
    for cell in np.ndindex(3, 5):
        once = slow_error(confidence[cell], correct[cell], np.ones(25), m)
        assert plain[cell] == pytest.approx(once, abs=1e-12)
        for b, counts in enumerate(weights):
            assert found[(b, *cell)] == pytest.approx(slow_error(confidence[cell], correct[cell], counts, m), abs=1e-6)


@given(seed=seeds)
@quick
def test_each_cell_alone_gives_what_it_gives_among_the_others(seed: int) -> None:
    confidence, correct = random_cells(seed)
    weights = np.random.default_rng(seed).random((2, 25))
    together = np.asarray(top_label_calibration_error(confidence, correct, weights=weights))
    for cell in np.ndindex(3, 5):
        alone = top_label_calibration_error(confidence[cell], correct[cell], weights=weights)
        np.testing.assert_allclose(together[(slice(None), *cell)], alone, atol=1e-15)


def test_blocks_of_any_size_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    confidence, correct = random_cells(5)
    whole = top_label_calibration_error(confidence, correct, weights=np.ones((2, 25)))
    for block in (1, 4 * 15 * 25, 7 * 15 * 25):
        monkeypatch.setattr(bins, "BLOCK", block)
        found = top_label_calibration_error(confidence, correct, weights=np.ones((2, 25)))
        np.testing.assert_allclose(found, whole, atol=1e-15)


@given(seed=seeds)
@quick
def test_stored_confidences_give_the_error_of_the_probabilities_they_came_from(seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities, labels = softmax(3 * random.normal(size=(60, 7))), random.integers(7, size=60)
    confidence, correct = top_label(probabilities, labels)
    expected = expected_calibration_error(probabilities, labels)
    assert top_label_calibration_error(confidence, correct) == expected
    assert top_label_calibration_error(confidence.astype(np.float32), correct) == pytest.approx(expected, abs=1e-6)


@given(seed=seeds)
@quick
def test_order_and_duplication_of_all_images_change_nothing(seed: int) -> None:
    confidence, correct = random_cells(seed)
    value = np.asarray(top_label_calibration_error(confidence, correct))
    order = np.random.default_rng(seed).permutation(25)
    assert ((value >= 0) & (value <= 1)).all()
    reordered = top_label_calibration_error(confidence[..., order], correct[..., order])
    np.testing.assert_allclose(reordered, value, atol=1e-12)
    tripled = top_label_calibration_error(np.tile(confidence, 3), np.tile(correct, 3))
    np.testing.assert_allclose(tripled, value, atol=1e-12)


def test_the_float32_product_of_a_full_benchmark_is_exact_to_a_millionth() -> None:
    random = np.random.default_rng(0)
    confidence = random.random((2, 5, 10_000), np.float32)
    correct, weights = random.random(confidence.shape) < confidence, resample_weights(10_000, 40, 0)
    found = top_label_calibration_error(confidence, correct, weights=weights)
    exact = top_label_calibration_error(confidence, correct, weights=weights.astype(np.float64))
    np.testing.assert_allclose(found, exact, atol=1e-6)


def test_all_cells_of_a_full_benchmark_need_less_than_300_mb_for_a_thousand_resamples() -> None:
    confidence = np.random.default_rng(0).random((19, 5, 10_000), np.float32)
    correct, weights = confidence > 0.5, resample_weights(10_000, 1000, 0)
    tracemalloc.start()
    found = np.asarray(top_label_calibration_error(confidence, correct, weights=weights))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.shape == (1000, 19, 5)
    assert peak < 300e6


def test_the_mean_over_corruptions_is_the_plain_mean_of_all_cells() -> None:
    confidence, correct = random_cells(2, corruptions=15)
    cells = np.asarray(top_label_calibration_error(confidence, correct))
    slow = sum(cells[c][s] for c in range(15) for s in range(5)) / 75
    declared = corruption_set(CORRUPTIONS)
    assert mean_expected_calibration_error(cells, CORRUPTIONS, declared) == pytest.approx(slow, abs=1e-12)
    resampled = np.asarray(mean_expected_calibration_error(np.stack([cells, cells + 0.25]), CORRUPTIONS, declared))
    np.testing.assert_allclose(resampled, [slow, slow + 0.25])


def test_too_sure_here_does_not_make_good_too_unsure_there() -> None:
    confidence = np.full((2, 5, 4), 0.75)
    correct = np.zeros((2, 5, 4), np.bool_)
    correct[0] = True
    correct[1, :, :2] = True
    cells = np.asarray(top_label_calibration_error(confidence, correct))
    assert cells.tolist() == [[0.25] * 5] * 2
    declared = corruption_set(["snow", "fog"])
    assert mean_expected_calibration_error(cells, ["snow", "fog"], declared) == 0.25


def test_a_mean_over_fewer_corruptions_severities_or_cells_than_declared_is_refused_by_name() -> None:
    declared, cells = corruption_set(["snow", "fog"]), np.full((2, 5), 0.25)
    with pytest.raises(ValueError, match=r"declared over snow, fog, but the array has missing fog$"):
        mean_expected_calibration_error(cells[:1], ["snow"], declared)
    with pytest.raises(ValueError, match="all 5 severities"):
        mean_expected_calibration_error(cells[:, :4], ["snow", "fog"], declared)
    for severity in SEVERITIES:
        hole = cells.copy()
        hole[1, severity - 1] = np.nan
        with pytest.raises(ValueError, match=f"fog has no number at severity {severity}"):
            mean_expected_calibration_error(hole, ["snow", "fog"], declared)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda confidence, correct: (confidence[..., 1:], correct), r"must both be \(\.\.\., N\)"),
        (lambda confidence, correct: (confidence, correct.astype(np.uint8)), "True or False of each image"),
        (lambda confidence, correct: (10 * confidence, correct), r"must lie in \[0, 1\]"),
        (lambda confidence, correct: (np.where(correct, np.nan, confidence), correct), r"must lie in \[0, 1\]"),
        (lambda confidence, correct: (confidence - 1, correct), r"must lie in \[0, 1\]"),
    ],
)
def test_what_are_no_confidences_and_outcomes_is_refused(change: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        top_label_calibration_error(*change(*random_cells(0)))


def test_weights_of_another_number_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights are \(2, 24\), but there are 25 images"):
        top_label_calibration_error(*random_cells(0), weights=np.ones((2, 24)))


def test_the_arrays_given_are_left_alone() -> None:
    confidence, correct = random_cells(0)
    weights = np.ones((2, 25), np.float32)
    for array in (confidence, correct, weights):
        array.setflags(write=False)
    top_label_calibration_error(confidence, correct, weights=weights)
