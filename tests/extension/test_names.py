"""What is misspelt, or fails when it is imported, is one sentence; what nsbench.extend offers is what it says."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nsbench.extend
from tests.extension.installation import Command, command, installed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run-all", "--set", "method.kind=mean-techer"), "Did you mean mean-teacher?"),
        (("run-all", "--set", "data.name=stripe"), "Did you mean stripes?"),
        (("run-all", "--set", "evaluation.attacks=['momentun']"), "Did you mean momentum?"),
        (("evaluate", "m.py:m", "--data-set", "digits", "--out", "o", "--on", "oclusions"), "Did you mean occlusions?"),
        (
            ("evaluate", "m.py:m", "--data-set", "digits", "--out", "o", "--on", "confident_error"),
            "Did you mean confident_errors?",
        ),
    ],
)
def test_a_misspelt_name_of_each_kind_is_one_sentence_with_the_nearest(
    nsbench: Command, arguments: tuple[str, ...], said: str
) -> None:
    done = nsbench(*arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.endswith(f"{said}\n")


@pytest.fixture
def broken(tmp_path: Path) -> Command:
    """The command line beside a package one of whose modules fails."""
    site = installed(tmp_path)
    (site / "additions" / "stripes.py").write_text("import no_such_thing\n", encoding="utf-8")
    return command(site)


def test_a_package_that_fails_is_named_in_one_sentence_and_only_where_it_is_needed(broken: Command) -> None:
    done = broken("run-all", "--set", "data.name=stripes")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "The plug-in 'data_set' of the package additions fails (ModuleNotFoundError" in done.stderr
    assert broken("run-all", "--set", "data.name=cifar10", "--show-config").returncode == 0
    assert broken("--help").returncode == 0


def test_every_name_that_extend_offers_is_there_and_typed() -> None:
    tree = ast.parse(Path(nsbench.extend.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    typed = {alias.asname or alias.name for node in imports for alias in node.names}
    assert typed - {"import_module"} == set(nsbench.extend.__all__)
    for name in nsbench.extend.__all__:
        assert getattr(nsbench.extend, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        nsbench.extend.Nothing  # noqa: B018  # the look-up is what fails


def test_an_attack_or_a_metric_is_registered_without_torch() -> None:
    names = "Attack, Metric, register_attack, register_metric, weighted_mean"
    code = f"from nsbench.extend import {names}\nimport sys\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
