"""A package that is not nsbench adds one thing of each kind, and the command line finds it, measures it, reports it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.extension.installation import Command

MODELS = """
import numpy as np
import torch
from torch import nn
from nsbench.data.load import load_dataset


def _fitted(count):
    train = load_dataset("digits", None).train
    pooled = nn.Sequential(nn.AvgPool2d(4), nn.Flatten())
    pixels = pooled(torch.tensor(train.images[:count]).permute(0, 3, 1, 2) / 255)
    weights = np.linalg.lstsq(pixels.numpy(), 20 * np.eye(10)[train.labels[:count]], rcond=1e-3)[0]
    last = nn.Linear(192, 10, bias=False)
    last.weight.data = torch.tensor(weights.T, dtype=torch.float32)
    return nn.Sequential(*pooled, last)


def one():
    return _fitted(1000)


def other():
    return _fitted(200)
"""
FEW = ("corruption_images=40", "attack_images=40", "strong_attack_images=40", "bootstrap_resamples=100")
BRIEF = (
    "name=brief",
    "study.networks=['resnet8-w0.125', 'resnet8-w0.125']",
    "data.labeled_fraction=0.3",
    "training.teacher_images=1000",
    "training.student_images=1000",
    "training.baseline_images=1000",
    "training.batch_size=16",
    "training.precision=float32",
    "evaluation.corruptions=['contrast']",
    "evaluation.perturbations=['translate']",
    "evaluation.perturbation_images=10",
    *(f"evaluation.{one}" for one in FEW),
)


@pytest.fixture
def evaluate(nsbench: Command, tmp_path: Path) -> Callable[..., Path]:
    """Evaluate two small models of the digits on something; returns the folder."""

    def run(*options: str, command: Command = nsbench) -> Path:
        (tmp_path / "models.py").write_text(MODELS, encoding="utf-8")
        sources = [f"{tmp_path}/models.py:{name}" for name in ("one", "other")]
        common = ("--inside", "--data-set", "digits", "--baseline", "one", "--out", str(tmp_path / "out"), "--quiet")
        settings = [word for one in FEW for word in ("--set", f"evaluation.{one}")]
        done = command("evaluate", *sources, *common, *settings, "--device", "cpu", *options)
        assert done.returncode == 0, done.stderr
        return tmp_path / "out"

    return run


@pytest.fixture
def train(nsbench: Command, tmp_path: Path) -> Callable[..., Path]:
    """A brief run with some settings; returns its folder."""

    def run(*settings: str) -> Path:
        words = [word for one in (*BRIEF, *settings) for word in ("--set", one)]
        done = nsbench("run-all", "quick", "--out", str(tmp_path / "run"), "--device", "cpu", "--quiet", *words)
        assert done.returncode == 0, done.stderr
        return tmp_path / "run"

    return run


def keys(folder: Path, part: str, model: str = "model") -> list[dict[str, Any]]:
    """The keys of a part of the record, each with the model that it is of."""
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))[part]
    return [{**one["key"], "of": one[model]} for one in found]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def clean_errors(folder: Path) -> list[str]:
    return [row["value"] for row in rows(folder) if (row["kind"], row["metric"]) == ("clean", "top1_error")]


def report(folder: Path) -> str:
    return (folder / "report" / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.training
def test_a_method_trains_the_students_of_a_study(train: Callable[..., Path]) -> None:
    folder = train("method.kind=mean-teacher", "method.consistency=2", "training.average_decay=0.9")
    networks = json.loads((folder / "results.json").read_text(encoding="utf-8"))["checkpoints"]
    assert [one["method"] for one in networks] == ["supervised", "mean-teacher", "supervised"]
    (student,) = (one for one in networks if one["role"] == "student")
    name = f"{student['study']}/seed{student['seed']}/gen{student['generation']}-{student['network']}"
    assert name in {one["of"] for one in keys(folder, "comparisons", "candidate")}
    assert "mean-teacher" in report(folder)


@pytest.mark.slow
@pytest.mark.training
def test_a_data_set_is_trained_on_measured_and_evaluated(
    train: Callable[..., Path], nsbench: Command, tmp_path: Path
) -> None:
    run = train("data.name=stripes")
    assert {"stripes-c", "stripes-p"} <= {row["protocol"] for row in rows(run)}
    assert "Stripes" in report(run)
    again = nsbench("evaluate", str(run), "--data-set", "stripes", "--on", "clean", "--out", str(tmp_path / "again"))
    assert again.returncode == 0, again.stderr
    assert clean_errors(tmp_path / "again") == clean_errors(run)


@pytest.mark.slow
def test_a_benchmark_of_corruptions_is_generated_measured_and_compared(evaluate: Callable[..., Path]) -> None:
    folder = evaluate("--on", "clean,calibration,occlusions")
    found = [row for row in rows(folder) if row["protocol"] == "occlusions" and row["model"] == "one"]
    cells = [float(row["value"]) for row in found if row["metric"] == "top1_error"]
    (mean,) = (float(row["value"]) for row in found if row["metric"] == "mean_error" and not row["member"])
    assert len(cells) == 6
    assert mean == pytest.approx(sum(cells) / 6)
    compared = {"kind": "corruption", "protocol": "occlusions", "metric": "mean_error", "of": "other"}
    assert compared in keys(folder, "comparisons", "candidate")
    assert "Occlusions (2 of 2 corruptions, first 40 test images)" in report(folder)


@pytest.mark.slow
def test_an_attack_is_measured_and_compared(evaluate: Callable[..., Path], nsbench: Command) -> None:
    folder = evaluate("--on", "clean,fgsm", "--attacks", "momentum", "--set", "evaluation.attack_steps=3")
    found = [row for row in rows(folder) if row["member"] == "momentum" and row["model"] == "one"]
    assert len(found) == 4
    assert [float(row["value"]) for row in found] == sorted(float(row["value"]) for row in found)
    assert "MI-FGSM, 3 steps of 0.333 eps" in report(folder)
    done = nsbench("compare", f"{folder}:other", f"{folder}:one", "--metrics", "momentum/8/255:top1_error")
    assert "| momentum/0.0313725 | top1_error | 40 |" in done.stdout


@pytest.mark.slow
def test_an_attack_that_falls_behind_a_weaker_one_is_a_sign_of_masking(
    evaluate: Callable[..., Path], lame: Command
) -> None:
    folder = evaluate("--on", "clean,fgsm", "--attacks", "momentum", command=lame)
    assert "MI-FGSM leaves an accuracy of" in report(folder)


def test_a_metric_has_an_interval_a_comparison_and_a_table(evaluate: Callable[..., Path]) -> None:
    folder = evaluate("--on", "clean,confident_errors")
    (found,) = (row for row in rows(folder) if row["metric"] == "confident_errors" and row["model"] == "one")
    assert float(found["ci_low"]) < float(found["value"]) < float(found["ci_high"])
    compared = {"kind": "clean", "metric": "confident_errors", "of": "other"}
    assert compared in keys(folder, "comparisons", "candidate")
    assert "Share of confident errors" in report(folder)
