"""`results.json` and `metrics.csv`: the record of a run, and the same numbers as one tidy row each."""

import csv
import io
import json
from pathlib import Path

from pydantic import ValidationError

from nsbench.errors import UserError
from nsbench.files import write_text
from nsbench.results.record import BenchmarkSet, Results

COLUMNS = (
    "study",
    "generation",
    "network",
    "seed",
    "benchmark",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "baseline",
    "weights_selection",
    "measured_on",
)


def save_results(run: Path, results: Results) -> None:
    """Write both files; the same record always gives the same bytes."""
    write_text(run / "results.json", json.dumps(results.model_dump(mode="json"), indent=1, allow_nan=False) + "\n")
    write_text(run / "metrics.csv", to_csv(results))


def to_csv(results: Results) -> str:
    """One row a measurement; an undefined number is an empty cell.

    A row travels without the record that would tell. So a mean over less than the canonical set says so in its
    benchmark, such as `corruption (5 of 15)` or `corruption (first 600 images)`; `measured_on` has the set's whole
    name; and `weights_selection` says where test images chose the weights.
    """
    labels: dict[str, str] = {one.kind: _label(one) for one in results.benchmarks if one.counted and not one.complete}
    sets: dict[str, str] = {one.kind: one.name for one in results.benchmarks}
    selections: dict[str, str] = {str(one): one.weights_selection for one in results.checkpoints}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for measurement in results.measurements:
        row = measurement.model_dump() | {
            "benchmark": labels.get(measurement.benchmark, measurement.benchmark),
            "measured_on": sets[measurement.benchmark.split("/")[0]],
            "weights_selection": selections[str(measurement)],
        }
        writer.writerow(["" if row[column] is None else row[column] for column in COLUMNS])
    return buffer.getvalue()


def _label(benchmark: BenchmarkSet) -> str:
    if not benchmark.missing:
        return f"{benchmark.kind} (first {benchmark.images} images)"
    total = len(benchmark.counted) + len(benchmark.missing)
    return f"{benchmark.kind} ({len(benchmark.counted)} of {total})"


def load_results(run: Path) -> Results:
    """Read `results.json` of a run folder.

    Raises UserError when it is missing, damaged or of another version.
    """
    path = run / "results.json"
    try:
        return Results.model_validate_json(path.read_bytes())
    except OSError:
        raise UserError(f"There is no {path}: run `nsbench evaluate {run}` first.") from None
    except ValidationError as error:
        what = error.errors()[0]
        where = ".".join(map(str, what["loc"]))
        raise UserError(
            f"{path} is not a results file that this version reads ({where}: {what['msg']}): "
            f"run `nsbench evaluate {run}` again."
        ) from None
