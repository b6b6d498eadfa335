"""Calibration, attacks, published ways of counting and means over seeds, as tables and figures show them."""

import re
from typing import Any

import pytest

from nsbench.report.figures.curves import attacks as attack_figure
from nsbench.report.figures.reliability import reliability
from nsbench.report.lookup import Lookup
from nsbench.report.prose.limits import limits
from nsbench.report.quantities import quantity
from nsbench.report.tables import attacks, calibrated, models, published_counts
from nsbench.report.tables.comparisons import evidence, reading
from nsbench.report.tables.members import by_member
from nsbench.report.tables.robustness import robustness
from nsbench.results.measured import Measurement
from nsbench.results.record import Results


def without(results: Results, *kinds: str) -> Results:
    """The record without some kinds of numbers, or some attacks."""
    return results.model_copy(
        update={
            "measurements": [one for one in results.measurements if not {one.key.kind, one.key.member} & {*kinds}],
            "benchmarks": [one for one in results.benchmarks if not {one.kind, one.attack} & {*kinds}],
        }
    )


def test_where_no_temperature_was_fitted_the_report_says_why(model_results: Results) -> None:
    assert calibrated.fitting_text(Lookup(model_results)) == []
    bare = Lookup(without(model_results, "scaled"))
    assert "no held-out images were declared" in calibrated.fitting_text(bare)[0]
    assert calibrated.scaled(bare) is None
    assert "Temperature." not in dict(limits(bare))


def test_calibration_after_scaling_stands_in_a_table_and_lightly_in_the_diagrams(model_results: Results) -> None:
    lookup = Lookup(model_results)
    table = calibrated.scaled(lookup)
    figure = reliability(lookup)
    assert table is not None
    assert figure is not None
    assert [cell.text for cell in table.rows[0].cells[:5]] == ["resnet20", "1.256", "1.08", "1.18", "0.49"]
    assert table.caption.startswith(
        "Test set (10,000 images), logits divided by a temperature fitted on 5,000 held-out images."
    )
    assert "ECE 3.16 → 1.08 %" in figure.panels[0].title


def test_calibration_errors_of_corruptions_are_mapped_and_averaged(model_results: Results) -> None:
    lookup = Lookup(model_results)
    table, figure = calibrated.calibration(lookup), calibrated.severity_maps(lookup)
    assert table is not None
    assert figure is not None
    assert {column.group for column in table.columns[-3:]} == {"ECE on corrupted images, mean over the full set"}
    assert [row.cells[-3].text for row in table.rows] == ["12.98", "10.98", "8.97", "6.97"]
    assert [row.cells[-2].text for row in table.rows] == ["13.00", "11.00", "9.00", "7.00"]
    assert len(figure.panels) == 4
    assert "perfectly calibrated networks would have plug-in values of 0.7 to 0.7 %" in figure.caption


def test_a_calibration_error_has_its_interval_at_the_unbiased_value_and_its_plug_in_and_floor_beside_it(
    model_results: Results,
) -> None:
    table = calibrated.calibration(Lookup(model_results))
    assert table is not None
    assert [column.heading for column in table.columns[1:4]] == ["unbiased", "plug-in (Guo et al.)", "noise floor"]
    unbiased, plug_in, floor = table.rows[3].cells[1:4]
    assert (unbiased.text, unbiased.interval) == ("0.98", "[0.58, 1.39]")
    assert (plug_in.text, plug_in.interval, floor.text, floor.interval) == ("1.10", "", "0.49", "")
    assert [column.heading for column in table.columns[4:7]] == [
        "Adaptive (equal-mass), unbiased",
        "Class-wise, unbiased",
        "Maximum, plug-in",
    ]


def test_calibration_errors_of_an_earlier_version_are_named_plug_in_and_called_uncovered(
    model_results: Results,
) -> None:
    old = [one.model_copy(update={"unbiased": None, "floor": None}) for one in model_results.measurements]
    lookup = Lookup(model_results.model_copy(update={"measurements": old}))
    table, of_models, maps = calibrated.calibration(lookup), models.models(lookup), calibrated.severity_maps(lookup)
    assert table is not None
    assert of_models is not None
    assert maps is not None
    assert [column.heading for column in table.columns[1:3]] == [
        "plug-in (Guo et al.)",
        "Adaptive (equal-mass), plug-in",
    ]
    assert of_models.columns[-1].heading == "ECE, plug-in"
    assert calibrated.PLUG_IN_ALONE in table.caption
    assert calibrated.PLUG_IN_ALONE in maps.caption


def test_no_noise_floor_is_quoted_that_was_not_computed(either_report: Any) -> None:
    assert not re.search(r"0\.3 points|0\.003", either_report.page.text.split("What these numbers can")[-1])


def test_numbers_on_a_subset_stand_beside_the_clean_error_of_the_same_images(
    results: Results, model_results: Results
) -> None:
    table, whole = robustness(Lookup(results)), robustness(Lookup(model_results))
    assert table is not None
    assert whole is not None
    groups = [(column.group, column.heading) for column in table.columns]
    place = groups.index(("Perturbations, 200 images", "Clean error on the same images"))
    assert [row.cells[place].text for row in table.rows[:2]] == ["28.6", "24.2"]
    assert next(heading for group, heading in groups if group.startswith("Corr")).startswith("Top-1 error on")
    assert "Clean error on the same images" not in [column.heading for column in whole.columns]
    flips = by_member(Lookup(results), "perturbation")[0]
    assert (flips.rows[0].cells[0].aside, flips.rows[0].cells[1].text) == ("%, same images", "71.4")


def test_the_ratio_of_sums_stands_beside_the_mean_of_ratios(results: Results) -> None:
    table = robustness(Lookup(results))
    assert table is not None
    headings = [column.heading for column in table.columns]
    place = headings.index("Relative corruption error, ratio of sums, over 5 of the 15")
    assert headings[place - 1] == "Relative corruption error, mean of 5 of the 15"
    assert [row.cells[place].text for row in table.rows][-1] == "100.0"


def test_signs_of_gradient_masking_stand_in_a_box_before_the_table_of_attacks(
    model_results: Results, model_report: Any
) -> None:
    sign = next(one for one in model_results.diagnostics if one.masking).masking[0]
    assert attacks.masking(Lookup(model_results)) == [("small-vit", sign)]
    box = re.search(r'<aside class="warnings">.*?</aside>', model_report.source, flags=re.DOTALL)
    assert box is not None
    assert sign in box[0].replace("\N{NO-BREAK SPACE}", " ")
    assert 0 < model_report.source.index('id="table-attack"') - box.end() < 50
    assert f"> - **small-vit**: {sign}" in model_report.markdown


@pytest.mark.parametrize("copies", [1, 3])
def test_a_step_that_overshoots_is_a_footnote_of_its_model_and_in_no_box(model_results: Results, copies: int) -> None:
    """In a table of columns, and in one turned because models are many."""
    stated = "One step overshoots: made up."
    marked = model_results.diagnostics[0].model_copy(update={"overshoot": [stated]})
    others = [
        one.model_copy(update={"name": f"{one.name}{k}"}) for one in model_results.models for k in range(1, copies)
    ]
    found = model_results.model_copy(
        update={
            "diagnostics": [marked, *model_results.diagnostics[1:]],
            "models": [*model_results.models, *others],
        }
    )
    table, before = attacks.attack(Lookup(found)), attacks.attack(Lookup(model_results))
    assert table is not None
    assert before is not None
    assert [text for _, text in table.notes] == [*(text for _, text in before.notes), stated]
    mark = next(mark for mark, text in table.notes if text == stated)
    headings = [column.marks for column in table.columns] + [row.cells[0].marks for row in table.rows]
    assert headings.count((mark,)) == 1
    assert attacks.masking(Lookup(found)) == attacks.masking(Lookup(model_results))


def test_attacks_stand_below_each_other_by_strength_with_their_steps_and_restarts(model_results: Results) -> None:
    lookup = Lookup(model_results)
    table = attacks.attack(lookup)
    assert table is not None
    found = [row.cells[1].text for row in table.rows if row.cells[0].text == "ε = 4/255"]
    assert found == ["FGSM", "FGSM of the published study", "PGD", "BIM", "DeepFool", "Random noise"]
    assert " PGD, 20 steps of 0.125 eps, 5 random starts (first 1,000 test images), n = 1,000." in table.caption
    assert "FGSM of the published study: FGSM along the true class's logit (first" in table.caption


def test_attacks_on_unlike_images_are_not_compared_without_a_word(model_results: Results) -> None:
    fewer = [one.model_copy(update={"images": 60}) if one.attack == "pgd" else one for one in model_results.benchmarks]
    for benchmarks, stated in ((model_results.benchmarks, False), (fewer, True)):
        lookup = Lookup(model_results.model_copy(update={"benchmarks": benchmarks}))
        table, figure = attacks.attack(lookup), attack_figure(lookup)
        assert table is not None
        assert figure is not None
        assert [attacks.UNLIKE in table.caption, attacks.UNLIKE in figure.caption] == [stated, stated]


def test_a_mean_that_was_not_measured_has_no_row(model_results: Results) -> None:
    kept = [one for one in model_results.measurements if not one.metric.startswith("paper_mean")]
    table = published_counts.published_flips(Lookup(model_results.model_copy(update={"measurements": kept})))
    assert table is not None
    assert [row.emphasis for row in table.rows] == [""] * 20


def test_fgsm_alone_gets_no_figure_of_attacks_side_by_side(model_results: Results) -> None:
    alone = without(model_results, "paper_fgsm", "pgd", "bim", "deepfool", "noise")
    assert attack_figure(Lookup(alone)) is None
    assert attacks.attack(Lookup(alone)) is not None


def test_numbers_as_published_stand_in_their_own_tables_and_in_no_other(model_results: Results) -> None:
    odd = 0.123456

    def change(one: Measurement) -> Measurement:
        published = one.metric.startswith("paper_")
        return one.model_copy(update={"value": odd, "note": "counted otherwise"}) if published else one

    lookup = Lookup(model_results.model_copy(update={"measurements": list(map(change, model_results.measurements))}))
    own = [published_counts.published_counts(lookup), published_counts.published_flips(lookup)]
    for table in own:
        assert table is not None
        assert all(cell.text == "12.35" for row in table.rows for cell in row.cells[1:] if not cell.aside)
    others = [calibrated.calibration(lookup), calibrated.scaled(lookup), robustness(lookup)]
    others += [*by_member(lookup, "corruption"), *by_member(lookup, "perturbation"), models.models(lookup)]
    for other in others:
        assert other is not None
        assert "counted otherwise" not in dict(other.notes).values(), other.identifier
    assert own[0] is not None
    assert all(column.marks for column in own[0].columns[1:])
    assert "all 19 corruptions measured here" in " ".join(text for _, text in own[0].notes)


def test_the_mean_over_imagenet_p_s_ten_is_printed_where_it_was_measured(
    results: Results, model_results: Results
) -> None:
    there, absent = by_member(Lookup(model_results), "perturbation"), by_member(Lookup(results), "perturbation")
    for found, expected in ((there, 1), (absent, 0)):
        for table in found:
            names = [row.cells[0].text for row in table.rows]
            assert sum("snow in spatter's place" in name for name in names) == expected


def test_models_that_differ_on_no_image_are_not_shown_to_differ_and_it_says_so(model_results: Results) -> None:
    changes = {"difference": 0.0, "ci_low": -0.01, "ci_high": 0.01, "p_value": None, "p_holm": None}
    one = model_results.comparisons[0].model_copy(update=changes | {"verdict": "no evidence"})
    assert reading(one) == "no evidence"
    assert "they differ on no image" in evidence(one, quantity(Lookup(model_results), one.key, one.n))
    assert reading(one.model_copy(update={"difference": None})) == "unknown"
