"""However a command ends, its exit status says so, and all but a bug is one sentence without a traceback."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nsbench.cli import boundary
from nsbench.cli.boundary import run
from nsbench.errors import UserError, printable
from nsbench.progress import Reporter

Command = Callable[..., "subprocess.CompletedProcess[str]"]
NSBENCH = [sys.executable, "-m", "nsbench"]


def raising(error: BaseException) -> Callable[..., object]:
    def command(*, standalone_mode: bool) -> object:
        assert not standalone_mode
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UserError("name it"), "error: name it"),
        (PermissionError(errno.EACCES, "Permission denied", "notes"), "notes cannot be read or written"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "n" * 5000), "nnn... cannot be read or written"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "notes"), "a folder stands where a file is needed"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "whatever read it has ended"),
        (
            MemoryError(),
            "There is not enough memory: use smaller batches, fewer images or a larger device (MemoryError).",
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), "There is not enough memory"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "There is not enough memory"),
        (SystemExit(0), "ended the program"),
    ],
)
def test_what_the_machine_or_the_user_did_is_one_sentence(
    error: BaseException, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "place", lambda _: "")  # the code that raises here is a test's
    monkeypatch.setattr(sys, "argv", ["nsbench"])
    assert run(raising(error)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert len(said) < 600


def test_a_bug_has_an_exit_status_of_its_own_and_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "place", lambda _: "")
    monkeypatch.setattr(sys, "argv", ["nsbench"])
    assert run(raising(KeyError("what"))) == 70
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.strip().splitlines()[-1].startswith("bug: nsbench failed (KeyError: 'what')")


def test_an_error_in_a_users_own_code_names_its_line_and_shows_a_traceback_when_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["nsbench"])
    assert run(raising(ValueError("mine"))) == 2
    said = capsys.readouterr().err
    assert "Code that is not part of nsbench failed (test_boundary.py, line " in said
    assert "Traceback" not in said
    monkeypatch.setenv("NSBENCH_TRACEBACK", "1")
    assert run(raising(ValueError("mine"))) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", ""],
        ["run-all", "--out", ""],
        ["run-all", "--data", ""],
        ["data", "list", "--data", ""],
        ["data", "generate", "digits-c", "--out", ""],
        ["evaluate", "nothing", "--out", ""],
        ["compare", "a", "b", "--out", ""],
    ],
)
def test_an_empty_name_of_a_folder_is_refused(
    arguments: list[str], nsbench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would mean the current folder, which nobody asked for."""
    monkeypatch.chdir(tmp_path)
    outcome = nsbench(*arguments)
    assert outcome.returncode == 2
    assert outcome.stderr == "error: The name of a folder or file is empty: write a dot for the current folder.\n"
    assert not list(tmp_path.iterdir())


def test_an_argument_that_no_file_could_hold_is_named(nsbench: Command) -> None:
    outcome = nsbench("report", os.fsdecode(b"caf\xe9"))
    assert outcome.returncode == 2
    assert outcome.stderr == "error: The argument caf\\udce9 is not valid UTF-8: rename that file or folder.\n"


def test_a_full_output_is_said() -> None:
    with Path("/dev/full").open("w") as full:
        outcome = subprocess.run(
            [*NSBENCH, "data", "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert outcome.returncode == 2
    assert "No space left on device" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_a_closed_pipe_is_said() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    outcome = subprocess.run(
        [*NSBENCH, "data", "list"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("error: A file, or the output, cannot be read or written (Broken pipe)")
    assert outcome.stderr.count("\n") == 1


CLOSED = """
import os, sys
os.close(int(sys.argv[1]))
os.execv(sys.executable, [sys.executable, "-m", "nsbench", *sys.argv[2:]])
"""


def test_a_closed_standard_error_changes_no_exit_status() -> None:
    outcome = subprocess.run([sys.executable, "-c", CLOSED, "2", "report", "nowhere"], capture_output=True, check=False)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (2, b"", b"")


def test_progress_never_goes_to_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    reporter = Reporter()
    reporter.say("news")
    reporter.warn("more")
    assert capsys.readouterr().out == ""


LITTLE = """
import resource, sys
sys.argv = ["nsbench", *sys.argv[1:]]
from nsbench.cli.app import main
resource.setrlimit(resource.RLIMIT_AS, (300 * 2**20, 300 * 2**20))
main()
"""


def test_too_little_memory_for_a_library_is_one_sentence(tmp_path: Path) -> None:
    """What a process of little memory fails at first is to load PyTorch."""
    command = [sys.executable, "-c", LITTLE, "verify", str(tmp_path)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 2, outcome.stderr
    assert outcome.stderr.startswith("error: There is not enough memory")
    assert "Traceback" not in outcome.stderr


def test_a_wrong_option_ends_with_the_status_of_a_mistake(nsbench: Command) -> None:
    outcome = nsbench("models", "--nothing")
    assert outcome.returncode == 2
    assert "No such option" in outcome.stderr


IMPORTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import nsbench.__main__
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.argv = ["nsbench", "run-all", "--out", sys.argv[1]]
nsbench.__main__.main()
"""


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.06, 0.1, 0.15])
def test_control_c_is_said_from_the_first_moment_of_ours(seconds: float, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORTED, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.01 + seconds)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert said.startswith("interrupted")
    assert said.count("\n") == 1


def test_control_characters_reach_no_terminal(nsbench: Command, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = nsbench("run-all", "\x1b]0;title\x07\x9b31m")
    assert outcome.returncode == 2
    assert "\x1b" not in outcome.stderr
    assert "\x9b" not in outcome.stderr
    reporter = Reporter()
    reporter.say("a\x1b[2Jb\rc")
    reporter.warn("a\x1b[2Jb")
    assert "\x1b" not in capsys.readouterr().err


def test_all_that_people_write_is_printable() -> None:
    text = "naïve 東京 3 \N{MULTIPLICATION SIGN} 3, p < 0.05\n\tand more"
    assert printable(text) == text


def test_news_that_no_one_reads_do_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    closed = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stderr", closed)
    reporter = Reporter()
    reporter.say("news")
    reporter.warn("more")
    monkeypatch.undo()
    with pytest.raises(BrokenPipeError):
        closed.close()
