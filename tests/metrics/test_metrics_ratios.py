"""Intervals of ratios: against Fieller's own inequality, and against their promise where denominators are near zero."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsbench.metrics.ratios import NORMAL, clearly_positive, fieller_intervals, linearised, mean_interval

Sides = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def noisy(random: np.random.Generator, truth: np.ndarray, spread: float, resamples: int) -> Sides:
    """What is measured of numerators and denominators (2, C) under shared noise, and its bootstrap."""
    shared = np.array([[1.0, 0.5], [0.5, 1.0]])

    def drawn(around: np.ndarray, count: int) -> np.ndarray:
        noise = random.multivariate_normal(np.zeros(2), spread**2 * shared, (count, truth.shape[1]))
        together = random.normal(0, spread, (count, 1))
        return np.moveaxis(around.T + noise + together[..., None], -1, 0)

    (a, b), (sampled_a, sampled_b) = drawn(truth, 1)[:, 0], drawn(truth, resamples)
    return a, b, sampled_a - sampled_a.mean(0) + a, sampled_b - sampled_b.mean(0) + b


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, derandomize=True, max_examples=40, database=None)
def test_fiellers_interval_is_where_the_numerator_less_r_denominators_may_be_zero(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b, sampled_a, sampled_b = noisy(random, np.array([[1.0, -2.0], [3.0, 2.0]]), 0.5, 200)
    found = fieller_intervals(a, b, sampled_a, sampled_b)
    for member in range(2):
        if not clearly_positive(b, sampled_b)[member]:
            assert np.isnan(found[member]).all()
            continue
        for end in found[member]:
            left = (sampled_a - end * sampled_b)[:, member]
            assert abs(a[member] - end * b[member]) == pytest.approx(NORMAL * left.std(), rel=1e-6)
        assert found[member, 0] <= a[member] / b[member] <= found[member, 1]


def test_with_a_sure_denominator_the_interval_is_the_normal_one() -> None:
    sampled = np.random.default_rng(0).normal(1, 0.1, (500, 1))
    found = fieller_intervals(np.array([1.0]), np.array([2.0]), sampled, np.full((500, 1), 2.0))
    half = NORMAL * sampled.std() / 2
    assert found[0] == pytest.approx([0.5 - half, 0.5 + half])


def test_a_ratio_to_first_order_has_the_ratios_slope_and_is_finite() -> None:
    a, b = np.array([1.0]), np.array([4.0])
    near = linearised(a, b, np.array([[1.001], [1.0]]), np.array([[4.0], [4.001]]))
    assert near[:, 0] == pytest.approx([1.001 / 4, 1 / 4.001], abs=1e-7)
    assert linearised(a, b, a[None], np.zeros((1, 1))) == pytest.approx(0.5)


@pytest.mark.parametrize("signal", [1.0, 2.5, 20.0])
def test_fiellers_interval_covers_however_near_to_zero_the_denominator_is(signal: float) -> None:
    """`signal`: the true denominator in units of its standard error."""
    random, truth, hits, unbounded = np.random.default_rng(1), np.array([[1.5], [1.0]]), 0, 0
    for _ in range(2000):
        ((low, high),) = fieller_intervals(*noisy(random, truth, 1 / signal / np.sqrt(2), 200))
        # No interval is the whole line: it excludes no ratio, and no value is printed.
        unbounded += np.isnan(low)
        hits += np.isnan(low) or low <= 1.5 <= high
    text = f"covered {hits / 2000:.3f}, without an interval {unbounded / 2000:.3f}"
    print(f"denominator {signal} standard errors from 0: {text}")  # noqa: T201  # the coverage found
    assert hits / 2000 >= 0.935
    assert (unbounded / 2000 > 0.5) == (signal < 1.96)


@pytest.mark.parametrize("signal", [4.0, 10.0])
def test_the_mean_of_ratios_is_covered_by_its_interval(signal: float) -> None:
    random, covered, defined = np.random.default_rng(2), 0, 0
    truth = np.array([[0.5, 1.5, 1.0, 2.0, 0.8], [1.0, 1.0, 2.0, 2.0, 1.0]])
    for _ in range(1500):
        sides = noisy(random, truth, 1 / signal / np.sqrt(2), 200)
        low, high = mean_interval(sides[0] / sides[1], fieller_intervals(*sides), linearised(*sides))
        defined += np.isfinite(low)
        covered += low <= float((truth[0] / truth[1]).mean()) <= high
    print(f"{signal}: defined {defined}, covered {covered / defined:.3f}")  # noqa: T201  # the coverage found
    assert 0.92 <= covered / defined <= 0.99


def test_the_mean_of_one_has_its_interval_and_an_undefined_member_leaves_none() -> None:
    samples = np.random.default_rng(0).normal(size=(50, 2))
    values, ends = np.array([1.0, 2.0]), np.array([[0.5, 3.0], [1.0, 2.5]])
    assert mean_interval(values[:1], ends[:1], samples[:, :1]) == pytest.approx((0.5, 3.0))
    assert np.isnan(mean_interval(values, np.array([[0.5, 3.0], [np.nan, np.nan]]), samples)).all()


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        fieller_intervals(np.ones(2), np.ones(2), np.ones((5, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="must be"):
        mean_interval(np.ones(2), np.ones((2, 2)), np.ones((5, 3)))
