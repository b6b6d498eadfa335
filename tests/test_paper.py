"""The published protocol, its budget a two-thousandth and few of its images unlabelled, on the real CIFAR-10."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nsbench.results.store import load_results

SCALED = (
    "data.labeled_fraction=0.95",
    "study.control=false",
    "training.teacher_images=1_500",
    "training.student_images=1_500",
    "training.baseline_images=1_500",
    "method.confidence_threshold=0.1",
    "evaluation.attack_images=40",
    "evaluation.strong_attack_images=5",
    "evaluation.corruption_images=10",
    "evaluation.perturbation_images=2",
    "evaluation.bootstrap_resamples=100",
)


@pytest.mark.slow
@pytest.mark.cifar
def test_the_paper_preset_runs_whole_with_its_budget_scaled_down(
    nsbench: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    settings = [word for setting in SCALED for word in ("--set", setting)]
    data = os.environ["NSBENCH_TEST_CIFAR10"]
    command = ["run-all", "paper", "--data", data, "--out", str(tmp_path / "run"), *settings]
    outcome = nsbench(*command)
    assert outcome.returncode == 0, outcome.stderr
    results = load_results(tmp_path / "run")
    networks = [(record.role, record.network, record.parameters) for record in results.checkpoints]
    assert networks == [
        ("teacher", "resnet20", 269_818),
        ("student", "resnet26", 367_034),
        ("student", "resnet32", 464_250),
        ("student", "resnet38", 561_466),
        ("baseline", "resnet38", 561_466),
    ]
    assert (results.data.labeled, results.data.unlabeled, results.data.test) == (47_500, 2_500, 10_000)
    for record in results.checkpoints[1:4]:
        assert record.selection is not None
        filled = [sum(column) for column in zip(record.selection.labeled, record.selection.kept, strict=True)]
        assert sum(filled) + sum(record.selection.duplicates) == record.training_images
    assert (tmp_path / "run" / "report" / "index.html").is_file()
