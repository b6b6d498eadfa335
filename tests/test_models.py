"""`nsbench models`: what can be trained."""

import json
import subprocess
from collections.abc import Callable

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.slow
def test_the_list_shows_both_families_when_piped(nsbench: Run) -> None:
    done = nsbench("models")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["resnet38", "ResNet", "561,466", "83,018,368"] in lines
    assert ["efficientnet-b7", "EfficientNet"] in [line[:2] for line in lines]
    assert len(lines) == 1 + 19 + 2


def test_only_the_networks_asked_for_are_shown_and_a_program_can_read_them(nsbench: Run) -> None:
    done = nsbench("models", "resnet26", "resnet8-w2", "--json")
    assert done.returncode == 0
    entries = json.loads(done.stdout)
    assert [entry["name"] for entry in entries] == ["resnet26", "resnet8-w2"]
    assert entries[0] == {"name": "resnet26", "family": "ResNet", "parameters": 367034, "multiply_adds": 54706816}


def test_an_unknown_network_is_a_users_mistake(nsbench: Run) -> None:
    done = nsbench("models", "resnet20", "resnet19")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: 'resnet19' has a depth that is not 6n + 2: use resnet20, or another of ")
    assert done.stderr.count("\n") == 1
