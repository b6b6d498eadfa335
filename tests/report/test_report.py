"""The report says what the record says, safely, on one page, and the same way every time.

`golden/results.json` is written by `python tests/report/golden/make.py`; `golden/report.md` by
`NSBENCH_REGENERATE_GOLDEN=1 python -m pytest tests/report`. Read the difference before committing.
"""

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
from nsbench.report.figures import reliability
from nsbench.report.lookup import Lookup
from nsbench.report.members import by_member
from nsbench.report.render import write_report
from nsbench.report.sections import unprinted_notes
from nsbench.report.tables import robustness
from nsbench.report.wording import comparison, headline
from nsbench.results.record import Measurement, Results

Writer = Callable[[Results], Any]


def with_measurements(results: Results, change: Callable[[int, Measurement], Measurement]) -> Results:
    """The record with every measurement changed."""
    return results.model_copy(update={"measurements": [change(i, one) for i, one in enumerate(results.measurements)]})


def test_the_markdown_of_the_golden_record_is_the_committed_one(report: Any, golden: Path) -> None:
    if os.environ.get("NSBENCH_REGENERATE_GOLDEN") == "1":
        (golden / "report.md").write_text(report.markdown)
    assert report.markdown == (golden / "report.md").read_text()


def test_the_page_loads_nothing(report: Any) -> None:
    page, source = report.page, report.source
    assert not {"script", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    for name in ("src", "href", "xlink:href", "action", "srcset", "poster", "data"):
        assert all(value.startswith(("data:", "#")) for value in page.attributes(name))
    assert "@import" not in source
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", source))


def test_every_figure_is_inline_and_named_for_screen_readers(report: Any) -> None:
    drawings = [attributes for tag, attributes in report.page.tags if tag == "svg"]
    assert len(drawings) == len(list((report.folder / "figures").glob("*.svg")))
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in drawings)


def test_ids_are_unique_and_every_reference_to_one_resolves(report: Any) -> None:
    ids = report.page.attributes("id")
    assert len(ids) == len(set(ids))
    wanted = re.findall(r"url\(#([^)]+)\)", report.source)
    wanted += [
        value[1:] for name in ("href", "xlink:href") for value in report.page.attributes(name) if value[0] == "#"
    ]
    assert wanted
    assert set(wanted) <= set(ids)


def test_every_image_has_a_text_that_stands_for_it(results: Results, report: Any) -> None:
    images = [attributes for tag, attributes in report.page.tags if tag == "img"]
    assert len(images) == len(results.samples)
    assert all(image["alt"] for image in images)


def test_hostile_names_stay_text_on_the_page(report: Any, hostile_report: Any) -> None:
    page = hostile_report.page
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in report.page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    for shown in ("<script>alert(1)</script>", "<i>net|14</i>", "<iframe src=http://evil.test></iframe>"):
        assert shown in page.text


def test_hostile_names_add_no_column_no_link_and_no_tag_to_the_markdown(report: Any, hostile_report: Any) -> None:
    clean, text = (re.sub(r"(?ms)^```.*?^```", "", one.markdown) for one in (report, hostile_report))
    bars = re.compile(r"(?<!\\)\|")
    assert [len(bars.findall(line)) for line in text.splitlines()] == [
        len(bars.findall(line)) for line in clean.splitlines()
    ]
    assert set(re.findall(r"<(/?\w+)", text)) == set(re.findall(r"<(/?\w+)", clean))
    assert not re.search(r"(?<!\\)\]\(http", text)


def test_drawings_with_hostile_names_are_well_formed(hostile_report: Any) -> None:
    drawings = [ET.parse(path) for path in (hostile_report.folder / "figures").glob("*.svg")]  # noqa: S314  # our own files
    assert any("$\\frac" in text for drawing in drawings for text in drawing.getroot().itertext())
    tags = {element.tag.rpartition("}")[2] for drawing in drawings for element in drawing.iter()}
    assert tags.isdisjoint({"script", "img", "i"})


def test_a_mean_over_a_subset_is_never_printed_under_the_name_of_the_full_set(report: Any) -> None:
    for told in (report.page.text, report.markdown):
        assert "Corruption error, mean of 5 of the 15" in told
        assert "Flip rate, mean of 3 of the 10" in told
        assert not re.search(r"\b(mCE|mFR|uCE|MCE)\b", told)


def test_a_mean_over_the_full_set_is_printed_under_its_name(results: Results, report_of: Writer) -> None:
    whole = [one.model_copy(update={"complete": True, "missing": []}) for one in results.benchmarks]
    report = report_of(results.model_copy(update={"benchmarks": whole}))
    for told in (report.page.text, report.markdown):
        assert "mCE (% of baseline)" in told.replace("\N{NO-BREAK SPACE}", " ")
        assert "mFR (% of baseline)" in told
        assert "mean of" not in told


def test_a_full_list_of_corruptions_on_a_part_of_the_images_is_still_a_subset(results: Results) -> None:
    part = [one.model_copy(update={"missing": []}) for one in results.benchmarks]
    table = robustness(Lookup(results.model_copy(update={"benchmarks": part})))
    assert table is not None
    assert table.columns[3].heading == "Corruption error, mean of 5 of the 5, on a subset of 500 images"


def test_the_caution_of_every_number_is_printed_where_the_number_is(results: Results, report_of: Writer) -> None:
    noted = with_measurements(results, lambda i, one: one.model_copy(update={"note": f"caution {i:04d}"}))
    report = report_of(noted)
    for told in (report.page.text, report.markdown):
        assert {one.note for one in noted.measurements} == set(re.findall(r"caution \d{4}", told))
        assert "caution" not in told.split("What these numbers can and cannot say")[-1]
    lookup = Lookup(noted)
    student = lookup.students()[0]
    assert re.search(r"Caution: caution \d{4}\.$", comparison(lookup, student, student.parent))
    drawn = reliability(lookup)
    assert drawn is not None
    assert all(f"({mark})" in panel.title for panel, (mark, _) in zip(drawn.panels, drawn.notes, strict=True))


def test_a_caution_on_a_number_that_no_table_shows_is_printed_at_the_end(results: Results) -> None:
    odd = results.measurements[0].model_copy(update={"metric": "temperature", "note": "fitted on few images"})
    left = unprinted_notes(results.model_copy(update={"measurements": [odd]}), [])
    assert left == [(f"{odd}, clean, temperature.", "fitted on few images")]


def test_a_caution_is_marked_in_the_cell_of_its_number(results: Results) -> None:
    table = by_member(Lookup(results), "corruption")[2]
    notes = dict(table.notes)
    row = next(row for row in table.rows if row.cells[0].text == "brightness")
    told = ["".join(notes[mark] for mark in cell.marks).rpartition(" ")[2] for cell in row.cells[1:]]
    assert told == ["ill-conditioned"] * 3 + ["undefined"] + ["ill-conditioned"] * 2
    assert row.cells[4].text == "\N{EN DASH}"
    assert not [cell.marks for cell in table.rows[0].cells if cell.marks]


def test_the_baseline_is_a_hundred_percent_by_definition(results: Results) -> None:
    table = robustness(Lookup(results))
    assert table is not None
    baseline = table.rows[-1]
    assert baseline.emphasis == "reference"
    assert [cell.text for cell in baseline.cells if cell.aside == "by definition"] == ["100.0"] * 3


def test_validation_only_corruptions_stand_after_the_mean_and_apart(results: Results) -> None:
    for table in by_member(Lookup(results), "corruption"):
        assert [row.emphasis for row in table.rows] == [""] * 5 + ["mean", "aside"]
        assert table.rows[-1].heading == "Validation only, never averaged"


def test_accuracy_stands_beside_flip_probability(results: Results) -> None:
    table = by_member(Lookup(results), "perturbation")[0]
    assert table.identifier == "flip_probability"
    accuracies = ["72.4", "76.8", "79.4", "80.2", "76.9", "74.8"]
    assert [cell.text for cell in table.rows[0].cells] == ["clean top-1 accuracy", *accuracies]


@pytest.mark.parametrize(
    ("low", "high", "p_value", "sentence"),
    [
        (-0.09, -0.01, 0.01, "All three students beat their teacher."),
        (-0.09, -0.01, 0.05, "None of three students beat their teacher; for three no difference is shown."),
        (-0.09, 0.01, 0.01, "None of three students beat their teacher; for three no difference is shown."),
        (-0.09, 0.0, 0.01, "None of three students beat their teacher; for three no difference is shown."),
        (0.01, 0.09, 0.01, "None of three students beat their teacher; three did worse."),
        (None, None, 0.01, "None of three students beat their teacher; three cannot be compared."),
    ],
)
def test_the_headline_needs_the_interval_and_the_p_value(
    results: Results, low: float | None, high: float | None, p_value: float, sentence: str
) -> None:
    def change(_: int, one: Measurement) -> Measurement:
        if one.metric == "mcnemar_p_value":
            return one.model_copy(update={"value": p_value})
        return one.model_copy(update={"ci_low": low, "ci_high": high}) if "difference" in one.metric else one

    assert headline(Lookup(with_measurements(results, change))) == sentence


def test_a_student_is_compared_with_its_own_teacher_whatever_else_it_is_compared_with(results: Results) -> None:
    other = next(one for one in results.measurements if one.metric == "top1_error_difference")
    wrong = other.model_copy(update={"baseline": results.baseline, "value": 0.5, "ci_low": 0.4, "ci_high": 0.6})
    mixed = results.model_copy(update={"measurements": [wrong, *results.measurements]})
    assert headline(Lookup(mixed)) == "One of three students beat its teacher; for two no difference is shown."


def test_the_headline_says_how_the_last_student_stands_against_the_baseline(results: Results) -> None:
    last = str(Lookup(results).last())
    measured = [one for one in results.measurements if str(one) == last and one.baseline and one.benchmark == "clean"]
    against = [one.model_copy(update={"baseline": results.baseline}) for one in measured]
    mixed = results.model_copy(update={"measurements": [*results.measurements, *against]})
    expected = "for two no difference is shown; the last one is not shown to differ from the baseline."
    assert headline(Lookup(mixed)).endswith(expected)


def test_the_same_record_gives_the_same_bytes(results: Results, report: Any, report_of: Writer) -> None:
    folders = (report.folder, report_of(results).folder)
    one, two = ({path.relative_to(f): path.read_bytes() for path in f.rglob("*") if path.is_file()} for f in folders)
    assert one == two
    assert not [path for path in one if path.name.endswith(".tmp")]


def test_links_of_the_markdown_resolve(report: Any) -> None:
    targets = [unquote(target) for target in re.findall(r"(?<!\\)\]\(([^)]+)\)", report.markdown)]
    assert len(targets) > 30
    assert all((report.folder / target).is_file() for target in targets)


def test_tables_are_numbers_to_pandas(report: Any) -> None:
    tables = {path.stem: pd.read_csv(path) for path in (report.folder / "tables").glob("*.csv")}
    assert len(tables) == 12
    accuracy = tables["generations"]["Top-1 accuracy (%)"]
    assert accuracy.tolist() == pytest.approx([72.4, 76.8, 79.4, 80.2, 76.9, 74.8])
    assert (tables["generations"]["Top-1 accuracy (%) low"] < accuracy).all()
    assert tables["relative_corruption_error"]["notes"].dropna().str.contains("is undefined").sum() == 1


def test_a_lone_supervised_checkpoint_still_gets_a_report(results: Results, report_of: Writer) -> None:
    kept = next(one for one in results.checkpoints if one.role == "teacher")
    measured = [one for one in results.measurements if str(one) == str(kept) and one.benchmark == "clean"]
    rest: dict[str, list[Any]] = {name: [] for name in ("diagnostics", "samples", "warnings", "benchmarks")}
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
