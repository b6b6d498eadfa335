"""What the report says about training: pseudo-labels, the control, what was out of the ordinary, curves."""

import re
from typing import Any

import pytest

from nsbench.report.figures.curves import training
from nsbench.report.figures.grids import selection as selection_figure
from nsbench.report.figures.grids import severity_maps
from nsbench.report.lookup import Lookup
from nsbench.report.prose.limits import limits
from nsbench.report.prose.run_summary import summary
from nsbench.report.prose.students import effect, headline
from nsbench.report.tables.generations import generations
from nsbench.report.tables.members import pseudo_labels, selection
from nsbench.report.tables.trained import how_trained
from nsbench.results.measured import Comparison
from nsbench.results.record import Results

UNDEFINED = "\N{EN DASH}"


def changed(results: Results, generation: int | None, **update: Any) -> Results:
    """The record with one student, or every checkpoint, described otherwise."""
    checkpoints = [
        one.model_copy(update=update)
        if generation is None or (one.role == "student" and one.generation == generation)
        else one
        for one in results.checkpoints
    ]
    return results.model_copy(update={"checkpoints": checkpoints})


def without_control(results: Results) -> Results:
    """The record of a run without a control."""
    return results.model_copy(
        update={
            "checkpoints": [one for one in results.checkpoints if one.role != "control"],
            "measurements": [one for one in results.measurements if not one.model.startswith("control")],
            "comparisons": [
                one.model_copy(update={"family": one.family.replace("control", "equal")})
                for one in results.comparisons
                if not one.baseline.startswith("control")
            ],
            "diagnostics": [one for one in results.diagnostics if not one.model.startswith("control")],
        }
    )


def with_verdict(results: Results, verdict: str, *metrics: str) -> Results:
    """The record with another verdict on some numbers of students against their controls."""

    def change(one: Comparison) -> Comparison:
        if not one.baseline.startswith("control/") or one.metric not in metrics:
            return one
        return one.model_copy(update={"verdict": verdict})

    return results.model_copy(update={"comparisons": [change(one) for one in results.comparisons]})


def test_each_class_has_its_counts_and_the_share_of_its_pseudo_labels_that_are_right(results: Results) -> None:
    table = selection(Lookup(results))
    assert table is not None
    assert [column.heading for column in table.columns[1:5]] == ["above", "kept", "copies", "right"]
    rows = {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in table.rows}
    assert rows["airplane"][:4] == ["2,103", "1,000", "200", "93.0"]
    assert rows["cat"][:4] == ["0", "0", "1,200", UNDEFINED]
    assert rows["cat"][4:8] == ["800", "800", "400", "95.0"]
    student = Lookup(results).students()[0].selection
    assert student is not None
    assert student.accuracy is not None
    assert rows["all classes"][3] == f"{student.accuracy * 100:.1f}"


def test_the_figure_of_images_per_class_shows_the_same_shares(results: Results) -> None:
    figure = selection_figure(Lookup(results))
    assert figure is not None
    words = re.findall(r">([^<>]+)</text>", figure.panels[0].svg)
    shares = next(one.selection.class_accuracy for one in Lookup(results).students() if one.selection)
    stated = [UNDEFINED if share is None else f"{share * 100:.0f}" for share in shares]
    place = words.index(stated[0])
    assert words[place : place + len(stated)] == stated


@pytest.mark.parametrize("name", ["selection", "pseudo_labels", "figure"])
def test_whatever_shows_right_pseudo_labels_says_that_true_labels_only_score_them(results: Results, name: str) -> None:
    makers: dict[str, Any] = {"selection": selection, "pseudo_labels": pseudo_labels, "figure": selection_figure}
    caption = makers[name](Lookup(results)).caption
    assert re.search(r"true labels?.*used for this score only", caption)


def test_the_control_stands_between_the_chain_and_the_baseline_and_is_not_of_the_chain(results: Results) -> None:
    lookup = Lookup(results)
    controls = [f"control of gen {generation}" for generation in (1, 2, 3)]
    names = ["gen 0", "gen 1", "gen 2", "gen 3", *controls, "baseline"]
    assert [lookup.generation(one) for one in lookup.checkpoints] == names
    assert [lookup.generation(one) for one in lookup.students()] == names[1:4]
    assert lookup.generation(lookup.last()) == "gen 3"
    assert "for the control of generation 3 (resnet20)" in summary(lookup)


def test_copies_that_balance_a_control_are_not_called_labelled_images(results: Results) -> None:
    row = generations(Lookup(results)).rows[4]
    assert row.emphasis == "reference"
    counts = ["control of gen 1", "4,000", UNDEFINED, "12,000"]
    assert [cell.text for cell in row.cells[:1] + row.cells[4:7]] == counts


def test_every_network_has_its_size_and_its_image_budget_in_the_table(results: Results) -> None:
    rows = generations(Lookup(results)).rows
    assert [cell.text for row in rows for cell in row.cells[2:4]] == [
        *("77.8k", "200k", "77.8k", "600k", "174k", "600k", "270k", "600k"),
        *("77.8k", "600k", "174k", "600k", "270k", "600k", "270k", "200k"),
    ]
    assert rows[3].cells[2].number == rows[6].cells[2].number == 269818


def test_each_student_has_the_control_of_its_own_network_and_generation(results: Results) -> None:
    lookup = Lookup(results)
    found = [str(lookup.control(student)) for student in lookup.students()]
    assert found == ["control/seed0/gen1-resnet8", "control/seed0/gen2-resnet14", "control/seed0/gen3-resnet20"]


def test_the_lone_control_of_an_earlier_version_is_the_last_student_s(results: Results) -> None:
    kept = [one for one in results.checkpoints if one.role != "control" or one.generation == 3]
    old = [one.model_copy(update={"generation": 0}) if one.role == "control" else one for one in kept]
    lookup = Lookup(results.model_copy(update={"checkpoints": old}))
    assert str(lookup.control(lookup.last())) == "control/seed0/gen0-resnet20"
    assert [lookup.generation(one) for one in lookup.checkpoints[-2:]] == ["control", "baseline"]


def test_the_headline_names_every_number_in_which_the_last_student_is_worse_than_its_control(results: Results) -> None:
    stated = headline(Lookup(results))
    assert stated == (
        "Against its control the last student is better in clean error, NLL, Brier score, error on corruptions, "
        "calibration error on corruptions and flip probability, but worse in calibration error (one training run each)."
    )
    changed = with_verdict(results, "worse", "negative_log_likelihood", "mean_flip_probability")
    assert "but worse in NLL, calibration error and flip probability (one" in headline(Lookup(changed))
    even = with_verdict(results, "no evidence", "top1_error", "brier_score")
    assert "; not shown to differ in clean error and Brier score (one training run each)." in headline(Lookup(even))


def test_without_a_control_the_headline_says_so_and_what_is_mixed(results: Results) -> None:
    lookup = Lookup(without_control(results))
    stated = headline(lookup)
    assert stated.startswith(
        "No control of equal size, noise and image budget was trained; against the baseline the last"
    )
    assert effect(lookup) == (
        "That difference mixes pseudo-labels with noise and image budget (600k against 200k images seen)."
    )
    teacher = [one for one in lookup.results.comparisons if one.baseline == lookup.last().parent]
    lookup = Lookup(lookup.results.model_copy(update={"comparisons": teacher}))
    assert "; against its teacher the last student is" in headline(lookup)
    assert effect(lookup) == "That difference mixes pseudo-labels with size (270k against 174k parameters)."


def test_numbers_that_were_not_compared_are_named_beside_those_that_were(results: Results) -> None:
    clean = [one for one in results.comparisons if one.metric == "top1_error"]
    stated = headline(Lookup(results.model_copy(update={"comparisons": clean})))
    assert "better in clean error; not tested: higher in calibration error, lower in NLL, Brier score," in stated


def test_the_control_is_described_under_the_headline_with_what_one_training_leaves_open(results: Results) -> None:
    assert effect(Lookup(results)) == (
        "The control is the same network trained on the labelled images alone, with the same noise and image budget. "
        "What separates the two is the pseudo-labels, and with one training run each also luck in training."
    )
    lean = [
        one.model_copy(update={"images_seen": 100_000}) if one.role == "control" else one for one in results.checkpoints
    ]
    stated = effect(Lookup(results.model_copy(update={"checkpoints": lean})))
    assert "but it has 270k parameters, 100k images seen and the student 270k parameters, 600k images seen." in stated


def test_the_effect_of_distillation_is_not_called_one_of_pseudo_labels(results: Results) -> None:
    lookup = Lookup(changed(results, 3, method="distillation"))
    assert "What separates the two is distillation, and" in effect(lookup)
    assert "each on the labelled images and on its teacher's probabilities." in summary(lookup)


def test_a_student_that_kept_no_pseudo_label_owes_nothing_to_them(results: Results) -> None:
    selection = Lookup(results).last().selection
    assert selection is not None
    empty = changed(results, 3, selection=selection.model_copy(update={"kept": [0] * 10}))
    assert effect(Lookup(empty)).startswith(
        "No pseudo-label was kept, so nothing but luck in training separates the student"
    )


def test_the_effect_is_printed_under_the_headline(results: Results, report: Any) -> None:
    stated = effect(Lookup(results))
    assert f'<p class="effect">{stated}</p>' in report.source
    assert f"**{stated}**" in report.markdown


@pytest.mark.slow
def test_a_run_without_a_control_says_no_more_of_one_than_that_there_is_none(results: Results, report_of: Any) -> None:
    report = report_of(without_control(results).model_copy(update={"config": {}}))
    for stated in (report.page.text, report.markdown):
        assert len(re.findall("No control of equal size, noise and image budget was trained", stated)) == 1
        assert len(re.findall("No control was trained, so nothing here separates them", stated)) == 1
        assert stated.count("control") == 2


def test_errors_by_severity_are_subtracted_from_those_of_control_and_baseline(results: Results) -> None:
    figure = severity_maps(Lookup(results))
    assert figure is not None
    assert [panel.title.partition(",")[0] for panel in figure.panels[-2:]] == [
        "gen 3 minus control of gen 3",
        "gen 3 minus baseline",
    ]


def test_a_plain_training_is_described_in_a_few_words(results: Results) -> None:
    assert how_trained(Lookup(results)) == "Weights kept: those of the last step."


@pytest.mark.parametrize(
    ("generation", "update", "sentence"),
    [
        (3, {"method": "distillation"}, "Distilled from the teacher at temperature 4, weight 0.9: gen 3."),
        (None, {"averaged": True}, "Weights averaged over the steps: all networks."),
        (1, {"precision": "bfloat16"}, "Trained in bfloat16: gen 1."),
        (2, {"micro_batch": 128}, "Batches in parts of 128 images to fit the memory: gen 2."),
        (1, {"initial_weights": "ab12cd34" * 8}, "Started from trained weights ab12cd34: gen 1."),
        (
            None,
            {"weights_selection": "best-validation"},
            "Weights kept: those with the best accuracy on held-out images.",
        ),
    ],
)
def test_a_departure_from_plain_training_is_reported_with_its_networks(
    results: Results, generation: int | None, update: dict[str, Any], sentence: str
) -> None:
    lookup = Lookup(changed(results, generation, **update))
    assert sentence in how_trained(lookup)
    assert generations(lookup).caption.endswith(how_trained(lookup))


def test_a_network_of_which_only_the_head_was_trained_says_so(results: Results) -> None:
    head = results.model_copy(update={"config": results.config | {"transfer": {"train": "head"}}})
    stated = how_trained(Lookup(changed(head, 1, initial_weights="ab12cd34" * 8)))
    assert stated.endswith("Started from trained weights ab12cd34, only the last layer trained: gen 1.")


def test_the_limits_say_how_weights_were_kept(results: Results) -> None:
    stated = dict(limits(Lookup(changed(results, None, weights_selection="best-validation"))))["Weights."]
    assert stated.startswith(
        "Weights kept: those with the best accuracy on held-out images. Nothing was selected on test"
    )


def test_curves_of_validation_and_test_are_drawn_where_a_history_has_them(
    results: Results, chosen_results: Results
) -> None:
    plain = training(Lookup(without_validation(results)))
    held_out, chosen = training(Lookup(results)), training(Lookup(chosen_results))
    assert plain is not None
    assert held_out is not None
    assert chosen is not None
    loss, accuracy = "Training loss", "Training accuracy"
    titles = [[panel.title.partition(" against")[0] for panel in one.panels] for one in (plain, held_out, chosen)]
    assert titles[0] == [loss, accuracy]
    assert titles[1] == [loss, accuracy, "Validation accuracy"]
    assert titles[2] == [loss, accuracy, "Validation accuracy", "Test accuracy"]
    assert "test-selected, optimistic" in chosen.caption
    assert "est accuracy" not in held_out.caption
    assert "gen 3 · resnet20" in held_out.panels[2].svg
    assert "gen 2 · resnet14" not in held_out.panels[2].svg


def without_validation(results: Results) -> Results:
    """The record of a run that held nothing out."""
    history = {
        str(one): [point.model_copy(update={"validation_accuracy": None}) for point in one.history]
        for one in results.checkpoints
    }
    checkpoints = [one.model_copy(update={"history": history[str(one)]}) for one in results.checkpoints]
    return results.model_copy(update={"checkpoints": checkpoints})
