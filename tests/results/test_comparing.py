"""Verdicts within a question, models that differ on no image, and the difference that a comparison could have found."""

import numpy as np
import pytest

from nsbench.metrics.proportions import share_interval
from nsbench.metrics.uncertainty import detectable_difference, holm
from nsbench.results.assemble import EACH, Pair, model_pairs
from nsbench.results.compare.pair import compare, corrected
from nsbench.results.compare.text import to_markdown
from nsbench.results.compare.versus import Versus
from nsbench.results.measure.numbers import Number, Place, Resampler, Sampled
from nsbench.results.measured import Comparison

N = 400
RESAMPLER = Resampler(200, 0)


def share(wrong: np.ndarray, resampler: Resampler = RESAMPLER) -> Number:
    """The share of wrong images."""
    weights = resampler.weights(len(wrong))
    found = Sampled(np.asarray(wrong.mean()), weights @ wrong.astype(np.float32) / len(wrong))
    return Place("clean", len(wrong), "v1").share("top1_error", found, wrong)


def compared(own: np.ndarray, other: np.ndarray, family: str = "a against b") -> Comparison:
    """Two models by their errors, before correction."""
    return compare("a", share(own), "b", share(other)).model_copy(update={"family": family})


def apart(fewer: int) -> Comparison:
    """Two models, the second wrong on so many images more."""
    return compared(np.arange(N) < 50, np.arange(N) < 50 + fewer)


def test_holms_correction_counts_the_comparisons_of_its_own_question_alone() -> None:
    alone = [apart(5), apart(9)]
    others = [one.model_copy(update={"family": "c against b"}) for one in [apart(1)] * 20]
    together = corrected([others[0], *alone, *others[1:]])
    assert [one.p_holm for one in together[1:3]] == pytest.approx(holm([one.p_value for one in alone]))
    assert [one.verdict for one in together[1:3]] == ["no evidence", "better"]
    assert together[1:3] == corrected(alone)


def test_models_that_differ_on_no_image_are_not_tested_and_cost_the_others_nothing() -> None:
    same = compared(np.ones(N, bool), np.ones(N, bool))
    found = corrected([same, apart(6), same])
    assert [(one.p_value, one.p_holm, one.verdict) for one in (found[0], found[2])] == [(None, None, "no evidence")] * 2
    assert found[1].p_holm == found[1].p_value
    assert found[1].verdict == "better"
    assert found[0].detectable is None
    most = share_interval(0, N)[1]
    assert (found[0].difference, found[0].ci_low, found[0].ci_high) == (0, -most, most)


def test_equal_numbers_of_images_that_differ_are_tested() -> None:
    one = compared(np.arange(N) < 5, np.arange(N) >= N - 5)
    assert (one.difference, one.p_value) == (0, 1)


def test_means_that_are_equal_on_every_resample_are_not_tested() -> None:
    zero = Sampled(np.zeros(()), np.zeros(200))
    number = Place("perturbation", N, "v1").mean("mean_flip_probability", zero)
    assert compare("a", number, "b", number).p_value is None


@pytest.mark.parametrize("tests", [1, 9])
def test_what_is_detectable_is_found_in_80_of_100_test_sets(tests: int) -> None:
    """Two models that differ on 12 of 100 images; the first comparison in a family of this size."""
    random, n, resampler = np.random.default_rng(tests), 1000, Resampler(200, 1)
    truth = detectable_difference(2 * 1.96 * np.sqrt(0.12 / n), 0.05 / tests)
    for _ in range(5):  # the variance of a difference falls with its square
        truth = detectable_difference(2 * 1.96 * np.sqrt((0.12 - truth**2) / n), 0.05 / tests)
    found, stated = 0, []
    for _ in range(400):
        draw = random.random(n)
        own, other = draw < (0.12 - truth) / 2, (draw > 0.5) & (draw < 0.5 + (0.12 + truth) / 2)
        one = compare("a", share(own, resampler), "b", share(other, resampler))
        # The others of the family find nothing.
        nothing = one.model_copy(update={"p_value": 1.0})
        judged = corrected([one, *[nothing] * (tests - 1)])[0]
        found += judged.verdict == "better"
        stated.append(judged.detectable)
    print(f"{tests} tests: {100 * truth:.2f} points found in {found} of 400, stated {100 * np.mean(stated):.2f}")  # noqa: T201  # the power found
    assert np.mean(stated) == pytest.approx(truth, rel=0.06)
    assert 0.72 <= found / 400 <= 0.86


def test_what_is_detectable_grows_with_the_questions_comparisons() -> None:
    (alone,) = corrected([apart(6)])
    first, *_ = corrected([apart(6)] * 9)
    assert alone.detectable is not None
    assert first.detectable == pytest.approx(alone.detectable * 3.6145 / 2.8016, rel=1e-4)


def test_each_pair_is_a_question_and_clean_errors_of_all_models_are_one() -> None:
    families = {(pair.candidate, pair.baseline): pair.family for pair in model_pairs(["a", "b", "c", "d"], "b")}
    assert families["a", "b"] == "a against b"
    assert families["c", "b"] == "c against b"
    assert families["c", "a"] == families["d", "c"] == EACH
    assert Pair("a", "b").family == "a against b"


def test_a_table_prints_what_is_detectable_and_no_p_value_that_resamples_cannot_claim() -> None:
    clear, same = apart(300), compared(np.zeros(N, bool), np.zeros(N, bool))
    rows = corrected([clear, same])
    found = Versus(
        candidate="a", candidate_of="one", baseline="b", baseline_of="two", comparisons=rows, not_compared=[]
    )
    text = to_markdown(found)
    first, second = (line.split(" | ") for line in text.splitlines() if line.startswith("| clean"))
    assert first[-3:] == ["< 0.0001", "< 0.0001", "better |"]
    assert rows[0].detectable is not None
    assert first[7] == f"{100 * rows[0].detectable:.2f} %"
    assert second[5:] == ["+0.00 %", "-0.92 % to +0.92 %", "-", "-", "-", "no evidence |"]
