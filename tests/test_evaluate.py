"""Models of any origin, measured from the command line and from Python."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nsbench.api import evaluate
from nsbench.predictions.kinds import FAST
from nsbench.predictions.store import Stored
from nsbench.results.store import load_results
from tests.conftest import Command

CODE = """
import torch
from torch import nn


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(196, 10))


def seven_classes():
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 7))


def broken():
    raise RuntimeError("no such luck")
"""
FEW = ("evaluation.corruptions=['contrast', 'brightness']", "evaluation.perturbations=['translate']")
SETTINGS = (
    "evaluation.corruption_images=20",
    "evaluation.perturbation_images=6",
    "evaluation.attack_images=15",
    "evaluation.strong_attack_images=5",
    "evaluation.attack_steps=2",
    "evaluation.bootstrap_resamples=100",
)


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(196, 10))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with code, and with two files of weights."""
    (tmp_path / "mine.py").write_text(CODE)
    for seed in (1, 2):
        save_file(network(seed).state_dict(), tmp_path / f"w{seed}.safetensors")
    return tmp_path


def put(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def arguments(folder: Path, *more: str, models: int = 2, out: str = "out") -> list[str]:
    words = ["evaluate", *[f"{folder / 'mine.py'}:network"] * models]
    for seed in range(1, models + 1):
        words += ["--weights", str(folder / f"w{seed}.safetensors"), "--name", f"net{seed}"]
    words += ["--inside", "--data-set", "digits", "--device", "cpu", "--out", str(folder / out)]
    return [*words, *put(*SETTINGS), *more]


def test_one_command_gives_the_whole_table(nsbench: Command, folder: Path) -> None:
    outcome = nsbench(
        *arguments(folder, "--on", "clean,calibration,digits-c,digits-p,fgsm,pgd", "--baseline", "net1", *put(*FEW))
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "near chance" in outcome.stderr
    results = load_results(folder / "out")
    assert [one.name for one in results.models] == ["net1", "net2"]
    assert results.baseline == "net1"
    found = {(one.model, one.benchmark, one.metric) for one in results.measurements}
    for key in (
        ("clean", "top1_error"),
        ("clean", "adaptive_calibration_error"),
        ("corruption", "mean_corruption_error"),
        ("corruption/contrast/3", "expected_calibration_error"),
        ("perturbation", "mean_flip_rate"),
        ("fgsm/0.01", "top1_error"),
        ("pgd/0.00392157", "top1_error"),
    ):
        assert {("net1", *key), ("net2", *key)} <= found, key
    assert {(one.candidate, one.baseline) for one in results.comparisons} == {("net2", "net1")}
    assert str(folder) not in (folder / "out" / "results.json").read_text()
    assert "net2" in (folder / "out" / "report" / "index.html").read_text()
    with (folder / "out" / "metrics.csv").open(newline="") as file:
        assert {row["model"] for row in csv.DictReader(file)} == {"net1", "net2"}


def test_the_same_command_again_computes_nothing_and_a_benchmark_more_only_that(nsbench: Command, folder: Path) -> None:
    few = put(FEW[0])
    assert nsbench(*arguments(folder, "--on", "clean,digits-c", *few, models=1)).returncode == 0
    again = nsbench(*arguments(folder, "--on", "clean,digits-c", *few, models=1))
    assert "evaluate" not in again.stderr
    more = nsbench(*arguments(folder, "--on", "clean,digits-c,fgsm", *few))
    assert more.returncode == 0, more.stderr
    assert "evaluate fgsm: " in more.stderr
    assert "evaluate corruption: 200/200" in more.stderr


def test_what_is_not_asked_for_is_not_measured(nsbench: Command, folder: Path) -> None:
    assert nsbench(*arguments(folder, "--on", "clean", models=1)).returncode == 0
    found = {one.benchmark for one in load_results(folder / "out").measurements}
    assert found == {"clean"}
    metrics = {one.metric for one in load_results(folder / "out").measurements}
    assert "expected_calibration_error" not in metrics


def test_a_report_in_bfloat16_says_how_many_predictions_differ(nsbench: Command, folder: Path) -> None:
    few = put(FEW[0], "evaluation.precision=bfloat16")
    assert nsbench(*arguments(folder, "--on", "clean,digits-c", *few)).returncode == 0
    stored = [Stored(folder / "out", name) for name in ("net1", "net2")]
    shares = [100 * np.mean(one.load("clean")["logits"].argmax(1) != one.load(FAST)["predicted"]) for one in stored]
    expected = [
        f"net{number}: corrupted and perturbed images were predicted in bfloat16; on clean images {share:.2f} % of its "
        "500 predictions differ from those in float32."
        for number, share in enumerate(shares, 1)
    ]
    assert set(expected) <= set(load_results(folder / "out").warnings)
    assert all(sentence in (folder / "out" / "report" / "report.md").read_text() for sentence in expected)


@pytest.mark.slow
def test_a_file_that_lists_models_does_as_well_and_the_folder_repeats_itself(nsbench: Command, folder: Path) -> None:
    (folder / "models.toml").write_text(
        "data = 'digits'\nbaseline = 'one'\n"
        f"[[models]]\nsource = '{folder / 'mine.py'}:network'\nweights = '{folder / 'w1.safetensors'}'\n"
        "name = 'one'\ninside = true\n"
        f"[[models]]\nsource = '{folder / 'mine.py'}:network'\nweights = '{folder / 'w2.safetensors'}'\n"
        "name = 'two'\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n"
    )
    listed = nsbench(
        "evaluate", str(folder / "models.toml"), "--trust-code", "--out", str(folder / "out"), *put(*SETTINGS, *FEW)
    )
    assert listed.returncode == 0, listed.stderr
    first = (folder / "out" / "results.json").read_bytes()
    assert load_results(folder / "out").models[1].mean == (0.5, 0.5, 0.5)
    repeated = nsbench("evaluate", str(folder / "out"), "--trust-code")
    assert repeated.returncode == 0, repeated.stderr
    assert (folder / "out" / "results.json").read_bytes() == first


def test_a_run_beside_a_model_of_ones_own(nsbench: Command, folder: Path, tiny_run: Path) -> None:
    words = ["evaluate", str(tiny_run), f"{folder / 'mine.py'}:network", "--inside", "--out", str(folder / "out")]
    words += ["--on", "clean", "--weights", "", "--weights", str(folder / "w1.safetensors"), "--device", "cpu"]
    outcome = nsbench(*words)
    assert outcome.returncode == 0, outcome.stderr
    results = load_results(folder / "out")
    assert len(results.checkpoints) == 3
    assert [one.name for one in results.models] == ["network"]
    assert results.baseline == "supervised/seed0/gen0-resnet8-w0.25"
    assert "near chance" not in "".join(one for one in results.warnings if "seed0" in one)
    page = (folder / "out" / "report" / "report.md").read_text()
    assert "0 labelled" not in page
    own = load_results(tiny_run).number(results.baseline, "clean", "top1_error").value
    assert results.number(results.baseline, "clean", "top1_error").value == own


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--on", "clean,cifar10-c"], "'cifar10-c' is nothing to measure on digits: choose among clean, calibration"),
        (["--baseline", "missing"], "The baseline 'missing' is not one of the models: name one of net1"),
        (["--weights", "x"], "--weights is given 2 times for 1 models"),
        (["--mean", "a,b"], "--mean 'a,b' is not a list of numbers"),
        (["--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5"], "exclude each other"),
        (["--held-out", "99999"], "evaluation.held_out_images = 99,999 is more than the 1,297 training images"),
        (["--set", "evaluation.attacks=['pdg']"], "must be .*one of pgd, bim"),
        (["--set", "evaluaton.attacks=[]"], "Unknown key 'evaluaton.?"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(nsbench: Command, folder: Path, change: list[str], message: str) -> None:
    outcome = nsbench(*arguments(folder, *change, models=1))
    assert outcome.returncode == 2, outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 1, outcome.stderr
    assert re.search(message, outcome.stderr), outcome.stderr
    assert not (folder / "out" / "results.json").exists()


def test_models_that_cannot_be_measured_are_reported_before_the_work(
    nsbench: Command, folder: Path, tiny_run: Path
) -> None:
    shared = ["--inside", "--data-set", "digits", "--out", str(folder / "out")]
    for source, message in (
        ("seven_classes", "seven_classes gives 7 classes, but the data set has 10"),
        ("broken", "no such luck"),
        ("netwrok", "did you mean network?"),
    ):
        outcome = nsbench("evaluate", f"{folder / 'mine.py'}:{source}", *shared)
        assert outcome.returncode == 2, outcome.stderr
        assert message in outcome.stderr
    undeclared = nsbench("evaluate", f"{folder / 'mine.py'}:network", *shared[1:])
    assert undeclared.returncode == 2
    assert "--inside" in undeclared.stderr
    nowhere = nsbench("evaluate", f"{folder / 'mine.py'}:network", "--inside")
    assert nowhere.returncode == 2
    assert "--out is missing" in nowhere.stderr
    taken = nsbench("evaluate", f"{folder / 'mine.py'}:network", *shared[:-1], str(tiny_run))
    assert taken.returncode == 2
    assert "holds a run, not an evaluation" in taken.stderr


@pytest.mark.slow
def test_an_evaluation_that_is_killed_ends_in_the_same_bytes(nsbench: Command, folder: Path) -> None:
    on = ("--on", "clean,calibration,digits-c,digits-p,fgsm", "--baseline", "net1", *put(*FEW))
    assert nsbench(*arguments(folder, *on, out="whole")).returncode == 0
    seen = folder / "out" / "predictions" / "net2" / "corruption" / "contrast-2.safetensors"
    process = subprocess.Popen([sys.executable, "-m", "nsbench", *arguments(folder, *on)], stderr=subprocess.DEVNULL)
    while process.poll() is None and not seen.exists():
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    half = seen.with_name(".contrast-4.safetensors.k1ll3d_8.nsbench.tmp")
    half.touch()
    resumed = nsbench(*arguments(folder, *on))
    assert resumed.returncode == 0, resumed.stderr
    assert "evaluate fgsm" not in resumed.stderr
    assert not half.exists()
    for file in ("metrics.csv", "comparisons.csv", "report/tables/models.csv"):
        assert (folder / "out" / file).read_bytes() == (folder / "whole" / file).read_bytes(), file
    results = [json.loads((folder / name / "results.json").read_text()) for name in ("out", "whole")]
    assert [one.pop("name") for one in results] == ["out", "whole"]
    assert [one["config"].pop("name") for one in results] == ["out", "whole"]
    assert results[0] == results[1]


def test_python_gives_the_same_numbers_as_the_command_line(nsbench: Command, folder: Path) -> None:
    assert nsbench(*arguments(folder, "--on", "clean,digits-c", *put(FEW[0]), models=1)).returncode == 0
    own = network(1).train()
    results = evaluate(
        {"net1": own},
        folder / "python",
        inside=True,
        data_set="digits",
        on=["clean", "digits-c"],
        corruptions=["contrast", "brightness"],
        corruption_images=20,
        bootstrap_resamples=100,
        quiet=True,
    )
    ours = {(one.benchmark, one.metric): one.value for one in results.measurements}
    theirs = {(one.benchmark, one.metric): one.value for one in load_results(folder / "out").measurements}
    assert ours == theirs
    assert own.training
    assert results.number("net1", "clean", "top1_error").n == 500
    with pytest.raises(KeyError, match="mean_error of net1 on perturbation was not measured"):
        results.number("net1", "perturbation", "mean_error")


def test_an_option_that_would_do_nothing_is_refused(nsbench: Command, folder: Path, tiny_run: Path) -> None:
    in_place = nsbench("evaluate", str(tiny_run), "--on", "clean")
    assert in_place.returncode == 2
    assert "measured in place as its config.toml says: name --out too, or leave out --on" in in_place.stderr
    (folder / "models.toml").write_text(f"[[models]]\nsource = '{folder / 'mine.py'}:network'\ninside = true\n")
    listed = nsbench("evaluate", str(folder / "models.toml"), "--inside", "--out", str(folder / "out"))
    assert listed.returncode == 2
    assert "says itself what its models are: change it there, or leave out --inside" in listed.stderr


@pytest.mark.slow
def test_networks_of_several_runs_are_averaged_over_their_seeds(
    nsbench: Command, folder: Path, tiny_run: Path, second_run: Path
) -> None:
    runs = [str(tiny_run), str(second_run)]
    outcome = nsbench("evaluate", *runs, "--on", "clean", "--out", str(folder / "out"), *put(*SETTINGS))
    assert outcome.returncode == 0, outcome.stderr
    results = load_results(folder / "out")
    (mean,) = (
        one for one in results.seed_means if (one.group, one.metric) == ("hard/gen1-resnet8-w0.25", "top1_error")
    )
    values = [results.number(f"hard/seed{seed}/gen1-resnet8-w0.25", "clean", "top1_error").value for seed in (0, 1)]
    assert mean.seeds == [0, 1]
    assert mean.value == pytest.approx(sum(value or 0 for value in values) / 2)
    page = (folder / "out" / "report" / "report.md").read_text()
    assert "Six networks that nsbench trained were measured on" in page
    assert "Means over seeds" in page
