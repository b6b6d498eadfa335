"""The record on disk, its numbers as rows for pandas, and records of the version before."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nsbench.errors import UserError
from nsbench.files import write_bytes
from nsbench.metrics.uncertainty import SMALLEST, holm
from nsbench.report.render import write_report
from nsbench.results.assemble import assemble
from nsbench.results.record import Results
from nsbench.results.store import load_results, save_results
from tests.results.small import checkpoint_record, model_record, setup_of, write_model

COMMITTED = Path(__file__).parent / "version1" / "results.json"
THIRD = Path(__file__).parent / "version3"
GOLDEN = Path(__file__).parents[1] / "report" / "golden"
OURS, THEIRS = "hard/seed3/gen1-resnet8", "theirs"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A network of ours that test images chose, and a foreign model."""
    run = tmp_path_factory.mktemp("run")
    write_model(run, OURS, seed=1)
    write_model(run, THEIRS, seed=2)
    ours = checkpoint_record(OURS, "student", THEIRS, weights_selection="best-test")
    return assemble(setup_of(run, [ours, model_record(THEIRS)], THEIRS))


def test_a_record_comes_back_as_it_was_saved(results: Results, tmp_path: Path) -> None:
    save_results(tmp_path, results)
    assert load_results(tmp_path) == results


def test_a_row_says_how_weights_of_ours_were_selected_and_leaves_it_empty_for_others(
    results: Results, tmp_path: Path
) -> None:
    save_results(tmp_path, results)
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert len(table) == len(results.measurements)
    assert table["value"].tolist()[0] == results.measurements[0].value
    ours = table[table["model"] == OURS]
    assert ours[
        ["study", "generation", "network", "seed", "weights_selection"]
    ].drop_duplicates().to_numpy().tolist() == [["hard", 1, "resnet8", 3, "best-test"]]
    theirs = table[table["model"] == THEIRS]
    assert len(theirs) == len(ours)
    assert theirs[["study", "generation", "network", "seed", "weights_selection"]].isna().all().all()


def test_a_mean_over_a_part_of_the_corruptions_says_so_in_its_row(results: Results, tmp_path: Path) -> None:
    save_results(tmp_path, results)
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert {"corruption (2 of 15)", "corruption/contrast", "corruption/contrast/3"} <= set(table["benchmark"])
    assert "corruption" not in set(table["benchmark"])
    assert table["measured_on"].str.contains("made-up-c v1").any()


def test_each_comparison_is_a_row(results: Results, tmp_path: Path) -> None:
    save_results(tmp_path, results)
    table = pd.read_csv(tmp_path / "comparisons.csv")
    assert table["verdict"].tolist() == [one.verdict for one in results.comparisons]
    assert table["p_holm"].tolist() == pytest.approx([one.p_holm for one in results.comparisons])
    assert len(table) > 5


@pytest.fixture(scope="module")
def first() -> Any:
    """The committed record of version 1."""
    content = json.loads(COMMITTED.read_bytes())
    assert content["format_version"] == 1
    return content


def test_a_record_of_version_1_keeps_every_number_under_its_models_name(first: Any) -> None:
    found = load_results(COMMITTED.parent)
    kept = [one for one in first["measurements"] if one["metric"] not in ("top1_error_difference", "mcnemar_p_value")]
    assert len(found.measurements) == len(kept) > 100
    for old, new in zip(kept, found.measurements, strict=True):
        assert new.model == f"{old['study']}/seed{old['seed']}/gen{old['generation']}-{old['network']}"
        assert (new.benchmark, new.metric, new.value, new.note) == (
            old["benchmark"],
            old["metric"],
            old["value"],
            old["note"],
        )
    names = {str(one) for one in found.checkpoints}
    assert {one.model for one in found.diagnostics} == names
    assert {one.model for one in found.measurements} == names
    assert found.baseline in names


def test_differences_of_version_1_become_comparisons_with_their_correction(first: Any) -> None:
    found = load_results(COMMITTED.parent)
    differences = [one for one in first["measurements"] if one["metric"] == "top1_error_difference"]
    p_values = [one["value"] for one in first["measurements"] if one["metric"] == "mcnemar_p_value"]
    assert len(found.comparisons) == len(differences) > 0
    assert [one.p_value for one in found.comparisons] == p_values
    assert [one.p_holm for one in found.comparisons] == pytest.approx(holm(p_values))
    for old, new in zip(differences, found.comparisons, strict=True):
        assert (new.difference, new.ci_low, new.ci_high, new.n) == (
            old["value"],
            old["ci_low"],
            old["ci_high"],
            old["n"],
        )
        assert new.candidate_value is not None
        assert new.baseline_value is not None
        assert new.candidate_value - new.baseline_value == pytest.approx(old["value"])
    assert {one.verdict for one in found.comparisons} <= {"better", "worse", "no evidence"}


@pytest.mark.usefixtures("first")
def test_a_report_is_made_from_a_record_of_version_1(tmp_path: Path) -> None:
    found = load_results(COMMITTED.parent).model_copy(update={"samples": []})
    assert write_report(found, tmp_path).is_file()


def test_a_damaged_record_of_version_1_is_refused_in_a_sentence(first: Any, tmp_path: Path) -> None:
    broken = first | {"diagnostics": [{"study": "hard"}]}
    (tmp_path / "results.json").write_text(json.dumps(broken))
    with pytest.raises(UserError, match=r"results\.json is damaged .*'seed'.*nsbench evaluate"):
        load_results(tmp_path)


def test_a_record_of_version_3_is_the_record_that_its_report_was_made_from() -> None:
    assert json.loads((THIRD / "results.json").read_bytes())["format_version"] == 3
    assert load_results(THIRD) == Results.model_validate_json((GOLDEN / "results.json").read_bytes())


def test_a_record_of_version_3_still_renders_its_report(tmp_path: Path) -> None:
    results = load_results(THIRD)
    for sample in results.samples:
        write_bytes(tmp_path / sample.file, b"\x89PNG\r\n\x1a\n")
    report = write_report(results, tmp_path).with_name("report.md")
    assert report.read_text() == (GOLDEN / "report.md").read_text()


def test_a_p_value_of_version_2_that_ran_out_of_digits_is_read_as_the_smallest(tmp_path: Path) -> None:
    content = json.loads((THIRD / "results.json").read_text())
    content["comparisons"][0]["p_value"] = 0.0
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="greater than 0"):
        load_results(tmp_path)
    (tmp_path / "results.json").write_text(json.dumps(content | {"format_version": 2}))
    assert load_results(tmp_path).comparisons[0].p_value == SMALLEST


def test_a_record_with_another_field_is_refused_in_a_sentence(results: Results, tmp_path: Path) -> None:
    old = results.model_dump(mode="json")
    for checkpoint in old["checkpoints"]:
        del checkpoint["method"]
    (tmp_path / "results.json").write_text(json.dumps(old))
    with pytest.raises(UserError, match=r"results\.json is not a results file .*checkpoints\.0\.method.*nsbench eva"):
        load_results(tmp_path)


def test_half_a_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"format": ')
    with pytest.raises(UserError, match=r"results\.json is damaged"):
        load_results(tmp_path)


def test_the_refusal_of_a_run_without_a_record_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no .*results\.json: run `nsbench evaluate"):
        load_results(tmp_path)
