"""The record is put together from the right models, pairs and seeds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.metrics.uncertainty import holm, mcnemar_p_value
from nsbench.predictions.store import Stored
from nsbench.results.assemble import assemble, checkpoint_pairs, model_pairs, opponents
from nsbench.results.described import benchmark_sets
from nsbench.results.record import Results
from tests.results.small import (
    CONFIG,
    HELD_OUT,
    N,
    Names,
    cells_of,
    checkpoint_record,
    evaluated,
    labels,
    model_record,
    setup_of,
    write_model,
)

FIRST, SECOND, LAST = "hard/seed0/gen0-resnet8", "hard/seed0/gen1-resnet8", "hard/seed0/gen2-resnet14"
BASELINE, CONTROL = "supervised/seed0/gen0-resnet14", "control/seed0/gen2-resnet14"
OWN_CONTROL = "control/seed0/gen1-resnet8"


@pytest.fixture
def chain() -> list[CheckpointRecord]:
    """A teacher, two students, a baseline, and the students' controls."""
    return [
        checkpoint_record(FIRST, "teacher"),
        checkpoint_record(SECOND, "student", FIRST),
        checkpoint_record(LAST, "student", SECOND),
        checkpoint_record(BASELINE, "baseline"),
        checkpoint_record(OWN_CONTROL, "control"),
        checkpoint_record(CONTROL, "control"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [(SECOND, [OWN_CONTROL, FIRST, BASELINE]), (LAST, [CONTROL, SECOND, FIRST, BASELINE])],
)
def test_each_student_meets_the_control_of_its_network_its_teachers_and_the_baseline(
    chain: list[CheckpointRecord], name: str, expected: list[str]
) -> None:
    (student,) = (one for one in chain if str(one) == name)
    assert opponents(student, chain) == expected


def test_students_of_several_seeds_meet_networks_of_their_own_seed_only(chain: list[CheckpointRecord]) -> None:
    again = [
        one.model_copy(update={"seed": 1, "parent": one.parent.replace("seed0", "seed1") if one.parent else None})
        for one in chain
    ]
    pairs = checkpoint_pairs([*chain, *again])
    assert len(pairs) == 14
    assert all(("seed0" in pair.candidate) == ("seed0" in pair.baseline) for pair in pairs)


def test_a_run_compares_students_in_all_headlines(chain: list[CheckpointRecord], tmp_path: Path) -> None:
    for seed, one in enumerate(chain):
        write_model(tmp_path, str(one), skill=1.5 + 0.3 * seed, seed=seed)
    found = assemble(replace(setup_of(tmp_path, chain, BASELINE), pairs=checkpoint_pairs(chain)))
    pairs = dict.fromkeys((one.candidate, one.baseline) for one in found.comparisons)
    assert list(pairs) == [(pair.candidate, pair.baseline) for pair in checkpoint_pairs(chain)]
    of_last = {(one.benchmark, one.metric) for one in found.comparisons if one.baseline == CONTROL}
    assert {
        ("clean", "top1_error"),
        ("clean", "negative_log_likelihood"),
        ("corruption", "mean_error"),
        ("perturbation", "mean_flip_probability"),
        ("pgd/0.0313725", "top1_error"),
    } < of_last
    assert found.checkpoints == chain
    assert found.models == []
    assert found.config["evaluation"]["fgsm_epsilons"] == [0.0, 8 / 255]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Three models, the first the baseline, the last much better."""
    return evaluated(tmp_path_factory.mktemp("evaluation"), {"base": 2.0, "same": 2.0, "good": 3.5}, "base")


def test_models_meet_the_baseline_in_the_headlines_and_each_other_in_the_clean_error(record: Results) -> None:
    headlines = [
        ("clean", "top1_error"),
        ("clean", "negative_log_likelihood"),
        ("clean", "brier_score"),
        ("clean", "expected_calibration_error"),
        ("fgsm/0.0313725", "top1_error"),
        ("pgd/0.0313725", "top1_error"),
        ("corruption", "mean_error"),
        ("corruption", "mean_expected_calibration_error"),
        ("perturbation", "mean_flip_probability"),
    ]
    found = [(one.candidate, one.baseline, one.benchmark, one.metric) for one in record.comparisons]
    assert sorted(found) == sorted(
        [("same", "base", *one) for one in headlines]
        + [("good", "base", *one) for one in headlines]
        + [("good", "same", "clean", "top1_error")]
    )


def test_many_models_meet_the_baseline_alone() -> None:
    names = [f"model{number}" for number in range(9)]
    assert {pair.baseline for pair in model_pairs(names, "model0")} == {"model0"}
    assert model_pairs(names, None) == []
    assert len(model_pairs(names[:8], None)) == 28


def test_a_comparison_is_the_paired_difference_with_mcnemars_test(record: Results) -> None:
    wrong = {}
    for seed, (name, skill) in enumerate({"base": 2.0, "same": 2.0, "good": 3.5}.items(), start=1):
        wrong[name] = cells_of(CONFIG, skill, seed)["clean"]["logits"].argmax(1) != labels()[0]
    one = next(one for one in record.comparisons if (one.candidate, one.baseline) == ("good", "same"))
    assert one.candidate_value == pytest.approx(wrong["good"].mean())
    assert one.difference == pytest.approx(wrong["good"].mean() - wrong["same"].mean())
    assert one.p_value == mcnemar_p_value(wrong["good"], wrong["same"])
    assert one.ci_low is not None
    assert one.ci_high is not None
    assert one.ci_low < one.difference < one.ci_high < 0
    assert one.verdict == "better"
    half = 1.96 * np.std(wrong["good"].astype(float) - wrong["same"]) / np.sqrt(N)
    assert one.ci_high - one.ci_low == pytest.approx(2 * half, rel=0.25)


def test_holm_corrects_over_all_comparisons_of_a_question_and_decides_the_verdicts(record: Results) -> None:
    families = dict.fromkeys(one.family for one in record.comparisons)
    assert list(families) == ["same against base", "good against base", "clean error, each with each"]
    for family in families:
        found = [one for one in record.comparisons if one.family == family]
        p_values = [one.p_value for one in found if one.p_value is not None]
        assert [one.p_holm for one in found] == pytest.approx(holm(p_values))
    for one in record.comparisons:
        assert one.p_holm is not None
        assert one.ci_low is not None
        assert one.ci_high is not None
        outside = one.ci_high < 0 or one.ci_low > 0
        assert (one.verdict != "no evidence") == (one.p_holm < 0.05 and outside)
    verdicts = {(one.candidate, one.verdict) for one in record.comparisons}
    assert ("good", "better") in verdicts
    assert ("same", "better") not in verdicts


def test_every_measurement_belongs_to_a_described_set_of_images(record: Results) -> None:
    sets = {one.attack or one.kind: one for one in record.benchmarks}
    for one in record.measurements:
        described = sets[one.key.member if one.key.kind == "attack" else one.key.kind]
        assert one.n == (HELD_OUT if one.metric == "temperature" else described.images)
    assert sets["pgd"].name == "PGD, 20 steps of 0.125 eps, 1 random start (first 150 test images)"
    assert "a temperature fitted on 400 held-out images" in sets["scaled"].name
    assert sets["corruption"].counted == ["gaussian_noise", "contrast"]


def test_sets_that_were_not_measured_are_not_described() -> None:
    nothing = CONFIG.model_copy(
        update={"corruptions": (), "perturbations": (), "fgsm_epsilons": (), "attacks": (), "calibration": False}
    )
    assert [one.kind for one in benchmark_sets(nothing, Names(), 100, 50)] == ["clean"]


def test_every_number_has_an_interval_around_it_or_says_why(record: Results) -> None:
    for one in record.measurements:
        if one.ci_low is None or one.ci_high is None:
            assert one.note
        else:
            assert one.value is not None
            inside = one.value if one.unbiased is None else one.unbiased
            assert one.ci_low <= inside <= one.ci_high
            assert (one.baseline == "base") == (one.metric in RELATIVE)


RELATIVE = {
    "corruption_error",
    "relative_corruption_error",
    "mean_corruption_error",
    "pooled_relative_corruption_error",
    "relative_mean_corruption_error",
    "flip_rate",
    "mean_flip_rate",
}


def test_diagnostics_count_every_image_before_and_after_scaling(record: Results) -> None:
    for one in record.diagnostics:
        assert sum(map(sum, one.confusion)) == N
        assert sum(row.count for row in one.reliability) == N
        assert sum(row.count for row in one.scaled_reliability) == N
        assert one.reliability != one.scaled_reliability


def test_gradients_that_vanish_are_reported_in_a_sentence(tmp_path: Path) -> None:
    write_model(tmp_path, "masked")
    arrays = cells_of(CONFIG, 2.0, 1)["fgsm"]
    Stored(tmp_path, "masked").save("fgsm", arrays | {"zero_gradient": np.arange(200) < 150}, "made-up", "fgsm")
    (found,) = assemble(setup_of(tmp_path, [model_record("masked")], None)).diagnostics
    assert found.masking == ["The gradient is zero for 75.0 % of the images, which no attack by gradient can move."]


def test_networks_that_differ_in_their_seed_alone_are_averaged(tmp_path: Path) -> None:
    names = [f"hard/seed{seed}/gen0-resnet8" for seed in (0, 1, 2)]
    for seed, name in enumerate(names):
        write_model(tmp_path, name, skill=2.0, seed=seed)
    record = assemble(setup_of(tmp_path, [checkpoint_record(name, "teacher") for name in names], None))
    values = [one.value for one in record.measurements if (one.benchmark, one.metric) == ("clean", "top1_error")]
    mean = next(one for one in record.seed_means if (one.benchmark, one.metric) == ("clean", "top1_error"))
    assert (mean.group, mean.seeds, mean.n) == ("hard/gen0-resnet8", [0, 1, 2], N)
    assert mean.value == pytest.approx(np.mean([value for value in values if value is not None]))
    ends = [mean.ci_low, mean.seed_low, mean.image_low, mean.value, mean.image_high, mean.seed_high, mean.ci_high]
    assert None not in ends
    assert len(record.seed_means) == len(record.measurements) / 3
