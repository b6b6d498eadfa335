"""The comparison of generators: its statistics, its verdict and its page."""

import doctest
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nsbench.corruptions.corruptions import GENERATED_CORRUPTIONS
from nsbench.corruptions.perturbations import GENERATED_PERTURBATIONS

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
    return script("fidelity_verdict").Comparison(cell, published, changed, agreement)


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
    verdict = script("fidelity_verdict").judge(alike)
    assert verdict.misses == ()
    assert (verdict.family, verdict.outside, verdict.chi_square) == (2, 0, 1)


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
    misses = judge([comparison("fog", 1), comparison(**changed), comparison("fog", 2)]).misses
    assert [miss.startswith((said, "all random sets")) for miss in misses] == [True] * len(misses)
    assert misses[0].startswith(said)


def test_many_small_differences_are_missed_together() -> None:
    verdict = script("fidelity_verdict")
    sets = [comparison("fog", 1 + number % 5, shift=0.04) for number in range(40)]
    misses = verdict.judge(sets).misses
    assert len(misses) == 1
    assert misses[0].startswith("all random sets together")


def page(comparisons: list[Any]) -> str:
    table = script("fidelity_table")
    facts = table.Facts(200, 4, "resnet20", "0.2", ("nsbench-c v1 abc",), {"numpy": "2.0"})
    text: str = table.page(comparisons, script("fidelity_verdict").judge(comparisons), facts)
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
