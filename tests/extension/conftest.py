"""The command line beside the package."""

import pytest

from tests.extension.installation import Command, command, installed


@pytest.fixture(scope="session")
def nsbench(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return command(installed(tmp_path_factory.mktemp("site")))
