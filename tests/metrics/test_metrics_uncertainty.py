"""Bootstrap and paired tests against slow loops, scipy and their own promises."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nsbench.metrics.classification import softmax, weighted_mean
from nsbench.metrics.temperature import fit_temperature
from nsbench.metrics.uncertainty import (
    bootstrap_p_value,
    holm,
    interval,
    mcnemar_p_value,
    paired_p_value,
    resample_weights,
    resampled_temperature,
)

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


def test_models_that_err_on_the_same_images_cannot_be_distinguished() -> None:
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


def slow_holm(p_values: list[float]) -> list[float]:
    """Holm's step-down test restated: the least level at which each hypothesis is rejected."""
    corrected = []
    for mine in p_values:
        steps = sorted(p_values)
        levels = [
            (len(steps) - rank) * p_value for rank, p_value in enumerate(steps) if p_value <= mine
        ]  # all these must be passed before mine is reached
        corrected.append(min(1.0, max(levels)))
    return corrected


@given(p_values=st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.04, 0.2, 0.7, 1.0]), max_size=12))
@quick
def test_holm_equals_its_slow_restatement_also_with_ties(p_values: list[float]) -> None:
    assert holm(p_values).tolist() == pytest.approx(slow_holm(p_values))


@given(seed=seeds, count=st.integers(1, 30))
@quick
def test_holm_lies_between_the_p_value_and_bonferronis_whatever_the_order(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    p_values = random.random(count) ** 3
    corrected, order = holm(p_values), random.permutation(count)
    assert (corrected >= p_values).all()
    assert (corrected <= np.minimum(1, count * p_values) + 1e-15).all()
    np.testing.assert_array_equal(holm(p_values[order]), corrected[order])


def test_a_test_that_could_not_be_made_is_not_counted() -> None:
    np.testing.assert_array_equal(holm([0.01, math.nan, 0.04]), [0.02, math.nan, 0.04])


@pytest.mark.parametrize("p_values", [[1.1], [-0.1], [[0.1]]])
def test_what_is_no_list_of_probabilities_is_refused(p_values: Any) -> None:
    with pytest.raises(ValueError, match="p-values must"):
        holm(p_values)


def test_after_holm_one_false_alarm_among_twenty_comes_in_at_most_5_of_100_families() -> None:
    random = np.random.default_rng(0)
    alarms = [(holm(random.random(20)) < 0.05).any() for _ in range(1000)]
    assert 0.03 <= np.mean(alarms) <= 0.07
    assert np.mean([(random.random(20) < 0.05).any() for _ in range(1000)]) > 0.5, "without correction"


def correlated(random: np.random.Generator, n: int, gap: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Errors of two models on images whose difficulty they share, the second worse by about `gap`."""
    difficulty = random.normal(size=n)
    first, second = (difficulty + 0.5 * random.normal(size=n) + shift > 1.0 for shift in (0.0, gap))
    return first, second


@pytest.mark.parametrize("test", ["mcnemar", "paired"])
def test_p_values_are_uniform_when_models_do_not_differ(test: str) -> None:
    random, weights, found = np.random.default_rng(5), resample_weights(400, 300, seed=1), []
    for _ in range(300):
        first, second = correlated(random, 400)
        difference = first.astype(float) - second
        found.append(mcnemar_p_value(first, second) if test == "mcnemar" else paired_p_value(weights @ difference))
    for level in (0.05, 0.2, 0.5):
        # Discrete and exact, McNemar's test stays below the level; the bootstrap meets it.
        share = np.mean(np.array(found) <= level)
        assert share <= level + 3 * math.sqrt(level * (1 - level) / 300)
        assert share >= level / 3 - 0.01


def test_the_tail_goes_on_where_resamples_cannot_count_and_agrees_with_the_exact_test() -> None:
    random, weights = np.random.default_rng(3), resample_weights(4000, 1000, seed=0)
    for gap in (0.05, 0.15, 0.25):
        first, second = correlated(random, 4000, gap)
        found = paired_p_value(weighted_mean(second.astype(float) - first, weights))
        exact = mcnemar_p_value(first, second)
        assert math.log(found) == pytest.approx(math.log(exact), rel=0.25, abs=0.7)
    assert found < 1e-6, "else nothing was beyond the resamples"


def test_the_tail_is_never_larger_than_the_count_and_takes_over_below_ten() -> None:
    ordinary = np.concatenate([np.full(10, -1.0), np.linspace(0.5, 2, 989)])
    assert paired_p_value(ordinary) == bootstrap_p_value(ordinary)
    fewer = np.concatenate([np.full(2, -0.1), np.linspace(2.5, 3, 997)])
    assert paired_p_value(fewer) < bootstrap_p_value(fewer)
    assert paired_p_value(np.full(99, 0.3)) == bootstrap_p_value(np.full(99, 0.3))


def test_no_p_value_is_zero_however_clear_the_difference() -> None:
    assert mcnemar_p_value(np.ones(5000, bool), np.zeros(5000, bool)) > 0
    assert paired_p_value(np.linspace(1, 1.01, 999)) > 0


def test_the_interval_of_a_difference_is_much_narrower_paired_than_unpaired() -> None:
    random = np.random.default_rng(0)
    difficulty = random.normal(size=2000)
    first, second = ((difficulty + 0.1 * random.normal(size=2000) > 0.5).astype(float) for _ in range(2))
    weights, others = resample_weights(2000, 500, seed=0), resample_weights(2000, 500, seed=1)
    first_samples, second_samples = (np.asarray(weighted_mean(one, weights)) for one in (first, second))
    paired = interval(first_samples - second_samples)
    unpaired = interval(first_samples - np.asarray(weighted_mean(second, others)))
    assert paired[1] - paired[0] < 0.5 * (unpaired[1] - unpaired[0])


def test_the_paired_interval_covers_a_known_difference_about_95_times_in_100() -> None:
    random, weights, covered = np.random.default_rng(2), resample_weights(300, 300, seed=9), 0
    whole = correlated(np.random.default_rng(99), 2_000_000, 0.3)
    truth = whole[1].mean() - whole[0].mean()
    for _ in range(300):
        first, second = correlated(random, 300, 0.3)
        low, high = interval(weights @ (second.astype(float) - first) / 300)
        covered += low <= truth <= high
    assert 0.91 <= covered / 300 <= 0.985


def sure_logits(n: int, factor: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a calibrated model times a factor, which is then the temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, 10))
    shares = softmax(logits).cumsum(axis=1)
    return factor * logits, np.minimum((shares < random.random((n, 1))).sum(axis=1), 9)


@pytest.mark.parametrize(("n", "factor", "tolerance"), [(500, 0.6, 0.04), (2000, 2.0, 0.02)])
def test_one_step_has_the_interval_of_temperatures_refitted_to_every_resample(
    n: int, factor: float, tolerance: float
) -> None:
    logits, truth = sure_logits(n, factor, seed=1)
    weights, fitted = resample_weights(n, 60, seed=0), fit_temperature(logits, truth)
    refits = []
    for row in weights:
        drawn = np.repeat(np.arange(n), row.astype(int))
        refits.append(fit_temperature(logits[drawn], truth[drawn]))
    found = resampled_temperature(logits, truth, fitted, weights)
    assert fitted == pytest.approx(factor, rel=0.1)
    assert found == pytest.approx(np.array(refits), rel=tolerance)
    assert np.std(found) == pytest.approx(np.std(refits), rel=0.1)
    assert np.corrcoef(found, refits)[0, 1] > 0.995


@pytest.mark.parametrize("logits", [np.eye(10)[np.arange(10)], np.zeros((10, 10))])
def test_a_temperature_that_no_image_determines_has_no_samples(logits: np.ndarray) -> None:
    truth = np.arange(10)
    found = resampled_temperature(logits, truth, fit_temperature(logits, truth), resample_weights(10, 5, 0))
    assert np.isnan(found).all()
