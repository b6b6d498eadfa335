"""A run with three seeds: means and comparisons over seeds come first, single networks after them."""

import re
from typing import Any

from nsbench.report.figures.overview import overview
from nsbench.report.figures.reliability import reliability
from nsbench.report.lookup import Lookup
from nsbench.report.markdown import table_markdown
from nsbench.report.prose import students
from nsbench.report.prose.limits import limits
from nsbench.report.prose.run_summary import summary
from nsbench.report.tables import across_seeds, comparisons, generations
from nsbench.report.tables.members import selection
from nsbench.results.key import Key
from nsbench.results.measured import SeedMean
from nsbench.results.record import Results


def test_the_headline_is_over_all_trainings(seeded_results: Results) -> None:
    lookup = Lookup(seeded_results)
    assert students.headline(lookup) == (
        "Against its control the student is better in calibration error and calibration error on corruptions; not "
        "shown to differ in clean error, NLL, Brier score, error on corruptions and flip probability (over 3 training "
        "runs each)."
    )
    assert "luck in training" not in students.effect(lookup)
    stated = students.comparisons(lookup)
    assert len(stated) == 4
    assert all("over 3 training runs each" in sentence for sentence in stated)
    assert stated[2].startswith("Generation 1 (resnet20, 270k parameters, 600k images seen) makes fewer errors")


def test_a_worse_number_over_seeds_is_in_the_headline(seeded_results: Results) -> None:
    found = [
        one.model_copy(update={"verdict": "worse"}) if one.metric == "mean_flip_probability" else one
        for one in seeded_results.seed_comparisons
    ]
    stated = students.headline(Lookup(seeded_results.model_copy(update={"seed_comparisons": found})))
    assert ", but worse in flip probability; not shown to differ in" in stated


def test_a_threshold_of_zero_is_no_confidence(seeded_results: Results) -> None:
    assert "the pseudo-labels its teacher was confident about" in summary(Lookup(seeded_results))
    everything = [
        one.model_copy(update={"selection": one.selection.model_copy(update={"confidence_threshold": 0.0})})
        if one.selection
        else one
        for one in seeded_results.checkpoints
    ]
    stated = summary(Lookup(seeded_results.model_copy(update={"checkpoints": everything})))
    assert "on its teacher's pseudo-labels" in stated
    assert "confident" not in stated


def test_networks_that_differ_in_their_seed_alone_are_one_row_and_each_has_its_own_in_the_next_table(
    seeded_results: Results,
) -> None:
    lookup = Lookup(seeded_results)
    means, single = generations.generations(lookup), generations.networks(lookup)
    assert single is not None
    assert [row.cells[0].text for row in means.rows] == ["gen 0", "gen 1", "control", "baseline"]
    assert means.rows[1].cells[0].aside == "student, 3 seeds"
    found = next(
        one
        for one in seeded_results.seed_means
        if (one.group, one.benchmark, one.metric) == ("small/gen1-resnet20", "clean", "top1_error")
    )
    assert found.value is not None
    accuracy = means.rows[1].cells[7]
    assert accuracy.text == f"{(1 - found.value) * 100:.1f}"
    assert accuracy.interval == "[73.2, 81.0]"
    assert (single.folded, len(single.rows), means.folded) == (True, 12, False)
    assert single.rows[0].cells[0].text == "gen 0 seed 0"
    assert "Top-1 accuracy on clean test images is 71.7 % [67.5, 75.9] for generation 0 (resnet8)" in summary(lookup)
    assert "Everything was trained three times, from seeds 0, 1 and 2." in summary(lookup)


def test_comparisons_over_seeds_stand_complete_before_the_folded_single_ones(seeded_results: Results) -> None:
    lookup = Lookup(seeded_results)
    first, (single,) = comparisons.over_seeds(lookup), comparisons.comparisons(lookup)
    assert first is not None
    assert (first.title, first.folded) == ("Comparisons over 3 training runs", False)
    assert (single.title, single.folded) == ("Paired comparisons, one training run each", True)
    assert len(first.rows) == len(seeded_results.seed_comparisons) == 21
    assert first.rows[0].heading == ("gen 1 · resnet20 against control · resnet20 (a family of 7 comparisons)")
    assert [cell.text for cell in first.rows[0].cells][3:] == ["+0.3", "0.147", "0.440", "7.1", "no difference shown"]
    assert len(single.rows) == 63


def test_a_folded_table_is_whole_on_the_page_and_says_in_markdown_what_it_leaves_out(
    seeded_results: Results, seeded_report: Any
) -> None:
    (single,) = comparisons.comparisons(Lookup(seeded_results))
    stated = table_markdown(single)
    assert len([line for line in stated.splitlines() if "(n = " in line]) == 40
    assert "*23 of 63 rows are left out here; tables/comparisons.csv has all.*" in stated
    page = seeded_report.source
    folded = re.search(
        r'<details class="folded">\s*<summary>Table \d+. Paired comparisons.*?</details>', page, re.DOTALL
    )
    assert folded is not None
    assert folded[0].count("n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}") >= 63
    assert len((seeded_report.folder / "tables/comparisons.csv").read_text().splitlines()) == 64


def test_figures_show_one_network_of_each_recipe_and_the_overview_shows_all(seeded_results: Results) -> None:
    lookup = Lookup(seeded_results)
    figure, every, table = reliability(lookup), overview(lookup), selection(lookup)
    assert figure is not None
    assert every is not None
    assert table is not None
    assert [str(one).split("/")[1] for one in lookup.drawn] == ["seed0"] * 4
    assert len(figure.panels) == 4
    assert "Only the networks of seed 0 are drawn; the tables have all." in figure.caption
    assert every.panels[0].title.count("gen 1 seed") == 3
    assert "Shown for seed 0 alone" in table.caption


def test_each_student_has_the_control_and_the_baseline_of_its_own_seed(seeded_results: Results) -> None:
    lookup = Lookup(seeded_results)
    for student in lookup.students():
        assert str(lookup.control(student)) == f"control/seed{student.seed}/gen1-resnet20"
        assert str(lookup.own_baseline(student)) == f"supervised/seed{student.seed}/gen0-resnet20"
    assert lookup.is_reference(lookup.checkpoints[-2])
    assert "two single networks says nothing about their recipes." in dict(limits(lookup))["Seeds."]


def test_means_over_seeds_name_both_sources_of_chance(results: Results) -> None:
    mean = SeedMean(
        group="hard/gen3-resnet20",
        seeds=[0, 1, 2],
        key=Key("corruption", "mean_error", "cifar10-c"),
        value=0.33,
        ci_low=0.3,
        ci_high=0.36,
        image_low=0.315,
        image_high=0.345,
        seed_low=0.31,
        seed_high=None,
        n=500,
    )
    (table,) = across_seeds.seed_means(Lookup(results.model_copy(update={"seed_means": [mean]})))
    line = table_markdown(table).splitlines()[-1]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["gen 3 · resnet20", "3 (0, 1, 2)", r"33.0 \[30.0, 36.0\]", "31.5 to 34.5", "\N{EN DASH}"]
    assert table.rows[0].heading == "Top-1 error on corruptions, mean of 5 of the 15 (%), n = 500"


def test_the_headlines_come_first_among_the_means_and_all_else_is_folded(seeded_results: Results) -> None:
    first, rest = across_seeds.seed_means(Lookup(seeded_results))
    assert (len(first.rows), first.folded, rest.folded) == (28, False, True)
    assert len(first.rows) + len(rest.rows) == len(seeded_results.seed_means)


def test_the_limits_say_that_all_seeds_share_one_split(seeded_results: Results) -> None:
    assert "All seeds share one split" in dict(limits(Lookup(seeded_results)))["Seeds."]
