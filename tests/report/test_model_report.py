"""What a report says of foreign models: who is first, what was compared, what figures leave out."""

import re
from typing import Any

import pytest

from nsbench.report.figures.drawing import line_style
from nsbench.report.figures.overview import flips
from nsbench.report.figures.reliability import reliability
from nsbench.report.lookup import MOST, Lookup
from nsbench.report.prose import answers
from nsbench.report.prose.limits import limits
from nsbench.report.tables import attacks, comparisons, models
from nsbench.report.tables.members import by_member
from nsbench.report.tables.robustness import robustness
from nsbench.results.measured import Measurement
from nsbench.results.record import Results

NAMES = ["resnet20", "resnet32", "vgg16_bn", "small-vit"]


def only(results: Results, *names: str, **update: Any) -> Results:
    """The record of some of its models."""
    kept = {
        "models": [one for one in results.models if one.name in names],
        "measurements": [one for one in results.measurements if one.model in names],
        "diagnostics": [one for one in results.diagnostics if one.model in names],
        "comparisons": [one for one in results.comparisons if {one.candidate, one.baseline} <= set(names)],
    }
    return results.model_copy(update=kept | update)


def many(results: Results, count: int) -> Results:
    """The record with copies of the first model, each a little better, the baseline the worst of all."""
    model, diagnostics = results.models[0], results.diagnostics[0]
    own = [one for one in results.measurements if one.model == model.name]
    names = [f"copy{place}" for place in range(count)]

    def copy(one: Measurement, place: int) -> Measurement:
        value = None if one.value is None else one.value * (1 - 0.01 * place)
        return one.model_copy(update={"model": names[place], "value": value, "baseline": one.baseline and names[0]})

    return results.model_copy(
        update={
            "models": [model.model_copy(update={"name": name}) for name in names],
            "measurements": [copy(one, place) for place in range(count) for one in own],
            "diagnostics": [diagnostics.model_copy(update={"model": name}) for name in names],
            "comparisons": [],
            "baseline": names[0],
        }
    )


def with_verdicts(results: Results, **verdicts: str) -> Results:
    """The record in which comparisons of the best model with others on clean images end as given."""
    best = results.comparisons[0]
    pairs = {name.replace("_", "-") if name == "small_vit" else name: verdict for name, verdict in verdicts.items()}
    found = [
        best.model_copy(update={"candidate": "small-vit", "baseline": name, "verdict": verdict})
        for name, verdict in pairs.items()
    ]
    return results.model_copy(update={"comparisons": found})


def test_a_report_on_models_does_not_speak_of_teachers_and_students(model_report: Any) -> None:
    for stated in (model_report.page.text, model_report.markdown):
        assert not re.search(r"(?i)teacher|student|pseudo|generation|self-training|checkpoint|control", stated)


@pytest.mark.parametrize(
    ("verdicts", "ending"),
    [
        (dict.fromkeys(NAMES[:3], "better"), "; paired comparisons on clean images distinguish it from every other."),
        ({"resnet20": "better", "resnet32": "no evidence"}, "; on clean images it is not distinguished from resnet32."),
        ({"resnet20": "better"}, "; paired comparisons on clean images distinguish it from resnet20."),
        (
            {"resnet20": "no evidence", "resnet32": "no evidence"},
            "; on clean images it is not distinguished from resnet20 and resnet32.",
        ),
        ({}, "small-vit has the lowest error on clean images and on corrupted ones."),
    ],
)
def test_the_headline_names_the_first_model_and_those_it_is_not_distinguished_from(
    model_results: Results, verdicts: dict[str, str], ending: str
) -> None:
    stated = answers.headline(Lookup(with_verdicts(model_results, **verdicts)))
    assert stated.startswith("small-vit has the lowest error on clean images and on corrupted ones")
    assert stated.endswith(ending)


def test_a_comparison_counts_whichever_of_the_two_was_the_candidate(model_results: Results) -> None:
    turned = model_results.comparisons[0].model_copy(
        update={"candidate": "resnet32", "baseline": "small-vit", "verdict": "worse"}
    )
    lookup = Lookup(model_results.model_copy(update={"comparisons": [turned]}))
    assert answers.headline(lookup).endswith("on clean images distinguish it from resnet32.")
    assert "it was not compared with resnet20 and vgg16_bn" in answers.comparisons(lookup)[0]


def test_two_models_can_be_first_and_share_the_lowest_error(model_results: Results) -> None:
    def change(one: Measurement) -> Measurement:
        if one.model == "vgg16_bn" and (one.benchmark, one.metric) == ("clean", "top1_error"):
            return one.model_copy(update={"value": 0.0654})
        return one.model_copy(update={"value": 0.1}) if one.model == "resnet20" and one.metric == "mean_error" else one

    shared = model_results.model_copy(update={"measurements": [change(one) for one in model_results.measurements]})
    assert answers.headline(Lookup(shared)) == (
        "vgg16_bn and small-vit share the lowest error on clean images, resnet20 has the lowest on corrupted ones."
    )


def test_a_model_alone_gets_its_accuracy_as_headline(model_results: Results, report_of: Any) -> None:
    alone = only(model_results, "resnet32", baseline=None)
    report = report_of(alone.model_copy(update={"samples": []}))
    assert answers.headline(Lookup(alone)) == ("resnet32 is right on 92.63 % [92.12, 93.14] of the clean test images.")
    assert not (report.folder / "figures/glance-1.svg").exists()
    assert "Paired comparisons" not in report.page.text
    assert "none: nothing is relative" in report.page.text


def test_without_a_baseline_nothing_is_printed_as_relative_to_one(model_results: Results) -> None:
    kept = [one.model_copy(update={"baseline": None}) for one in model_results.measurements if one.baseline is None]
    free = model_results.model_copy(update={"measurements": kept, "baseline": None, "comparisons": []})
    lookup = Lookup(free)
    table = robustness(lookup)
    assert table is not None
    assert "baseline" not in table.caption + " ".join(column.title for column in table.columns)
    assert [found.identifier for found in by_member(lookup, "corruption")] == ["mean_error"]
    assert not [text for topic, text in limits(lookup) if "baseline" in text]


def test_each_model_stands_in_the_table_with_its_source_and_declared_preprocessing(model_results: Results) -> None:
    table = models.models(Lookup(model_results))
    assert table is not None
    assert [row.cells[0].text for row in table.rows] == NAMES
    assert [row.emphasis for row in table.rows] == ["reference", "", "", ""]
    assert [row.cells[3].text for row in table.rows[2:]] == [
        "mean 0.4914, 0.4822, 0.4465; std 0.247, 0.2435, 0.2616",
        "inside the model",
    ]
    assert [cell.text for cell in table.rows[1].cells[4:]] == ["92.63", "0.229", "0.107", "4.07"]


def test_a_record_of_a_run_and_of_models_shows_both(results: Results, model_results: Results) -> None:
    both = results.model_copy(
        update={
            "models": model_results.models,
            "measurements": [*results.measurements, *model_results.measurements],
            "comparisons": [*results.comparisons, *model_results.comparisons],
            "diagnostics": [*results.diagnostics, *model_results.diagnostics],
        }
    )
    lookup = Lookup(both)
    assert [lookup.label(one) for one in lookup.entries[3:]] == [
        "gen 3 · resnet20",
        "control of gen 1 · resnet8",
        "control of gen 2 · resnet14",
        "control of gen 3 · resnet20",
        *NAMES,
        "baseline · resnet20",
    ]
    table = robustness(lookup)
    assert table is not None
    assert len(table.rows) == 12
    assert "3 noisy students were trained" in answers.summary(lookup)
    assert "Four models that nsbench did not train" in answers.summary(lookup)
    assert answers.effect(lookup).startswith("The control is the same network")
    assert lookup.foremost() is lookup.last()


def test_every_comparison_of_a_record_is_in_one_table_and_in_one_only(results: Results, model_results: Results) -> None:
    for found in (results, model_results):
        tables = comparisons.comparisons(Lookup(found))
        assert sum(len(table.rows) for table in tables) == len(found.comparisons)
        assert [table.folded for table in tables] == [False, True][: len(tables)]


def test_a_comparison_is_printed_with_both_values_its_interval_its_corrected_p_and_a_verdict(
    model_results: Results,
) -> None:
    (table,) = comparisons.comparisons(Lookup(model_results))
    assert table.rows[0].heading == "resnet32 against resnet20 (family: models against the baseline, 21 comparisons)"
    row = next(row for row in table.rows if row.cells[0].text.startswith("Expected calibration error on clean"))
    number = "Expected calibration error on clean images, unbiased (%)"
    assert [cell.text for cell in row.cells] == [number, "4.07", "3.16", "+0.91", "0.005", "0.021", "1.07", "worse"]
    assert row.cells[3].interval == "[+0.35, +1.47]"
    assert "with 80 % power, at the level that its family leaves to one comparison" in table.caption


def test_the_comparisons_of_an_earlier_version_are_of_one_family_and_without_power(model_results: Results) -> None:
    old = [
        one.model_copy(update={"family": "all comparisons", "detectable": None}) for one in model_results.comparisons
    ]
    (table,) = comparisons.comparisons(Lookup(model_results.model_copy(update={"comparisons": old})))
    assert table.rows[0].heading == "resnet32 against resnet20"
    assert "Could have found" not in [column.heading for column in table.columns]
    assert "over the comparisons of a family, here all 28 of this record" in table.caption


def test_a_comparison_of_means_over_a_subset_says_so(results: Results) -> None:
    table = comparisons.comparisons(Lookup(results))[-1]
    named = {row.cells[0].text for row in table.rows if "corruptions" in row.cells[0].text}
    assert named == {
        "Top-1 error on corruptions, mean of 5 of the 15 (%)",
        "Expected calibration error on corruptions, mean of 5 of the 15, unbiased (%)",
        "Corruption error on corruptions, mean of 5 of the 15 (% of baseline)",
    }


def test_figures_of_forty_models_draw_twelve_with_the_baseline_and_tables_have_all(model_results: Results) -> None:
    lookup = Lookup(many(model_results, 40))
    figure = reliability(lookup)
    assert figure is not None
    assert len(figure.panels) == MOST
    assert "12 of the 40 models are drawn, those with the lowest clean error, the baseline among" in figure.caption
    assert [str(one) for one in lookup.drawn] == ["copy0", *(f"copy{place}" for place in range(29, 40))]
    assert flips(lookup) is not None
    for table in (models.models(lookup), robustness(lookup), attacks.attack(lookup), *by_member(lookup, "corruption")):
        assert table is not None
        assert [row.cells[0].text for row in table.rows] == [f"copy{place}" for place in range(40)], table.identifier
        assert all(len(row.cells) == len(table.columns) for row in table.rows)


def test_a_turned_table_keeps_the_numbers_in_their_places(model_results: Results) -> None:
    few, lots = (attacks.attack(Lookup(many(model_results, count))) for count in (8, 9))
    assert few is not None
    assert lots is not None
    row = next(row for row in few.rows if [cell.text for cell in row.cells[:2]] == ["ε = 8/255", "PGD"])
    place = next(
        place for place, column in enumerate(lots.columns) if (column.group, column.heading) == ("ε = 8/255", "PGD")
    )
    assert [row.cells[place].text for row in lots.rows[:8]] == [cell.text for cell in row.cells[2:]]
    assert lots.columns[place].unit == "%"


def test_no_two_drawn_models_look_alike(model_results: Results) -> None:
    lookup = Lookup(many(model_results, MOST))
    looks = [line_style(lookup, one) for one in lookup.drawn]
    assert len({(look["color"], look["marker"], str(look["linestyle"])) for look in looks}) == MOST


def test_the_limits_of_models_are_not_those_of_a_run(results: Results, model_results: Results) -> None:
    ours, theirs = (dict(limits(Lookup(found))) for found in (results, model_results))
    assert {"One seed.", "Unequal budgets.", "Weights.", "Several comparisons.", "Temperature."} <= set(ours)
    assert {"One training run each.", "Origin.", "Preprocessing.", "Several comparisons."} <= set(theirs)
    assert not {"One seed.", "Unequal budgets.", "Weights.", "Top-5."} & set(theirs)
    assert "in each family at 5 %: here 28 comparisons in two families" in theirs["Several comparisons."]
