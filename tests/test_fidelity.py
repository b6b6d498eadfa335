"""The comparison of generators: its statistics, its verdict and its page."""

import doctest
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nsbench.corruptions.corruptions import GENERATED_CORRUPTIONS
from nsbench.corruptions.numerics.keyed_random import keyed_normal
from nsbench.corruptions.perturbations import GENERATED_PERTURBATIONS
from nsbench.seeds import derive_seed

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def script(name: str) -> Any:
    return importlib.import_module(name)


def comparison(name: str, severity: int = 0, *, shift: float = 0, apart: int = 0, variant: str = "") -> Any:
    """A set of 200 images of which ours errs on the share `shift` for sure, and whose pixels differ by `apart`."""
    statistics, cells = script("fidelity_statistics"), script("fidelity_cells")
    rng = np.random.default_rng(1)
    levels, errors = rng.uniform(100, 150, (1, 200)), (rng.random((1, 200)) < 0.3).astype(float)
    ours = np.where(np.arange(200) < shift * 200, 1.0, errors)
    cell = cells.Cell(name, severity, variant)
    published = statistics.Summary(levels, levels / 2, levels / 10, errors)
    agreement = None if cell.random else statistics.Agreement(apart, apart / 8, 0.125, 0.125 * (apart > 1))
    changed = statistics.Summary(levels + apart, levels / 2, levels / 10, ours)
    return script("fidelity_comparison").Comparison(cell, published, changed, agreement)


def test_the_examples_in_the_statistics_hold() -> None:
    found = doctest.testmod(script("fidelity_statistics"))
    assert found.attempted > 0
    assert found.failed == 0


def test_every_generated_set_is_compared_at_every_severity() -> None:
    cells = script("fidelity_cells")
    plain = [cell for cell in cells.corruption_cells() if not cell.variant]
    assert sorted((cell.name, cell.severity) for cell in plain) == sorted(
        (name, severity) for name in GENERATED_CORRUPTIONS for severity in range(1, 6)
    )
    plain = [cell for cell in cells.perturbation_cells() if not cell.variant]
    assert sorted(cell.name for cell in plain) == sorted(GENERATED_PERTURBATIONS)


def test_summaries_equal_slow_sums() -> None:
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    frames = rng.integers(0, 256, (2, 5, 4, 4, 3), dtype=np.uint8)
    found = script("fidelity_statistics").summarise(frames, clean, np.array([0.25, 1]))
    for number in range(2):
        pixels = [int(value) for value in frames[number].ravel()]
        original = [int(value) for value in clean[number].ravel()] * 5
        mean = sum(pixels) / len(pixels)
        assert found.mean[0, number] == pytest.approx(mean)
        variance = sum((value - mean) ** 2 for value in pixels) / len(pixels)
        assert found.spread[0, number] == pytest.approx(variance**0.5)
        distances = [abs(one - other) for one, other in zip(pixels, original, strict=True)]
        assert found.distance[0, number] == pytest.approx(sum(distances) / len(pixels))
    assert found.score.tolist() == [[0.25, 1]]


@pytest.mark.parametrize("draws", [(1, 1), (4, 3)])
def test_alike_generators_lie_outside_the_interval_as_often_as_it_says(draws: tuple[int, int]) -> None:
    statistics = script("fidelity_statistics")
    rng = np.random.default_rng(2)
    chance = rng.beta(0.3, 0.7, 500)
    outside = 0
    for _ in range(1000):
        published, ours = ((rng.random((count, 500)) < chance).astype(float) for count in draws)
        found = statistics.difference(published, ours)
        outside += abs(found.value) > found.half_width
        assert (abs(found.value) > found.half_width) == (found.p_value < 0.05)
    # Binomial(1000, 0.05) lies in 25..78 with probability 0.9999.
    assert 25 <= outside <= 78


def test_more_seeds_narrow_the_interval() -> None:
    statistics = script("fidelity_statistics")
    rng = np.random.default_rng(3)
    one, many = ([rng.random((draws, 500)) for _ in range(2)] for draws in (1, 16))
    assert statistics.difference(*many).half_width == pytest.approx(statistics.difference(*one).half_width / 4, rel=0.1)


@pytest.mark.parametrize("shared", [False, True])
def test_sets_as_far_apart_as_the_margin_are_called_equivalent_in_at_most_a_twentieth(shared: bool) -> None:
    """Differences lie on every image alike, or on a tenth of them: then images as a sample widen the interval."""
    statistics, rng, margin, trials = script("fidelity_statistics"), np.random.default_rng(6), 0.05, 10_000
    chance = rng.uniform(0.05, 0.45, 500)
    gap = np.full(500, margin) if shared else np.where(np.arange(500) % 10 == 0, 10 * margin, 0)
    called = 0
    for sign in rng.choice([-1, 1], trials):
        low, high = (rng.binomial(4, share)[None] / 4 for share in (chance, chance + gap))
        called += statistics.difference(*((low, high) if sign > 0 else (high, low))).equivalent(margin)
    print(f"false equivalence at the margin: {called / trials:.2%} of {trials} trials")  # noqa: T201 - its coverage
    # Of Binomial(10000, 0.05), 568 is exceeded with probability 0.001.
    assert called <= 568
    assert not shared or called >= 400


def test_equal_sets_are_called_equivalent_where_the_interval_is_narrow_enough_and_never_where_it_is_not() -> None:
    statistics, rng = script("fidelity_statistics"), np.random.default_rng(7)
    found = [statistics.difference(*(rng.random((2, 4, 500)) < 0.3).astype(float)) for _ in range(300)]
    assert np.mean([one.equivalent(0.07) for one in found]) > 0.99
    assert not any(one.equivalent(0.02) for one in found)
    assert found[0].half_width_90 == pytest.approx(found[0].half_width * 1.644854 / 1.959964, rel=1e-6)


def test_a_mean_over_sets_is_as_uncertain_as_its_images_say() -> None:
    statistics, rng = script("fidelity_statistics"), np.random.default_rng(8)
    nothing, one, other = np.zeros((1, 400)), rng.normal(size=(1, 400)), rng.normal(size=(1, 400))
    alone = statistics.difference(nothing, one)
    thrice = statistics.mean_difference([(nothing, one)] * 3)
    assert (thrice.value, thrice.standard_error) == pytest.approx((alone.value, alone.standard_error))
    found = statistics.mean_difference([(nothing, one), (nothing, other)])
    assert found.value == pytest.approx((one.mean() + other.mean()) / 2)
    assert found.standard_error == pytest.approx(((one + other) / 2).std(ddof=1) / 20)


def test_differences_of_pixels_are_counted_by_size() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.integers(0, 256, (2, 3000), dtype=np.uint8)
    other = np.where(rng.random(3000) < 0.9, one, other)
    found = script("fidelity_statistics").agreement(one, other)
    apart = [abs(int(a) - int(b)) for a, b in zip(one, other, strict=True)]
    assert found.largest == max(apart)
    assert found.mean == pytest.approx(sum(apart) / 3000)
    assert found.one == pytest.approx(apart.count(1) / 3000)
    assert found.more == pytest.approx(sum(value > 1 for value in apart) / 3000)


def test_holm_rejects_what_its_adjusted_p_values_reject() -> None:
    statistics = script("fidelity_statistics")
    rng = np.random.default_rng(5)
    for _ in range(200):
        values = (rng.random(6) ** 4).tolist()
        order = sorted(range(6), key=values.__getitem__)
        adjusted = {
            position: max((6 - rank) * values[order[rank]] for rank in range(order.index(position) + 1))
            for position in range(6)
        }
        expected = {position for position in range(6) if adjusted[position] <= 0.05}
        assert set(statistics.rejected(values, 0.05)) == expected


def test_alike_sets_meet_all_criteria() -> None:
    alike = [comparison("fog", 3), comparison("contrast", 1, apart=1), comparison("snow"), comparison("tilt")]
    verdict = script("fidelity_verdict").judge(alike, {})
    assert verdict.misses == ()
    assert (verdict.family, verdict.chi_square) == (2, 1)
    assert verdict.shown == {"corruptions": (1, 1), "perturbations": (1, 1)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "contrast", "severity": 2, "apart": 2}, "contrast 2: pixels differ by up to 2 levels"),
        ({"name": "tilt", "shift": 0.1}, "tilt sequences: score differs by +"),
        ({"name": "fog", "severity": 4, "apart": 1}, "fog 4: mean differs by +1.000 levels"),
        ({"name": "snow", "shift": 0.3}, "snow sequences: score differs by +"),
        ({"name": "frost", "severity": 1, "shift": 0.9, "variant": "own textures"}, "frost, own textures 1: score"),
    ],
)
def test_a_missed_criterion_names_its_set(changed: dict[str, Any], said: str) -> None:
    judge = script("fidelity_verdict").judge
    misses = judge([comparison("fog", 1), comparison(**changed), comparison("fog", 2)], {}).misses
    assert [miss.startswith((said, "all random sets")) for miss in misses] == [True] * len(misses)
    assert misses[0].startswith(said)


def test_many_small_differences_are_missed_together() -> None:
    verdict = script("fidelity_verdict")
    sets = [comparison("fog", 1 + number % 5, shift=0.04) for number in range(40)]
    misses = verdict.judge(sets, {}).misses
    assert len(misses) == 1
    assert misses[0].startswith("all random sets together")


def whole(name: str, shift: float) -> list[Any]:
    """Every set of both benchmarks, `name` at severity 1 or its sequences being `shift` off."""
    cells = script("fidelity_cells")
    plain = [cell for cell in cells.corruption_cells() + cells.perturbation_cells() if not cell.variant]
    off = {cell: shift * (cell.name == name and cell.severity < 2) for cell in plain}
    return [comparison(cell.name, cell.severity, shift=by) for cell, by in off.items()]


def test_the_means_of_the_benchmarks_must_be_equivalent() -> None:
    judge = script("fidelity_verdict").judge
    verdict = judge(whole("none", 0), {})
    assert verdict.misses == ()
    titles = [(mean.title, mean.margin, mean.equivalent) for mean in verdict.means]
    assert titles == [
        ("error, the fifteen corruptions", 0.0025, True),
        ("flip probability, the ten perturbations", 0.001, True),
        ("flip probability, the sequences with random numbers", 0.001, True),
    ]
    # Half of the images' errors in one of 75 cells are 0.35 / 75 of the mean, and of ten perturbations 0.35 / 10.
    said = [miss for miss in judge(whole("fog", 0.5), {}).misses if miss.startswith("mean")]
    assert said == [miss for miss in said if miss.startswith("mean error, the fifteen corruptions: not shown")]
    assert len(said) == 1
    said = [miss for miss in judge(whole("shot_noise", 0.5), {}).misses if miss.startswith("mean")]
    assert len(said) == 2
    assert "flip probability, the ten perturbations: not shown to be within 0.001" in said[1]


def test_a_mean_is_formed_of_all_its_members_or_not_at_all() -> None:
    everything = whole("none", 0)
    means = script("fidelity_equivalence").means
    assert len(means(everything)) == 3
    less = [found for found in everything if (found.cell.name, found.cell.severity) not in {("fog", 4), ("tilt", 0)}]
    assert [mean.title for mean in means(less)] == ["flip probability, the sequences with random numbers"]
    assert means([comparison("tilt")]) == ()


def test_a_wide_interval_is_no_agreement() -> None:
    """A difference that no test finds, of images too few to exclude one beyond the margin."""
    wide = comparison("fog", 2, shift=0.015)
    verdict = script("fidelity_verdict").judge([wide], {})
    assert wide.differences["score"].p_value > 0.05
    assert (verdict.misses, verdict.shown) == ((), {"corruptions": (0, 1)})
    text = page([wide])
    assert "One by one, 0 of 1 sets of corruptions with random numbers are shown to be equivalent." in text
    assert "| not-shown |" in text


def test_frames_of_the_same_random_numbers_must_be_the_same() -> None:
    statistics, judge = script("fidelity_statistics"), script("fidelity_verdict").judge
    assert judge([], {"snow": statistics.Agreement(1, 0.1, 0.1, 0)}).misses == ()
    misses = judge([], {"snow": statistics.Agreement(2, 0.1, 0, 0.05)}).misses
    assert misses == ("snow sequences of the same random numbers: pixels differ by up to 2 levels",)


def test_a_replay_gives_the_numbers_of_our_frames_and_then_the_generators_their_own() -> None:
    def sequence(_: Any) -> list[Any]:
        return [np.random.normal(size=(32, 32, 3), scale=2) for _ in range(2)]  # noqa: NPY002 - as published

    generators = script("published_generators").PublishedGenerators({}, {"speckle_noise": sequence})
    replay, before = script("published_replay").replay, np.random.normal
    frames = replay(generators, np.zeros((32, 32, 3), dtype=np.uint8), "speckle_noise", index=7, seed=3)
    key, index = derive_seed(3, "perturbation", "speckle_noise"), torch.tensor([7])
    expected = [2 * keyed_normal(key, index, 3072, stream).double().numpy() for stream in (1, 2)]
    with np.errstate(invalid="ignore"):
        assert np.array_equal(frames, np.reshape(expected, (2, 32, 32, 3)).astype(np.uint8))
    assert np.random.normal is before


def page(comparisons: list[Any]) -> str:
    table = script("fidelity_table")
    facts = table.Facts(200, range(4), "resnet20", "0.2", ("nsbench-c v1 abc",), {"numpy": "2.0"})
    text: str = table.page(comparisons, {}, script("fidelity_verdict").judge(comparisons, {}), facts)
    return text


def test_the_page_has_a_row_for_each_corruption_with_its_severities_in_order() -> None:
    rows = page([comparison("contrast", severity, apart=severity > 3) for severity in range(1, 6)]).splitlines()
    found = [row.split(" | ") for row in rows if row.startswith("| contrast |")]
    assert found[0][1:5] == [
        "0 0 0 1 1",
        "0.0000 0.0000 0.0000 0.1250 0.1250",
        "12.50 12.50 12.50 12.50 12.50",
        "0.00 0.00 0.00 0.00 0.00",
    ]
    assert found[1][2] == "0.00 0.00 0.00 +1.00 +1.00"


def test_the_page_says_whether_all_is_met_and_every_deviation() -> None:
    assert "All criteria are met" in page([comparison("fog", 1)])
    text = page([comparison("fog", 1, apart=3)])
    assert "All criteria are met" not in text
    assert "\n- fog 1: mean differs by +3.000 levels" in text
    for title, _ in script("fidelity_deviations").DEVIATIONS:
        assert f"**{title}**" in text


def test_a_name_that_is_no_corruption_is_refused() -> None:
    with pytest.raises(SystemExit, match="Unknown corruptions or perturbations: rain"):
        script("fidelity").chosen(["fog", "rain"])
    assert {cell.name for cell in script("fidelity").chosen(["snow"])} == {"snow"}
