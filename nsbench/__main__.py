"""`python -m nsbench`, and the command `nsbench`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C has its sentence from the first moment, while modules are still imported."""
    try:
        from nsbench.cli.app import main as command_line  # noqa: PLC0415  # within reach of the handler

        command_line()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
