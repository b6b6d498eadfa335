"""Names of attacks, and what is said of them."""

import subprocess
import sys

import pytest

from nsbench.attacks.catalog import ATTACKS, ITERATED, RANDOM, describe, step_size
from nsbench.errors import UserError


def test_steps_and_restarts_are_stated_where_there_are_any() -> None:
    assert [describe(name, 10, 2) for name in ATTACKS] == [
        "PGD, 10 steps of 0.25 eps, 2 random starts",
        "BIM, 10 steps of 0.125 eps from the image itself",
        "DeepFool, at most 10 steps, cut off at eps",
        "uniform noise, 2 draws",
    ]
    assert describe("pgd", 1, 1) == "PGD, 1 step of 2.5 eps, 1 random start"


@pytest.mark.parametrize("name", ITERATED)
@pytest.mark.parametrize("steps", [1, 7, 100])
def test_the_steps_together_reach_the_edge(name: str, steps: int) -> None:
    assert steps * step_size(name, steps) > 1


def test_an_unknown_attack_is_told_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'fgms' is no attack: choose among pgd, bim, deepfool, noise\."):
        describe("fgms", 10, 1)


def test_every_group_names_attacks_that_exist() -> None:
    assert set(RANDOM) | set(ITERATED) < set(ATTACKS)


def run(*code: str) -> str:
    """What a fresh Python prints, in which every warning is an error."""
    command = [sys.executable, "-W", "error", "-c", "\n".join(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_foolbox_is_imported_only_by_an_attack_and_without_a_warning() -> None:
    told = run(
        "import sys, warnings",
        "import nsbench.attacks.worst_case, nsbench.attacks.fgsm",
        "print('foolbox' in sys.modules)",
        "filters = list(warnings.filters)",
        "import nsbench.attacks.foolbox_attacks",
        "print('foolbox' in sys.modules, warnings.filters == filters)",
    )
    assert told.split() == ["False", "True", "True"]


def test_the_catalog_needs_no_torch() -> None:
    assert run("import sys, nsbench.attacks.catalog", "print('torch' in sys.modules)").split() == ["False"]
