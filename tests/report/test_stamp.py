"""A number of a checkpoint that test images chose says so wherever it is printed."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.figures.drawing import Picture, printable
from nsbench.report.lookup import Lookup
from nsbench.report.prose.limits import limits
from nsbench.report.prose.run_summary import summary
from nsbench.report.prose.students import comparisons, headline
from nsbench.report.sections import sections
from nsbench.report.stamp import MARK, TEST_SELECTED
from nsbench.report.tables.table import Table
from nsbench.results.record import Results

NAME = "gen 2"  # of the one checkpoint that test images chose
Block = Table | Picture


def drawn_words(drawing: str) -> list[str]:
    """Every line of text in a drawing."""
    root = ET.fromstring(drawing)  # noqa: S314  # our own drawing
    return [element.text or "" for element in root.iter() if element.tag.rpartition("}")[2] == "text"]


def names_in(block: Block) -> str:
    """Everything that a table or a figure prints beside its caption."""
    if isinstance(block, Table):
        cells = [text for row in block.rows for text in (row.heading, *(cell.text for cell in row.cells))]
        return without_its_control("\n".join([*(column.title for column in block.columns), *cells]))
    words = (word for panel in block.panels for word in drawn_words(panel.standalone()))
    return without_its_control("\n".join([block.title, *words]))


def without_its_control(text: str) -> str:
    """The text without the name of the checkpoint's control, which contains its own."""
    return text.replace(f"control of {NAME}", "its control")


@pytest.fixture(scope="module")
def chosen_blocks(chosen_results: Results) -> list[Block]:
    """Every table and figure of the report on a checkpoint that test images chose."""
    without_samples = chosen_results.model_copy(update={"samples": []})
    return [block for section in sections(without_samples, Path()) for block in section.blocks]


def with_selection(results: Results, selection: str, *roles: str) -> Results:
    """The record with the weights of these roles, or of all, selected in this way."""

    def change(one: CheckpointRecord) -> CheckpointRecord:
        return one.model_copy(update={"weights_selection": selection}) if one.role in roles or not roles else one

    return results.model_copy(update={"checkpoints": [change(one) for one in results.checkpoints]})


def test_every_table_and_figure_that_shows_the_checkpoint_says_what_its_mark_means(chosen_blocks: list[Block]) -> None:
    shown = [block for block in chosen_blocks if NAME in names_in(block)]
    assert len(shown) == 26
    for block in shown:
        assert TEST_SELECTED in block.caption, block.identifier
        assert NAME not in names_in(block).replace(NAME + MARK, ""), block.identifier


def test_no_table_and_no_figure_without_the_checkpoint_is_stamped(chosen_blocks: list[Block]) -> None:
    others = [block for block in chosen_blocks if NAME not in names_in(block)]
    assert [block.identifier for block in others] == ["confusion"]
    assert not [block for block in others if TEST_SELECTED in block.caption]


def test_the_other_checkpoints_carry_no_mark(chosen_blocks: list[Block]) -> None:
    printed = "\n".join(names_in(block) for block in chosen_blocks)
    assert set(re.findall(rf"(gen \d|control|baseline){MARK}", printed)) == {NAME}


def test_each_table_and_figure_of_the_page_and_of_the_markdown_carries_the_words(chosen_report: Any) -> None:
    figures = re.findall(r'<figure class="(?:table|picture)".*?</figure>', chosen_report.source, flags=re.DOTALL)
    parts = re.split(r"(?m)^(?=\*\*(?:Table|Figure) \d)|^#+ ", chosen_report.markdown)
    paragraphs = [text for text in parts if text.startswith(("**Table", "**Figure"))]
    for found in (figures, paragraphs):
        assert len(found) == 27
        assert [TEST_SELECTED in text for text in found].count(True) == 26
        assert not [text for text in map(without_its_control, found) if NAME in text and TEST_SELECTED not in text]


def test_a_drawing_and_a_table_file_carry_the_words_when_they_are_read_alone(chosen_report: Any) -> None:
    drawings = [path.read_text() for path in (chosen_report.folder / "figures").glob("*.svg")]
    marked = [drawing for drawing in drawings if MARK in drawing]
    assert 10 < len(marked) < len(drawings)
    assert all(f"{MARK} {TEST_SELECTED}" in drawn_words(drawing) for drawing in marked)
    for path in (chosen_report.folder / "tables").glob("*.csv"):
        found = re.findall(rf"{NAME}[^,\n]*,?[^,\n]*", without_its_control(path.read_text()))
        assert found
        assert all(text.startswith(f"{NAME} ({TEST_SELECTED})") for text in found), path


def test_a_drawing_keeps_its_room_and_gains_a_line_for_the_words(report: Any, chosen_report: Any) -> None:
    plain, marked = ((one.folder / "figures/fgsm.svg").read_text() for one in (report, chosen_report))
    assert 'width="660" height="397" viewBox="0 0 660 397"' in plain
    assert 'width="660" height="417" viewBox="0 0 660 417"' in marked


def test_a_name_that_is_cut_keeps_its_mark() -> None:
    assert printable(f"a-study-with-a-long-name gen 2{MARK}", 12) == f"a-study-wit…{MARK}"
    assert printable(f"gen 2{MARK} · resnet-with-a-long-name", 12) == f"gen 2{MARK} · re…"


def test_sentences_carry_the_words_where_they_mention_the_checkpoint(chosen_results: Results) -> None:
    lookup = Lookup(chosen_results)
    stated = comparisons(lookup)
    assert [TEST_SELECTED in sentence for sentence in stated] == [False, False, False, True, True, False, False]
    assert stated[3].startswith(f"Generation 2 (resnet14; {TEST_SELECTED}, 174k parameters, 600k images seen) is not")
    assert f"(resnet14, 174k parameters, 600k images seen) ({TEST_SELECTED}) in clean error:" in stated[4]
    assert TEST_SELECTED not in headline(lookup) + summary(lookup)


@pytest.mark.parametrize("role", ["control", "student"])
def test_what_is_said_against_the_control_is_stamped_for_either_side(results: Results, role: str) -> None:
    lookup = Lookup(with_selection(results, "best-test", role))
    assert headline(lookup).endswith(f"(one training run each) ({TEST_SELECTED}).")
    assert f"(resnet20; {TEST_SELECTED})" in summary(lookup)
    assert all(stated.endswith(f"({TEST_SELECTED}).") for stated in comparisons(lookup)[:2])


def test_the_baseline_is_stamped_too(results: Results) -> None:
    lookup = Lookup(with_selection(results, "best-test", "baseline"))
    assert lookup.label(lookup.checkpoints[-1]) == f"baseline{MARK} · resnet20"
    assert f"for the baseline (resnet20; {TEST_SELECTED})" in summary(lookup)


def test_the_limits_say_which_checkpoints_test_images_chose(chosen_results: Results) -> None:
    stated = dict(limits(Lookup(chosen_results)))[f"Weights: {TEST_SELECTED}."]
    assert f"Every number of {NAME} ({TEST_SELECTED}) was measured on the images that chose the weights" in stated
    assert "those of the last step or those with the best accuracy on the test images" in stated


@pytest.fixture(scope="module")
def held_out_report(results: Results, report_of: Any) -> Any:
    """The report of the record whose weights held-out images chose."""
    return report_of(with_selection(results, "best-validation"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["report", "held_out_report"])
def test_nothing_is_stamped_where_test_images_chose_nothing(name: str, request: pytest.FixtureRequest) -> None:
    report = request.getfixturevalue(name)
    files = [path for path in report.folder.rglob("*") if path.is_file()]
    assert len(files) > 40
    for path in files:
        assert not re.search(rf"test-selected|optimistic|{MARK}", path.read_text()), path
    assert "Nothing was selected on test images" in report.page.text
