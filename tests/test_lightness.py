"""What must stay light imports nothing heavy, and what is written in two layers is the same in both."""

import subprocess
import sys
from typing import get_args

import pytest

from nsbench.config.evaluation import CorruptionName, PerturbationName
from nsbench.corruptions import corruptions, spec
from nsbench.corruptions.perturbations import GENERATED_PERTURBATIONS
from nsbench.data.npy import corruptions as corruption_files
from nsbench.metrics import corruption

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


@pytest.mark.parametrize(
    ("configured", "generated"),
    [(CorruptionName, corruptions.GENERATED_CORRUPTIONS), (PerturbationName, GENERATED_PERTURBATIONS)],
)
def test_the_configuration_allows_exactly_what_can_be_generated(configured: object, generated: tuple[str, ...]) -> None:
    assert set(get_args(configured)) == set(generated)


def test_severities_are_the_same_where_images_are_made_read_and_averaged() -> None:
    assert spec.SEVERITIES == corruption_files.SEVERITIES == corruption.SEVERITIES
