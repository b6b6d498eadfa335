"""A mean over seeds against its model: simulated networks and images with known variances."""

import math

import numpy as np
import pytest
from scipy import stats

from nsbench.metrics.seeds import SeedEstimate, seed_estimate
from nsbench.metrics.uncertainty import interval, resample_weights

N, RESAMPLES = 250, 200
WEIGHTS = resample_weights(N, RESAMPLES, seed=1)


def estimate(random: np.random.Generator, networks: int, seed_spread: float, shared: float = 1.0) -> SeedEstimate:
    """Networks whose true mean is 0, on images that all of them see."""
    outcomes = shared * random.normal(size=N) + random.normal(size=(networks, N))
    outcomes += seed_spread * random.normal(size=(networks, 1))
    seeds = list(range(networks))
    return seed_estimate(outcomes.mean(axis=1), outcomes @ WEIGHTS.T / N, seeds, seeds)


def covered(kind: str, networks: int, seed_spread: float, repeats: int = 400) -> float:
    """Share of simulated worlds in which an interval holds the true mean."""
    random = np.random.default_rng(networks)
    ends = [getattr(estimate(random, networks, seed_spread), kind) for _ in range(repeats)]
    return float(np.mean([low <= 0 <= high for low, high in ends]))


@pytest.mark.parametrize("networks", [2, 3, 5, 10])
@pytest.mark.parametrize("seed_spread", [0.0, 0.05, 0.3])
def test_the_interval_over_both_covers_the_mean_at_least_95_times_in_100(networks: int, seed_spread: float) -> None:
    assert covered("both", networks, seed_spread) >= 0.92


def test_the_interval_over_both_is_not_much_too_wide_where_networks_are_many() -> None:
    for seed_spread in (0.0, 0.05, 0.3):
        assert covered("both", 10, seed_spread) <= 0.99


def test_neither_source_alone_covers_the_mean_where_both_matter() -> None:
    assert covered("images", 3, 0.3) < 0.85
    assert covered("seeds", 5, 0.0) < 0.85


def test_the_interval_over_seeds_is_students() -> None:
    values, samples = np.array([0.1, 0.14, 0.11]), np.zeros((3, 10))
    low, high = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    assert seed_estimate(values, samples, [0, 1, 2], [0, 1, 2]).seeds == pytest.approx((low, high))


def test_the_interval_over_images_is_the_bootstrap_of_the_mean_network() -> None:
    samples = np.random.default_rng(0).normal(size=(3, 50))
    found = seed_estimate(np.zeros(3), samples, [0, 1, 2], [0, 1, 2])
    assert found.images == interval(samples.mean(axis=0))


def test_the_interval_over_both_holds_the_one_over_seeds_and_is_as_wide_as_the_one_over_images() -> None:
    random = np.random.default_rng(0)
    for networks in (2, 4):
        for _ in range(50):
            found = estimate(random, networks, 0.1)
            assert found.both[0] <= found.seeds[0] <= found.value <= found.seeds[1] <= found.both[1]
            spread = found.images[1] - found.images[0]
            assert found.both[1] - found.both[0] >= 0.8 * spread, "percentiles of 200 resamples are rough"


def test_equal_networks_leave_the_images_as_the_only_source() -> None:
    random = np.random.default_rng(4)
    samples = np.tile(random.normal(0, 0.01, 4000), (3, 1))
    found = seed_estimate(np.full(3, 0.5), samples, [0, 1, 2], [2, 1, 0])
    assert found.seeds == (0.5, 0.5)
    assert found.both == pytest.approx((0.5 - 1.96 * 0.01, 0.5 + 1.96 * 0.01), abs=0.001)


def test_images_that_change_nothing_leave_the_seeds_as_the_only_source() -> None:
    values = np.array([0.1, 0.2, 0.4])
    found = seed_estimate(values, np.repeat(values[:, None], 20, axis=1), [0, 1, 2], [0, 1, 2])
    assert found.both == pytest.approx(found.seeds)


def test_an_undefined_number_has_no_interval() -> None:
    found = seed_estimate(np.array([0.1, math.nan]), np.zeros((2, 5)), [0, 1], [0, 1])
    assert math.isnan(found.value)
    assert all(math.isnan(end) for end in (*found.seeds, *found.both))


@pytest.mark.parametrize(
    ("seeds", "declared", "message"),
    [
        ([3], [3], r"one network \(seed 3\) does not show how much seeds differ"),
        ([0, 1], [0, 1, 2], "seeds 0, 1, 2, but missing 2"),
        ([0, 4], [0, 1], "missing 1; extra 4"),
        ([0, 0], [0], "a seed comes twice"),
    ],
)
def test_a_mean_over_other_seeds_than_declared_is_refused_by_name(
    seeds: list[int], declared: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        seed_estimate(np.zeros(len(seeds)), np.zeros((len(seeds), 5)), seeds, declared)


@pytest.mark.parametrize(("values", "samples"), [((3,), (2, 5)), ((2,), (3, 5)), ((2,), (2,))])
def test_shapes_that_do_not_fit_the_networks_are_refused(values: tuple[int, ...], samples: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"2 networks have values \(2,\)"):
        seed_estimate(np.zeros(values), np.zeros(samples), [0, 1], [0, 1])
