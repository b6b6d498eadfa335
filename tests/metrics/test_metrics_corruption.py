"""Corruption errors against slow loops, the public leaderboard's cells and what must hold for every input."""

import csv
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsbench.metrics.corruption import (
    cell_errors,
    corruption_error,
    corruption_set,
    mean_corruption_error,
    mean_error,
    relative_corruption_error,
    relative_mean_corruption_error,
    severity_mean,
    small_denominators,
)
from nsbench.metrics.pooled import pooled_relative_corruption_error
from nsbench.protocols.cifar import CIFAR10_C
from nsbench.protocols.protocol import Layout, Member, Protocol

CORRUPTIONS, VALIDATION_CORRUPTIONS, SEVERITIES = CIFAR10_C.counted, CIFAR10_C.shown, CIFAR10_C.severities

quick = settings(deadline=None, derandomize=True, max_examples=25, database=None)
seeds = st.integers(0, 2**32 - 1)
subsets = st.lists(st.sampled_from(CORRUPTIONS), min_size=1, unique=True)

STANDARD_PERCENT = {
    "brightness": 6.72,
    "fog": 11.21,
    "elastic_transform": 16.22,
    "contrast": 17.39,
    "snow": 18.11,
    "defocus_blur": 18.51,
    "motion_blur": 22.28,
    "jpeg_compression": 22.44,
    "zoom_blur": 24.40,
    "frost": 24.96,
    "pixelate": 28.02,
    "shot_noise": 41.22,
    "impulse_noise": 44.70,
    "glass_blur": 49.00,
    "gaussian_noise": 52.97,
}


@pytest.fixture(scope="module")
def leaderboard() -> dict[str, Any]:
    """Errors (15, 5) of published models on the official CIFAR-10-C, by model name, in the paper's order."""
    folder = os.environ.get("NSBENCH_TEST_SHARED")
    if folder is None:
        pytest.skip("needs published cells; set NSBENCH_TEST_SHARED to the folder that holds data/reference")
    with (Path(folder) / "data/reference/robustbench_cifar10c.csv").open(newline="") as file:
        names, severities, *models = csv.reader(file)
    column = {
        (name, int(severity)): i for i, (name, severity) in enumerate(zip(names, severities, strict=True)) if name
    }
    cells = [[column[name, severity] for severity in SEVERITIES] for name in CORRUPTIONS]
    return {model[0]: np.array([[1 - float(model[i]) for i in row] for row in cells]) for model in models}


def test_the_standard_model_has_its_published_errors(leaderboard: dict[str, Any]) -> None:
    errors = leaderboard["Standard"]
    assert round(float(mean_error(errors, CORRUPTIONS, corruption_set(CORRUPTIONS))), 4) == 0.2654
    for name, row in zip(CORRUPTIONS, errors, strict=True):
        assert 100 * mean_error(row[None], [name], corruption_set([name])) == pytest.approx(
            STANDARD_PERCENT[name], abs=0.00501
        )


def test_the_standard_model_against_itself_has_a_mean_corruption_error_of_exactly_1(
    leaderboard: dict[str, Any],
) -> None:
    errors, declared = leaderboard["Standard"], corruption_set(CORRUPTIONS)
    assert declared.complete
    assert mean_corruption_error(corruption_error(errors, errors), CORRUPTIONS, declared) == 1.0


def test_the_standard_model_hardly_degrades_on_brightness_alone(leaderboard: dict[str, Any]) -> None:
    flagged = small_denominators(leaderboard["Standard"], 0.0522, CORRUPTIONS)
    assert list(flagged) == ["brightness"]
    assert flagged["brightness"] == pytest.approx(0.0150, abs=0.0001)


def test_the_standard_model_against_itself_has_a_relative_mean_corruption_error_of_exactly_1(
    leaderboard: dict[str, Any],
) -> None:
    errors, declared = leaderboard["Standard"], corruption_set(CORRUPTIONS)
    relative = relative_corruption_error(errors, 0.0522, errors, 0.0522)
    assert relative_mean_corruption_error(relative, CORRUPTIONS, declared) == 1.0


def test_every_published_model_has_the_corruption_errors_of_the_slow_loop(leaderboard: dict[str, Any]) -> None:
    assert len(leaderboard) == 23
    baseline, declared = leaderboard["Standard"], corruption_set(CORRUPTIONS)
    for errors in leaderboard.values():
        slow = [sum(errors[c]) / sum(baseline[c]) for c in range(15)]
        found = corruption_error(errors, baseline)
        np.testing.assert_allclose(found, slow, rtol=1e-12)
        assert mean_corruption_error(found, CORRUPTIONS, declared) == pytest.approx(sum(slow) / 15, rel=1e-12)
        plain = sum(errors[c][s] for c in range(15) for s in range(5)) / 75
        assert mean_error(errors, CORRUPTIONS, declared) == pytest.approx(plain, rel=1e-12)


def test_every_published_model_has_the_relative_corruption_errors_of_the_slow_loop(
    leaderboard: dict[str, Any],
) -> None:
    baseline, declared = leaderboard["Standard"], corruption_set(CORRUPTIONS)

    def sides(errors: Any) -> list[tuple[Any, float]]:
        return [(errors, 0.06), (baseline, 0.0522)]

    for errors in leaderboard.values():
        slow = []
        for c in range(15):
            rise = sum(errors[c][s] - 0.06 for s in range(5))
            slow.append(rise / sum(baseline[c][s] - 0.0522 for s in range(5)))
        rises = [sum(found[c][s] - clean for c in range(15) for s in range(5)) for found, clean in sides(errors)]
        pooled = pooled_relative_corruption_error(errors, 0.06, baseline, 0.0522, CORRUPTIONS, declared)
        assert pooled == pytest.approx(rises[0] / rises[1], rel=1e-9)
        found = relative_corruption_error(errors, 0.06, baseline, 0.0522)
        np.testing.assert_allclose(found, slow, rtol=1e-9)
        assert relative_mean_corruption_error(found, CORRUPTIONS, declared) == pytest.approx(sum(slow) / 15, rel=1e-9)


def random_errors(seed: int, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(seed).uniform(0.05, 0.95, size=(*shape, 5))


@given(seed=seeds)
@quick
def test_cell_errors_equal_a_slow_count_with_and_without_weights(seed: int) -> None:
    random = np.random.default_rng(seed)
    predicted = random.integers(3, size=(2, 5, 20)).astype(np.uint8)
    labels, counts = random.integers(3, size=20), random.integers(3, size=(4, 20))
    found, resampled = cell_errors(predicted, labels), cell_errors(predicted, labels, counts.astype(np.float32))
    assert found.shape == (2, 5)
    assert resampled.shape == (4, 2, 5)
    for cell in np.ndindex(2, 5):
        wrong = [int(predicted[cell][i] != labels[i]) for i in range(20)]
        assert found[cell] == pytest.approx(sum(wrong) / 20, abs=1e-15)
        for b, row in enumerate(counts):
            duplicated = np.repeat(wrong, row)
            assert resampled[(b, *cell)] == pytest.approx(duplicated.mean(), abs=1e-15)


@given(seed=seeds, names=subsets)
@quick
def test_corruption_errors_and_their_means_equal_slow_loops(seed: int, names: list[str]) -> None:
    ours, theirs = random_errors(seed, (len(names),)), random_errors(seed + 1, (len(names),))
    declared = corruption_set(names)
    slow, slow_relative = [], []
    for c in range(len(names)):
        slow.append(sum(ours[c][s] for s in range(5)) / sum(theirs[c][s] for s in range(5)))
        slow_relative.append(sum(ours[c][s] - 0.04 for s in range(5)) / sum(theirs[c][s] - 0.01 for s in range(5)))
    found, relative = corruption_error(ours, theirs), relative_corruption_error(ours, 0.04, theirs, 0.01)
    np.testing.assert_allclose(found, slow, rtol=1e-12)
    np.testing.assert_allclose(relative, slow_relative, rtol=1e-12)
    mean, relative_mean = sum(slow) / len(slow), sum(slow_relative) / len(slow)
    assert mean_corruption_error(found, names, declared) == pytest.approx(mean)
    assert relative_mean_corruption_error(relative, names, declared) == pytest.approx(relative_mean)
    cells = [ours[c][s] for c in range(len(names)) for s in range(5)]
    assert mean_error(ours, names, declared) == pytest.approx(sum(cells) / len(cells))


@given(seed=seeds)
@quick
def test_resamples_give_what_each_of_them_gives_alone(seed: int) -> None:
    names = CORRUPTIONS[:3]
    ours, theirs = random_errors(seed, (4, 3)), random_errors(seed + 1, (4, 3))
    clean, baseline_clean = np.linspace(0, 0.04, 4), np.linspace(0.04, 0, 4)
    together = relative_corruption_error(ours, clean, theirs, baseline_clean)
    for b in range(4):
        alone = relative_corruption_error(ours[b], float(clean[b]), theirs[b], float(baseline_clean[b]))
        np.testing.assert_allclose(together[b], alone, rtol=1e-12)
        np.testing.assert_allclose(corruption_error(ours, theirs)[b], corruption_error(ours[b], theirs[b]), rtol=1e-12)
    declared = corruption_set(names)
    for value in (mean_error(ours, names, declared), relative_mean_corruption_error(together, names, declared)):
        assert np.asarray(value).shape == (4,)


@given(seed=seeds, names=subsets)
@quick
def test_the_baseline_itself_has_a_mean_corruption_error_and_a_relative_one_of_1(seed: int, names: list[str]) -> None:
    errors, declared = random_errors(seed, (len(names),)), corruption_set(names)
    assert mean_corruption_error(corruption_error(errors, errors), names, declared) == 1.0
    relative = relative_corruption_error(errors, 0.02, errors, 0.02)
    assert relative_mean_corruption_error(relative, names, declared) == 1.0
    assert isinstance(mean_corruption_error(corruption_error(errors, errors), names, declared), float)


@given(seed=seeds)
@quick
def test_errors_stay_between_0_and_1_and_corruption_errors_above_0(seed: int) -> None:
    random = np.random.default_rng(seed)
    cells = cell_errors(random.integers(2, size=(15, 5, 30)), random.integers(2, size=30))
    assert 0 <= mean_error(cells, CORRUPTIONS, corruption_set(CORRUPTIONS)) <= 1
    assert (corruption_error(cells, random_errors(seed, (15,))) >= 0).all()


def test_one_corruption_that_hardly_harms_the_baseline_outweighs_a_mean_of_ratios_and_not_a_ratio_of_sums() -> None:
    names, declared = ["fog", "brightness"], corruption_set(["fog", "brightness"])
    base, own = np.array([[0.5] * 5, [0.201] * 5]), np.array([[0.5] * 5, [0.211] * 5])
    relative = relative_corruption_error(own, 0.2, base, 0.2)
    assert relative_mean_corruption_error(relative, names, declared) == pytest.approx(6)
    assert pooled_relative_corruption_error(own, 0.2, base, 0.2, names, declared) == pytest.approx(311 / 301)
    with pytest.raises(ValueError, match="missing brightness"):
        pooled_relative_corruption_error(own[:1], 0.2, base[:1], 0.2, ["fog"], declared)


def test_fifteen_corruptions_count_and_four_never_do() -> None:
    declared = corruption_set([*VALIDATION_CORRUPTIONS, *CORRUPTIONS])
    in_the_order_of_the_paper = """
        gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur snow frost fog
        brightness contrast elastic_transform pixelate jpeg_compression"""
    assert declared.counted == CORRUPTIONS == tuple(in_the_order_of_the_paper.split())
    assert set(declared.shown) == {"speckle_noise", "gaussian_blur", "spatter", "saturate"}
    assert declared.missing == ()
    assert declared.complete


def test_fourteen_corruptions_are_not_complete_and_say_which_is_missing() -> None:
    declared = corruption_set([*CORRUPTIONS[1:], "gaussian_blur"])
    assert not declared.complete
    assert declared.missing == ("gaussian_noise",)
    assert declared.counted == CORRUPTIONS[1:]


@pytest.mark.parametrize("names", [["fog", "smog"], ["smog", "fog"]])
def test_an_unknown_corruption_is_refused_by_name(names: list[str]) -> None:
    with pytest.raises(ValueError, match="unknown names: smog; known are gaussian_noise"):
        corruption_set(names)


def test_a_corruption_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="names come twice: fog"):
        corruption_set(["fog", "snow", "fog"])
    with pytest.raises(ValueError, match="names come twice: fog"):
        mean_error(random_errors(0, (2,)), ["fog", "fog"], corruption_set(["fog"]))


MEANS = [
    lambda names, declared: mean_error(np.full((len(names), 5), 0.1), names, declared),
    lambda names, declared: mean_corruption_error(np.full(len(names), 0.1), names, declared),
    lambda names, declared: relative_mean_corruption_error(np.full(len(names), 0.1), names, declared),
]
each_mean = pytest.mark.parametrize("mean", MEANS, ids=["error", "corruption_error", "relative"])


@each_mean
def test_a_mean_over_fewer_corruptions_than_declared_is_refused(mean: Any) -> None:
    with pytest.raises(ValueError, match=r"declared over snow, fog, but the array has missing fog$"):
        mean(["snow"], corruption_set(["snow", "fog"]))


@each_mean
def test_a_validation_corruption_never_enters_a_mean(mean: Any) -> None:
    with pytest.raises(ValueError, match=r"but the array has extra gaussian_blur$"):
        mean(["fog", "gaussian_blur"], corruption_set(["fog", "gaussian_blur"]))
    with pytest.raises(ValueError, match="nothing that was measured counts"):
        mean(["gaussian_blur"], corruption_set(["gaussian_blur"]))


@each_mean
def test_a_mean_names_what_is_missing_and_what_is_extra(mean: Any) -> None:
    with pytest.raises(ValueError, match="missing fog; extra snow"):
        mean(["snow"], corruption_set(["fog"]))


def test_names_that_do_not_fit_the_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="1 names cannot name 2 rows"):
        mean_error(random_errors(0, (2,)), ["fog"], corruption_set(["fog"]))


def test_fewer_than_five_severities_are_refused() -> None:
    four, five = np.full((1, 4), 0.1), np.full((1, 5), 0.1)
    with pytest.raises(ValueError, match="all 5 severities"):
        mean_error(four, ["fog"], corruption_set(["fog"]))
    with pytest.raises(ValueError, match="all 5 severities"):
        corruption_error(five, four)
    with pytest.raises(ValueError, match="all 5 severities"):
        relative_corruption_error(four, 0.0, five, 0.0)
    with pytest.raises(ValueError, match="all 5 severities"):
        small_denominators(four, 0.0, ["fog"])
    with pytest.raises(ValueError, match="all 5 severities"):
        severity_mean(np.full(5, 0.1), ["fog"])


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (1, 4)])
def test_a_cell_that_was_not_measured_is_refused_by_name(row: int, column: int) -> None:
    names, whole, hole = ["fog", "snow"], random_errors(0, (2,)), random_errors(0, (3, 2))
    hole[2, row, column] = np.nan
    named = f"^{names[row]} has no number at severity {column + 1}$"
    with pytest.raises(ValueError, match=named):
        severity_mean(hole, names)
    with pytest.raises(ValueError, match=named):
        mean_error(hole, names, corruption_set(names))
    with pytest.raises(ValueError, match=named):
        small_denominators(hole[2], 0.1, names)
    with pytest.raises(ValueError, match=f"^corruption {row + 1} has no number at severity {column + 1}$"):
        corruption_error(hole, whole)
    with pytest.raises(ValueError, match=f"^corruption {row + 1} of the baseline has no number at severity"):
        relative_corruption_error(whole, 0.1, hole, 0.1)


@given(seed=seeds, names=subsets)
@quick
def test_the_mean_over_severities_equals_its_slow_loop(seed: int, names: list[str]) -> None:
    cells = random_errors(seed, (2, len(names)))
    found = severity_mean(cells, names)
    for place in np.ndindex(2, len(names)):
        assert found[place] == pytest.approx(sum(cells[(*place, s)] for s in range(5)) / 5, abs=1e-15)


def test_a_baseline_of_other_corruptions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"errors are \(2, 5\), but the baseline's are \(1, 5\)"):
        corruption_error(random_errors(0, (2,)), random_errors(0, (1,)))


def test_predictions_that_do_not_fit_the_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"predicted must be \(C, S, N\)"):
        cell_errors(np.zeros((1, 5, 3), np.uint8), np.zeros(1, np.int64))


def test_a_baseline_without_errors_gives_nan_and_no_warning() -> None:
    errors = np.full((1, 5), 0.1)
    assert np.isnan(corruption_error(errors, np.zeros((1, 5)))).all()
    relative = relative_corruption_error(errors, 0.0, errors, 0.1)
    assert np.isnan(relative).all()
    assert math.isnan(float(relative_mean_corruption_error(relative, ["fog"], corruption_set(["fog"]))))


def test_a_small_zero_or_negative_denominator_is_flagged_by_name() -> None:
    rises = np.array([0.021, 0.019, 0.0, -0.01])
    flagged = small_denominators(0.3 + np.tile(rises[:, None], 5), 0.3, ["fog", "snow", "frost", "contrast"])
    assert flagged == pytest.approx({"snow": 0.019, "frost": 0.0, "contrast": -0.01}, abs=1e-12)
    assert small_denominators(np.full((1, 5), 0.35), 0.3, ["fog"], threshold=0.1) == pytest.approx({"fog": 0.05})


def test_the_arrays_given_are_left_alone() -> None:
    errors, predicted, labels = random_errors(0, (2,)), np.zeros((2, 5, 3), np.uint8), np.zeros(3, np.int64)
    for array in (errors, predicted, labels):
        array.setflags(write=False)
    cell_errors(predicted, labels)
    relative_corruption_error(errors, 0.01, errors, 0.01)
    corruption_error(errors, errors)
    mean_error(errors, ["fog", "snow"], corruption_set(["fog", "snow"]))


def test_a_benchmark_of_three_severities_is_averaged_over_its_three() -> None:
    three = Protocol(
        name="own-c",
        title="Own-C",
        kind="corruption",
        data_sets=("own",),
        layout=Layout(("Own-C",)),
        members=(Member("dots"), Member("lines"), Member("stains", counts=False)),
        severities=(1, 3, 5),
    )
    declared = corruption_set(["stains", "lines", "dots"], three)
    assert (declared.counted, declared.shown, declared.severities) == (("dots", "lines"), ("stains",), (1, 3, 5))
    cells, base = np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.8]]), np.full((2, 3), 0.5)
    assert mean_error(cells, declared.counted, declared) == pytest.approx(0.35)
    np.testing.assert_allclose(corruption_error(cells, base, three.severities), [0.4, 1.0])
    relative = relative_corruption_error(cells, 0.1, base, 0.2, three.severities)
    np.testing.assert_allclose(relative, [0.3 / 0.9, 1.2 / 0.9])
    assert pooled_relative_corruption_error(cells, 0.1, base, 0.2, declared.counted, declared) == pytest.approx(
        1.5 / 1.8
    )
    assert set(small_denominators(base, 0.49, declared.counted, severities=three.severities)) == {"dots", "lines"}
    with pytest.raises(ValueError, match="all 5 severities"):
        corruption_error(cells, base)
    cells[1, 1] = np.nan
    with pytest.raises(ValueError, match="lines has no number at severity 3"):
        mean_error(cells, declared.counted, declared)
