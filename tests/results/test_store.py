"""The record on disk, and its numbers as rows for pandas."""

import json
from pathlib import Path

import pandas as pd
import pytest

from nsbench.errors import UserError
from nsbench.results.record import Results
from nsbench.results.store import load_results, save_results

GOLDEN = Path(__file__).parents[1] / "report" / "golden" / "results.json"


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.model_validate_json(GOLDEN.read_text())


def test_a_record_comes_back_as_it_was_saved(results: Results, tmp_path: Path) -> None:
    save_results(tmp_path, results)
    assert load_results(tmp_path) == results


def test_each_number_is_a_row_that_says_how_the_weights_were_selected(results: Results, tmp_path: Path) -> None:
    chosen = results.checkpoints[-1].model_copy(update={"weights_selection": "best-test"})
    save_results(tmp_path, results.model_copy(update={"checkpoints": [*results.checkpoints[:-1], chosen]}))
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert len(table) == len(results.measurements)
    of_chosen = (table["study"] == chosen.study) & (table["generation"] == chosen.generation)
    assert of_chosen.sum() > 50
    assert set(table["weights_selection"][of_chosen]) == {"best-test"}
    assert set(table["weights_selection"][~of_chosen]) == {"last"}
    assert table["value"].tolist()[0] == results.measurements[0].value
    assert table["baseline"].tolist()[0] == results.measurements[0].baseline


def test_a_mean_over_a_part_of_the_corruptions_says_so_in_its_row(results: Results, tmp_path: Path) -> None:
    save_results(tmp_path, results)
    benchmarks = set(pd.read_csv(tmp_path / "metrics.csv")["benchmark"])
    assert "corruption (5 of 15)" in benchmarks
    assert "corruption" not in benchmarks


def test_a_record_of_an_older_version_is_refused_in_a_sentence(results: Results, tmp_path: Path) -> None:
    old = results.model_dump(mode="json")
    for checkpoint in old["checkpoints"]:
        del checkpoint["objective"]
        checkpoint["weights_selection"] = "average"
    (tmp_path / "results.json").write_text(json.dumps(old))
    with pytest.raises(
        UserError, match=r"results\.json is not a results file .*checkpoints\.0\.objective.*nsbench eva"
    ):
        load_results(tmp_path)


def test_a_run_without_a_record_is_told_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no .*results\.json: run `nsbench evaluate"):
        load_results(tmp_path)
