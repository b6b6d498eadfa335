"""A results.json that is damaged, edited or a stranger's is one sentence; what it says stays text."""

import copy
import csv
import json
import math
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from nsbench.errors import UserError, printable
from nsbench.protocols.attacks import Attack, register_attack
from nsbench.report.markdown import escape_markdown
from nsbench.report.render import table_csv, unbroken
from nsbench.report.sections import image_bytes
from nsbench.report.tables.table import Column, Row, Table, TableCell
from nsbench.results.compare.sides import Side
from nsbench.results.record import Results, SampleImage
from nsbench.results.store import load_results, save_results

Command = Callable[..., Any]
GOLDEN = Path(__file__).parents[1] / "report" / "golden" / "results.json"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def content() -> Any:
    """The committed record, as JSON."""
    return json.loads(GOLDEN.read_text())


def write(folder: Path, content: Any) -> Path:
    """A folder with a record."""
    (folder / "results.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def changed(content: Any, path: str, value: Any) -> Any:
    """The record with another value at a dotted path."""
    found = copy.deepcopy(content)
    inner, *parts = found, *path.split(".")
    for part in parts[:-1]:
        inner = inner[int(part) if isinstance(inner, list) else part]
    last = int(parts[-1]) if isinstance(inner, list) else parts[-1]
    inner[last] = value
    return found


NAMES = {
    "the study of a network": ("checkpoints.0.study", "/elsewhere"),
    "a network": ("checkpoints.0.network", "../elsewhere"),
    "a seed": ("checkpoints.0.seed", 10**400),
    "a generation": ("checkpoints.0.generation", -1),
    "a parent": ("checkpoints.1.parent", "../x"),
    "a method": ("checkpoints.0.method", "a/b"),
    "the model of a number": ("measurements.0.model", "hard/../../x"),
    "a model that is not there": ("measurements.0.model", "nobody"),
    "the model of a picture": ("diagnostics.0.model", "nobody"),
    "a baseline that is not there": ("baseline", "nobody"),
    "a candidate that is not there": ("comparisons.0.candidate", "nobody"),
    "a benchmark": ("measurements.0.key.protocol", "../../x"),
    "a member": ("measurements.0.key.member", "/fog"),
    "a metric": ("measurements.0.key.metric", "top1\n"),
    "an attack": ("benchmarks.0.attack", "../x"),
    "a counted member": ("benchmarks.0.counted", ["../x"]),
    "an example image": ("samples.0.file", "../../etc/passwd"),
    "an example image by an absolute path": ("samples.0.file", "/etc/passwd"),
    "an example image that is no picture": ("samples.0.file", "results.json"),
    "a data set": ("data.name", "a/b"),
    "a run": ("name", "A\u0007"),
    "a configuration of many levels": ("config", json.loads('{"a": ' * 300 + "1" + "}" * 300)),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_that_no_configuration_could_ask_for_is_refused_in_a_sentence(
    content: Any, tmp_path: Path, case: str
) -> None:
    folder = write(tmp_path, changed(content, *NAMES[case]))
    with pytest.raises(UserError, match=r"results\.json is not a results file that this version reads"):
        load_results(folder)


GARBAGE = {
    "deep": "[" * 200_000,
    "deep further down": '{"format": ' * 200_000,
    "no object": "[1, 2]",
    "null": "null",
    "NaN": '{"format": "nsbench-results", "baseline": NaN}',
    "a number of too many digits": '{"format_version": ' + "9" * 5000 + "}",
    "not UTF-8": "\udcff\udcfe",
    "a lone surrogate": r'{"name": "\ud800"}',
    "an earlier version without its parts": '{"format": "nsbench-results", "format_version": 3}',
    "an earlier version of other types": '{"format": "nsbench-results", "format_version": 3, "data": 1}',
}


@pytest.mark.parametrize("case", GARBAGE)
@pytest.mark.parametrize("command", ["report", "compare"])
def test_a_record_that_is_garbage_is_one_sentence_of_every_command_that_reads_it(
    nsbench: Command, tmp_path: Path, case: str, command: str
) -> None:
    (tmp_path / "results.json").write_text(GARBAGE[case], errors="surrogateescape")
    done = nsbench(command, str(tmp_path), *([str(tmp_path)] if command == "compare" else []))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert len(done.stderr) < 1500


@pytest.mark.parametrize("section", sorted(Results.model_fields.keys() - {"samples", "warnings"}))
def test_a_section_of_another_type_is_one_sentence(content: Any, tmp_path: Path, section: str) -> None:
    for version in (4, 3, 2, 1):
        for value in (7, "/x", [[]], [{"model": 3}]):
            folder = write(tmp_path, {**content, "format_version": version, section: value})
            with pytest.raises(UserError):
                load_results(folder)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("measurements.0.value", "much"),
        ("measurements.0.n", -1),
        ("measurements.0.n", 10**30),
        ("diagnostics.0.reliability.0.accuracy", -3.0),
        ("diagnostics.0.confusion", [[1, 2], [3]]),
        ("checkpoints.5.selection.kept", [1]),
    ],
)
def test_a_number_beyond_its_range_is_one_sentence(content: Any, tmp_path: Path, path: str, value: Any) -> None:
    with pytest.raises(UserError, match="is not a results file"):
        load_results(write(tmp_path, changed(content, path, value)))


def test_a_record_larger_than_any_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "results.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match="which no record has"):
        load_results(tmp_path)


def test_an_example_image_that_is_a_link_out_of_the_folder_is_not_embedded(tmp_path: Path) -> None:
    run, secret = tmp_path / "run", tmp_path / "secret.png"
    (run / "samples").mkdir(parents=True)
    secret.write_bytes(PNG + b"secret")
    (run / "samples" / "fog.png").symlink_to(secret)
    sample = SampleImage(kind="corruption", name="fog", file="samples/fog.png", caption="")
    with pytest.raises(UserError, match="lies outside"):
        image_bytes(sample, run)


def test_text_of_a_record_is_no_formula_in_any_csv(content: Any, tmp_path: Path) -> None:
    evil = changed(content, "benchmarks.0.name", '=HYPERLINK("http://evil.test")')
    save_results(tmp_path, load_results(write(tmp_path, evil)))
    cells = [cell for row in csv.reader(StringIO((tmp_path / "metrics.csv").read_text())) for cell in row]
    assert '\'=HYPERLINK("http://evil.test")' in cells
    text = table_csv(
        Table(
            "x", "X", "", [Column("@a"), Column("b", numeric=False)], [Row([TableCell("+1+cmd"), TableCell("-1")])], []
        )
    )
    assert text.splitlines() == ["'@a,group,b,notes", "'+1+cmd,,-1,"]


def test_no_control_character_of_a_record_reaches_a_page() -> None:
    assert unbroken("red\x1b[31m") == escape_markdown("red\x1b[31m").replace("\\\\", "\\").replace("\\[", "[")
    assert "\x1b" not in str(unbroken("red\x1b[31m")) + escape_markdown("red\x1b[31m") + printable("\x1b")


def test_a_package_cannot_register_a_name_that_no_record_may_have() -> None:
    with pytest.raises(UserError, match=r"The attack '\.\./x' cannot be called so"):
        register_attack(Attack("../x", *[None] * 3))  # type: ignore[arg-type]  # the name is looked at first


@pytest.mark.parametrize("version", ["version1", "version3"])
def test_records_of_earlier_versions_pass_every_check(version: str, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parent / version / "results.json", tmp_path)
    assert load_results(tmp_path).measurements


@pytest.mark.parametrize("constant", [math.nan, math.inf])
def test_what_is_no_number_is_refused_also_where_a_record_may_hold_anything(
    content: Any, tmp_path: Path, constant: float
) -> None:
    with pytest.raises(UserError, match="is no number"):
        load_results(write(tmp_path, changed(content, "config.further", constant)))


def test_a_record_that_says_it_measured_something_twice_is_not_compared(content: Any, tmp_path: Path) -> None:
    def said(names: list[str]) -> Side:
        changed_content = changed(content, "config.evaluation", {"perturbations": names})
        return Side(tmp_path, load_results(write(tmp_path, changed_content)), "any")

    assert said(["translate"]).config.perturbations == ("translate",)
    with pytest.raises(UserError, match="does not say what was measured"):
        _ = said(["translate", "translate"]).config


def with_number(content: Any, **changes: Any) -> Any:
    """The record with another first number: a clean top-1 error."""
    return changed(content, "measurements.0", content["measurements"][0] | changes)


def with_verdict(content: Any, **changes: Any) -> Any:
    """The record with another first comparison that found a difference."""
    place = next(at for at, one in enumerate(content["comparisons"]) if one["verdict"] == "better")
    return changed(content, f"comparisons.{place}", content["comparisons"][place] | changes)


IMPOSSIBLE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an error of 500 %": (lambda content: with_number(content, value=5.0), "top1_error is 5, outside [0, 1]"),
    "a negative error": (lambda content: with_number(content, value=-0.2), "top1_error is -0.2, outside [0, 1]"),
    "an interval far outside": (lambda content: with_number(content, ci_low=-4.0), "is -4, outside [0, 1]"),
    "an interval from above to below": (
        lambda content: with_number(content, ci_low=0.9, ci_high=0.1),
        "an interval from 0.9 down to 0.1",
    ),
    "a number of no images": (lambda content: with_number(content, n=0), "greater than or equal to 1"),
    "one number twice": (
        lambda content: content | {"measurements": [*content["measurements"], content["measurements"][0]]},
        "clean top1_error of hard/seed0/gen0-resnet8 twice",
    ),
    "a correction that lowers a p-value": (
        lambda content: with_verdict(content, p_value=0.04, p_holm=0.001),
        "that Holm's correction lowers to 0.001",
    ),
    "a p-value above 1": (lambda content: with_verdict(content, p_value=1.5), "less than or equal to 1"),
    "a difference of other numbers": (lambda content: with_verdict(content, difference=-0.9), "a difference of -0.9"),
    "a verdict against the difference": (lambda content: with_verdict(content, verdict="worse"), "worse at a diff"),
    "a verdict without evidence": (lambda content: with_verdict(content, p_value=0.9, p_holm=0.9), "do not give"),
    "a comparison of numbers that were not measured": (
        lambda content: with_verdict(content, candidate_value=0.0, baseline_value=1.0, difference=-1.0),
        "and in a comparison 0.0",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_number_that_no_model_has_or_that_contradicts_another_is_refused(
    content: Any, tmp_path: Path, case: str
) -> None:
    change, said = IMPOSSIBLE[case]
    with pytest.raises(UserError, match=r"results\.json is not a results file") as caught:
        load_results(write(tmp_path, change(content)))
    assert said in str(caught.value)
