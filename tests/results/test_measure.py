"""Predictions become measurements, each relative to the right thing."""

import numpy as np
import pytest

from nsbench.checkpoints.record import CheckpointName
from nsbench.results import measure
from nsbench.results.record import Measurement
from nsbench.results.resampling import Resampler, estimate

OWN = CheckpointName(study="hard", generation=1, network="resnet8", seed=0)
BASE = CheckpointName(study="supervised", generation=0, network="resnet8", seed=0)
NAMES = ("gaussian_noise", "gaussian_blur", "contrast")


@pytest.fixture
def resampler() -> Resampler:
    return Resampler(200, seed=0)


def by_key(found: list[Measurement]) -> dict[tuple[str, str], Measurement]:
    return {(one.benchmark, one.metric): one for one in found}


def random_predictions(seed: int, share_wrong: float) -> np.ndarray:
    """(3, 5, 60) predicted classes; true class is 0."""
    return (np.random.default_rng(seed).random((len(NAMES), 5, 60)) < share_wrong).astype(np.uint8)


def corruption_numbers(resampler: Resampler, own_wrong: float, base_wrong: float) -> dict[tuple[str, str], Measurement]:
    labels, clean = np.zeros(60, np.int64), np.arange(60) < 6
    own = measure.corruption_outcome(random_predictions(1, own_wrong), clean, labels, resampler)
    base = measure.corruption_outcome(random_predictions(2, base_wrong), clean, labels, resampler)
    return by_key(list(measure.corruptions(measure.Author(OWN, 60, BASE), own, base, NAMES)))


def test_a_mean_over_corruptions_leaves_out_the_validation_ones(resampler: Resampler) -> None:
    numbers = corruption_numbers(resampler, 0.3, 0.5)
    own, base = random_predictions(1, 0.3), random_predictions(2, 0.5)
    ratios = [own[row].mean() / base[row].mean() for row in (0, 2)]
    assert numbers["corruption", "mean_corruption_error"].value == pytest.approx(np.mean(ratios))
    assert numbers["corruption", "mean_error"].value == pytest.approx(own[[0, 2]].mean())
    assert numbers["corruption/gaussian_blur", "mean_error"].value == pytest.approx(own[1].mean())


def test_relative_error_subtracts_the_clean_error_once_per_severity(resampler: Resampler) -> None:
    own, base = random_predictions(1, 0.3), random_predictions(2, 0.5)
    expected = (own[0].mean(1) - 0.1).sum() / (base[0].mean(1) - 0.1).sum()
    number = corruption_numbers(resampler, 0.3, 0.5)["corruption/gaussian_noise", "relative_corruption_error"]
    assert number.value == pytest.approx(expected)
    assert number.baseline == "supervised/seed0/gen0-resnet8"
    assert number.note is None


def test_a_ratio_to_almost_nothing_carries_a_caution(resampler: Resampler) -> None:
    number = corruption_numbers(resampler, 0.3, 0.1)["corruption/gaussian_noise", "relative_corruption_error"]
    assert number.note is not None
    assert "hardly rises here" in number.note


def test_a_ratio_without_an_interval_says_why(resampler: Resampler) -> None:
    number = corruption_numbers(resampler, 0.3, 0.0)["corruption/contrast", "corruption_error"]
    assert number.value is None
    assert number.ci_low is None
    assert number.note is not None
    assert "denominator is zero" in number.note


def test_under_attack_an_image_that_was_wrong_stays_wrong(resampler: Resampler) -> None:
    labels, clean_wrong = np.zeros(4, np.int64), np.array([True, False, False, False])
    mended = np.array([[[1.0, 0.0]] * 4, [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]], np.float32)
    arrays = {"logits": mended, "zero_gradient": np.array([False, False, True, False])}
    author = measure.Author(OWN, 4)
    numbers = by_key(list(measure.fgsm(author, arrays, clean_wrong, labels, (0.0, 0.03), resampler)))
    assert numbers["fgsm/0", "top1_error"].value == 0.25
    assert numbers["fgsm/0.03", "top1_error"].value == 0.5
    assert numbers["fgsm", "zero_gradients"].value == 0.25


def test_a_paired_difference_of_equal_models_is_exactly_zero(resampler: Resampler) -> None:
    wrong = np.random.default_rng(0).random(50) < 0.3
    numbers = by_key(list(measure.difference(measure.Author(OWN, 50, BASE), wrong, wrong, resampler)))
    number = numbers["clean", "top1_error_difference"]
    assert (number.value, number.ci_low, number.ci_high) == (0, 0, 0)
    assert numbers["clean", "mcnemar_p_value"].value == 1


def test_flips_relative_to_the_baseline_share_their_resamples(resampler: Resampler) -> None:
    rng = np.random.default_rng(0)
    arrays = {"translate": rng.integers(0, 3, (40, 16)).astype(np.uint8)}
    author = measure.Author(OWN, 40, BASE)
    numbers = by_key(list(measure.perturbations(author, arrays, arrays, ("translate",), resampler)))
    rate = numbers["perturbation", "mean_flip_rate"]
    assert (rate.value, rate.ci_low, rate.ci_high) == (1, 1, 1)
    flips = numbers["perturbation/translate", "flip_probability"]
    assert flips.value == pytest.approx((arrays["translate"][:, 1:] != arrays["translate"][:, :-1]).mean())


def test_an_undefined_number_is_none_and_never_nan() -> None:
    nothing = estimate(float("nan"), np.array([1.0, np.nan]))
    assert (nothing.value, nothing.low, nothing.high) == (None, None, None)
