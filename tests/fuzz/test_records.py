"""Whatever a record says, reading it gives a refusal in one sentence or a right answer, and touches nothing else."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nsbench as package
from nsbench.results.record import Results
from tests.conftest import Command
from tests.fuzz.damage import (
    BYTES,
    LINES,
    TREE,
    Change,
    aimed,
    changes,
    chunks,
    in_bytes,
    in_lines,
    in_tree,
    json_bytes,
)
from tests.fuzz.judge import Tally, UnsoundError, Workshop, answered, profile, ran

pytestmark = [pytest.mark.slow, pytest.mark.training]

HERE = Path(__file__).parents[1]
Record = Callable[[str, object], None]
damaged = st.one_of(changes(TREE), changes(TREE), changes(BYTES, chunks), changes(LINES, chunks))


def in_json(content: bytes, change: Change, outside: str) -> bytes:
    """A file of JSON with one change of its tree, or of its bytes, or none where it is no JSON any more."""
    if change.kind in TREE:
        try:
            tree = json.loads(content)
        except (ValueError, RecursionError):
            return content
        return json_bytes(aimed(in_tree(tree, change), outside))
    return in_lines(content, change) if change.kind in LINES else in_bytes(content, change)


def damage(workshop: Workshop, name: str, done: list[Change]) -> None:
    """Write a record with changes, one after the other, where the record is."""
    content = workshop.original(name)
    for change in done:
        content = in_json(content, change, str(workshop.outside))
    workshop.write(name, content)


def numbers_in(text: str) -> Any:
    """JSON that a command printed; UnsoundError where a number in it is not finite."""

    def refuse(constant: str) -> None:
        raise UnsoundError(f"{constant} was printed as a number")

    return json.loads(text, parse_constant=refuse)


def test_any_results_are_refused_in_one_sentence_or_compared_and_loaded(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("records, results.json")
    assert ran(nsbench, "compare", *_sides(workshop)) is not None

    @profile(0.1)
    @given(damaged)
    def case(done: list[Change]) -> None:
        with tally.case(done) as came, workshop.case("nothing"):
            damage(workshop, "run/results.json", done)
            found = answered(_loaded, workshop.base / "run")
            text = ran(nsbench, "compare", *_sides(workshop), "--format", "json")
            if text is not None:
                numbers_in(text)
            came("refused" if found is None and text is None else "loaded" if text is None else "compared")

    case()
    tally.close(record_property)


def test_any_results_are_refused_in_one_sentence_or_reported(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("records, report")

    @profile(0.004)
    @given(changes(TREE))
    def case(done: list[Change]) -> None:
        with tally.case(done) as came, workshop.case("run/"):
            damage(workshop, "run/results.json", done)
            came(_outcome(ran(nsbench, "report", str(workshop.base / "run"))))
            _check_no_secret(workshop)

    case()
    tally.close(record_property)


def test_whatever_the_list_of_a_report_says_only_files_of_a_report_are_replaced(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    """The list of a stranger names files of the user's, by their right checksums too."""
    tally = Tally("records, report/files.json")
    name = "run/report/files.json"
    paths = ["mine.txt", "../mine.txt", "../config.toml", "../../outside/keep.txt", f"{workshop.outside}/keep.txt", "."]
    sums = [hashlib.sha256(text).hexdigest() for text in (b"mine", b"keep", workshop.original("run/config.toml"))]

    @profile(0.004)
    @given(st.one_of(damaged, st.dictionaries(st.sampled_from(paths), st.sampled_from(sums), min_size=1)))
    def case(done: list[Change] | dict[str, str]) -> None:
        with tally.case(done) as came, workshop.case("run/report/", "run/samples/"):
            if isinstance(done, dict):
                tree = json.loads(workshop.original(name))
                workshop.write(name, json_bytes(tree | {"files": tree["files"] | done, "samples": done}))
            else:
                damage(workshop, name, done)
            came(_outcome(ran(nsbench, "report", str(workshop.base / "run"))))

    case()
    tally.close(record_property)


@pytest.mark.parametrize("version", ["version1", "version3"])
def test_any_results_of_an_earlier_version_are_refused_in_one_sentence_or_loaded(
    version: str, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally(f"records, {version}")
    earlier = (HERE / "results" / version / "results.json").read_bytes()

    @profile(0.015)
    @given(damaged)
    def case(done: list[Change]) -> None:
        with tally.case(done) as came, workshop.case("nothing"):
            content = earlier
            for change in done:
                content = in_json(content, change, str(workshop.outside))
            workshop.write("run/results.json", content)
            came(_outcome(answered(_loaded, workshop.base / "run")))

    case()
    tally.close(record_property)


def test_any_plan_is_refused_in_one_sentence_or_used(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("records, plan.json")
    labels = f"{workshop.base / 'run'}/hard/seed0/gen1-resnet8-w0.125"
    assert ran(nsbench, "compare", labels, str(workshop.base / "other")) is not None

    @profile(0.03)
    @given(damaged, st.booleans())
    def case(done: list[Change], measured: bool) -> None:
        with tally.case(done, measured) as came, workshop.case("run/" if measured else "nothing"):
            damage(workshop, "run/plan.json", done)
            run = str(workshop.base / "run")
            if measured:
                came(_outcome(ran(nsbench, "evaluate", run, "--device", "cpu", "--quiet")))
            else:
                came(_outcome(ran(nsbench, "compare", labels, str(workshop.base / "other"), "--format", "json")))

    case()
    tally.close(record_property)


def test_whatever_the_environment_says_a_run_goes_on_to_the_same_results(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("records, environment.json")

    @profile(0.008)
    @given(damaged)
    def case(done: list[Change]) -> None:
        with tally.case(done) as came, workshop.case("run/environment"):
            damage(workshop, "run/environment.json", done)
            outcome = ran(nsbench, "evaluate", str(workshop.base / "run"), "--device", "cpu", "--quiet")
            if outcome is None:
                raise UnsoundError("refused, although nothing that matters was damaged")
            json.loads((workshop.base / "run" / "environment.json").read_bytes())
            came("the same results")

    case()
    tally.close(record_property)


@pytest.mark.parametrize("name", ["nsbench-set.json", "contrast.npy"])
def test_any_generated_set_is_refused_in_one_sentence_or_completed(
    name: str, nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally(f"records, {name}")
    making = ["data", "generate", "digits-c", "--limit", "2", "--corruptions", "contrast", "--quiet", "--device", "cpu"]
    assert ran(nsbench, *making, "--out", str(workshop.base / "set")) is not None
    assert ran(nsbench, *making, "--out", str(workshop.base / "set")) is not None
    made = Workshop(workshop.base)
    array = made.original("set/contrast.npy")

    @profile(0.01)
    @given(damaged if name.endswith(".json") else changes(BYTES, chunks))
    def case(done: list[Change]) -> None:
        with tally.case(done) as came, made.case("set/"):
            damage(made, f"set/{name}", done)
            outcome = ran(nsbench, *making, "--out", str(made.base / "set"))
            found = (made.base / "set/contrast.npy").read_bytes()
            if outcome is not None and name.endswith(".json") and found != array:
                raise UnsoundError("the array has other bytes")
            came(_outcome(outcome))

    try:
        case()
    finally:
        shutil.rmtree(workshop.base / "set")
    tally.close(record_property)


def test_any_record_of_checksums_is_refused_in_one_sentence_or_listed(
    nsbench: Command, workshop: Workshop, record_property: Record
) -> None:
    tally = Tally("records, checksums")
    found = {"size": 3, "sha256": "a" * 64}
    record = {"content": found, "origin": "first use", "date": "2026-01-31"}
    tree = {"format_version": 1, "downloads": {}, "entries": {"cifar10.1_v6_data.npy": record}}
    (workshop.base / "data" / "checksums").mkdir(parents=True)
    (workshop.base / "data" / "cifar10.1_v6_data.npy").write_bytes(b"abc")
    (workshop.base / "data" / "checksums" / "cifar10.1.json").write_text(json.dumps(tree, indent=1))
    made = Workshop(workshop.base)

    @profile(0.04)
    @given(damaged, st.sampled_from(["list", "verify"]))
    def case(done: list[Change], command: str) -> None:
        with tally.case(done, command) as came, made.case("data/checksums"):
            damage(made, "data/checksums/cifar10.1.json", done)
            words = ["verify", "cifar10.1"] if command == "verify" else ["list"]
            came(_outcome(ran(nsbench, "data", *words, "--data", str(made.base / "data"))))

    try:
        case()
    finally:
        shutil.rmtree(workshop.base / "data")
    tally.close(record_property)


def _loaded(folder: Path) -> Results:
    """The record of a folder, with all that may be asked of one."""
    found = package.load(folder)
    assert found == Results.model_validate_json(found.model_dump_json())
    found.to_pandas()
    return found


def _sides(workshop: Workshop) -> tuple[str, str]:
    return str(workshop.base / "run"), str(workshop.base / "other")


def _outcome(found: object) -> str:
    return "refused" if found is None else "done"


def _check_no_secret(workshop: Workshop) -> None:
    """No file from outside the run stands in its report."""
    page = workshop.base / "run" / "report" / "index.html"
    if page.is_file() and "a2VlcA==" in page.read_text(errors="replace"):  # "keep" in base64
        raise UnsoundError("the report shows a file from outside the run")
