"""What a report shows beside the usual: further benchmarks, added metrics, and confusions of very many classes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from nsbench.report.figures.grids import confusion
from nsbench.report.lookup import Lookup
from nsbench.report.quantities import quantity
from nsbench.report.tables.confusions import confusions
from nsbench.report.tables.further import further
from nsbench.report.tables.members import by_member
from nsbench.report.tables.robustness import robustness
from nsbench.results.confusions import Confusions
from nsbench.results.key import Key
from nsbench.results.measured import BenchmarkSet, Measurement
from nsbench.results.record import Results

Writer = Callable[[Results], Any]
NEW = Key("test_set", "top1_error", "cifar10.1")
WEATHER = {"hail": 0.31, "sand": 0.52, "dust": 0.9}


def measured(model: str, key: Key, value: float, n: int = 2000, **more: Any) -> Measurement:
    """One number of a model."""
    ends = {"ci_low": value - 0.02, "ci_high": value + 0.02}
    return Measurement(model=model, key=key, value=value, n=n, baseline=None, **ends, **more)


def numbers(model: str, shift: float) -> list[Measurement]:
    """A test set, a further set of corruptions and an added metric."""
    found = [measured(model, NEW, 0.2 + shift)]
    found.append(measured(model, Key("test_set", "negative_log_likelihood", "cifar10.1"), 0.7 + shift))
    gap = Key("test_set", "expected_calibration_error", "cifar10.1")
    found.append(measured(model, gap, 0.05 + shift, unbiased=0.04 + shift, floor=0.01))
    for name, error in WEATHER.items():
        found.append(measured(model, Key("corruption", "mean_error", "weather", name), error + shift, 1000))
    found.append(measured(model, Key("corruption", "mean_error", "weather"), 0.415 + shift, 1000))
    found.append(measured(model, Key("corruption", "clean_error", "weather"), 0.1 + shift, 1000))
    return [*found, measured(model, Key("clean", "thin_margin"), 0.3 + shift, 10_000)]


SETS = [
    BenchmarkSet(
        kind="test_set", protocol="cifar10.1", name="CIFAR-10.1 v6 (2,000 images)", images=2000, complete=True
    ),
    BenchmarkSet(
        kind="corruption",
        protocol="weather",
        name="Weather (2 of 3 corruptions, first 1,000 test images)",
        images=1000,
        complete=False,
        counted=["hail", "sand"],
        shown=["dust"],
        missing=["smoke"],
        severities=[1, 2],
    ),
]


@pytest.fixture(scope="module")
def with_further(model_results: Results) -> Results:
    """The record of four models with two further benchmarks and an added metric."""
    more = [one for place, model in enumerate(model_results.models) for one in numbers(str(model), 0.01 * place)]
    update = {"measurements": [*model_results.measurements, *more], "benchmarks": [*model_results.benchmarks, *SETS]}
    return model_results.model_copy(update=update)


def test_each_further_benchmark_has_a_table_and_an_added_metric_has_one(with_further: Results) -> None:
    on_new, weather, added = further(Lookup(with_further))
    assert (on_new.identifier, weather.identifier) == ("cifar10.1", "weather-mean_error")
    assert [column.title for column in on_new.columns] == ["Model", "Top-1 error (%)", "NLL", "ECE, unbiased (%)"]
    first = on_new.rows[0].cells
    assert [cell.text for cell in first[1:]] == ["20.0", "0.700", "4.0"]
    assert first[1].interval == "[18.0, 22.0]"
    assert "CIFAR-10.1 v6 (2,000 images), n = 2,000" in on_new.caption
    names = ["clean top-1 error", "hail", "sand", "mean of 2 of the 3", "dust"]
    assert [row.cells[0].text for row in weather.rows] == names
    assert [row.cells[1].text for row in weather.rows] == ["10.0", "31.0", "52.0", "41.5", "90.0"]
    assert [cell.text for cell in added.rows[0].cells[:2]] == ["Thin margin", "30.00"]


def test_a_further_benchmark_changes_no_table_of_the_data_sets_own(
    model_results: Results, with_further: Results
) -> None:
    plain, more = Lookup(model_results), Lookup(with_further)
    assert by_member(more, "corruption") == by_member(plain, "corruption")
    assert robustness(more) == robustness(plain)
    assert further(plain) == []


def test_a_number_of_a_further_benchmark_is_written_with_its_name(with_further: Results) -> None:
    lookup = Lookup(with_further)
    assert quantity(lookup, NEW, 2000).title == "Top-1 error on cifar10.1 (%)"
    cell = Key("corruption", "top1_error", "weather", "hail", 2)
    assert quantity(lookup, cell, 1000).name == "top-1 error on hail of weather, severity 2"
    mean = quantity(lookup, Key("corruption", "mean_error", "weather"), 1000)
    assert mean.name == "top-1 error on corruptions of weather, mean of 2 of the 3"


@pytest.mark.slow
def test_the_page_has_the_section_and_a_file_of_each_table(with_further: Results, report_of: Writer) -> None:
    report = report_of(with_further)
    assert "Further benchmarks" in report.page.text
    assert "cifar10.1" in report.markdown
    assert {"cifar10.1.csv", "weather-mean_error.csv", "added_metrics.csv"} <= {
        path.name for path in (report.folder / "tables").iterdir()
    }


def test_the_name_of_a_benchmark_leads_no_file_out_of_the_report(with_further: Results) -> None:
    text = with_further.model_dump_json().replace("cifar10.1", "../../evil/<b>")
    with pytest.raises(ValidationError, match="String should match pattern"):
        Results.model_validate_json(text)


@pytest.fixture(scope="module")
def thousand(model_results: Results) -> Results:
    """The record with a thousand classes of ten images each, some of them confused with the next."""
    random = np.random.default_rng(0)
    matrix = np.zeros((1000, 1000), np.int64)
    for true in range(1000):
        wrong = int(random.integers(0, 6))
        matrix[true, true], matrix[true, (true + 1) % 1000] = 10 - wrong, wrong
    matrix[3] = 0
    matrix[3, 3], matrix[3, 700] = 1, 9
    found = [
        one.model_copy(update={"confusion": [], "confusions": Confusions.of(matrix)})
        for one in model_results.diagnostics
    ]
    data = model_results.data.model_copy(update={"classes": [f"class {place}" for place in range(1000)]})
    return model_results.model_copy(update={"diagnostics": found, "data": data})


def test_of_a_thousand_classes_the_most_frequent_confusions_and_the_hardest_classes_are_tables(
    thousand: Results,
) -> None:
    lookup = Lookup(thousand)
    most, hardest = confusions(lookup)
    assert confusion(lookup) is None
    assert [cell.text for cell in most.rows[0].cells] == ["class 3", "class 700", "9", "90.0"]
    assert len(most.rows) == len(hardest.rows) == 25
    counts = [row.cells[2].number for row in most.rows]
    assert counts == sorted(counts, reverse=True)
    assert [cell.text for cell in hardest.rows[0].cells] == ["class 3", "10", "10.0"]
    assert "there are 1,000 classes" in most.caption


@pytest.mark.slow
def test_a_thousand_classes_make_a_record_and_a_page_of_modest_size(thousand: Results, report_of: Writer) -> None:
    assert len(thousand.diagnostics[0].model_dump_json()) < 20_000
    report = report_of(thousand)
    assert "Most frequent confusions" in report.page.text
    assert len(report.source) < 3_000_000
    assert Results.model_validate_json(thousand.model_dump_json()) == thousand


def test_the_whole_matrix_of_thirty_classes_is_read_as_its_most_frequent_confusions(model_results: Results) -> None:
    matrix = np.eye(30, dtype=int) * 9
    matrix[4, 7] = 3
    found = [one.model_copy(update={"confusion": matrix.tolist()}) for one in model_results.diagnostics]
    lookup = Lookup(model_results.model_copy(update={"diagnostics": found}))
    most, _ = confusions(lookup)
    assert [cell.text for cell in most.rows[0].cells] == ["4", "7", "3", "25.0"]
    assert len(most.rows) == 1
    assert confusions(Lookup(model_results)) == []
