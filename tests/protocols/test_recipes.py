"""What CONTRIBUTING.md says of another corruption and another attack, followed in a copy of the package."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

KIND = """
import torch
from nsbench.corruptions.spec import Corruption, Draw


def _inverted(images: torch.Tensor, share: float, _: Draw) -> torch.Tensor:
    return (images + (255 - 2.0 * images) * share).to(torch.uint8)


INVERTED = {"inverted": Corruption((0.1, 0.2, 0.3, 0.4, 0.5), _inverted)}
"""
ATTACK = '    Attack("steep", "Steep", "the steep attack", "steep, {steps}", travel=2.0, beats=("fgsm", "noise")),\n'
BUILDER = '    "steep": lambda steps, _: WatchedBIM(rel_stepsize=2 / steps, steps=steps, random_start=False),\n'

MODEL = """
import torch
from torch import nn


def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(192, 10))
"""
FEW = ("corruption_images=30", "attack_images=30", "strong_attack_images=30", "bootstrap_resamples=100")

JUDGED = """
import numpy as np
from nsbench.metrics.masking import Outcomes, masking_signs
right, wrong = np.zeros((1, 900), bool), np.ones((1, 900), bool)
weaker, stronger = Outcomes((0.1,), wrong), Outcomes((0.1,), right)
print(*masking_signs({"fgsm": weaker, "steep": stronger}, np.zeros(900, bool), 10))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("nsbench", "data_manifests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def insert(file: Path, before: str, line: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{before!r} comes {text.count(before)} times in {file.name}"
    file.write_text(text.replace(before, line + before), encoding="utf-8")


def run(copy: Path, *command: str) -> str:
    """What Python prints in the copy; the package there is the one that is imported."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, env=environment, cwd=copy
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def measured(copy: Path, *options: str) -> dict[tuple[str, str], float]:
    """Numbers of a small model on the digits, from the command line to the table."""
    (copy / "model.py").write_text(MODEL, encoding="utf-8")
    common = ("--inside", "--data-set", "digits", "--baseline", "tiny", "--name", "tiny", "--out", "out", "--quiet")
    settings = [part for setting in FEW for part in ("--set", f"evaluation.{setting}")]
    run(copy, "-m", "nsbench", "evaluate", "model.py:tiny", *common, *settings, *options)
    with (copy / "out" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {(row["benchmark"].partition(" (")[0], row["metric"]): float(row["value"] or "nan") for row in rows}


@pytest.mark.slow
def test_another_corruption_is_made_measured_and_in_no_mean(copy: Path) -> None:
    package = copy / "nsbench"
    (package / "corruptions" / "kinds" / "inverted.py").write_text(KIND, encoding="utf-8")
    table = package / "corruptions" / "corruptions.py"
    insert(table, "from nsbench.corruptions.kinds.jpeg", "from nsbench.corruptions.kinds.inverted import INVERTED\n")
    insert(table, "NOISES, BLURS, MOTION", "INVERTED, ")
    cifar = package / "protocols" / "cifar.py"
    cifar.write_text(
        cifar.read_text(encoding="utf-8").replace("_FURTHER: tuple[str, ...] = ()", '_FURTHER = ("inverted",)'),
        encoding="utf-8",
    )
    names = run(copy, "-c", "from nsbench.protocols.cifar import CIFAR10_C; print(*CIFAR10_C.names)").split()
    found = measured(copy, "--on", "clean,digits-c", "--set", f"evaluation.corruptions={names}")
    each = [found[f"corruption/{name}", "mean_error"] for name in names]
    assert (len(each), names[-1]) == (20, "inverted")
    assert found["corruption", "mean_error"] == pytest.approx(sum(each[:15]) / 15)
    assert found["corruption", "paper_mean_error"] == pytest.approx(sum(each[:19]) / 19)
    assert found["corruption", "paper_mean_corruption_error"] == 1
    assert "inverted" in (copy / "out" / "report" / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_another_attack_is_configured_measured_and_judged(copy: Path) -> None:
    package = copy / "nsbench"
    insert(package / "protocols" / "attacks.py", ")\n\n_REGISTERED", ATTACK)
    insert(package / "attacks" / "foolbox_attacks.py", '}\n"""(steps, numbers) -> an attack', BUILDER)
    found = measured(copy, "--on", "clean,fgsm,steep", "--set", "evaluation.attack_steps=4")
    assert len([benchmark for benchmark, _ in found if benchmark.startswith("steep/")]) == 4
    assert found["steep/0.0313725", "top1_error"] >= found["clean", "top1_error"]
    report = (copy / "out" / "report" / "report.md").read_text(encoding="utf-8")
    assert "Steep" in report
    assert "steep, 4 steps" in report
    assert "attack='steep', by='fgsm'" in run(copy, "-c", JUDGED)
