"""Folders for the fuzzer: two small runs and an evaluation, each worker's own."""

import shutil
from pathlib import Path

import pytest

from nsbench.config.resolve import resolve
from nsbench.work.options import Options
from nsbench.work.runs import run_all
from tests.conftest import MadeOnce
from tests.fuzz.judge import KEPT, Workshop

SMALLEST = (
    "name=fuzz",
    "study.networks=['resnet8-w0.125', 'resnet8-w0.125']",
    "study.baseline=resnet8-w0.125",
    "study.control=false",
    "data.labeled_fraction=0.3",
    "method.confidence_threshold=0.05",
    "method.min_images_per_class=5",
    "training.teacher_images=480",
    "training.student_images=320",
    "training.baseline_images=160",
    "training.batch_size=16",
    "training.precision=float32",
    "evaluation.attack_images=8",
    "evaluation.corruptions=['contrast']",
    "evaluation.perturbations=['translate']",
    "evaluation.corruption_images=10",
    "evaluation.perturbation_images=6",
    "evaluation.bootstrap_resamples=100",
)
"""Three networks of some steps, and of each kind of prediction one or a few."""


def _fill(base: Path) -> None:
    for seed, name in enumerate(("run", "other")):
        run_all(resolve("quick", [*SMALLEST, f"seed={seed}"]), Options(base / name, device="cpu", quiet=True))
        for folder in (base / name, base / name / "predictions", base / name / "report"):
            for kept in KEPT:
                (folder / kept).write_text("mine")


@pytest.fixture(scope="session")
def workshop(made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Two finished runs and what is not nsbench's, in folders that cases may damage."""
    base = tmp_path_factory.mktemp("fuzz") / "a" / "b" / "c" / "base"
    shutil.copytree(made_once("fuzz", _fill), base)
    (base / "outside" / "x").mkdir(parents=True)
    (base / "outside" / "keep.txt").write_text("keep")
    (base / "outside" / "x" / "keep.png").write_bytes(b"keep")
    return Workshop(base)
