"""Progress is shown once in a while, to those who want it."""

import pytest

from nsbench.progress import Reporter


def test_off_a_terminal_a_task_ends_with_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter().task("hard/seed0/gen0-resnet8", 200) as task:
        for _ in range(20):
            task.advance(10)
            task.log("loss 0.500, accuracy 80.0 %")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hard/seed0/gen0-resnet8: 200/200 images, loss 0.500, accuracy 80.0 %, ")
    assert line.endswith(" images/s, 0 s left")


def test_off_a_terminal_long_work_speaks_once_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is advanced by hand: a second for each of 150 images, and no reading between."""
    clock = [100.0]
    monkeypatch.setattr("nsbench.progress.time.monotonic", lambda: clock[0])
    with Reporter().task("long", 1000) as task:
        for _ in range(150):
            clock[0] += 1
            task.advance(1)
    assert capsys.readouterr().err.splitlines() == [
        "long: 60/1,000 images, 1 images/s, 940 s left",
        "long: 120/1,000 images, 1 images/s, 880 s left",
    ]


def test_quiet_silences_news_and_not_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter(quiet=True)
    reporter.say("news")
    with reporter.task("work", 1) as task:
        task.advance(1)
        task.log("done")
    reporter.warn("something is odd")
    assert capsys.readouterr().err == "warning: something is odd\n"


def test_work_of_an_earlier_run_does_not_count_as_speed() -> None:
    with Reporter(quiet=True).task("resumed", 1000) as task:
        task.begin_at(900)
        assert task.rate == 0
        task.advance(10)
        assert task.done == 910
        assert task.rate > 0
