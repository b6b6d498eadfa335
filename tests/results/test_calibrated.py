"""Calibration errors as numbers of a record: freed of noise, with a floor, compared by MOVER or not at all."""

from pathlib import Path

import numpy as np
import pytest

from nsbench.errors import UserError
from nsbench.metrics.calibration import expected_calibration_error
from nsbench.metrics.classification import softmax
from nsbench.metrics.mover import mover
from nsbench.metrics.noise_floor import noise_floor
from nsbench.metrics.ray import RayEstimate
from nsbench.metrics.top_label import top_label_bins
from nsbench.results.compare.pair import compare
from nsbench.results.compare.sides import open_side
from nsbench.results.compare.versus import Choice, versus
from nsbench.results.measure.everything import Measurer, measurement
from nsbench.results.measure.numbers import Number, Resampler
from nsbench.results.record import Results
from tests.results.small import CLASSES, CONFIG, FEWER, cells_of, evaluated, labels

FREED = {
    "expected_calibration_error",
    "adaptive_calibration_error",
    "classwise_calibration_error",
    "mean_expected_calibration_error",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("evaluation")
    evaluated(made, {"base": 2.0, "good": 3.5}, "base")
    return made


@pytest.fixture(scope="module")
def record(folder: Path) -> Results:
    return Results.model_validate_json((folder / "results.json").read_bytes())


def numbers(folder: Path, model: str) -> dict[tuple[str, str], Number]:
    measurer = Measurer(folder, CONFIG, Resampler(CONFIG.bootstrap_resamples, 0), None, "made-up", CLASSES)
    return {(one.key.benchmark, one.key.metric): one for one in measurer.numbers(measurer.predicted(model))}


def test_calibration_errors_alone_carry_an_unbiased_value_and_a_floor(record: Results) -> None:
    for one in record.measurements:
        assert ((one.unbiased is not None) and (one.floor is not None)) == (one.metric in FREED)
        if one.unbiased is not None:
            assert one.value is not None
            assert one.floor is not None
            assert 0 < one.floor < 0.3
            # Where all bins are off in one direction nothing is to be taken off, give or take the resamples.
            assert one.unbiased <= one.value + 0.01


def test_the_plug_in_keeps_its_name_and_its_value(record: Results) -> None:
    logits, (truth, _) = cells_of(CONFIG, 3.5, 2)["clean"]["logits"], labels()
    found = record.number("good", "clean", "expected_calibration_error")
    assert found.value == pytest.approx(float(expected_calibration_error(softmax(logits), truth)))


def test_a_mean_over_cells_has_the_mean_of_their_floors(record: Results) -> None:
    cells, truth = cells_of(CONFIG, 3.5, 2), labels()[0][:FEWER]
    floors = []
    for severity in range(1, 6):
        arrays = cells[f"corruption/contrast-{severity}"]
        floors.append(float(noise_floor(top_label_bins(arrays["confidence"], arrays["predicted"] == truth))))
        cell = record.number("good", f"corruption/contrast/{severity}", "expected_calibration_error")
        assert cell.floor == pytest.approx(floors[-1])
    mean = record.number("good", "corruption/contrast", "mean_expected_calibration_error")
    assert mean.floor == pytest.approx(np.mean(floors))
    every = [
        record.number("good", f"corruption/{name}", mean.metric).floor or 0.0 for name in ("gaussian_noise", "contrast")
    ]
    assert record.number("good", "corruption", mean.metric).floor == pytest.approx(np.mean(every))


def test_errors_without_an_interval_that_covers_have_none_and_say_so(record: Results) -> None:
    for metric in ("maximum_calibration_error", "paper_calibration_error"):
        for benchmark in ("clean", "scaled"):
            one = record.number("good", benchmark, metric)
            assert (one.ci_low, one.ci_high, one.unbiased, one.floor) == (None, None, None, None)
            assert one.value is not None
            assert one.note == "it has no interval, because that of its resamples does not cover"


def test_two_calibration_errors_are_compared_by_mover_on_what_is_freed_of_noise(folder: Path) -> None:
    own, other = (numbers(folder, model)["corruption", "mean_expected_calibration_error"] for model in ("good", "base"))
    found = compare("good", own, "base", other)
    estimates = []
    for one in (own, other):
        assert one.unbiased is not None
        assert one.interval is not None
        estimates.append(RayEstimate(one.unbiased, *one.interval))
    expected = mover(*estimates)
    assert (found.test, found.candidate_value, found.baseline_value) == ("MOVER", own.unbiased, other.unbiased)
    assert (found.difference, found.ci_low, found.ci_high) == (expected.value, expected.low, expected.high)
    assert found.p_value == expected.p_value
    assert compare("good", own, "twin", own).p_value is None, "they differ on no image"


def test_a_number_without_a_right_test_is_listed_and_refused_where_it_is_named(folder: Path) -> None:
    sides = open_side(f"{folder}:good"), open_side(f"{folder}:base")
    found = versus(*sides, Choice(everything=True))
    assert "clean maximum_calibration_error: no test of it is valid" in found.not_compared
    assert "clean paper_calibration_error: no test of it is valid" in found.not_compared
    assert not {one.metric for one in found.comparisons} & {"maximum_calibration_error", "paper_calibration_error"}
    assert {one.test for one in found.comparisons if one.metric in FREED} == {"MOVER"}
    with pytest.raises(UserError, match=r"clean maximum_calibration_error cannot be compared .no test of it is valid"):
        versus(*sides, Choice(("clean:maximum_calibration_error",)))


def test_an_interval_of_its_own_replaces_the_percentiles(folder: Path) -> None:
    one = numbers(folder, "good")["clean", "expected_calibration_error"]
    assert one.interval is not None
    stored = measurement(one, "good", None)
    assert (stored.ci_low, stored.ci_high) == one.interval
    assert np.quantile(one.samples, 0.025) != stored.ci_low
