"""Bootstrap and paired tests against slow loops, scipy and their own promises."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nsbench.metrics.classification import weighted_mean
from nsbench.metrics.uncertainty import bootstrap_p_value, interval, mcnemar_p_value, resample_weights

quick = settings(deadline=None, derandomize=True, max_examples=40, database=None)
seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, n=st.integers(1, 50), resamples=st.integers(1, 10))
@quick
def test_every_resample_draws_n_images_and_a_seed_repeats_it(seed: int, n: int, resamples: int) -> None:
    weights = resample_weights(n, resamples, seed)
    assert weights.dtype == np.float32
    assert weights.shape == (resamples, n)
    assert (weights >= 0).all()
    assert (weights == np.round(weights)).all()
    assert (weights.sum(axis=1) == n).all()
    np.testing.assert_array_equal(weights, resample_weights(n, resamples, seed))
    np.testing.assert_array_equal(weights, resample_weights(n, resamples + 3, seed)[:resamples])


def test_counts_of_an_image_have_the_mean_and_variance_of_drawing_with_replacement() -> None:
    weights = resample_weights(50, 4000, seed=3)
    assert weights.mean(axis=0) == pytest.approx(np.ones(50), abs=0.08)
    assert weights.var() == pytest.approx(1 - 1 / 50, abs=0.02)
    assert (weights == 0).mean() == pytest.approx((1 - 1 / 50) ** 50, abs=0.01)


def test_other_seeds_and_rows_draw_other_images() -> None:
    weights = resample_weights(100, 2, seed=0)
    assert (weights[0] != weights[1]).any()
    assert (weights != resample_weights(100, 2, seed=1)).any()


def test_nothing_to_resample_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to resample: n is 0"):
        resample_weights(0, 10, seed=0)


def test_the_interval_covers_a_known_mean_about_95_times_in_100() -> None:
    random, share, covered, repeats = np.random.default_rng(7), 0.3, 0, 300
    for repeat in range(repeats):
        outcomes = random.random(150) < share
        low, high = interval(weighted_mean(outcomes, resample_weights(150, 400, repeat)))
        assert low <= outcomes.mean() <= high
        covered += low <= share <= high
    assert 0.91 <= covered / repeats <= 0.985


def test_the_interval_of_an_accuracy_has_the_width_of_its_standard_error() -> None:
    outcomes = np.arange(10_000) < 8_800
    low, high = interval(weighted_mean(outcomes, resample_weights(10_000, 1000, seed=0)))
    expected = 2 * 1.96 * math.sqrt(0.88 * 0.12 / 10_000)
    assert high - low == pytest.approx(expected, rel=0.1)


@given(seed=seeds, count=st.integers(1, 60))
@quick
def test_the_interval_equals_interpolation_between_sorted_samples(seed: int, count: int) -> None:
    samples = np.random.default_rng(seed).normal(size=count)
    ordered: list[float] = sorted(samples.tolist())

    def slow_quantile(share: float) -> float:
        place = share * (count - 1)
        below = math.floor(place)
        above = min(below + 1, count - 1)
        return ordered[below] + (place - below) * (ordered[above] - ordered[below])

    assert interval(samples) == pytest.approx((slow_quantile(0.025), slow_quantile(0.975)), abs=1e-12)


@pytest.mark.parametrize("samples", [[], [0.1, math.nan, 0.2], [0.1, math.inf]])
def test_an_undefined_sample_leaves_interval_and_p_value_undefined(samples: list[float]) -> None:
    assert all(math.isnan(end) for end in interval(samples))
    assert math.isnan(bootstrap_p_value(samples))


@pytest.mark.parametrize("function", [interval, bootstrap_p_value])
def test_samples_of_several_numbers_at_once_are_refused(function: Any) -> None:
    with pytest.raises(ValueError, match="one number for each resample"):
        function(np.zeros((4, 2)))


def slow_mcnemar(only_a: int, only_b: int) -> float:
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, math.ldexp(tail, 1 - n))


@given(seed=seeds, n=st.integers(0, 80))
@quick
def test_mcnemar_equals_the_binomial_sum_and_scipy(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    wrong_a, wrong_b = random.random(n) < 0.2, random.random(n) < 0.4
    only_a = sum(bool(a and not b) for a, b in zip(wrong_a, wrong_b, strict=True))
    only_b = sum(bool(b and not a) for a, b in zip(wrong_a, wrong_b, strict=True))
    found = mcnemar_p_value(wrong_a, wrong_b)
    assert found == pytest.approx(slow_mcnemar(only_a, only_b), rel=1e-9)
    assert found == mcnemar_p_value(wrong_b, wrong_a)
    if only_a + only_b:
        assert found == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue, rel=1e-9)


def test_mcnemar_stays_exact_for_thousands_of_discordant_images() -> None:
    wrong_a, wrong_b = np.arange(10_000) < 2_600, np.arange(10_000) >= 7_500
    assert mcnemar_p_value(wrong_a, wrong_b) == pytest.approx(stats.binomtest(2_600, 5_100).pvalue, rel=1e-6)


def test_models_that_err_on_the_same_images_cannot_be_told_apart() -> None:
    wrong = np.array([True, False, True])
    assert mcnemar_p_value(wrong, wrong) == 1.0


def test_models_tried_on_other_numbers_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match="on the same images"):
        mcnemar_p_value(np.array([True]), np.array([True, False]))


@given(differences=st.lists(st.sampled_from([-0.2, -0.1, 0.0, 0.1, 0.2]), min_size=1, max_size=40))
@quick
def test_the_bootstrap_p_value_equals_its_slow_count(differences: list[float]) -> None:
    not_above = sum(d <= 0 for d in differences)
    not_below = sum(d >= 0 for d in differences)
    slow = min(1.0, 2 * (min(not_above, not_below) + 1) / (len(differences) + 1))
    found = bootstrap_p_value(differences)
    assert found == slow
    assert found == bootstrap_p_value([-d for d in differences])
    assert 0 < found <= 1


def test_a_resample_count_bounds_the_p_value_from_below() -> None:
    assert bootstrap_p_value(np.full(999, 0.5)) == 0.002


def test_equal_models_are_called_different_about_5_times_in_100() -> None:
    random, repeats = np.random.default_rng(11), 300
    rejected = 0
    for repeat in range(repeats):
        difference = random.normal(size=100)
        rejected += bootstrap_p_value(weighted_mean(difference, resample_weights(100, 400, repeat))) < 0.05
    assert 0.02 <= rejected / repeats <= 0.09


def test_a_real_difference_is_found() -> None:
    difference = np.random.default_rng(0).normal(0.5, 1.0, size=200)
    assert bootstrap_p_value(weighted_mean(difference, resample_weights(200, 500, seed=0))) < 0.01
