"""Names of attacks, and what is said of them."""

import subprocess
import sys

import pytest

from nsbench.attacks.foolbox_attacks import BUILDERS
from nsbench.errors import UserError
from nsbench.protocols.attacks import attack_names, attacks, describe, heading, step_size, sweep_names


def test_steps_and_restarts_are_stated_where_there_are_any() -> None:
    assert [describe(name, 10, 2) for name in attack_names()] == [
        "PGD, 10 steps of 0.25 eps, 2 random starts",
        "BIM, 10 steps of 0.125 eps from the image itself",
        "DeepFool, at most 10 steps, cut off at eps",
        "uniform noise, 2 draws",
    ]
    assert describe("pgd", 1, 1) == "PGD, 1 step of 2.5 eps, 1 random start"


@pytest.mark.parametrize("name", [attack.name for attack in attacks() if attack.iterated])
@pytest.mark.parametrize("steps", [1, 7, 100])
def test_the_steps_together_reach_the_edge(name: str, steps: int) -> None:
    assert steps * step_size(name, steps) > 1


def test_an_unknown_attack_is_refused_by_naming_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'fgms' is not an attack: choose among pgd, bim, deepfool, noise\."):
        describe("fgms", 10, 1)


def test_every_stronger_attack_can_be_built_and_no_other() -> None:
    assert set(BUILDERS) == {attack.name for attack in attacks() if not attack.sweep and attack.perturb is None}
    assert sweep_names() == ("fgsm", "paper_fgsm")


def test_an_attack_is_never_weaker_than_itself_nor_than_one_that_does_not_exist() -> None:
    names = {attack.name for attack in attacks()}
    assert all(set(attack.beats) <= names - {attack.name} for attack in attacks())


def test_a_table_of_another_machines_record_calls_an_unknown_attack_by_its_name() -> None:
    assert [heading(name) for name in ("paper_fgsm", "noise", "theirs")] == [
        "FGSM of the published study",
        "Random noise",
        "theirs",
    ]


def run(*code: str) -> str:
    """What a fresh Python prints, in which every warning is an error."""
    command = [sys.executable, "-W", "error", "-c", "\n".join(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_foolbox_is_imported_only_by_an_attack_and_without_a_warning() -> None:
    stated = run(
        "import sys, warnings",
        "import nsbench.attacks.worst_case, nsbench.attacks.fgsm",
        "print('foolbox' in sys.modules)",
        "filters = list(warnings.filters)",
        "import nsbench.attacks.foolbox_attacks",
        "print('foolbox' in sys.modules, warnings.filters == filters)",
    )
    assert stated.split() == ["False", "True", "True"]
