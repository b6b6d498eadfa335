"""The table of metrics, and a metric that a user adds to it."""

from pathlib import Path

import numpy as np
import pytest

from nsbench.errors import UserError
from nsbench.metrics.classification import weighted_mean
from nsbench.results import quantities
from nsbench.results.compare.sides import open_side
from nsbench.results.compare.versus import Choice, versus
from nsbench.results.key import Key
from nsbench.results.quantities import HEADLINES, Metric, fault_of_value, headline, is_headline, metric, register
from tests.results.small import CONFIG, cells_of, evaluated, labels


def margin(logits: np.ndarray, truth: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """The share of images whose true class is not first by a whole logit."""
    rows = np.arange(len(truth))
    rest = logits.copy()
    rest[rows, truth] = -np.inf
    return np.asarray(weighted_mean(logits[rows, truth] < rest.max(1) + 1, weights))


MARGIN = Metric("thin_margin", "share of thin margins", headline=True, function=margin)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Metric:
    """The metric, for the time of one test."""
    monkeypatch.setattr(quantities, "_REGISTERED", {})
    register(MARGIN)
    return MARGIN


def test_a_metric_that_was_added_is_measured_with_its_interval_and_compared(added: Metric, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"metrics": (added.name,)})
    results = evaluated(tmp_path, {"base": 2.0, "good": 3.5}, "base", evaluation=config)
    found = results.number("good", "clean", "thin_margin")
    assert found.value == pytest.approx(margin(cells_of(CONFIG, 3.5, 2)["clean"]["logits"], labels()[0], None))
    assert found.ci_low is not None
    assert found.ci_low < found.value
    (pair,) = (one for one in results.comparisons if one.metric == "thin_margin")
    assert pair.verdict == "better"
    chosen = versus(open_side(f"{tmp_path}:good"), open_side(f"{tmp_path}:base"), Choice(("clean:thin_margin",)))
    assert chosen.comparisons[0].difference == pair.difference


def test_an_added_share_of_none_of_the_images_has_an_interval(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(quantities, "_REGISTERED", {})
    register(Metric("nobody", "nobody", function=lambda _, truth, weights: weighted_mean(truth < 0, weights)))
    config = CONFIG.model_copy(update={"metrics": ("nobody",)})
    found = evaluated(tmp_path, {"only": 2.0}, None, evaluation=config).number("only", "clean", "nobody")
    assert (found.value, found.ci_low) == (0.0, 0.0)
    assert found.ci_high == pytest.approx(1 - 0.025 ** (1 / found.n))


def test_an_added_metric_that_ignores_resamples_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(quantities, "_REGISTERED", {})
    register(Metric("deaf", "deaf", function=lambda _, truth, weights: np.mean(truth == 0)))  # noqa: ARG005  # its fault
    config = CONFIG.model_copy(update={"metrics": ("deaf",)})
    with pytest.raises(UserError, match=r"The metric 'deaf' gives shapes \(\) and \(\) without weights and with"):
        evaluated(tmp_path, {"only": 2.0}, None, evaluation=config)


@pytest.mark.usefixtures("added")
def test_without_being_asked_for_nothing_of_it_is_measured(tmp_path: Path) -> None:
    results = evaluated(tmp_path, {"only": 2.0}, None)
    assert "thin_margin" not in {one.metric for one in results.measurements}


@pytest.mark.usefixtures("added")
def test_a_name_that_is_taken_and_a_metric_without_a_function_are_refused() -> None:
    for name in ("top1_error", "paper_mean_error", "thin_margin"):
        with pytest.raises(UserError, match=f"There is a metric '{name}' already"):
            register(Metric(name, "another", function=margin))
    with pytest.raises(UserError, match="'sharpness' has no function"):
        register(Metric("sharpness", "sharpness"))


def test_what_has_no_direction_or_no_right_test_is_what_it_was_before_there_was_a_table() -> None:
    undirected = ["temperature", "zero_gradients", "relative_corruption_error", "relative_mean_corruption_error"]
    undirected += ["paper_relative_mean_corruption_error", "pooled_relative_corruption_error"]
    untested = ["maximum_calibration_error", "paper_calibration_error"]
    for name in (*undirected, *untested, "mean_corruption_error", "flip_rate", "expected_calibration_error"):
        assert metric(name).directed == (name not in undirected)
        assert metric(name).tested == (name not in untested)


def test_an_unknown_metric_is_called_by_its_name() -> None:
    assert (metric("odd_gap").title, metric("odd_gap").unit) == ("odd gap", "share")


def test_headlines_are_of_the_data_sets_own_benchmarks_and_further_ones_have_one_each() -> None:
    own, other = Key("corruption", "mean_error", "cifar10-c"), Key("corruption", "mean_error", "cifar10-c-bar")
    assert headline(own) == HEADLINES[4]
    assert headline(other) is None
    assert is_headline(other)
    assert is_headline(Key("test_set", "top1_error", "cifar10.1"))
    assert not is_headline(Key("test_set", "brier_score", "cifar10.1"))
    assert not is_headline(Key("corruption", "mean_error", "cifar10-c-bar", "fog"))
    assert not is_headline(Key("attack", "top1_error", member="bim", strength=8 / 255))
    assert is_headline(Key("attack", "top1_error", member="pgd", strength=0.0313725))


def test_an_added_metric_outside_the_range_that_it_declares_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quantities, "_REGISTERED", {})
    twice = Metric("twice", "twice", function=lambda *said: 20 * margin(*said), range=(0.0, 1.0))
    register(twice)
    config = CONFIG.model_copy(update={"metrics": ("twice",)})
    with pytest.raises(UserError, match=r"The metric twice is .*, outside \[0, 1\], which it declares"):
        evaluated(tmp_path, {"only": 2.0}, None, evaluation=config)


def test_each_of_our_own_metrics_has_a_range_but_those_that_may_be_negative_and_a_users_has_none() -> None:
    free = [one.name for one in quantities._KNOWN.values() if one.range is None]
    assert all("relative" in name for name in free)
    assert fault_of_value("odd_gap", 1e9) is None
    assert fault_of_value("brier_score", 2.5) == "brier_score is 2.5, outside [0, 2]"
