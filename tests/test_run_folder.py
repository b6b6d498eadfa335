"""A run folder that somebody has put other things in: what can go on goes on, and what cannot is a sentence at once."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nsbench.claims import Claims
from nsbench.errors import UserError
from nsbench.progress import Reporter
from nsbench.work.bench import Bench
from nsbench.work.checks import LONGEST, check_writable
from nsbench.work.session import Session, enter_folder

Command = Callable[..., Any]


def work_in(folder: Path) -> None:
    """A session without any work in it."""
    with Session(Bench(folder, torch.device("cpu"), Reporter(quiet=True), Claims(folder))):
        pass


def sessions(folder: Path) -> Any:
    """What is written down."""
    return json.loads((folder / "environment.json").read_text())["sessions"]


@pytest.mark.parametrize(
    "content",
    [
        '{"sessions": null}',
        '{"sessions": {"a": 1}}',
        '{"sessions": [{"started": [[[]]]}]}',
        "[1, 2]",
        "null",
        "{",
        '{"sessions": ' * 100_000,
        '{"sessions": [{"a": ' + "[" * 900 + "]" * 900 + "}]}",
        "\udcff",
    ],
)
def test_an_environment_file_that_was_edited_by_hand_is_put_aside_and_the_work_goes_on(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "environment.json").write_text(content, errors="surrogateescape")
    work_in(tmp_path)
    (entry,) = sessions(tmp_path)
    assert entry["finished"] is not None
    assert (tmp_path / "environment.damaged.json").read_text(errors="surrogateescape") == content
    assert capsys.readouterr().err.count("is damaged: it is kept as") == 1


def test_the_entries_of_earlier_sessions_stay(tmp_path: Path) -> None:
    for _ in range(3):
        work_in(tmp_path)
    assert len(sessions(tmp_path)) == 3
    assert not (tmp_path / "environment.damaged.json").exists()


def test_a_folder_in_place_of_the_environment_file_is_said_and_the_work_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "environment.json").mkdir()
    work_in(tmp_path)
    assert capsys.readouterr().err.count("is not written down") == 1


def test_a_path_too_long_for_what_is_written_below_it_is_refused_before_anything_is_made(
    nsbench: Command, tmp_path: Path
) -> None:
    folder = tmp_path
    while len(str(folder)) < 4096 - LONGEST:
        folder /= "x" * 50
    done = nsbench("run-all", "quick", "--device", "cpu", "--out", str(folder))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "is too long for what is written below it" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [".", "networks", "predictions", "report", "report/tables"])
def test_a_file_where_a_folder_is_needed_is_a_sentence_before_any_work(name: str, tmp_path: Path) -> None:
    place = tmp_path / "run" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    with pytest.raises(UserError, match="is a file where a folder is needed"):
        enter_folder(Claims(tmp_path / "run"), {})


LINKED = [
    "report",
    "report/tables",
    "predictions",
    "predictions/supervised",
    "samples",
    "networks",
    "networks/X",
    ".claims",
]


@pytest.mark.parametrize("name", LINKED)
def test_a_folder_that_is_a_link_is_a_sentence_before_any_work(name: str, tmp_path: Path) -> None:
    outside, place = tmp_path / "outside", tmp_path / "run" / name
    outside.mkdir()
    place.parent.mkdir(parents=True)
    place.symlink_to(outside)
    with pytest.raises(UserError, match=f"{name} is a link"):
        enter_folder(Claims(tmp_path / "run"), {"config.toml": ""})
    assert not list(outside.iterdir())
    assert not (tmp_path / "run" / "config.toml").exists()


def test_a_run_folder_that_is_itself_a_link_is_its_users_way_to_another_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "notes").symlink_to(tmp_path)  # of no concern to anything that is written
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    enter_folder(Claims(tmp_path / "run"), {"config.toml": "name"})
    assert (tmp_path / "disk" / "config.toml").read_text() == "name"


def test_a_report_is_not_written_through_a_link(nsbench: Command, tiny_run: Path, tmp_path: Path) -> None:
    run, outside = Path(shutil.copytree(tiny_run, tmp_path / "run")), tmp_path / "outside"
    shutil.rmtree(run / "report")
    outside.mkdir()
    (outside / "index.html").write_text("mine")
    (run / "report").symlink_to(outside)
    for command in ("report", "verify"):
        done = nsbench(command, str(run))
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert f"{run / 'report'} is a link" in done.stderr
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("index.html", "mine")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("name", [".", "networks", "predictions", "report"])
def test_a_folder_without_permission_is_a_sentence_before_any_work(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    place.mkdir(exist_ok=True)
    place.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written to"):
        check_writable(tmp_path)
    place.chmod(0o700)
