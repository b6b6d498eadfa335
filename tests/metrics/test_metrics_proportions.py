"""Exact intervals of shares: against scipy, and against their own promise near 0 and 1."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from nsbench.metrics.proportions import share_interval, unanimous_interval
from nsbench.metrics.uncertainty import interval, resample_weights


@pytest.mark.parametrize(("count", "n"), [(0, 1), (1, 1), (0, 500), (500, 500), (1, 500), (37, 200), (9173, 10_000)])
def test_the_interval_of_a_share_is_scipys_exact_one(count: int, n: int) -> None:
    expected = binomtest(count, n).proportion_ci(0.95, method="exact")
    assert share_interval(count, n) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_none_of_500_images_may_be_up_to_seven_in_a_thousand() -> None:
    low, high = share_interval(0, 500)
    assert (low, round(100 * high, 1)) == (0.0, 0.7)
    assert share_interval(500, 500) == pytest.approx((1 - high, 1.0))


@pytest.mark.parametrize("n", [40, 500])
@pytest.mark.parametrize("truth", [0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999])
def test_every_share_is_covered_in_at_least_95_of_100_samples(n: int, truth: float) -> None:
    """Exactly, by summing over all counts that may be seen."""
    counts = np.arange(n + 1)
    ends = [share_interval(int(count), n) for count in counts]
    covered = sum(
        float(binom.pmf(k, n, truth)) for k, (low, high) in zip(counts, ends, strict=True) if low <= truth <= high
    )
    print(f"n = {n}, p = {truth}: covered {100 * covered:.1f} %")  # noqa: T201  # the coverage found
    assert covered >= 0.95


def test_where_resamples_are_all_equal_the_bootstrap_does_not_cover_and_this_does() -> None:
    """Means over five cells of errors that come in one image of a thousand."""
    random, weights = np.random.default_rng(0), resample_weights(200, 200, seed=0)
    covered = dict.fromkeys(("bootstrap", "ours"), 0)
    for _ in range(400):
        outcomes = (random.random(200) < 0.001) * random.random(200)
        mean, bootstrap = float(outcomes.mean()), interval(weights @ outcomes / 200)
        for name, (low, high) in {"bootstrap": bootstrap, "ours": unanimous_interval(mean, 200) or bootstrap}.items():
            covered[name] += low <= 0.0005 <= high
    print(f"of 400: {covered}")  # noqa: T201  # the coverage found
    assert covered["bootstrap"] < 0.25 * 400
    assert covered["ours"] > 0.95 * 400


def test_only_where_all_agree_there_is_a_bound() -> None:
    assert unanimous_interval(1.0, 30) == share_interval(30, 30)
    assert unanimous_interval(1e-9, 30) is None


@pytest.mark.parametrize(("count", "n"), [(0, 0), (-1, 3), (4, 3)])
def test_what_is_no_share_is_refused(count: int, n: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        share_interval(count, n)
