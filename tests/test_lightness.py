"""What must stay light imports nothing heavy."""

import subprocess
import sys

HEAVY = ("torch", "torchvision", "matplotlib", "sklearn", "pyarrow", "scipy", "pydantic")


def imported(statement: str) -> set[str]:
    """Top-level packages in a fresh process after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_command_line_answers_without_heavy_imports() -> None:
    assert not imported("import nsbench.cli.app") & set(HEAVY)


def test_a_report_needs_no_torch_and_no_data() -> None:
    found = imported("import nsbench.report.render, nsbench.results.store")
    assert not found & {"torch", "torchvision", "sklearn", "pyarrow"}


def test_what_is_known_of_benchmarks_and_attacks_needs_no_arrays() -> None:
    found = imported("import nsbench.protocols.registry, nsbench.protocols.attacks")
    assert not found & {*HEAVY, "numpy"}
