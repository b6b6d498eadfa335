"""Benchmarks beside a data set's own: numbers against slow loops, and what does not fit is refused."""

from pathlib import Path

import numpy as np
import pytest

from nsbench.errors import UserError
from nsbench.metrics.calibration import expected_calibration_error
from nsbench.metrics.classification import negative_log_likelihood, softmax
from nsbench.predictions.store import Stored
from nsbench.protocols.protocol import Member, Protocol
from nsbench.results import described
from nsbench.results.key import Key
from nsbench.results.measure import further
from nsbench.results.measure.numbers import Number, Resampler
from nsbench.results.measure.predicted import Predicted
from tests.results.small import CLASSES, CONFIG, FEWER, labels, logits_of, write_model

RESAMPLER = Resampler(200, 0)
NEW = np.random.default_rng(7).integers(10, size=120)


PROTOCOL = Protocol(
    name="weather",
    title="Weather",
    kind="corruption",
    data_sets=("digits",),
    members=(*map(Member, ("hail", "sand", "smoke")), Member("dust", counts=False)),
    severities=(1, 3),
)
"""A made-up benchmark."""

MEASURED = ("smoke", "hail", "dust")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for predictions."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def model(run: Path) -> Predicted:
    """Predictions on a new test set and on three of four corruptions."""
    write_model(run, "own")
    random, stored = np.random.default_rng(3), Stored(run, "own")
    stored.save("test_set/new", {"logits": logits_of(NEW, 2.0, random)}, "made-up", "new v1")
    for place, name in enumerate(MEASURED):
        for severity in PROTOCOL.severities:
            answers = softmax(logits_of(labels()[0][:FEWER], 2.5 - severity / 2 - place / 4, random))
            arrays = {"predicted": answers.argmax(1).astype(np.uint8), "confidence": answers.max(1).astype(np.float32)}
            stored.save(f"protocol/weather/{name}-{severity}", arrays, "made-up", f"{name} {severity}")
    return Predicted(run, "own", *labels(), CONFIG, CLASSES)


@pytest.fixture(scope="module")
def numbers(model: Predicted) -> dict[Key, Number]:
    """All numbers of the corruptions."""
    return {one.key: one for one in further.further_numbers(model, PROTOCOL, MEASURED, CONFIG, RESAMPLER)}


def test_a_test_set_has_error_likelihood_and_calibration_of_its_own_labels(model: Predicted) -> None:
    found = {one.key: one for one in further.test_set_numbers(model, "new", NEW, CONFIG, RESAMPLER)}
    logits = model.load("test_set/new")["logits"]
    names = ["top1_error", "negative_log_likelihood", "brier_score", "expected_calibration_error"]
    assert list(found) == [Key("test_set", name, "new") for name in names]
    error, likelihood, _, gap = found.values()
    assert error.value == pytest.approx(np.mean([row.argmax() != true for row, true in zip(logits, NEW, strict=True)]))
    assert error.wrong is not None
    assert error.wrong.mean() == error.value
    assert likelihood.value == pytest.approx(float(negative_log_likelihood(logits, NEW)))
    assert gap.value == pytest.approx(float(expected_calibration_error(softmax(logits), NEW)))
    assert gap.unbiased is not None
    assert {one.image_identity for one in found.values()} == {"new v1"}


def test_corruptions_have_errors_of_cells_and_members_and_the_mean_of_those_that_count(
    model: Predicted, numbers: dict[Key, Number]
) -> None:
    truth, members = labels()[0][:FEWER], {}
    for name in MEASURED:
        errors = []
        for severity in PROTOCOL.severities:
            predicted = model.load(f"protocol/weather/{name}-{severity}")["predicted"]
            errors.append(float(np.mean(predicted != truth)))
            cell = numbers[Key("corruption", "top1_error", "weather", name, severity)]
            assert cell.value == pytest.approx(errors[-1])
        members[name] = np.mean(errors)
        assert numbers[Key("corruption", "mean_error", "weather", name)].value == pytest.approx(members[name])
    mean = numbers[Key("corruption", "mean_error", "weather")]
    assert mean.value == pytest.approx((members["hail"] + members["smoke"]) / 2)
    assert "dust" not in mean.image_identity
    gaps = [
        numbers[Key("corruption", "mean_expected_calibration_error", "weather", name)] for name in ("hail", "smoke")
    ]
    whole = numbers[Key("corruption", "mean_expected_calibration_error", "weather")]
    assert whole.value == pytest.approx(np.mean([one.value for one in gaps]))
    assert whole.floor == pytest.approx(np.mean([one.floor or 0.0 for one in gaps]))
    clean = numbers[Key("corruption", "clean_error", "weather")]
    assert clean.value == model.wrong[:FEWER].mean()


def test_a_cell_that_is_missing_or_of_other_length_is_refused_by_name(run: Path, model: Predicted) -> None:
    with pytest.raises(UserError, match="own has no predictions for protocol/weather/sand-1"):
        list(further.further_numbers(model, PROTOCOL, ("sand",), CONFIG, RESAMPLER))
    with pytest.raises(UserError, match="own has predictions for 120 of the 119 images of test_set/new"):
        list(further.test_set_numbers(model, "new", NEW[:-1], CONFIG, RESAMPLER))
    few = {"predicted": np.zeros(9, np.uint8), "confidence": np.ones(9, np.float32)}
    for severity in PROTOCOL.severities:
        Stored(run, "own").save(f"protocol/weather/sand-{severity}", few, "m", "v1")
    with pytest.raises(
        UserError, match=r"own: the predictions for protocol/weather/sand-1 .*uint8 \(9\) instead of uint8 \(200\)"
    ):
        list(further.further_numbers(model, PROTOCOL, (*MEASURED, "sand"), CONFIG, RESAMPLER))


def test_what_was_measured_of_a_benchmark_is_described() -> None:
    found = described.further_set(PROTOCOL, MEASURED, FEWER, 300)
    assert found.name == "Weather (2 of 3 corruptions, first 200 test images)"
    assert (found.counted, found.shown, found.missing) == (["hail", "smoke"], ["dust"], ["sand"])
    assert not found.complete
    assert described.further_set(PROTOCOL, PROTOCOL.counted, 300, 300).complete
    assert described.plain_test_set("cifar10.1", "CIFAR-10.1", 2000).name == "CIFAR-10.1 (2,000 images)"
