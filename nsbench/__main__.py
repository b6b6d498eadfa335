"""`python -m nsbench`, and the command `nsbench`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C has its sentence from the first moment, while modules are still imported."""
    try:
        from nsbench.cli.app import main as command_line  # noqa: PLC0415  # within reach of the handler

        command_line()
    except KeyboardInterrupt:
        _leave("interrupted", 130)
    except MemoryError:
        _leave("error: There is not enough memory to begin.", 2)


def _leave(line: str, status: int) -> None:
    if sys.stderr is not None:
        sys.stderr.write(line + "\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
