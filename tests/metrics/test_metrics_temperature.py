"""Temperature scaling against other minimisers, a closed form, and what must hold for every input."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from nsbench.metrics.adaptive import adaptive_calibration_error
from nsbench.metrics.calibration import expected_calibration_error
from nsbench.metrics.classification import negative_log_likelihood, softmax, top1_error, top5_error
from nsbench.metrics.classwise import classwise_calibration_error
from nsbench.metrics.temperature import HIGHEST, LOWEST, fit_temperature, scale_logits

quick = settings(deadline=None, derandomize=True, max_examples=25, database=None)
seeds = st.integers(0, 2**32 - 1)
temperatures = st.floats(0.05, 20)


def random_case(seed: int, true_temperature: float = 1.0, images: int = 300, classes: int = 7) -> tuple[Any, Any]:
    """float32 logits that are `true_temperature` times too large for the labels drawn from them."""
    random = np.random.default_rng(seed)
    fair = 2 * random.normal(size=(images, classes))
    labels = (softmax(fair).cumsum(axis=1) > random.random((images, 1))).argmax(axis=1)
    return (true_temperature * fair).astype(np.float32), labels


def loss(logits: Any, labels: Any, temperature: float) -> float:
    return float(negative_log_likelihood(scale_logits(logits, temperature), labels))


@given(seed=seeds, true_temperature=temperatures)
@quick
def test_the_fit_is_the_one_that_a_slow_search_finds(seed: int, true_temperature: float) -> None:
    logits, labels = random_case(seed, true_temperature)
    found = fit_temperature(logits, labels)
    options = {"xatol": 1e-12}
    slow = minimize_scalar(
        lambda log_t: loss(logits, labels, math.exp(log_t)), bounds=(-5, 5), method="bounded", options=options
    )
    assert found == pytest.approx(math.exp(slow.x), rel=1e-6)


def test_torch_finds_the_same_temperature_by_second_order_descent() -> None:
    logits, labels = random_case(3, 2.5)
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_temperature], max_iter=100, tolerance_grad=1e-12, tolerance_change=1e-15)
    scores, target = torch.tensor(logits, dtype=torch.float64), torch.tensor(labels)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        found = torch.nn.functional.cross_entropy(scores / log_temperature.exp(), target)
        found.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        return found

    optimiser.step(closure)  # type: ignore[no-untyped-call]  # nor for this
    assert fit_temperature(logits, labels) == pytest.approx(log_temperature.exp().item(), rel=1e-6)


@given(gap=st.floats(0.1, 20), right=st.integers(6, 9))
@quick
def test_two_classes_of_one_gap_have_the_temperature_of_the_closed_form(gap: float, right: int) -> None:
    """The softmax of gap / T must be the share of right labels: T = gap / log(share / (1 - share))."""
    logits, labels = np.tile([gap, 0.0], (10, 1)), np.array([0] * right + [1] * (10 - right))
    assert fit_temperature(logits, labels) == pytest.approx(gap / math.log(right / (10 - right)), rel=1e-7)


@given(seed=seeds, true_temperature=temperatures)
@quick
def test_no_other_temperature_has_a_smaller_likelihood_loss(seed: int, true_temperature: float) -> None:
    logits, labels = random_case(seed, true_temperature)
    found = fit_temperature(logits, labels)
    best = loss(logits, labels, found)
    for other in (1.0, found * 1.001, found / 1.001, found * 1.3, found / 1.3, LOWEST, HIGHEST):
        assert best <= loss(logits, labels, other) + 1e-14


@given(seed=seeds, factor=st.sampled_from([0.25, 0.5, 2.0, 4.0]))
@quick
def test_logits_that_grow_by_a_factor_grow_their_temperature_by_it(seed: int, factor: float) -> None:
    logits, labels = random_case(seed)
    once, again = fit_temperature(logits, labels), fit_temperature(factor * logits, labels)
    assert again == pytest.approx(factor * once, rel=1e-7)
    assert fit_temperature(scale_logits(logits, once), labels) == pytest.approx(1.0, rel=1e-7)


@given(seed=seeds)
@quick
def test_the_order_and_duplication_of_images_and_a_shift_of_logits_change_nothing(seed: int) -> None:
    logits, labels = random_case(seed)
    random = np.random.default_rng(seed)
    order, shift = random.permutation(len(labels)), random.integers(-8, 9, size=(len(labels), 1))
    expected = pytest.approx(fit_temperature(logits, labels), rel=1e-7)
    assert fit_temperature(logits[order], labels[order]) == expected
    assert fit_temperature(np.tile(logits, (2, 1)), np.tile(labels, 2)) == expected
    assert fit_temperature(logits.astype(np.float64) + shift, labels) == expected


@given(seed=seeds, temperature=temperatures)
@quick
def test_scaling_never_changes_a_top1_or_top5_error(seed: int, temperature: float) -> None:
    logits, labels = random_case(seed)
    scaled = scale_logits(logits, temperature)
    assert top1_error(scaled, labels) == top1_error(logits, labels)
    assert top5_error(scaled, labels) == top5_error(logits, labels)
    assert (scaled.argmax(axis=1) == logits.argmax(axis=1)).all()


@pytest.mark.parametrize("true_temperature", [0.2, 3.0])
def test_scaling_by_a_fit_on_other_images_calibrates(true_temperature: float) -> None:
    held_out, test = (random_case(seed, true_temperature, images=5000) for seed in (0, 1))
    found = fit_temperature(*held_out)
    assert found == pytest.approx(true_temperature, rel=0.05)
    logits, labels = test
    for error, noise in (
        (expected_calibration_error, 0.025),
        (adaptive_calibration_error, 0.025),
        (classwise_calibration_error, 0.02),
    ):
        assert error(softmax(logits), labels) > 2 * noise
        assert error(softmax(scale_logits(logits, found)), labels) < noise


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4, 1e30])
def test_a_model_that_is_always_right_gets_the_lowest_temperature(size: float) -> None:
    assert fit_temperature(size * np.eye(5), np.arange(5)) == LOWEST


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_a_model_that_is_always_wrong_gets_the_highest_temperature(size: float) -> None:
    assert fit_temperature(size * np.eye(5), (np.arange(5) + 1) % 5) == HIGHEST


def test_constant_logits_keep_the_temperature_of_1() -> None:
    assert fit_temperature(np.full((6, 4), 7.5, np.float32), np.array([0, 1, 2, 3, 0, 0])) == 1.0
    assert fit_temperature(np.arange(3.0)[:, None] * np.ones(4), np.array([0, 1, 2])) == 1.0


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_no_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="must be positive and finite"):
        scale_logits(np.zeros((1, 2)), temperature)


def test_nothing_to_fit_on_is_refused() -> None:
    with pytest.raises(ValueError, match="without images"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="must be finite"):
        fit_temperature(np.array([[np.inf, 0.0]]), np.array([0]))
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.1"):
        fit_temperature(np.zeros((1, 2)), np.array([2]))


def test_the_arrays_given_are_left_alone() -> None:
    logits, labels = random_case(0)
    logits.setflags(write=False)
    labels.setflags(write=False)
    scale_logits(logits, fit_temperature(logits, labels))
