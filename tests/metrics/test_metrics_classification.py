"""Classification metrics against slow loops, torch, and what must hold for every input."""

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nsbench.metrics.classification import (
    brier_score,
    confusion_matrix,
    negative_log_likelihood,
    ratio,
    softmax,
    top1_error,
    top5_error,
    weighted_mean,
)

METRICS = [top1_error, top5_error, negative_log_likelihood, brier_score]
each_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
quick = settings(deadline=None, derandomize=True, max_examples=25, database=None)
seeds = st.integers(0, 2**32 - 1)


def random_case(seed: int, images: int = 60, classes: int = 8) -> tuple[Any, Any]:
    """Logits rounded to halves, so that many of them are equal, and labels."""
    random = np.random.default_rng(seed)
    return np.round(random.normal(size=(images, classes)) * 4) / 2, random.integers(classes, size=images)


def slow_softmax(row: Any) -> list[float]:
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def slow_top_error(logits: Any, labels: Any, k: int) -> float:
    wrong = 0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        best_first = sorted(range(len(row)), key=lambda index: (-row[index], index))
        wrong += label not in best_first[:k]
    return wrong / len(labels)


def slow_negative_log_likelihood(logits: Any, labels: Any) -> float:
    return -sum(math.log(slow_softmax(row)[label]) for row, label in zip(logits, labels, strict=True)) / len(labels)


def slow_brier_score(logits: Any, labels: Any) -> float:
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        for index, probability in enumerate(slow_softmax(row)):
            total += (probability - (1.0 if index == label else 0.0)) ** 2
    return total / len(labels)


SLOW: dict[Callable[..., Any], Callable[[Any, Any], float]] = {
    top1_error: lambda logits, labels: slow_top_error(logits, labels, 1),
    top5_error: lambda logits, labels: slow_top_error(logits, labels, 5),
    negative_log_likelihood: slow_negative_log_likelihood,
    brier_score: slow_brier_score,
}


@each_metric
@given(seed=seeds)
@quick
def test_every_metric_equals_its_slow_loop(metric: Callable[..., Any], seed: int) -> None:
    logits, labels = random_case(seed)
    assert metric(logits, labels) == pytest.approx(SLOW[metric](logits, labels), abs=1e-12)


@each_metric
@given(seed=seeds)
@quick
def test_integer_weights_equal_duplicated_images(metric: Callable[..., Any], seed: int) -> None:
    logits, labels = random_case(seed)
    counts = np.random.default_rng(seed).integers(4, size=(3, len(labels)))
    duplicated = [metric(np.repeat(logits, row, axis=0), np.repeat(labels, row)) for row in counts]
    np.testing.assert_allclose(metric(logits, labels, counts.astype(np.float64)), duplicated, rtol=1e-12)
    np.testing.assert_allclose(metric(logits, labels, counts.astype(np.float32)), duplicated, rtol=1e-5)


@each_metric
def test_the_value_has_the_leading_shape_of_the_weights(metric: Callable[..., Any]) -> None:
    logits, labels = random_case(0)
    assert isinstance(metric(logits, labels), float)
    assert metric(logits, labels, np.ones((2, 3, len(labels)))) == pytest.approx(metric(logits, labels))
    assert metric(logits, labels, np.ones((2, 3, len(labels)))).shape == (2, 3)


@each_metric
@given(seed=seeds)
@quick
def test_every_metric_stays_in_its_range_and_ignores_the_order_of_images(metric: Callable[..., Any], seed: int) -> None:
    logits, labels = random_case(seed)
    value = metric(logits, labels)
    largest = {top1_error: 1.0, top5_error: 1.0, brier_score: 2.0}.get(metric, math.inf)
    assert 0.0 <= value <= largest
    order = np.random.default_rng(seed).permutation(len(labels))
    assert metric(logits[order], labels[order]) == pytest.approx(value, abs=1e-12)


def test_torch_agrees_where_no_logits_are_equal() -> None:
    random = np.random.default_rng(1)
    logits, labels = random.normal(size=(500, 10)).astype(np.float32), random.integers(10, size=500)
    tensor, target = torch.from_numpy(logits), torch.from_numpy(labels)
    likelihood = torch.nn.functional.cross_entropy(tensor.double(), target).item()
    brier = (tensor.double().softmax(1) - torch.nn.functional.one_hot(target, 10)).square().sum(1).mean().item()
    in_top5 = (tensor.topk(5, dim=1).indices == target[:, None]).any(dim=1).float().mean().item()
    assert negative_log_likelihood(logits, labels) == pytest.approx(likelihood, abs=1e-12)
    assert brier_score(logits, labels) == pytest.approx(brier, abs=1e-12)
    assert top5_error(logits, labels) == pytest.approx(1 - in_top5, abs=1e-6)
    assert top1_error(logits, labels) == float((logits.argmax(axis=1) != labels).mean())
    np.testing.assert_allclose(softmax(logits), tensor.double().softmax(1).numpy(), atol=1e-15)


def test_among_equal_logits_the_first_classes_are_predicted() -> None:
    logits = np.zeros((7, 7))
    assert top1_error(logits, np.arange(7)) == pytest.approx(6 / 7)
    assert top5_error(logits[:5], np.arange(5)) == 0.0
    assert top5_error(logits[:2], np.array([5, 6])) == 1.0


def test_huge_logits_overflow_nothing() -> None:
    logits, labels = np.array([[1e4, -1e4]], dtype=np.float32), np.array([1])
    assert softmax(logits).tolist() == [[1.0, 0.0]]
    assert negative_log_likelihood(logits, labels) == 2e4
    assert brier_score(logits, labels) == 2.0


def test_top5_error_is_refused_for_four_classes() -> None:
    with pytest.raises(ValueError, match="at least five classes, but there are 4"):
        top5_error(np.zeros((2, 4)), np.array([0, 1]))


@each_metric
def test_scores_that_are_not_finite_are_refused_because_they_would_look_right(metric: Callable[..., Any]) -> None:
    logits = np.full((2, 6), np.nan)
    with pytest.raises(ValueError, match="must be finite"):
        metric(logits, np.array([0, 1]))


@each_metric
@pytest.mark.parametrize("labels", [[0, 6], [-1, 0]])
def test_a_label_that_is_no_class_is_refused(metric: Callable[..., Any], labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.5"):
        metric(np.zeros((2, 6)), np.array(labels))


@each_metric
def test_labels_of_another_length_are_refused(metric: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"scores must be \(N, K\)"):
        metric(np.zeros((2, 6)), np.array([0]))


@each_metric
def test_the_arrays_given_are_left_alone(metric: Callable[..., Any]) -> None:
    logits, labels = random_case(0)
    weights = np.ones(len(labels))
    for array in (logits, labels, weights):
        array.setflags(write=False)
    metric(logits, labels, weights)


def test_whole_number_weights_of_integer_type_do_not_cut_outcomes_to_whole_numbers() -> None:
    assert weighted_mean(np.array([0.5, 0.75]), np.array([[1, 1]])) == pytest.approx([0.625])


def test_a_mean_of_several_outcomes_puts_resamples_first() -> None:
    random = np.random.default_rng(0)
    outcomes, weights = random.random((4, 5, 6)), random.random((2, 3, 6))
    means = np.asarray(weighted_mean(outcomes, weights))
    assert means.shape == (2, 3, 4, 5)
    for w in np.ndindex(2, 3):
        for o in np.ndindex(4, 5):
            slow = sum(weights[w][i] * outcomes[o][i] for i in range(6)) / sum(weights[w])
            assert means[w + o] == pytest.approx(slow, abs=1e-14)


def test_a_mean_over_nothing_and_a_division_by_zero_are_nan_without_a_warning() -> None:
    assert math.isnan(float(weighted_mean(np.zeros(0))))
    assert np.isnan(weighted_mean(np.ones(3), np.zeros((2, 3)))).all()
    np.testing.assert_array_equal(ratio(np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 2.0])), [np.nan, np.nan, 0.5])


@given(seed=seeds)
@quick
def test_the_confusion_matrix_counts_true_rows_and_predicted_columns(seed: int) -> None:
    random = np.random.default_rng(seed)
    predicted, labels = random.integers(6, size=40).astype(np.uint8), random.integers(7, size=40)
    matrix = confusion_matrix(predicted, labels, 7)
    slow = [[0] * 7 for _ in range(7)]
    for guess, label in zip(predicted, labels, strict=True):
        slow[label][guess] += 1
    assert matrix.tolist() == slow
    assert matrix.dtype == np.int64


def test_the_confusion_matrix_of_many_classes_does_not_wrap_around_in_uint8() -> None:
    assert confusion_matrix(np.array([99], np.uint8), np.array([98], np.uint8), 100)[98, 99] == 1


def test_the_confusion_matrix_refuses_what_is_no_class_or_of_another_length() -> None:
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.1"):
        confusion_matrix(np.array([2]), np.array([0]), 2)
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.1"):
        confusion_matrix(np.array([0]), np.array([2]), 2)
    with pytest.raises(ValueError, match=r"must both be \(N,\)"):
        confusion_matrix(np.array([0, 1]), np.array([0]), 2)


@each_metric
def test_a_thousand_classes_need_little_memory_beyond_their_logits(metric: Callable[..., Any]) -> None:
    random = np.random.default_rng(2)
    labels = random.integers(1000, size=8000)
    logits = random.normal(size=(8000, 1000)).astype(np.float32)
    logits[np.arange(8000), labels] += 3
    tracemalloc.start()
    found = metric(logits, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * logits.nbytes
    parts = [metric(logits[rows], labels[rows]) for rows in (slice(0, 100), slice(100, 8000))]
    assert found == pytest.approx((parts[0] + 79 * parts[1]) / 80, abs=1e-12)


def test_a_confusion_matrix_of_a_thousand_classes_counts_every_image() -> None:
    random = np.random.default_rng(3)
    labels, predicted = random.integers(1000, size=(2, 5000))
    found = confusion_matrix(predicted.astype(np.uint16), labels, 1000)
    assert found.sum() == 5000
    assert found[labels[7], predicted[7]] == ((labels == labels[7]) & (predicted == predicted[7])).sum()
