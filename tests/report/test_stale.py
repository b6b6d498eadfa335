"""A report replaces the one before it, and touches nothing that is not nsbench's."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsbench.report.listing import LIST, replace_report
from nsbench.report.render import write_report
from nsbench.results.record import Results
from tests.report.conftest import write_samples

Command = Callable[..., Any]
FIRST = {"index.html": "page", "report.md": "text", "tables/attack.csv": "1", "figures/attack.svg": "<svg/>"}
SECOND = {"index.html": "page 2", "report.md": "text 2"}
SAMPLE = "samples/corruption-fog.png"


def files(folder: Path) -> dict[str, bytes]:
    """All files in a folder and below."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with a report on an attack and a corruption."""
    folder = tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    (folder / SAMPLE).write_bytes(b"fog")
    replace_report(folder, FIRST, {SAMPLE: b"fog"})
    return folder


def test_a_report_on_fewer_benchmarks_leaves_no_table_no_figure_and_no_example_of_the_others(run: Path) -> None:
    replace_report(run, SECOND, {})
    assert files(run).keys() == {"report/files.json", "report/index.html", "report/report.md"}


@pytest.mark.slow
def test_a_record_of_fewer_benchmarks_gives_the_same_files_in_an_old_folder_as_in_a_new_one(
    results: Results, tmp_path: Path
) -> None:
    fewer = results.model_copy(
        update={
            "measurements": [one for one in results.measurements if one.key.kind == "clean"],
            "benchmarks": [one for one in results.benchmarks if one.kind == "clean"],
            "comparisons": [one for one in results.comparisons if one.key.kind == "clean"],
            "samples": results.samples[-1:],
        }
    )
    write_samples(results, tmp_path / "old")
    write_report(results, tmp_path / "old")
    assert (tmp_path / "old" / "report" / "tables" / "attack.csv").is_file()
    write_report(fewer, tmp_path / "old")
    shutil.copytree(tmp_path / "old" / "samples", tmp_path / "new" / "samples")
    write_report(fewer, tmp_path / "new")
    assert files(tmp_path / "old") == files(tmp_path / "new")


def test_a_report_that_is_written_twice_is_the_same(run: Path) -> None:
    before = files(run)
    replace_report(run, FIRST, {SAMPLE: b"fog"})
    assert files(run) == before


def test_what_a_user_added_or_changed_beside_a_report_stays(run: Path) -> None:
    (run / "report" / "tables" / "mine.csv").write_text("mine")
    (run / "report" / "figures" / "attack.svg").write_text("redrawn")
    (run / SAMPLE).write_bytes(b"another fog")
    replace_report(run, SECOND, {})
    assert files(run).keys() - {"report/files.json", "report/index.html", "report/report.md"} == {
        "report/tables/mine.csv",
        "report/figures/attack.svg",
        SAMPLE,
    }


def test_an_earlier_report_without_a_list_keeps_its_tables(run: Path) -> None:
    (run / "report" / LIST).unlink()
    replace_report(run, SECOND, {})
    assert {"report/tables/attack.csv", "report/figures/attack.svg", SAMPLE} <= files(run).keys()


@pytest.mark.parametrize(
    "listed",
    [
        {"files": {"../results.json": ""}},
        {"files": {"tables/../../results.json": ""}},
        {"files": {"/results.json": ""}},
        {"samples": {"results.json": ""}},
        {"samples": {"samples/../results.json": ""}},
        {"files": {"tables/link.csv": ""}},
        {"files": {"tables/out/results.csv": ""}},
        {"files": []},
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_list_that_names_other_files_deletes_none_of_them(run: Path, listed: Any) -> None:
    keep = run / "results.json"
    keep.write_text("record")
    (run / "report" / "tables" / "link.csv").symlink_to(keep)
    sha = hashlib.sha256(b"record").hexdigest()
    if isinstance(listed, dict):
        content = {name: dict.fromkeys(paths, sha) if paths else paths for name, paths in listed.items()}
        text = json.dumps({"format": "nsbench-report", "format_version": 1} | content)
    else:
        text = listed
    (run / "report" / LIST).write_text(text, errors="surrogateescape")
    replace_report(run, SECOND, {})
    assert keep.read_text() == "record"
    assert (run / "report" / "tables" / "link.csv").is_symlink()


def test_a_folder_behind_a_link_in_a_report_is_left_alone(run: Path, tmp_path: Path) -> None:
    tables, outside = run / "report" / "tables", tmp_path / "outside"
    tables.rename(outside)
    tables.symlink_to(outside)
    replace_report(run, SECOND, {})
    assert (outside / "attack.csv").read_text() == "1"


def test_what_a_killed_report_left_is_removed_and_what_looks_alike_is_not(run: Path) -> None:
    left, other = (run / "report" / "tables" / name for name in (".a.csv.abcdefgh.nsbench.tmp", ".a.csv.abc.tmp"))
    left.touch()
    other.touch()
    replace_report(run, FIRST, {})
    assert (left.exists(), other.exists()) == (False, True)


def test_a_report_of_no_record_makes_nothing(nsbench: Command, tmp_path: Path) -> None:
    done = nsbench("report", str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not list(tmp_path.iterdir())
