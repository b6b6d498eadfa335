"""The outermost boundary: however a command ends, its exit status says so, and all but a bug is one sentence.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | worse: `compare --fail-on-regression` found a regression |
| 2 | a mistake that the user can fix, or something the machine refuses, in one sentence |
| 70 | a bug in nsbench, with its traceback |
| 130 | interrupted |
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import TextIOWrapper

from nsbench.cli.options import Interrupted
from nsbench.errors import UserError, describe, explain_os_error, printable, shortened
from nsbench.foreign import place

MISTAKE, BUG, INTERRUPTED = 2, 70, 130
"""Exit statuses; 70 is EX_SOFTWARE of sysexits.h."""

TRACEBACKS = "NSBENCH_TRACEBACK"
"""The environment variable that shows the traceback behind a sentence, for whoever debugs a model of their own."""

NO_MEMORY = "There is not enough memory: use smaller batches, fewer images or a larger device"

_LONGEST = 2000
"""Characters of a sentence."""

_OUT_OF_MEMORY = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "failed to map segment",
    "allocate memory",
)
"""What PyTorch says, and the system when a library does not fit."""


def run(command: Callable[..., object]) -> int:
    """Run the command line and return its exit status; whatever escapes it is reported on standard error.

    Args:
        command: called with `standalone_mode=False`, it gives an exit status or None, as typer's applications do.
    """
    try:
        if isinstance(sys.stdout, TextIOWrapper):  # not closed, not a test's
            sys.stdout.reconfigure(errors="backslashreplace")
        _check_arguments(sys.argv[1:])
        status = command(standalone_mode=False)
        if status == INTERRUPTED:  # typer's answer to Ctrl-C outside the long work
            _say("interrupted", INTERRUPTED)
        print(end="", flush=True)  # noqa: T201 - what cannot be written is to fail here
    except Interrupted as interrupted:
        status = _say(f"interrupted: {interrupted}", INTERRUPTED)
    except KeyboardInterrupt:
        status = _say("interrupted", INTERRUPTED)
    except SystemExit as left:  # no command of ours leaves so; typer does when its output is a closed pipe
        closed = left.__context__ if isinstance(left.__context__, OSError) else None
        status = _reported(
            closed or UserError(f"Code that is not part of nsbench ended the program{place(left)}: fix it there.")
        )
    except Exception as error:  # noqa: BLE001 - this is where everything ends
        try:
            status = _reported(error)
        except MemoryError:  # even for that there is too little
            status = _say(f"error: {NO_MEMORY}", MISTAKE)
    _abandon_output()
    return status if isinstance(status, int) else 0


def _check_arguments(arguments: Sequence[str]) -> None:
    """Raise UserError for an argument that could not be written to any file."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UserError(
                f"The argument {printable(argument)} is not valid UTF-8: rename that file or folder."
            ) from None


def _reported(error: Exception) -> int:
    """Report what ended a command; returns the exit status."""
    if hasattr(error, "exit_code") and hasattr(error, "show"):  # typer's own, about a wrong option
        with suppress(OSError):
            error.show()
        return int(error.exit_code)
    if type(error).__name__ == "Abort":
        return _say("interrupted", INTERRUPTED)
    sentence = sentence_for(error)
    if sentence is None or os.environ.get(TRACEBACKS):
        _show_traceback(error)
    if sentence is not None:
        return _say(f"error: {sentence}", MISTAKE)
    return _say(f"bug: nsbench failed ({describe(error)}): report it with the lines above; finished work is kept.", BUG)


def sentence_for(error: Exception) -> str | None:
    """The sentence that reports an exception; None for a bug."""
    if isinstance(error, UserError):
        return shortened(str(error), _LONGEST)
    if _is_out_of_memory(error):
        return f"{NO_MEMORY} ({describe(error)})."
    where = place(error)
    if where:
        return f"Code that is not part of nsbench failed{where}: {describe(error)}; fix it there."
    return explain_os_error(error) if isinstance(error, OSError) else None


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; torch, which may not be imported, says so by name or in its message."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    likely = isinstance(error, RuntimeError | ImportError | OSError)
    return likely and any(words in str(error) for words in _OUT_OF_MEMORY)


def _show_traceback(error: Exception) -> None:
    from traceback import print_exception  # only ever needed here

    with suppress(OSError):
        print_exception(error)


def _say(line: str, status: int) -> int:
    """Write one line to standard error, if it is still there; returns the exit status."""
    with suppress(OSError, AttributeError):  # it is None where it was closed before we began
        sys.stderr.write(printable(" ".join(line.splitlines())) + "\n")
        sys.stderr.flush()
    return status


def _abandon_output() -> None:
    """Let no error follow when Python flushes an output that is full or closed."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
