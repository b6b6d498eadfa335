"""The judge of the fuzzer finds what no case may do."""

import time
from pathlib import Path

import pytest

from nsbench.errors import UserError
from tests.fuzz.judge import Hang, Tally, UnsoundError, Workshop, answered, check_sentence, in_time


@pytest.fixture
def small(tmp_path: Path) -> Workshop:
    (tmp_path / "outside").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text("{}")
    (tmp_path / "run" / "mine.txt").write_text("mine")
    return Workshop(tmp_path)


@pytest.mark.parametrize("touched", ["outside/new", "run/mine.txt", "loose"])
def test_a_file_that_is_not_nsbenchs_is_missed_and_put_back(touched: str, small: Workshop) -> None:
    with pytest.raises(UnsoundError, match=touched), small.case("run/"):
        (small.base / touched).write_text("other")
    assert small.changed() == []
    assert (small.base / "run" / "mine.txt").read_text() == "mine"


def test_a_file_in_the_folder_that_was_named_may_change_and_is_put_back(small: Workshop) -> None:
    with small.case("run/"):
        (small.base / "run" / "results.json").unlink()
        (small.base / "run" / "new").write_text("new")
    assert small.changed() == []


@pytest.mark.parametrize("sentence", ["", "two\nlines", "\x1b[31mred", "a" * 1501])
def test_a_sentence_that_is_none_is_refused(sentence: str) -> None:
    with pytest.raises(UnsoundError):
        check_sentence(sentence)


def test_a_refusal_is_an_answer_and_any_other_exception_is_none() -> None:
    def refuse(error: Exception) -> None:
        raise error

    assert answered(refuse, UserError("Name it.")) is None
    with pytest.raises(KeyError):
        answered(refuse, KeyError("x"))


def test_a_case_that_hangs_is_ended_and_counted() -> None:
    tally = Tally("hanging")
    with tally.case("x") as came, in_time(0.05):
        time.sleep(5)
        came("done")
    assert tally.outcomes == {"FAILED": 1}
    assert Hang.__name__ in next(iter(tally.failures.values()))
    figures = []
    with pytest.raises(AssertionError, match="1 ways to fail"):
        tally.close(lambda _, text: figures.append(text))
    assert figures == ["hanging: 1 cases in 0 s: 1 FAILED"]
