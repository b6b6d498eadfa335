"""Groups of networks are compared over the seeds they share."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.errors import UserError
from nsbench.metrics.uncertainty import holm
from nsbench.results.assemble import Pair, assemble
from nsbench.results.compare.seed_comparisons import group_pairs, seed_comparisons
from nsbench.results.compare.seed_groups import SeedGroup, seed_groups
from nsbench.results.frames import KEY
from nsbench.results.key import Key
from nsbench.results.measure.numbers import Number
from nsbench.results.measured import SeedComparison
from nsbench.results.quantities import is_headline
from nsbench.results.record import Results
from nsbench.results.store import save_results
from tests.results.small import N, checkpoint_record, setup_of, write_model

STUDENT, BASELINE = "hard/gen1-resnet8", "supervised/gen0-resnet8"


def student(seed: int) -> CheckpointRecord:
    return checkpoint_record(f"hard/seed{seed}/gen1-resnet8", "student", f"hard/seed{seed}/gen0-resnet8")


def baseline(seed: int) -> CheckpointRecord:
    return checkpoint_record(f"supervised/seed{seed}/gen0-resnet8", "baseline")


def pair(seed: int, other: int | None = None) -> tuple[str, str]:
    return str(student(seed)), str(baseline(seed if other is None else other))


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Three students of which each is much better than the baseline of its seed, one of which has no student."""
    run = tmp_path_factory.mktemp("run")
    students, baselines = [student(seed) for seed in (0, 1, 2)], [baseline(seed) for seed in (0, 1, 2, 3)]
    for one in students:
        write_model(run, str(one), skill=3.5 + 0.05 * one.seed, seed=one.seed)
    for one in baselines:
        write_model(run, str(one), skill=2.0 + 0.1 * one.seed, seed=10 + one.seed)
    pairs = [Pair(*pair(seed)) for seed in (0, 1, 2)]
    return assemble(replace(setup_of(run, [*students, *baselines], str(baselines[0])), pairs=pairs))


def test_two_groups_are_compared_once_in_every_headline(record: Results) -> None:
    found = record.seed_comparisons
    assert {(one.candidate, one.baseline, one.family) for one in found} == {
        (STUDENT, BASELINE, f"{STUDENT} against {BASELINE}")
    }
    measured = {one.key for one in record.measurements}
    keys = [one.key for one in found]
    assert sorted(keys) == sorted(key for key in measured if is_headline(key))


def test_a_difference_is_the_mean_over_the_seeds_that_both_have(record: Results) -> None:
    (one,) = (one for one in record.seed_comparisons if (one.benchmark, one.metric) == ("clean", "top1_error"))
    own, other = (
        np.array([record.number(pair(seed)[side], "clean", "top1_error").value for seed in (0, 1, 2)])
        for side in (0, 1)
    )
    assert (one.seeds, one.n) == ([0, 1, 2], N)
    assert one.candidate_value == pytest.approx(own.mean())
    assert one.baseline_value == pytest.approx(other.mean()), "the fourth baseline is in no pair"
    assert one.difference == pytest.approx((own - other).mean())
    assert one.p_value is not None
    assert one.p_value >= stats.ttest_rel(own, other).pvalue, "images add to what seeds do"


def test_holm_corrects_over_the_numbers_of_one_pair_of_groups_and_decides_the_verdicts(record: Results) -> None:
    found = record.seed_comparisons
    p_values = [one.p_value for one in found]
    assert None not in p_values
    assert [one.p_holm for one in found] == pytest.approx(holm([p or 0.0 for p in p_values]))
    for one in found:
        assert one.ci_low is not None
        assert one.ci_high is not None
        assert one.p_holm is not None
        assert (one.verdict == "better") == (one.p_holm < 0.05 and one.ci_high < 0)
        assert one.verdict != "worse"
    assert "better" in {one.verdict for one in found}


def test_the_detectable_difference_is_wider_than_the_interval(record: Results) -> None:
    for one in record.seed_comparisons:
        assert one.detectable is not None
        assert one.ci_low is not None
        assert one.ci_high is not None
        assert one.detectable > (one.ci_high - one.ci_low) / 2


def test_the_rows_are_written_beside_the_comparisons_of_single_networks(record: Results, tmp_path: Path) -> None:
    save_results(tmp_path, record)
    table = pd.read_csv(tmp_path / "seed_comparisons.csv")
    fields = [name for name in SeedComparison.model_fields if name != "key"]
    assert list(table.columns) == [*fields[:4], "benchmark", "metric", *fields[4:], *KEY]
    assert table["p_value"].tolist() == [one.p_value for one in record.seed_comparisons]
    save_results(tmp_path / "fewer", record.model_copy(update={"seed_comparisons": []}))
    assert not (tmp_path / "fewer" / "seed_comparisons.csv").exists()


def groups(student_seeds: tuple[int, ...], baseline_seeds: tuple[int, ...]) -> list[SeedGroup]:
    return seed_groups([*map(student, student_seeds), *map(baseline, baseline_seeds)])


def test_groups_meet_in_the_direction_of_the_first_pair_of_their_networks() -> None:
    found = group_pairs([pair(0), pair(1), pair(0, 1), pair(1)[::-1]], groups((0, 1), (0, 1)))
    assert [(own.name, other.name) for own, other in found] == [(STUDENT, BASELINE)]


def test_groups_that_share_fewer_than_two_seeds_are_not_compared() -> None:
    assert group_pairs([pair(1)], groups((0, 1), (1, 2))) == []
    assert group_pairs([pair(0)], groups((0,), (0, 1))) == []
    assert group_pairs([(str(student(0)), str(student(1)))], groups((0, 1), ())) == []


def number(value: float, images: str = "v1") -> Number:
    """An error on ten images that no resample moves."""
    interval = (max(0.0, value - 0.3), min(1.0, value + 0.3))
    return Number(Key("clean", "top1_error"), value, np.full(20, value), 10, images, interval=interval)


def compared(own: list[Number], other: list[Number]) -> SeedComparison:
    found = groups((0, 1), (0, 1))
    for group, numbers in zip(found, (own, other), strict=True):
        for seed, one in enumerate(numbers):
            group.add(seed, [one])
    (one,) = seed_comparisons([pair(0)], found)
    return one


def test_groups_that_do_not_differ_are_not_tested() -> None:
    found = compared([number(1.0), number(1.0)], [number(1.0), number(1.0)])
    assert (found.difference, found.p_value, found.p_holm, found.detectable) == (0.0, None, None, None)
    assert found.verdict == "no evidence"
    assert (found.ci_low, found.ci_high) == pytest.approx((-0.3, 0.3)), "ten images do not make them equal"


def test_groups_that_were_measured_on_other_images_are_refused_by_name() -> None:
    with pytest.raises(UserError, match=f"{STUDENT} and {BASELINE} were not measured on the same images of clean"):
        compared([number(0.1), number(0.2)], [number(0.1), number(0.2, images="v2")])


def test_calibration_errors_are_compared_without_their_bias() -> None:
    def calibration(value: float) -> Number:
        ends = (value - 0.01, value + 0.02)
        key = Key("clean", "expected_calibration_error")
        return replace(number(0.3 + value), key=key, unbiased=value, interval=ends)

    found = compared([calibration(0.02), calibration(0.03)], [calibration(0.09), calibration(0.1)])
    assert found.candidate_value == pytest.approx(0.025)
    assert found.difference == pytest.approx(-0.07)
    half = np.hypot(0.01, 0.02)
    assert (found.ci_low, found.ci_high) == pytest.approx((-0.07 - half, -0.07 + half))
    assert found.verdict == "better"
