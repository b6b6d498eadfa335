"""Calibration errors without their noise: against slow loops, properties, and what their intervals cover in simulation.

The truth of a simulation is that of its world: images are drawn from a pool of logits, labels from the softmax of the
logits over a temperature, and the true error is the one of the whole pool with its probabilities in place of labels,
in the same bins. At a temperature of 1 it is 0.
"""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsbench.metrics.adaptive import adaptive_bins
from nsbench.metrics.bins import Binned, bin_index, summed
from nsbench.metrics.classification import softmax
from nsbench.metrics.classwise import classwise_bins
from nsbench.metrics.mover import mover
from nsbench.metrics.noise_floor import expected_gaps, mean_absolute_deviation, noise_floor
from nsbench.metrics.ray import RayEstimate, ray_estimate
from nsbench.metrics.top_label import top_label, top_label_bins
from nsbench.metrics.uncertainty import interval, paired_p_value, resample_weights

quick = settings(deadline=None, derandomize=True, max_examples=25, database=None)
seeds = st.integers(0, 2**32 - 1)

RESAMPLES, POOL, CLASSES = 300, 10_000, 10


def logits_like(confidence: str, seed: int = 0) -> Any:
    """(POOL, CLASSES) logits; mean confidence 0.96 and 0.88 as of a public ResNet-20 on clean and on noisy images."""
    random = np.random.default_rng(seed)
    shape, noise = {"clean": (4, 1.3), "noisy": (2, 2.1)}[confidence]
    logits = random.normal(0, noise, (POOL, CLASSES))
    logits[np.arange(POOL), random.integers(CLASSES, size=POOL)] += random.gamma(shape, 3.0, POOL)
    return logits


def drawn_labels(probabilities: Any, random: np.random.Generator) -> Any:
    """A class of each row, drawn from its probabilities."""
    above = random.random((len(probabilities), 1)) > probabilities.cumsum(axis=1)
    return np.minimum(above.sum(axis=1), probabilities.shape[1] - 1)


class World:
    """Images whose labels follow the softmax of their logits over a temperature."""

    def __init__(self, logits: Any, temperature: float = 1.0) -> None:
        self.probabilities, self.true = softmax(logits), softmax(logits / temperature)

    def expected(self, images: Any, correct: Any) -> Binned:
        """The bins of the top label."""
        return top_label_bins(self.probabilities[images].max(axis=1), correct)

    @property
    def right(self) -> Any:
        """(POOL,) the probability that the predicted class is the label."""
        return np.take_along_axis(self.true, self.probabilities.argmax(axis=1)[:, None], axis=1)[:, 0]

    @property
    def error(self) -> float:
        """The true expected calibration error."""
        return true_error(self.probabilities.max(axis=1), self.right)

    @property
    def classwise_error(self) -> float:
        """The true classwise calibration error."""
        return float(np.mean([true_error(*pair) for pair in zip(self.probabilities.T, self.true.T, strict=True)]))


def true_error(confidence: Any, right: Any) -> float:
    """The error of probabilities, given that each is right with another."""
    gaps = np.bincount(bin_index(confidence, 15), weights=right - confidence, minlength=15)
    return float(np.abs(gaps).sum() / len(confidence))


def estimated(binned: Binned, seed: int) -> tuple[RayEstimate, Any]:
    """The estimate for bins, and the plug-in errors on resamples, averaged over cells."""
    weights = resample_weights(binned.confidence.shape[-1], RESAMPLES, seed)
    gaps, resampled = binned.gaps(), binned.gaps(weights)
    flat = (-1, binned.bins)
    expected, images = expected_gaps(binned).reshape(flat), binned.confidence.shape[-1]
    cells = ray_estimate(gaps.reshape(flat), resampled.reshape(RESAMPLES, *flat), expected, images)
    return cells, np.asarray(summed(resampled)).reshape(RESAMPLES, -1).mean(axis=1)


def shares(truth: float, found: list[tuple[RayEstimate, Any]]) -> tuple[float, float]:
    """How often the truth lies in the intervals, and how often in the percentile intervals."""
    ends = [interval(samples) for _, samples in found]
    ours = np.mean([one.low <= truth <= one.high for one, _ in found])
    theirs = np.mean([low <= truth <= high for low, high in ends])
    return float(ours), float(theirs)


def say(sentence: str) -> None:
    """Print a measured coverage, for `pytest -s`."""
    print(sentence)  # noqa: T201 (a simulation shows what it found)


def random_gaps(seed: int, cells: int, bins: int = 4, resamples: int = 51) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    gaps = random.normal(0, 0.01, (cells, bins)) * random.integers(1, 4, (cells, bins))
    return gaps, gaps + random.normal(0, 0.01, (resamples, cells, bins))


def many_images(gaps: Any, resampled: Any) -> RayEstimate:
    """The estimate where no bin is thin, so that the bootstrap's noise is taken as it is."""
    return ray_estimate(gaps, resampled, 0 * gaps, images=10**9)


def slow_ends(direction: Any, gaps: Any, resampled: Any) -> tuple[float, float, float]:
    """Walk along one ray in small steps; a gap, a cell and a resample at a time."""
    cells = len(gaps)
    error = sum(abs(gap) for row in gaps.tolist() for gap in row) / cells
    size = np.abs(direction).sum() / cells
    inside, medians = [], []
    for step in range(2000):
        tau = step * error * 2e-3
        norms = [np.abs(tau * direction / size + one - gaps).sum() / cells for one in resampled]
        low, median, high = np.quantile(norms, [0.025, 0.5, 0.975])
        if low <= error <= high:
            inside.append(tau)
        if median <= error:
            medians.append(tau)
    return (min(inside), max(inside), max(medians, default=0.0)) if inside else (math.nan, math.nan, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_estimate_of_one_cell_equals_a_walk_along_both_rays(seed: int) -> None:
    gaps, resampled = random_gaps(seed, 1)
    gaps[0, 0] += 0.1  # so that noise alone does not reach the error
    resampled[:, 0, 0] += 0.1
    variances = (resampled - gaps).var(axis=0)
    sparse = np.where(gaps**2 > 2 * variances, gaps - 2 * variances / gaps, 0)
    low, high, median = slow_ends(gaps, gaps, resampled)
    sparse_low, sparse_high, _ = slow_ends(sparse, gaps, resampled)
    found = many_images(gaps, resampled)
    step = 3e-3 * np.abs(gaps).sum()
    assert found.value == pytest.approx(median, abs=step)
    assert found.low == pytest.approx(min(low, sparse_low), abs=step)
    assert found.high == pytest.approx(max(high, sparse_high), abs=step)


@given(seed=seeds, cells=st.integers(1, 4), scale=st.sampled_from([0.0, 0.1, 1.0, 3.0]))
@quick
def test_the_interval_holds_the_unbiased_value_and_is_never_empty(seed: int, cells: int, scale: float) -> None:
    gaps, resampled = random_gaps(seed, cells)
    gaps, resampled = scale * gaps, resampled - (1 - scale) * gaps
    found = many_images(gaps, resampled)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high > 0, "noise was there"


@given(seed=seeds, cells=st.integers(1, 4))
@quick
def test_neither_the_order_of_cells_and_bins_nor_the_sign_of_all_gaps_matters(seed: int, cells: int) -> None:
    gaps, resampled = random_gaps(seed, cells)
    found = many_images(gaps, resampled)
    assert gaps.any(), "a direction without gaps has no sign"
    for other in (many_images(-gaps, -resampled), many_images(gaps[::-1, ::-1], resampled[:, ::-1, ::-1])):
        assert (other.value, other.low, other.high) == pytest.approx((found.value, found.low, found.high), abs=1e-6)


def test_cells_that_are_all_the_same_have_the_estimate_of_one() -> None:
    gaps, resampled = random_gaps(3, 1)
    one, five = many_images(gaps, resampled), many_images(np.tile(gaps, (5, 1)), np.tile(resampled, (1, 5, 1)))
    assert (five.value, five.low, five.high) == pytest.approx((one.value, one.low, one.high), abs=1e-6)


def test_without_noise_the_estimate_is_the_plug_in_and_without_gaps_it_is_zero() -> None:
    gaps = np.array([[0.1, -0.2, 0.0]])
    found = many_images(gaps, np.repeat(gaps[None], 9, axis=0))
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.3, 0.3))
    assert many_images(0 * gaps, np.zeros((9, 1, 3))) == RayEstimate(0.0, 0.0, 0.0)


def test_gaps_that_cancel_by_chance_do_not_prove_calibration() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (200, 1, 15))
    found = many_images(np.zeros((1, 15)), noise)
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high > 0.05


def test_one_bin_and_two_images_are_enough() -> None:
    binned = top_label_bins(np.array([0.9, 0.6]), np.array([True, False]), 1)
    found, _ = estimated(binned, 0)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"gaps must be \(C, M\) and resampled \(B, C, M\)"):
        ray_estimate(np.zeros((1, 3)), np.zeros((9, 3)), np.zeros((1, 3)), 5)
    with pytest.raises(ValueError, match="gaps must be"):
        ray_estimate(np.zeros((1, 3)), np.zeros((0, 1, 3)), np.zeros((1, 3)), 5)
    with pytest.raises(ValueError, match=r"expected gaps must be \(1, 3\)"):
        ray_estimate(np.zeros((1, 3)), np.zeros((9, 1, 3)), np.zeros(3), 5)


def test_a_thin_bin_has_the_noise_that_its_confidences_expect() -> None:
    # One image of a rare event that did not happen: its own resamples hardly move.
    gaps, resampled = np.array([[-0.002]]), np.array([[[-0.001]], [[-0.002]], [[-0.003]]])
    assert many_images(gaps, resampled).high < 0.02
    assert ray_estimate(gaps, resampled, np.array([[0.02]]), images=100).high > 0.02


@pytest.mark.parametrize("images", [1, 7, 60])
def test_equally_sure_images_have_the_floor_of_a_sum_over_all_outcomes(images: int) -> None:
    for sure in (0.01, 0.3, 0.97):
        outcomes = [math.comb(images, k) * sure**k * (1 - sure) ** (images - k) for k in range(images + 1)]
        expected = sum(p * abs(k / images - sure) for k, p in enumerate(outcomes))
        found = noise_floor(top_label_bins(np.full(images, sure), np.full(images, True)))
        assert found == pytest.approx(expected, rel=1e-9)


def test_certain_images_have_no_floor() -> None:
    sure = top_label_bins(np.array([1.0, 1.0, 0.0]), np.array([True, False, False]))
    assert noise_floor(sure) == 0
    assert (mean_absolute_deviation(np.array([0.0]), np.array([0.0])) == 0).all()


@given(seed=seeds)
@quick
def test_the_floor_equals_a_convolution_over_the_images_of_each_bin(seed: int) -> None:
    confidence = np.random.default_rng(seed).beta(4, 1, 40)
    binned = top_label_bins(confidence, np.full(40, True))
    total = 0.0
    for m in range(15):
        law, mean = np.ones(1), 0.0
        for one in confidence[binned.member == m]:
            law, mean = np.convolve(law, [1 - one, one]), mean + one
        total += sum(p * abs(k - mean) for k, p in enumerate(law))
    assert noise_floor(binned) == pytest.approx(total / 40, rel=0.01)


@pytest.mark.parametrize("confidence", ["clean", "noisy"])
@pytest.mark.parametrize("bins", ["expected", "classwise", "adaptive"])
def test_the_floor_is_what_labels_drawn_from_the_probabilities_show_on_600_images(confidence: str, bins: str) -> None:
    random = np.random.default_rng(1)
    probabilities = softmax(logits_like(confidence)[:600])

    def binned() -> Binned:
        labels = drawn_labels(probabilities, random)
        if bins == "expected":
            return top_label_bins(*top_label(probabilities, labels))
        return (adaptive_bins if bins == "adaptive" else classwise_bins)(probabilities, labels)

    shown = [np.mean(binned().error()) for _ in range(400)]
    spread = 3 * float(np.std(shown)) / 20
    assert np.mean(noise_floor(binned())) == pytest.approx(np.mean(shown), rel=0.01, abs=spread)


def test_percentiles_never_cover_a_calibrated_network_and_these_intervals_do() -> None:
    world, random = World(logits_like("noisy")), np.random.default_rng(2)
    found = []
    for trial in range(40):
        images = random.integers(POOL, size=600)
        found.append(estimated(world.expected(images, random.random(600) < world.right[images]), trial))
    ours, theirs = shares(0.0, found)
    assert world.error < 1e-12
    assert ours >= 0.9
    assert theirs == 0


@pytest.mark.slow
@pytest.mark.parametrize(("n", "trials"), [(600, 200), (10_000, 60)])
@pytest.mark.parametrize(
    ("confidence", "temperature"), [("clean", 1.0), ("noisy", 1.0), ("clean", 1.25), ("noisy", 1.2)]
)
def test_intervals_of_the_expected_error_cover(n: int, trials: int, confidence: str, temperature: float) -> None:
    world, random = World(logits_like(confidence), temperature), np.random.default_rng(3)
    found = []
    for trial in range(trials):
        images = random.integers(POOL, size=n)
        found.append(estimated(world.expected(images, random.random(n) < world.right[images]), trial))
    truth = world.error if temperature != 1 else 0.0
    ours, theirs = shares(truth, found)
    below = np.mean([one.value < truth for one, _ in found])
    say(
        f"{confidence} {temperature} N={n}: truth {truth:.4f} covered {ours:.3f}, percentiles {theirs:.3f}, {below:.2f}"
    )
    assert ours >= 0.9
    if temperature == 1:
        assert theirs < 0.05
    else:
        assert 0.25 <= below <= 0.75, "the value is median-unbiased"


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 1.25])
def test_intervals_of_the_classwise_error_cover(temperature: float) -> None:
    world, random = World(logits_like("clean"), temperature), np.random.default_rng(4)
    found = []
    for trial in range(100):
        images = random.integers(POOL, size=600)
        labels = drawn_labels(world.true[images], random)
        found.append(estimated(classwise_bins(world.probabilities[images], labels), trial))
    ours, theirs = shares(world.classwise_error if temperature != 1 else 0.0, found)
    say(f"classwise {temperature}: covered {ours:.3f}, percentiles {theirs:.3f}")
    assert ours >= 0.9
    assert theirs < 0.5


def cells_of(worlds: list[World], images: Any, random: np.random.Generator) -> Binned:
    """Cells that show the same images, and often the same luck."""
    n = len(images)
    shared = random.random(n)
    luck = [np.where(random.random(n) < 0.5, shared, random.random(n)) for _ in worlds]
    confidence = np.stack([world.probabilities[images].max(axis=1) for world in worlds])
    return top_label_bins(
        confidence, np.stack([u < world.right[images] for u, world in zip(luck, worlds, strict=True)])
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["calibrated", "alike", "mixed"])
def test_intervals_of_a_mean_over_cells_cover_also_where_few_cells_are_off(kind: str) -> None:
    temperatures = {"calibrated": [1.0] * 10, "alike": [1.25] * 10, "mixed": [1.0] * 8 + [2.0, 3.0]}[kind]
    pools = [logits_like("clean"), logits_like("noisy", 1)]
    worlds = [World(pools[cell % 2], temperature) for cell, temperature in enumerate(temperatures)]
    truth = float(np.mean([world.error for world in worlds])) if kind != "calibrated" else 0.0
    random = np.random.default_rng(5)
    found = [estimated(cells_of(worlds, random.integers(POOL, size=600), random), trial) for trial in range(100)]
    ours, theirs = shares(truth, found)
    value = np.median([one.value for one, _ in found])
    say(f"{kind} cells: truth {truth:.4f} value {value:.4f} covered {ours:.3f}, percentiles {theirs:.3f}")
    assert ours >= 0.9
    assert theirs < 0.05


def p_values(worlds: list[World], others: list[World], n: int, trials: int) -> tuple[Any, Any]:
    """P-values of MOVER and of the percentile bootstrap, of two networks that share images and luck."""
    random = np.random.default_rng(6)
    found = []
    for trial in range(trials):
        images = random.integers(POOL, size=n)
        state = random.integers(2**32)
        # The same generator: where one network is lucky, so is the other.
        (own, samples), (other, their_samples) = (
            estimated(cells_of(cells, images, np.random.default_rng(state)), trial) for cells in (worlds, others)
        )
        found.append((mover(own, other).p_value, paired_p_value(samples - their_samples)))
    ours, theirs = np.array(found).T
    return ours, theirs


@pytest.mark.slow
@pytest.mark.parametrize(("cells", "trials"), [(1, 200), (20, 40)])
def test_two_calibrated_networks_are_not_called_different(cells: int, trials: int) -> None:
    sure, unsure = World(logits_like("clean")), World(logits_like("noisy"))
    ours, theirs = (np.mean(found < 0.05) for found in p_values([sure] * cells, [unsure] * cells, 600, trials))
    say(f"{cells} cells, both calibrated: false alarms by MOVER {ours:.3f}, by percentiles {theirs:.3f}")
    assert ours <= 0.05
    assert theirs > 0.5


@pytest.mark.slow
def test_two_networks_that_are_off_by_the_same_are_not_called_different() -> None:
    world, other = World(logits_like("clean"), 1.5), World(logits_like("clean", 1), 1.5)
    ours, _ = p_values([world], [other], 600, 200)
    say(f"both off by {world.error:.4f}, {other.error:.4f}: false alarms by MOVER {np.mean(ours < 0.05):.3f}")
    assert np.mean(ours < 0.05) <= 0.07


@pytest.mark.slow
def test_a_real_difference_of_three_points_is_found() -> None:
    good, bad = World(logits_like("clean")), World(logits_like("clean"), 1.35)
    ours, _ = p_values([bad], [good], 2000, 60)
    say(f"a difference of {bad.error:.4f} at N = 2000 is found in {np.mean(ours < 0.05):.3f}")
    assert np.mean(ours < 0.05) >= 0.8


@given(values=st.lists(st.floats(0, 1), min_size=6, max_size=6))
@quick
def test_the_p_value_of_mover_is_below_5_percent_exactly_where_zero_is_outside(values: list[float]) -> None:
    (low, value, high), (other_low, other, other_high) = sorted(values[:3]), sorted(values[3:])
    found = mover(RayEstimate(value, low, high), RayEstimate(other, other_low, other_high))
    assert found.low <= found.value <= found.high
    if not math.isnan(found.p_value):
        assert 0 < found.p_value <= 1
        if min(abs(found.low), abs(found.high)) > 1e-9:
            assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_mover_does_not_care_which_number_is_called_first() -> None:
    one, two = RayEstimate(0.03, 0.01, 0.06), RayEstimate(0.01, 0.0, 0.015)
    there, back = mover(one, two), mover(two, one)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert there.p_value == pytest.approx(back.p_value)


def test_mover_has_no_p_value_where_nothing_varies_and_never_one_of_zero() -> None:
    assert math.isnan(mover(RayEstimate(0.2, 0.2, 0.2), RayEstimate(0.1, 0.1, 0.1)).p_value)
    assert mover(RayEstimate(0.1, 0.1, 0.1), RayEstimate(0.1, 0.1, 0.1)).p_value == 1
    assert 0 < mover(RayEstimate(0.9, 0.899, 0.9), RayEstimate(0.0, 0.0, 0.001)).p_value < 1e-300
