"""The report says what the record says, safely, on one page, and the same way every time.

`golden/results.json` and `golden/models.json` are written by `tests/report/golden/make.py` and `make_models.py`; the
Markdown beside them by `NSBENCH_REGENERATE_GOLDEN=1 python -m pytest tests/report`. Read the difference before you
commit it.
"""

import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest

from nsbench.errors import UserError
from nsbench.report.figures.reliability import reliability
from nsbench.report.lookup import Lookup
from nsbench.report.prose.students import comparisons, headline
from nsbench.report.render import write_report
from nsbench.report.sections import unprinted_notes
from nsbench.report.tables.members import by_member
from nsbench.report.tables.robustness import robustness
from nsbench.results.key import Key
from nsbench.results.measured import Measurement
from nsbench.results.record import Results
from nsbench.results.upgrade import upgraded

Writer = Callable[[Results], Any]


def with_measurements(results: Results, change: Callable[[int, Measurement], Measurement]) -> Results:
    """The record with every measurement changed."""
    return results.model_copy(update={"measurements": [change(i, one) for i, one in enumerate(results.measurements)]})


@pytest.mark.parametrize(("name", "file"), [("report", "report.md"), ("model_report", "models.md")])
def test_the_markdown_of_each_golden_record_is_the_committed_one(
    request: pytest.FixtureRequest, golden: Path, name: str, file: str
) -> None:
    markdown = request.getfixturevalue(name).markdown
    if os.environ.get("NSBENCH_REGENERATE_GOLDEN") == "1":
        (golden / file).write_text(markdown)
    assert markdown == (golden / file).read_text()


def test_the_page_loads_nothing(either_report: Any) -> None:
    page, source = either_report.page, either_report.source
    assert not {"script", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    for name in ("src", "href", "xlink:href", "action", "srcset", "poster", "data"):
        assert all(value.startswith(("data:", "#")) for value in page.attributes(name))
    assert "@import" not in source
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", source))


def test_every_figure_is_inline_and_named_for_screen_readers(either_report: Any) -> None:
    drawings = [attributes for tag, attributes in either_report.page.tags if tag == "svg"]
    assert len(drawings) == len(list((either_report.folder / "figures").glob("*.svg")))
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in drawings)


def test_ids_are_unique_and_every_reference_to_one_resolves(either_report: Any) -> None:
    page = either_report.page
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    wanted = re.findall(r"url\(#([^)]+)\)", either_report.source)
    wanted += [value[1:] for name in ("href", "xlink:href") for value in page.attributes(name) if value[0] == "#"]
    assert wanted
    assert set(wanted) <= set(ids)


def test_every_image_has_a_text_that_stands_for_it(results: Results, report: Any) -> None:
    images = [attributes for tag, attributes in report.page.tags if tag == "img"]
    assert len(images) == len(results.samples)
    assert all(image["alt"] for image in images)


def test_hostile_names_stay_text_on_the_page(plain_and_hostile: tuple[Any, Any]) -> None:
    plain, page = plain_and_hostile[0].page, plain_and_hostile[1].page
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in plain.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "<iframe src=http://evil.test></iframe>" in page.text
    assert re.search(r"<i>\w+\|\d+</i>", page.text)
    assert re.search(r"<script( src=http://evil.test)?>", page.text)


def test_hostile_names_add_no_column_no_link_and_no_tag_to_the_markdown(plain_and_hostile: tuple[Any, Any]) -> None:
    clean, text = (re.sub(r"(?ms)^```.*?^```", "", one.markdown) for one in plain_and_hostile)
    bars = re.compile(r"(?<!\\)\|")
    assert [len(bars.findall(line)) for line in text.splitlines()] == [
        len(bars.findall(line)) for line in clean.splitlines()
    ]
    assert set(re.findall(r"<(/?\w+)", text)) == set(re.findall(r"<(/?\w+)", clean))
    assert not re.search(r"(?<!\\)\]\(http", text)


def test_drawings_with_hostile_names_are_well_formed(plain_and_hostile: tuple[Any, Any]) -> None:
    folder = plain_and_hostile[1].folder
    drawings = [ET.parse(path) for path in (folder / "figures").glob("*.svg")]  # noqa: S314  # our own files
    assert any("$\\frac" in text for drawing in drawings for text in drawing.getroot().itertext())
    tags = {element.tag.rpartition("}")[2] for drawing in drawings for element in drawing.iter()}
    assert tags.isdisjoint({"script", "img", "i"})


def test_a_mean_over_a_subset_is_never_printed_under_the_name_of_the_full_set(report: Any) -> None:
    for stated in (report.page.text, report.markdown):
        assert "Corruption error, mean of 5 of the 15" in stated
        assert "Flip rate, mean of 3 of the 10" in stated
        assert not re.search(r"\b(mCE|mFR|uCE|MCE)\b", stated)


@pytest.mark.slow
def test_a_mean_over_the_full_set_is_printed_under_its_name(results: Results, report_of: Writer) -> None:
    whole = [one.model_copy(update={"complete": True, "missing": []}) for one in results.benchmarks]
    report = report_of(results.model_copy(update={"benchmarks": whole}))
    for stated in (report.page.text, report.markdown):
        assert "mCE (% of baseline)" in stated.replace("\N{NO-BREAK SPACE}", " ")
        assert "mFR (% of baseline)" in stated
        assert "mean of" not in stated


def test_a_full_list_of_corruptions_on_a_part_of_the_images_is_still_a_subset(results: Results) -> None:
    part = [one.model_copy(update={"missing": []}) for one in results.benchmarks]
    table = robustness(Lookup(results.model_copy(update={"benchmarks": part})))
    assert table is not None
    assert table.columns[3].heading == "Corruption error, mean of 5 of the 5, on a subset of 500 images"


@pytest.mark.slow
def test_the_caution_of_every_number_is_printed_where_the_number_is(results: Results, report_of: Writer) -> None:
    noted = with_measurements(results, lambda i, one: one.model_copy(update={"note": f"caution {i:04d}"}))
    report = report_of(noted)
    for stated in (report.page.text, report.markdown):
        assert {one.note for one in noted.measurements} == set(re.findall(r"caution \d{4}", stated))
        assert "caution" not in stated.split("What these numbers can and cannot say")[-1]
    drawn = reliability(Lookup(noted))
    assert drawn is not None
    assert all(f"({mark})" in panel.title for panel, (mark, _) in zip(drawn.panels, drawn.notes, strict=True))


def test_a_caution_on_a_number_that_no_table_shows_is_printed_at_the_end(results: Results) -> None:
    odd = results.measurements[0].model_copy(update={"key": Key("clean", "sharpness"), "note": "fitted on few images"})
    left = unprinted_notes(results.model_copy(update={"measurements": [odd]}), [])
    assert left == [(f"{odd.model}, clean, sharpness.", "fitted on few images")]


def test_a_caution_is_marked_in_the_cell_of_its_number(results: Results) -> None:
    table = by_member(Lookup(results), "corruption")[2]
    notes = dict(table.notes)
    row = next(row for row in table.rows if row.cells[0].text == "brightness")
    stated = ["".join(notes[mark] for mark in cell.marks).rpartition(" ")[2] for cell in row.cells[1:]]
    assert stated == ["ill-conditioned"] * 3 + ["undefined"] + ["ill-conditioned"] * 4
    assert row.cells[4].text == "\N{EN DASH}"
    assert not [cell.marks for cell in table.rows[0].cells if cell.marks]


def test_the_baseline_is_a_hundred_percent_by_definition(results: Results) -> None:
    table = robustness(Lookup(results))
    assert table is not None
    baseline = table.rows[-1]
    assert baseline.emphasis == "reference"
    assert [cell.text for cell in baseline.cells if cell.aside == "by definition"] == ["100.0"] * 4


def test_validation_only_corruptions_stand_after_the_mean_and_apart(results: Results) -> None:
    clean = {"mean_error": ["aside"], "relative_corruption_error": [], "corruption_error": []}
    pooled = {"relative_corruption_error": ["mean"]}
    for table in by_member(Lookup(results), "corruption"):
        means = ["mean", *pooled.get(table.identifier, []), "aside"]
        assert [row.emphasis for row in table.rows] == [*clean[table.identifier], *[""] * 5, *means]
        assert table.rows[-1].heading == "Validation only, never averaged"


def test_accuracy_stands_beside_flip_probability(results: Results) -> None:
    table = by_member(Lookup(results), "perturbation")[0]
    assert table.identifier == "flip_probability"
    accuracies = ["71.4", "75.8", "78.4", "79.2", "72.8", "75.2", "75.9", "73.8"]
    assert [cell.text for cell in table.rows[0].cells] == ["clean top-1 accuracy", *accuracies]


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"verdict": "better"}, "Generation 1 (resnet8, {own}) makes fewer errors on clean images than its teacher"),
        ({"verdict": "no evidence"}, "Generation 1 (resnet8, {own}) is not shown to differ from its teacher"),
        ({"verdict": "worse"}, "Generation 1 (resnet8, {own}) makes more errors on clean images than its teacher"),
        ({"ci_low": None, "ci_high": None}, "Generation 1 (resnet8, {own}) cannot be compared with its teacher"),
        ({"difference": None}, "Generation 1 (resnet8, {own}) cannot be compared with its teacher"),
    ],
)
def test_a_sentence_takes_the_verdict_of_the_record_and_needs_all_that_it_rests_on(
    results: Results, update: dict[str, Any], words: str
) -> None:
    found = [one.model_copy(update=update) for one in results.comparisons]
    stated = comparisons(Lookup(results.model_copy(update={"comparisons": found})))
    expected = words.format(own="77.8k parameters, 600k images seen")
    assert len([one for one in stated if one.startswith(expected)]) == 1


def test_numbers_that_differ_on_no_image_have_no_p_value_and_are_still_compared(results: Results) -> None:
    same = {"difference": 0.0, "ci_low": 0.0, "ci_high": 0.0, "p_value": None, "p_holm": None, "verdict": "no evidence"}
    found = [one.model_copy(update=same) for one in results.comparisons]
    lookup = Lookup(results.model_copy(update={"comparisons": found}))
    assert headline(lookup).startswith(
        "Against its control the last student is not shown to differ in clean error, NLL"
    )
    assert (
        "Not shown to differ from its control: clean error 0.0 points [0.0, 0.0], detectable from 5.3 p"
        in comparisons(lookup)[0]
    )


def test_a_sentence_on_networks_of_unequal_size_or_budget_has_both_of_either(results: Results) -> None:
    stated = comparisons(Lookup(results))
    assert stated[2].startswith(
        "Generation 1 (resnet8, 77.8k parameters, 600k images seen) makes fewer errors on clean images than its "
        "teacher (resnet8, 77.8k parameters, 200k images seen): top-1 error \N{MINUS SIGN}4.4 points"
    )
    equal = [one.model_copy(update={"parameters": 5, "images_seen": 6}) for one in results.checkpoints]
    stated = comparisons(Lookup(results.model_copy(update={"checkpoints": equal})))
    assert stated[2].startswith(
        "Generation 1 (resnet8) makes fewer errors on clean images than its teacher: top-1 error"
    )


def test_a_sentence_on_two_networks_names_the_corrected_p_value_and_that_each_was_trained_once(
    results: Results,
) -> None:
    stated = comparisons(Lookup(results))[3]
    assert (
        "(95 % interval \N{MINUS SIGN}5.4 to +0.2, McNemar p = 0.072 after Holm's correction, n = 500, one training "
        "run each); better in NLL, Brier score, error on corruptions and calibration error on corruptions."
    ) in stated


@pytest.mark.slow
def test_the_same_record_gives_the_same_bytes(results: Results, report: Any, report_of: Writer) -> None:
    folders = (report.folder, report_of(results).folder)
    one, two = ({path.relative_to(f): path.read_bytes() for path in f.rglob("*") if path.is_file()} for f in folders)
    assert one == two
    assert not [path for path in one if path.name.endswith(".tmp")]


def test_the_report_of_a_record_of_version_1_says_what_was_not_compared(report_of: Writer) -> None:
    content = json.loads((Path(__file__).parents[1] / "results/version1/results.json").read_text())
    old = Results.model_validate(upgraded(content))
    stated = report_of(old.model_copy(update={"samples": []})).page.text
    assert "No control of equal size, noise and image budget was trained; against the baseline the" in stated
    assert (
        "; not tested: higher in NLL, Brier score, calibration error and error on corruptions, lower in flip" in stated
    )
    assert "Generation 1 (resnet14, 173k parameters, 350k images seen) makes fewer errors" in stated


def test_links_of_the_markdown_resolve(either_report: Any) -> None:
    targets = [unquote(target) for target in re.findall(r"(?<!\\)\]\(([^)]+)\)", either_report.markdown)]
    assert len(targets) > 30
    assert all((either_report.folder / target).is_file() for target in targets)


def test_tables_are_numbers_to_pandas(report: Any) -> None:
    tables = {path.stem: pd.read_csv(path) for path in (report.folder / "tables").glob("*.csv")}
    assert len(tables) == 17
    accuracy = tables["generations"]["Top-1 accuracy (%)"]
    assert accuracy.tolist() == pytest.approx([72.4, 76.8, 79.4, 80.2, 73.8, 76.2, 76.9, 74.8])
    assert (tables["generations"]["Top-1 accuracy (%) low"] < accuracy).all()
    assert tables["relative_corruption_error"]["notes"].dropna().str.contains("is undefined").sum() == 1


def test_a_lone_supervised_checkpoint_still_gets_a_report(results: Results, report_of: Writer) -> None:
    kept = next(one for one in results.checkpoints if one.role == "teacher")
    measured = [one for one in results.measurements if one.model == str(kept) and one.benchmark == "clean"]
    rest: dict[str, list[Any]] = {
        name: [] for name in ("diagnostics", "samples", "warnings", "benchmarks", "comparisons")
    }
    report = report_of(results.model_copy(update={**rest, "checkpoints": [kept], "measurements": measured}))
    assert "No student was trained" in report.page.text
    assert "72.4" in report.markdown
    assert "Warning" not in report.page.text


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("samples/absent.png", None, "is missing from"),
        ("samples/text.png", b"no picture", "is not a PNG file"),
        ("../outside.png", b"\x89PNG\r\n\x1a\n", "lies outside"),
    ],
)
def test_a_bad_sample_image_is_a_sentence(
    results: Results, tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    folder = tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    if content is not None:
        (folder / file).write_bytes(content)
    bad = results.model_copy(update={"samples": [results.samples[0].model_copy(update={"file": file})]})
    with pytest.raises(UserError, match=message):
        write_report(bad, folder)
    assert not (folder / "report").exists()
