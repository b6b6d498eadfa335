"""The command line beside the package."""

from pathlib import Path

import pytest

from tests.extension.installation import Command, command, installed

collect_ignore = ["package"]  # a look for doctests would import it, and its names would be known to all tests


@pytest.fixture(scope="session")
def nsbench(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return command(installed(tmp_path_factory.mktemp("site")))


@pytest.fixture
def lame(tmp_path: Path) -> Command:
    """The same with an attack that takes no step."""
    site = installed(tmp_path / "lame")
    attack = site / "additions" / "momentum.py"
    attack.write_text(attack.read_text(encoding="utf-8").replace("range(steps)", "range(0)"), encoding="utf-8")
    return command(site)
