"""`results.json`, and its numbers as one tidy row each in `metrics.csv`, `comparisons.csv`, `seed_comparisons.csv`."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nsbench.errors import UserError
from nsbench.files import write_text
from nsbench.results.record import BenchmarkSet, Comparison, Results, SeedComparison
from nsbench.results.upgrade import upgraded

COLUMNS = (
    "model",
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
    """Write the record and its tables; the same record always gives the same bytes.

    `seed_comparisons.csv` is there only where groups of seeds were compared.
    """
    write_text(run / "results.json", json.dumps(results.model_dump(mode="json"), indent=1, allow_nan=False) + "\n")
    write_text(run / "metrics.csv", to_csv(results))
    write_text(run / "comparisons.csv", comparisons_to_csv(results))
    over_seeds = run / "seed_comparisons.csv"
    if results.seed_comparisons:
        write_text(over_seeds, seed_comparisons_to_csv(results))
    else:
        over_seeds.unlink(missing_ok=True)


def to_csv(results: Results) -> str:
    """One row a measurement; an undefined number is an empty cell.

    A row travels without the record that would tell. So a mean over less than the canonical set says so in its
    benchmark, such as `corruption (5 of 15)` or `corruption (first 600 images)`; `measured_on` has the set's whole
    name; and `weights_selection` says where test images chose the weights. What only a network of ours has is empty
    for any other model.
    """
    labels: dict[str, str] = {one.kind: _label(one) for one in results.benchmarks if one.counted and not one.complete}
    sets: dict[str, str] = {one.kind: one.name for one in results.benchmarks}
    ours = {str(one): one.model_dump(include=set(COLUMNS)) for one in results.checkpoints}
    rows = [
        one.model_dump()
        | ours.get(one.model, {})
        | {"benchmark": labels.get(one.benchmark, one.benchmark), "measured_on": sets[one.benchmark.split("/")[0]]}
        for one in results.measurements
    ]
    return _table(COLUMNS, rows)


def comparisons_to_csv(results: Results) -> str:
    """One row a comparison, with the fields of `Comparison`."""
    return _table(tuple(Comparison.model_fields), [one.model_dump() for one in results.comparisons])


def seed_comparisons_to_csv(results: Results) -> str:
    """One row a comparison of groups, with the fields of `SeedComparison`; seeds are separated by spaces."""
    rows = [one.model_dump() | {"seeds": " ".join(map(str, one.seeds))} for one in results.seed_comparisons]
    return _table(tuple(SeedComparison.model_fields), rows)


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row.get(column) is None else row[column] for column in columns])
    return buffer.getvalue()


def _label(benchmark: BenchmarkSet) -> str:
    if not benchmark.missing:
        return f"{benchmark.kind} (first {benchmark.images} images)"
    total = len(benchmark.counted) + len(benchmark.missing)
    return f"{benchmark.kind} ({len(benchmark.counted)} of {total})"


def load_results(run: Path) -> Results:
    """Read `results.json` of a run folder, also one of an earlier version.

    Raises UserError when it is missing, damaged or of another version.
    """
    path = run / "results.json"
    try:
        content = json.loads(path.read_bytes())
        return Results.model_validate(upgraded(content))
    except OSError:
        raise UserError(f"There is no {path}: run `nsbench evaluate {run}` first.") from None
    except ValidationError as error:
        what = error.errors()[0]
        where = ".".join(map(str, what["loc"]))
        raise UserError(
            f"{path} is not a results file that this version reads ({where}: {what['msg']}): "
            f"run `nsbench evaluate {run}` again."
        ) from None
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}): run `nsbench evaluate {run}` again.") from None
