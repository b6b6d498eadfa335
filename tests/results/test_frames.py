"""The record as pandas frames, and the files that are written from them."""

from pathlib import Path

import pandas as pd
import pytest

from nsbench.results.assemble import Pair, assemble
from nsbench.results.frames import COLUMNS, KEY
from nsbench.results.record import Results
from nsbench.results.store import save_results
from tests.results.small import checkpoint_record, model_record, setup_of, write_model

OURS, THEIRS = "hard/seed3/gen1-resnet8", "theirs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of a network of ours and a foreign one, with its files."""
    made = tmp_path_factory.mktemp("run")
    for seed, name in enumerate((OURS, THEIRS), 1):
        write_model(made, name, seed=seed)
    setup = setup_of(made, [checkpoint_record(OURS, "student", THEIRS), model_record(THEIRS)], THEIRS)
    setup.pairs.append(Pair(OURS, THEIRS, headlines=True))
    save_results(made, assemble(setup))
    return made


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    """The record."""
    return Results.model_validate_json((folder / "results.json").read_bytes())


def test_the_frame_is_tidy_with_documented_columns_and_types(results: Results) -> None:
    frame = results.to_pandas()
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == len(results.measurements)
    types = {str(frame[name].dtype) for name in ("generation", "seed", "severity")}
    assert types == {"Int64"}
    assert {str(frame[name].dtype) for name in ("value", "ci_low", "ci_high", "unbiased", "floor", "strength")} == {
        "float64"
    }
    assert (str(frame["n"].dtype), str(frame["model"].dtype)) == ("int64", "string")
    assert (frame["kind"] == "clean").any()


def test_every_row_is_its_measurement(results: Results) -> None:
    for row, one in zip(results.to_pandas().to_dict("records"), results.measurements, strict=True):
        own = {name: None if pd.isna(row[name]) else row[name] for name in row}
        assert {name: own[name] for name in KEY} == {name: getattr(one.key, name) for name in KEY}
        fields = ("ci_low", "ci_high", "unbiased", "n", "baseline", "note")
        assert [own[name] for name in fields] == [getattr(one, name) for name in fields]
        assert (own["model"], own["metric"], own["value"], own["floor"]) == (
            one.model,
            one.metric,
            one.value,
            one.floor,
        )
        assert own["role"] == ("student" if one.model == OURS else None)


def test_a_sweep_is_selected_by_fields_without_reading_text(results: Results) -> None:
    frame = results.to_pandas()
    sweep = frame[(frame.kind == "attack") & (frame.member == "fgsm") & frame.strength.notna() & (frame.model == OURS)]
    assert sweep.strength.tolist() == [0.0, 8 / 255]
    fog = frame[(frame.kind == "corruption") & (frame.severity == 3) & (frame.metric == "top1_error")]
    assert set(fog.protocol) == {"made-up-c"}


def test_metrics_csv_has_the_frames_numbers_and_its_key_behind_the_texts(folder: Path, results: Results) -> None:
    table, frame = pd.read_csv(folder / "metrics.csv"), results.to_pandas()
    assert list(table.columns[-5:]) == list(KEY)
    assert table["value"].tolist() == frame["value"].tolist()
    assert table["strength"].dropna().tolist() == frame["strength"].dropna().tolist()
    assert table["severity"].dropna().astype(int).tolist() == frame["severity"].dropna().tolist()
    assert "fgsm/0.0313725" in set(table["benchmark"])


def test_comparisons_csv_has_both_texts_and_fields(folder: Path, results: Results) -> None:
    table = pd.read_csv(folder / "comparisons.csv")
    assert list(table.columns[:5]) == ["candidate", "baseline", "family", "benchmark", "metric"]
    assert table["benchmark"].tolist() == [one.benchmark for one in results.comparisons]
    assert table["kind"].tolist() == [one.key.kind for one in results.comparisons]
