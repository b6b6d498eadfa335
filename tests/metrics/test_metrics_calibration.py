"""Calibration errors against slow loops and torchmetrics, and what must hold for every input."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from nsbench.metrics.adaptive import adaptive_calibration_error, equal_mass_index
from nsbench.metrics.bins import bin_index
from nsbench.metrics.calibration import (
    expected_calibration_error,
    maximum_calibration_error,
    paper_calibration_error,
    reliability_bins,
)
from nsbench.metrics.classification import softmax
from nsbench.metrics.classwise import classwise_calibration_error

EQUAL_WIDTH = [
    expected_calibration_error,
    maximum_calibration_error,
    paper_calibration_error,
    classwise_calibration_error,
]
METRICS = [*EQUAL_WIDTH, adaptive_calibration_error]
each_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
each_of_equal_width = pytest.mark.parametrize("metric", EQUAL_WIDTH, ids=lambda metric: metric.__name__)
quick = settings(deadline=None, derandomize=True, max_examples=25, database=None)
seeds = st.integers(0, 2**32 - 1)
bin_numbers = st.sampled_from([1, 2, 10, 15, 20])


def random_case(seed: int, images: int = 80, classes: int = 5) -> tuple[Any, Any]:
    """Probabilities, every other image's in multiples of 1/20 so that many lie on an edge, and labels."""
    random = np.random.default_rng(seed)
    probabilities = softmax(3 * random.normal(size=(images, classes)))
    probabilities[::2] = random.multinomial(20, probabilities[::2]) / 20
    return probabilities, random.integers(classes, size=images)


def slow_bins(pairs: list[tuple[float, bool]], bins: int) -> list[tuple[int, float, float]]:
    """Count, accuracy and mean confidence of each bin ((m-1)/M, m/M] that holds something."""
    found = []
    for m in range(1, bins + 1):
        inside = [(p, hit) for p, hit in pairs if (m - 1) / bins < p <= m / bins or (m == 1 and p == 0)]
        if inside:
            count = len(inside)
            found.append((count, sum(hit for _, hit in inside) / count, math.fsum(p for p, _ in inside) / count))
    return found


def top_label(probabilities: Any, labels: Any) -> list[tuple[float, bool]]:
    rows = zip(probabilities.tolist(), labels.tolist(), strict=True)
    return [(max(row), row.index(max(row)) == label) for row, label in rows]


def all_classes(probabilities: Any, labels: Any) -> list[tuple[float, bool]]:
    rows = zip(probabilities.tolist(), labels.tolist(), strict=True)
    return [(p, k == label) for row, label in rows for k, p in enumerate(row)]


def slow_expected(probabilities: Any, labels: Any, bins: int) -> float:
    filled = slow_bins(top_label(probabilities, labels), bins)
    return sum(count / len(labels) * abs(accuracy - confidence) for count, accuracy, confidence in filled)


def slow_maximum(probabilities: Any, labels: Any, bins: int) -> float:
    return max(
        abs(accuracy - confidence) for _, accuracy, confidence in slow_bins(top_label(probabilities, labels), bins)
    )


def slow_paper(probabilities: Any, labels: Any, bins: int) -> float:
    filled = slow_bins(all_classes(probabilities, labels), bins)
    return sum(abs(accuracy - confidence) for _, accuracy, confidence in filled) / len(filled)


def slow_classwise(probabilities: Any, labels: Any, bins: int) -> float:
    total = 0.0
    for k in range(probabilities.shape[1]):
        pairs = [(float(row[k]), int(label) == k) for row, label in zip(probabilities, labels, strict=True)]
        total += sum(count / len(labels) * abs(share - mean) for count, share, mean in slow_bins(pairs, bins))
    return total / len(probabilities[0])


def slow_equal_mass(confidences: list[float], bins: int) -> list[int]:
    """Bin of each confidence by where it stands among all, in exact fractions."""
    found = []
    for own in confidences:
        less, same = sum(other < own for other in confidences), sum(other == own for other in confidences)
        found.append(math.floor(bins * (less + Fraction(same, 2)) / len(confidences)))
    return found


def slow_adaptive(probabilities: Any, labels: Any, bins: int, counted: Any = None) -> float:
    """With the bins of all images, over those that are counted as often as it says."""
    pairs = top_label(probabilities, labels)
    index = slow_equal_mass([confidence for confidence, _ in pairs], bins)
    times = [1] * len(pairs) if counted is None else counted.tolist()
    total = 0.0
    for m in range(bins):
        gaps = [n * (hit - p) for (p, hit), bin_, n in zip(pairs, index, times, strict=True) if bin_ == m]
        total += abs(math.fsum(gaps)) / sum(times)
    return total


SLOW: dict[Callable[..., Any], Callable[[Any, Any, int], float]] = {
    expected_calibration_error: slow_expected,
    maximum_calibration_error: slow_maximum,
    paper_calibration_error: slow_paper,
    classwise_calibration_error: slow_classwise,
    adaptive_calibration_error: slow_adaptive,
}


@each_metric
@given(seed=seeds, bins=bin_numbers)
@quick
def test_every_calibration_error_equals_its_slow_loop(metric: Callable[..., Any], seed: int, bins: int) -> None:
    probabilities, labels = random_case(seed)
    assert metric(probabilities, labels, bins) == pytest.approx(SLOW[metric](probabilities, labels, bins), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_torchmetrics_agrees_class_by_class(seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities, labels = softmax((1 + seed) * random.normal(size=(700, 10))), random.integers(10, size=700)
    theirs = [
        binary_calibration_error(torch.tensor(probabilities[:, k]), torch.tensor(labels == k).long(), n_bins=15).item()
        for k in range(10)
    ]
    assert classwise_calibration_error(probabilities, labels) == pytest.approx(sum(theirs) / 10, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("norm", "metric"), [("l1", expected_calibration_error), ("max", maximum_calibration_error)])
@pytest.mark.parametrize("bins", [10, 15])
def test_torchmetrics_agrees_where_no_confidence_is_on_an_edge(
    norm: Any, metric: Callable[..., Any], bins: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    probabilities = softmax((1 + seed) * random.normal(size=(700, 10)))
    labels = np.where(random.random(700) < 0.6, probabilities.argmax(axis=1), random.integers(10, size=700))
    theirs = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), num_classes=10, n_bins=bins, norm=norm
    )
    assert metric(probabilities, labels, bins) == pytest.approx(theirs.item(), abs=1e-6)


def test_the_usual_numbers_of_bins_are_15_and_for_the_paper_10() -> None:
    probabilities, labels = random_case(3)
    assert expected_calibration_error(probabilities, labels) == expected_calibration_error(probabilities, labels, 15)
    assert maximum_calibration_error(probabilities, labels) == maximum_calibration_error(probabilities, labels, 15)
    assert paper_calibration_error(probabilities, labels) == paper_calibration_error(probabilities, labels, 10)
    assert adaptive_calibration_error(probabilities, labels) == adaptive_calibration_error(probabilities, labels, 15)
    assert classwise_calibration_error(probabilities, labels) == classwise_calibration_error(probabilities, labels, 15)
    assert len(reliability_bins(probabilities, labels).counts) == 15


@each_of_equal_width
@given(seed=seeds)
@quick
def test_integer_weights_equal_duplicated_images(metric: Callable[..., Any], seed: int) -> None:
    probabilities, labels = random_case(seed, images=30)
    counts = np.random.default_rng(seed).integers(3, size=(4, len(labels)))
    duplicated = [metric(np.repeat(probabilities, row, axis=0), np.repeat(labels, row)) for row in counts]
    np.testing.assert_allclose(metric(probabilities, labels, weights=counts.astype(np.float64)), duplicated, atol=1e-12)
    np.testing.assert_allclose(metric(probabilities, labels, weights=counts.astype(np.float32)), duplicated, atol=1e-5)


@given(seed=seeds, bins=bin_numbers)
@quick
def test_a_resample_counts_the_members_of_adaptive_bins_and_moves_no_edge(seed: int, bins: int) -> None:
    probabilities, labels = random_case(seed, images=31)
    counts = np.random.default_rng(seed).integers(3, size=(4, len(labels)))
    slow = [slow_adaptive(probabilities, labels, bins, row) for row in counts]
    found = adaptive_calibration_error(probabilities, labels, bins, counts.astype(np.float64))
    np.testing.assert_allclose(found, slow, atol=1e-12)


@each_metric
@given(seed=seeds)
@quick
def test_counting_every_image_equally_often_is_counting_it_once(metric: Callable[..., Any], seed: int) -> None:
    probabilities, labels = random_case(seed)
    weights = np.repeat([[1.0], [3.0]], len(labels), axis=1)
    assert metric(probabilities, labels, weights=weights) == pytest.approx(metric(probabilities, labels), abs=1e-12)
    assert metric(probabilities, labels, weights=weights[0]) == pytest.approx(metric(probabilities, labels), abs=1e-12)
    assert metric(probabilities, labels, weights=weights[None, None]).shape == (1, 1, 2)
    assert isinstance(metric(probabilities, labels), float)


@given(seed=seeds, images=st.integers(1, 60), bins=bin_numbers)
@quick
def test_bins_of_equal_mass_differ_by_at_most_one_image_where_no_confidences_are_equal(
    seed: int, images: int, bins: int
) -> None:
    confidence = np.random.default_rng(seed).permutation(images) / images
    index = equal_mass_index(confidence, bins)
    sizes = np.bincount(index, minlength=bins)
    assert len(sizes) == bins
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(index[np.argsort(confidence)]) >= 0).all()


@given(confidences=st.lists(st.sampled_from([0.2, 0.5, 0.9, 1.0]), min_size=1, max_size=40), bins=bin_numbers)
@quick
def test_equal_confidences_share_an_adaptive_bin(confidences: list[float], bins: int) -> None:
    assert equal_mass_index(np.array(confidences), bins).tolist() == slow_equal_mass(confidences, bins)


@given(seed=seeds)
@quick
def test_with_one_bin_the_adaptive_error_is_the_expected_one(seed: int) -> None:
    probabilities, labels = random_case(seed)
    expected = expected_calibration_error(probabilities, labels, 1)
    assert adaptive_calibration_error(probabilities, labels, 1) == pytest.approx(expected, abs=1e-12)


@given(seed=seeds)
@quick
def test_the_classwise_error_does_not_care_which_class_is_called_first(seed: int) -> None:
    probabilities, labels = random_case(seed)
    order = np.random.default_rng(seed).permutation(probabilities.shape[1])
    renamed = classwise_calibration_error(probabilities[:, order], np.argsort(order)[labels])
    assert renamed == pytest.approx(classwise_calibration_error(probabilities, labels), abs=1e-12)


def test_a_model_that_always_predicts_the_shares_of_the_classes_is_calibrated_classwise() -> None:
    labels = np.repeat(np.arange(4), [1, 2, 4, 1])
    assert classwise_calibration_error(np.tile([0.125, 0.25, 0.5, 0.125], (8, 1)), labels) == 0.0
    assert classwise_calibration_error(np.tile([0.125, 0.25, 0.125, 0.5], (8, 1)), labels) == 0.1875


@each_metric
@given(seed=seeds)
@quick
def test_calibration_errors_ignore_order_and_duplication_of_all_images(metric: Callable[..., Any], seed: int) -> None:
    probabilities, labels = random_case(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    value = metric(probabilities, labels)
    assert 0.0 <= value <= 1.0
    assert metric(probabilities[order], labels[order]) == pytest.approx(value, abs=1e-12)
    assert metric(np.tile(probabilities, (3, 1)), np.tile(labels, 3)) == pytest.approx(value, abs=1e-12)


@given(seed=seeds)
@quick
def test_no_bin_is_worse_than_the_maximum_and_the_mean_is_not_above_it(seed: int) -> None:
    probabilities, labels = random_case(seed)
    bins = reliability_bins(probabilities, labels)
    maximum = maximum_calibration_error(probabilities, labels)
    assert np.nanmax(np.abs(bins.accuracy - bins.confidence)) == pytest.approx(maximum, abs=1e-12)
    assert expected_calibration_error(probabilities, labels) <= maximum + 1e-12


@given(seed=seeds, bins=bin_numbers)
@quick
def test_reliability_bins_hold_all_images_and_give_the_expected_calibration_error(seed: int, bins: int) -> None:
    probabilities, labels = random_case(seed)
    found = reliability_bins(probabilities, labels, bins)
    filled = found.counts > 0
    pairs = zip(found.counts[filled], found.accuracy[filled], found.confidence[filled], strict=True)
    slow = slow_bins(top_label(probabilities, labels), bins)
    np.testing.assert_allclose(list(pairs), slow, atol=1e-12)
    assert found.counts.sum() == len(labels)
    assert np.isnan(found.accuracy[~filled]).all()
    assert np.isnan(found.confidence[~filled]).all()
    assert found.edges.tolist() == [m / bins for m in range(bins + 1)]


@pytest.mark.parametrize("bins", range(1, 101))
def test_a_confidence_that_is_an_edge_closes_the_bin_below_it(bins: int) -> None:
    edges = np.array([float(Fraction(m, bins)) for m in range(1, bins + 1)])
    assert bin_index(edges, bins).tolist() == list(range(bins))
    assert bin_index(np.nextafter(edges[:-1], 1.0), bins).tolist() == list(range(1, bins))
    assert bin_index(np.nextafter(edges, 0.0), bins).tolist() == list(range(bins))


def test_decimal_confidences_fall_where_they_are_written() -> None:
    assert bin_index(np.array([0.0, 0.1, 0.2, 0.3, 0.6, 0.7, 1.0]), 10).tolist() == [0, 0, 1, 2, 5, 6, 9]
    assert bin_index(np.array([0.2, 0.4, 0.6, 0.8]), 15).tolist() == [2, 5, 8, 11]
    assert bin_index(np.array([0.2], np.float32), 10).tolist() == [2]


def test_a_rounding_error_outside_the_range_stays_in_the_outer_bins() -> None:
    assert bin_index(np.array([-1e-7, 1 + 1e-7]), 15).tolist() == [0, 14]
    assert expected_calibration_error(np.array([[1 + 1e-7, -1e-7]]), np.array([0])) == pytest.approx(1e-7, rel=1e-3)


def test_a_calibrated_model_has_no_calibration_error() -> None:
    probabilities = np.tile([0.75, 0.25], (4, 1))
    labels = np.array([0, 0, 0, 1])
    for metric in METRICS:
        assert metric(probabilities, labels) == 0.0


def test_the_error_of_the_whole_set_is_not_the_mean_over_batches() -> None:
    probabilities, labels = np.tile([0.75, 0.25], (4, 1)), np.array([0, 0, 0, 1])
    batches = [expected_calibration_error(probabilities[i : i + 2], labels[i : i + 2]) for i in (0, 2)]
    assert batches == [0.25, 0.25]
    assert expected_calibration_error(probabilities, labels) == 0.0


def test_the_paper_calibration_error_averages_over_the_bins_that_hold_something() -> None:
    probabilities, labels = np.array([[0.95, 0.05]]), np.array([1])
    assert paper_calibration_error(probabilities, labels) == pytest.approx(0.95)


def test_a_bin_that_a_resample_empties_adds_nothing() -> None:
    probabilities, labels = np.array([[0.75, 0.25], [1.0, 0.0]]), np.array([0, 1])
    only_first = np.array([[1.0, 0.0]])
    for metric in METRICS:
        assert metric(probabilities, labels, weights=only_first) == pytest.approx([0.25])


def test_without_images_every_calibration_error_is_nan() -> None:
    for metric in METRICS:
        assert math.isnan(metric(np.zeros((0, 3)), np.zeros(0, np.int64)))


@each_metric
def test_probabilities_labels_and_bins_that_make_no_sense_are_refused(metric: Callable[..., Any]) -> None:
    even = np.array([[0.5, 0.5]])
    for outside in ([1.001, 0.0], [-0.001, 1.0]):
        with pytest.raises(ValueError, match=r"probabilities must lie in \[0, 1\]"):
            metric(np.array([outside]), np.array([0]))
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.1"):
        metric(even, np.array([2]))
    with pytest.raises(ValueError, match="must be finite"):
        metric(np.array([[np.nan, 0.5]]), np.array([1]))
    with pytest.raises(ValueError, match="bins must be at least 1"):
        metric(even, np.array([1]), bins=0)
    with pytest.raises(ValueError, match=r"weights are \(1, 2\), but there are 1 images"):
        metric(even, np.array([1]), weights=np.ones((1, 2)))


@each_metric
def test_the_arrays_given_are_left_alone(metric: Callable[..., Any]) -> None:
    probabilities, labels = random_case(0)
    weights = np.ones((2, len(labels)))
    for array in (probabilities, labels, weights):
        array.setflags(write=False)
    metric(probabilities, labels, weights=weights)
