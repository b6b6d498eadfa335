"""`results.json`, and its numbers as one tidy row each in `metrics.csv`, `comparisons.csv`, `seed_comparisons.csv`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from nsbench.errors import UserError, printable, shortened
from nsbench.files import write_text
from nsbench.results.frames import comparison_frame, csv_frame, harmless, seed_comparison_frame
from nsbench.results.record import Results
from nsbench.results.upgrade import upgraded

if TYPE_CHECKING:
    import pandas as pd


_VERSION = "format_version"
_OVER_SEEDS = "seed_comparisons.csv"

LARGEST = 2**29
"""Bytes of a record at most; one of ten models on everything has three million."""


def save_results(run: Path, results: Results) -> None:
    """Write the record and its tables; the same record always gives the same bytes.

    `seed_comparisons.csv` is there only where groups of seeds were compared.
    """
    write_text(run / "results.json", json.dumps(results.model_dump(mode="json"), indent=1, allow_nan=False) + "\n")
    tables = table_texts(results)
    for name, text in tables.items():
        write_text(run / name, text)
    if _OVER_SEEDS not in tables:
        (run / _OVER_SEEDS).unlink(missing_ok=True)


def table_texts(results: Results) -> dict[str, str]:
    """The tables of a record, by the names of their files."""
    numbers = csv_frame(results.to_pandas(), results.measurements, results.checkpoints, results.benchmarks)
    tables = {"metrics.csv": _csv(numbers), "comparisons.csv": _csv(comparison_frame(results.comparisons))}
    if results.seed_comparisons:
        tables[_OVER_SEEDS] = _csv(seed_comparison_frame(results.seed_comparisons))
    return tables


def _csv(frame: "pd.DataFrame") -> str:
    """What is missing is an empty cell; no text is a formula or has a control character."""
    texts: pd.DataFrame = frame.select_dtypes("string")
    plain = texts.map(lambda text: harmless(printable(text)), na_action="ignore")
    return frame.assign(**plain).to_csv(index=False, lineterminator="\n")


def load_results(run: Path) -> Results:
    """Read `results.json` of a run folder, also one of an earlier version.

    Raises UserError when it is missing, damaged or of another version.
    """
    path = require_results(run)
    remedy = f"run `nsbench evaluate {run}` again"
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path} has more than {LARGEST:,} bytes, which no record has: {remedy}.")
    try:
        content = json.loads(path.read_bytes(), parse_constant=_refuse)
        return Results.model_validate(upgraded(content))
    except ValidationError as error:
        what = error.errors(include_url=False)[0]
        where = ".".join(map(str, what["loc"]))
        raise UserError(
            f"{path} is not a results file that this version reads ({shortened(where)}: {shortened(what['msg'])}): "
            f"{remedy}."
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({shortened(printable(str(error)))}): {remedy}.") from None


def _refuse(constant: str) -> None:
    """Refuse NaN and the infinities, which are no JSON."""
    raise ValueError(f"{constant} is no number")


def is_earlier(run: Path) -> bool:
    """Whether the `results.json` of a folder, which can be read, is of an earlier version."""
    return bool(json.loads((run / "results.json").read_bytes())[_VERSION] != Results.model_fields[_VERSION].default)


def require_results(run: Path) -> Path:
    """The path of a folder's `results.json`; raises UserError where there is none."""
    path = run / "results.json"
    if not path.is_file():
        raise UserError(f"There is no {path}: run `nsbench evaluate {run}` first.")
    return path
