"""Differences between recipes over seeds: no more false alarms than stated, and the power stated."""

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from scipy import stats

from nsbench.metrics.mover import mover
from nsbench.metrics.ray import RayEstimate
from nsbench.metrics.seed_differences import LEAST, detectable, seed_p_value
from nsbench.metrics.seeds import NORMAL, SeedEstimate, Spread, seed_estimate, seed_estimate_of_intervals
from nsbench.metrics.uncertainty import mcnemar_p_value, resample_weights

N, RESAMPLES = 250, 200
WEIGHTS = resample_weights(N, RESAMPLES, seed=1)


def p_value(found: SeedEstimate) -> float:
    assert found.spread is not None
    return seed_p_value(found.value, found.spread)


def differences(
    random: np.random.Generator, networks: int, seed_spread: float, shared: float, truth: float = 0.0
) -> SeedEstimate:
    """Candidate less baseline of networks that agree on average but for `truth`, on images that both see.

    What the images do to both alike is in no difference; `shared` is what they do to all networks of one recipe.
    """
    outcomes = truth + math.sqrt(2) * (
        shared * random.normal(size=N)
        + random.normal(size=(networks, N))
        + seed_spread * random.normal(size=(networks, 1))
    )
    seeds = list(range(networks))
    return seed_estimate(outcomes.mean(axis=1), outcomes @ WEIGHTS.T / N, seeds, seeds)


def p_values(networks: int, seed_spread: float, shared: float, repeats: int) -> np.ndarray:
    """The p-values in worlds without a difference."""
    random = np.random.default_rng(networks)
    return np.array([p_value(differences(random, networks, seed_spread, shared)) for _ in range(repeats)])


def say(sentence: str) -> None:
    """Print a measured figure, for `pytest -s`."""
    print(sentence)  # noqa: T201 - the figures are quoted in docs/statistics.md


@pytest.mark.parametrize("networks", [2, 3, 5])
@pytest.mark.parametrize("seed_spread", [0.0, 0.3])
def test_two_groups_of_one_recipe_are_called_different_in_five_of_a_hundred_cases(
    networks: int, seed_spread: float
) -> None:
    assert np.mean(p_values(networks, seed_spread, shared=1.0, repeats=300) <= 0.05) <= 0.08


@pytest.mark.slow
def test_false_alarms_stay_at_their_level_whichever_source_dominates() -> None:
    worst = {0.05: 0.0, 0.005: 0.0}
    for networks, shared, seed_spread in product((2, 3, 5), (0.0, 1.0, 3.0), (0.0, 0.05, 0.1, 0.3)):
        found = p_values(networks, seed_spread, shared, repeats=2000)
        for level, most in worst.items():
            share = float(np.mean(found <= level))
            worst[level] = max(most, share)
            say(f"S = {networks}, images {shared}, seeds {seed_spread}: {share:.1%} at {level}")
    assert worst[0.05] <= 0.06
    assert worst[0.005] <= 0.009


def trained_alike(random: np.random.Generator, networks: int, images: int, seed_spread: float) -> np.ndarray:
    """Which of the same images each network gets wrong, 10 % of them; its own error varies by `seed_spread`."""
    threshold, scale = float(stats.norm.ppf(0.1)), math.hypot(2, 1)
    # The density at the threshold turns a shift of the margin into one of the error.
    skill = seed_spread * scale / float(stats.norm.pdf(threshold)) * random.normal(size=(networks, 1))
    difficulty = 2 * random.normal(size=images)
    return np.asarray(scale * threshold + difficulty + random.normal(size=(networks, images)) + skill > 0)


def alarms_of_both_tests(
    random: np.random.Generator, images: int, seed_spread: float, weights: np.ndarray
) -> Iterator[tuple[bool, bool]]:
    """Whether McNemar's test of one training run each, and the test over three seeds, see a difference that is none."""
    while True:
        wrong = trained_alike(random, 6, images, seed_spread)
        own = wrong[:3].astype(np.float32) - wrong[3:]
        found = seed_estimate(own.mean(axis=1), own @ weights.T / images, [0, 1, 2], [0, 1, 2])
        yield mcnemar_p_value(wrong[0], wrong[3]) <= 0.05, p_value(found) <= 0.05


@pytest.mark.slow
def test_one_training_each_takes_two_seeds_of_a_recipe_for_different_where_three_seeds_do_not() -> None:
    images, repeats = 10_000, 500
    weights = resample_weights(images, 200, seed=1)
    for points, least in ((0.0, 0.0), (0.25, 0.15), (0.5, 0.35), (1.0, 0.6)):
        found = alarms_of_both_tests(np.random.default_rng(0), images, points / 100, weights)
        single, grouped = np.mean([next(found) for _ in range(repeats)], axis=0)
        say(f"error varies by {points} points from seed to seed: McNemar {single:.0%}, over three seeds {grouped:.1%}")
        assert single >= least
        assert grouped <= 0.08


def calibration_differences(
    random: np.random.Generator, networks: int, seed_spread: float, common: float
) -> SeedEstimate:
    """Two groups' unbiased calibration errors, each with an interval that covers; images move all alike by `common`."""
    images = common * random.normal() + math.sqrt(1 - common**2) * random.normal(size=(2, networks))
    values = images + seed_spread * random.normal(size=(2, networks))
    own, other = ([RayEstimate(value, value - NORMAL, value + NORMAL) for value in group] for group in values.tolist())
    found = [mover(one, another) for one, another in zip(own, other, strict=True)]
    intervals = np.array([(one.low, one.high) for one in found])
    return seed_estimate_of_intervals(values[0] - values[1], intervals, list(range(networks)), list(range(networks)))


@pytest.mark.parametrize("networks", [2, 3, 5])
def test_groups_of_one_calibration_error_are_hardly_ever_called_different(networks: int) -> None:
    for seed_spread in (0.0, 1.0, 4.0):
        for common in (0.0, 0.9):
            random = np.random.default_rng(networks)
            found = [p_value(calibration_differences(random, networks, seed_spread, common)) for _ in range(500)]
            share = float(np.mean(np.array(found) <= 0.05))
            say(f"S = {networks}, seeds {seed_spread}, in common {common}: {share:.1%}")
            assert share <= 0.07


def test_where_seeds_alone_matter_it_is_students_paired_test() -> None:
    own, other = np.array([0.10, 0.14, 0.11]), np.array([0.12, 0.15, 0.16])
    samples = np.repeat((own - other)[:, None], 20, axis=1)
    found = seed_estimate(own - other, samples, [0, 1, 2], [0, 1, 2])
    assert p_value(found) == pytest.approx(stats.ttest_rel(own, other).pvalue, rel=1e-6)


def test_where_images_alone_matter_it_is_the_normal_test() -> None:
    spread = Spread(networks=2, seeds=0.0, own=0.0, below=0.01, above=0.01)
    assert seed_p_value(0.02, spread) == pytest.approx(2 * stats.norm.sf(2), rel=1e-6)


def test_the_p_value_is_the_level_at_which_the_interval_ends_at_zero() -> None:
    random = np.random.default_rng(3)
    for _ in range(50):
        seeds, own, below, above = random.uniform(0.001, 0.02, 4)
        spread, value = Spread(int(random.integers(2, 6)), seeds, own, below, above), float(random.normal(0, 0.05))
        low, high = spread.ends(value, seed_p_value(value, spread))
        assert (low if value > 0 else high) == pytest.approx(0, abs=1e-9)


def test_an_uneven_interval_is_tested_on_the_side_towards_zero() -> None:
    spread = Spread(networks=3, seeds=0.0, own=0.0, below=0.01, above=0.03)
    assert seed_p_value(0.02, spread) == pytest.approx(2 * stats.norm.sf(2))
    assert seed_p_value(-0.02, spread) == pytest.approx(2 * stats.norm.sf(2 / 3))


def test_no_difference_has_the_p_value_one_and_none_has_zero() -> None:
    certain = Spread(networks=2, seeds=0.0, own=0.0, below=0.0, above=0.0)
    assert seed_p_value(0.0, certain) == 1
    assert seed_p_value(0.5, certain) == LEAST > 0


@pytest.mark.parametrize("networks", [2, 3, 5])
@pytest.mark.parametrize("level", [0.05, 0.05 / 7])
def test_four_of_five_repetitions_find_the_detectable_difference(networks: int, level: float) -> None:
    random = np.random.default_rng(networks)
    truth = detectable(Spread(networks, 1 / math.sqrt(networks), 0.0, 0.0, 0.0), level)
    values = truth + random.normal(size=(4000, networks))
    p_values = stats.ttest_1samp(values, 0, axis=1).pvalue
    assert np.mean(p_values <= level) == pytest.approx(0.8, abs=0.025)


def test_where_images_alone_matter_the_detectable_difference_is_two_quantiles_wide() -> None:
    spread = Spread(networks=3, seeds=0.0, own=0.0, below=0.01, above=0.01)
    assert detectable(spread, 0.05) == pytest.approx(0.01 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)))
