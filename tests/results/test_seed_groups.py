"""Networks are averaged over seeds where they differ in nothing but the seed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.errors import UserError
from nsbench.results.assemble import assemble
from nsbench.results.compare.seed_groups import average, seed_groups
from nsbench.results.key import Key
from nsbench.results.measure.numbers import Number
from tests.results.small import checkpoint_record, setup_of, write_model

TEN: dict[str, Any] = {"data": {"labeled_fraction": 0.1}, "training": {"lr": 0.1}, "teacher": None}
FORTY = TEN | {"data": {"labeled_fraction": 0.4}}


def teacher(seed: int, configuration: dict[str, Any] = TEN, name: str = "hard", **changes: Any) -> CheckpointRecord:
    """A network of one name but for its seed."""
    return checkpoint_record(f"{name}/seed{seed}/gen0-resnet8", "teacher", configuration=configuration, **changes)


def members(records: list[CheckpointRecord]) -> dict[str, list[int]]:
    """Seeds of each group."""
    return {group.name: group.seeds for group in seed_groups(records)}


def test_a_network_of_ten_percent_of_the_labels_is_not_averaged_with_one_of_forty(tmp_path: Path) -> None:
    records = [teacher(0), teacher(1, FORTY)]
    for record in records:
        write_model(tmp_path, str(record), seed=record.seed)
    assert assemble(setup_of(tmp_path, records, None)).seed_means == []


def test_two_recipes_of_one_name_are_averaged_apart_under_names_of_their_own() -> None:
    records = [teacher(0), teacher(1, FORTY), teacher(2), teacher(3, FORTY), teacher(4)]
    assert members(records) == {"hard/gen0-resnet8": [0, 2, 4], "hard/gen0-resnet8 (2)": [1, 3]}


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "baseline"},
        {"generation": 1},
        {"network": "resnet14"},
        {"study": "soft"},
        {"configuration": TEN | {"teacher": TEN}},
        {"configuration": TEN | {"training": {"lr": 0.2}}},
    ],
)
def test_a_network_that_differs_in_more_than_its_seed_is_averaged_with_none(changes: dict[str, Any]) -> None:
    other = teacher(1)
    assert members([teacher(0), other]) == {"hard/gen0-resnet8": [0, 1]}
    assert members([teacher(0), other.model_copy(update=changes)]) == {}


def test_the_order_in_which_settings_were_written_says_nothing() -> None:
    backwards = dict(reversed(list(TEN.items())))
    assert members([teacher(0), teacher(1, backwards)]) == {"hard/gen0-resnet8": [0, 1]}


def test_a_checkpoint_that_does_not_say_how_it_was_trained_is_averaged_with_none() -> None:
    assert members([teacher(0, {}), teacher(1, {})]) == {}


def test_a_single_network_is_no_group() -> None:
    assert seed_groups([teacher(0)]) == []


def number(metric: str) -> Number:
    """A number of a network measured on ten images."""
    return Number(Key("clean", metric), 0.5, np.array([0.25, 0.75]), 10, "v1")


def test_a_number_missing_for_one_seed_is_refused_by_name() -> None:
    (group,) = seed_groups([teacher(0), teacher(1)])
    group.add(0, [number("top1_error"), number("brier_score")])
    group.add(1, [number("top1_error")])
    with pytest.raises(UserError, match=r"hard/gen0-resnet8: clean brier_score: .* seeds 0, 1, but missing 1"):
        list(group.means())


def test_calibration_errors_are_averaged_without_their_bias_and_over_their_own_intervals() -> None:
    one = replace(number("expected_calibration_error"), unbiased=0.02, interval=(0.0, 0.05))
    two = replace(number("expected_calibration_error"), unbiased=0.04, interval=(0.01, 0.06))
    found = average({0: one, 1: two}, [0, 1])
    assert found.value == pytest.approx(0.03), "the plug-in values are 0.5"
    assert found.images == pytest.approx((0.005, 0.055))
    assert found.both[0] == pytest.approx(0.03 - np.hypot(12.706 * 0.01, 0.025), abs=1e-5)
    assert found.both[1] == pytest.approx(0.03 + np.hypot(12.706 * 0.01, 0.025), abs=1e-5)


def test_shares_that_no_resample_moves_have_a_mean_with_the_interval_of_shares() -> None:
    none = replace(number("top1_error"), value=0.0, samples=np.zeros(2), interval=(0.0, 0.26))
    found = average({0: none, 1: none}, [0, 1])
    assert found.both == pytest.approx((0.0, 0.26)), "0 of 10 wrong does not make the true error 0"
    assert average({0: none, 1: replace(none, samples=np.array([0.0, 0.1]))}, [0, 1]).images[1] < 0.06


def test_calibration_errors_without_an_interval_have_a_mean_without_one() -> None:
    one = replace(number("expected_calibration_error"), unbiased=0.02, interval=(0.0, 0.05))
    two = replace(one, interval=(float("nan"), float("nan")))
    found = average({0: one, 1: two}, [0, 1])
    assert found.value == pytest.approx(0.02)
    assert np.isnan([*found.images, *found.both]).all()
    plain = replace(number("maximum_calibration_error"), interval=(float("nan"), float("nan")))
    assert np.isnan([*average({0: plain, 1: plain}, [0, 1]).both]).all(), "its resamples are biased"
