"""A whole run: what it leaves, that it repeats itself, and that it refuses what it cannot do."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file as load_arrays

from nsbench.checkpoints.labels import network_folder, read_plan
from nsbench.checkpoints.store import CheckpointFile, load_network, read_checkpoint
from nsbench.config.resolve import load_file, resolve
from nsbench.config.schema import Config
from nsbench.config.survey import ModelConfig
from nsbench.data.load import load_dataset
from nsbench.errors import UserError
from nsbench.models.open import open_models
from nsbench.networks.inference import predict_logits
from nsbench.results.record import Results
from nsbench.results.store import load_results
from nsbench.work.options import Options
from nsbench.work.reporting import report
from nsbench.work.runs import measure_run, open_run, run_all, train
from tests.conftest import TINY
from tests.results.small import evaluated

pytestmark = pytest.mark.training

NAMES = ["hard/seed0/gen0-resnet8-w0.125", "hard/seed0/gen1-resnet8-w0.25", "supervised/seed0/gen0-resnet8-w0.25"]


CLEAN = ("evaluation.corruptions=[]", "evaluation.perturbations=[]")


@pytest.fixture(scope="module")
def results(tiny_run: Path) -> Results:
    return load_results(tiny_run)


def test_a_run_leaves_the_documented_folder(tiny_run: Path, tiny: Config) -> None:
    assert load_file(tiny_run / "config.toml") == tiny
    for name in NAMES:
        assert {path.name for path in network_folder(tiny_run, name).iterdir()} == {
            "weights.safetensors",
            "checkpoint.json",
            "history.csv",
        }
        assert len(list((tiny_run / "predictions" / name).iterdir())) == 4
    for file in (
        "environment.json",
        "plan.json",
        "results.json",
        "metrics.csv",
        "report/index.html",
        "report/report.md",
    ):
        assert (tiny_run / file).stat().st_size > 100, file
    assert not list(tiny_run.rglob("*.tmp"))


def test_another_seed_gives_other_results(results: Results, second_run: Path) -> None:
    other = load_results(second_run)
    assert [record.weights_sha256 for record in other.checkpoints] != [
        record.weights_sha256 for record in results.checkpoints
    ]


def test_results_hold_no_clock_time_and_no_path(tiny_run: Path) -> None:
    text = (tiny_run / "results.json").read_text()
    assert str(tiny_run) not in text
    started = json.loads((tiny_run / "environment.json").read_text())["sessions"][0]["started"]
    assert started[:13] not in text


def test_every_number_has_its_interval_and_the_relative_ones_their_baseline(results: Results) -> None:
    for number in results.measurements:
        label = f"{number.model} {number.benchmark} {number.metric}"
        assert number.value is not None or number.note, label
        if number.ci_low is not None:
            assert number.ci_high is not None, label
            assert number.ci_low <= number.ci_high, label
        relative = ("corruption_error", "flip_rate")
        assert (number.baseline is not None) == any(word in number.metric for word in relative), label


def test_numbers_follow_from_the_stored_predictions(results: Results, tiny_run: Path) -> None:

    labels = load_dataset("digits", None).test.labels
    for name in NAMES:
        folder = tiny_run / "predictions" / name
        wrong = load_arrays(folder / "clean.safetensors")["logits"].argmax(1) != labels
        predicted = load_arrays(folder / "corruption" / "contrast-5.safetensors")["predicted"]
        own = {(m.benchmark, m.metric): m for m in results.measurements if m.model == name}
        assert own["clean", "top1_error"].value == pytest.approx(wrong.mean())
        assert own["clean", "top1_error"].n == 500
        assert own["corruption/contrast/5", "top1_error"].value == pytest.approx((predicted != labels[:40]).mean())
        assert own["fgsm/0", "top1_error"].value == pytest.approx(wrong[:60].mean())


def test_the_baseline_is_one_hundred_percent_of_itself(tmp_path: Path) -> None:
    """On made-up predictions: a tiny network may happen to have no error to divide by on some resample."""
    results = evaluated(tmp_path, {"net": 2.0, "base": 1.0}, baseline="base")
    own = {(m.benchmark, m.metric): m for m in results.measurements if m.model == results.baseline}
    for key in [("corruption", "mean_corruption_error"), ("perturbation", "mean_flip_rate")]:
        assert (own[key].value, own[key].ci_low, own[key].ci_high) == (1, 1, 1)


def test_a_subset_is_never_called_complete_and_validation_corruptions_never_count(results: Results) -> None:
    sets = {benchmark.attack or benchmark.kind: benchmark for benchmark in results.benchmarks}
    assert not sets["corruption"].complete
    assert sets["corruption"].shown == ["gaussian_blur"]
    assert "gaussian_blur" not in sets["corruption"].counted
    assert len(sets["corruption"].counted) + len(sets["corruption"].missing) == 15
    assert "5 of 15 corruptions, first 40 test images" in sets["corruption"].name
    assert "3 of 10 perturbations" in sets["perturbation"].name


def test_metrics_csv_is_the_same_numbers_as_tidy_rows(results: Results, tiny_run: Path) -> None:
    with (tiny_run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]) == (
        "model,study,generation,network,seed,benchmark,metric,value,ci_low,ci_high,n,baseline,weights_selection,measured_on,"
        "kind,protocol,member,severity,strength"
    )
    assert len(rows) == len(results.measurements)
    for row, number in zip(rows, results.measurements, strict=True):
        assert row["metric"] == number.metric
        assert row["benchmark"].startswith(number.benchmark)
        assert row["value"] == ("" if number.value is None else str(number.value))
        assert row["baseline"] == (number.baseline or "")


def test_a_mean_over_a_few_corruptions_says_so_in_its_row(tiny_run: Path) -> None:
    with (tiny_run / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] in ("mean_corruption_error", "mean_flip_rate")]
    assert {row["benchmark"] for row in rows} == {"corruption (5 of 15)", "perturbation (3 of 10)"}
    assert {row["measured_on"][:12] for row in rows} == {"nsbench-c v1", "nsbench-p v1"}


def test_a_checkpoint_gives_back_the_network_that_was_evaluated(tiny_run: Path) -> None:

    network = load_network(network_folder(tiny_run, NAMES[1]), torch.device("cpu"))
    logits = predict_logits(network, load_dataset("digits", None).test.images, torch.device("cpu"), 500)
    stored = load_arrays(tiny_run / "predictions" / NAMES[1] / "clean.safetensors")["logits"]
    np.testing.assert_array_equal(logits, stored)


def test_training_learns_something(results: Results) -> None:
    """Chance is 10 %; a broken training loop stays there."""
    for record in results.checkpoints:
        assert record.history[-1].loss < record.history[0].loss
    errors = [m.value for m in results.measurements if (m.benchmark, m.metric) == ("clean", "top1_error")]
    assert min(error for error in errors if error is not None) < 0.75


def test_another_configuration_is_refused_by_the_key_that_differs(tiny_run: Path) -> None:
    config = resolve("quick", [*TINY, "training.batch_size=64"])
    with pytest.raises(UserError, match=r"was made with training\.batch_size = 16, not 64: choose another folder"):
        open_run(config, Options(tiny_run, device="cpu"))


def test_deleting_an_output_makes_only_that_again(tiny_run: Path, tiny: Config, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_run, folder)
    before = (folder / "results.json").read_bytes()
    untouched = network_folder(folder, NAMES[0]) / "weights.safetensors"
    stamp = untouched.stat().st_mtime_ns
    (folder / "results.json").unlink()
    shutil.rmtree(folder / "predictions" / NAMES[1])
    again = network_folder(folder, NAMES[2])
    shutil.rmtree(again)
    again.mkdir()
    for left in (
        again / ".weights.safetensors.abcd1234.nsbench.tmp",
        folder / ".results.json.abcd1234.nsbench.tmp",
    ):  # of a killed process
        left.touch()
    run_all(tiny, Options(folder, device="cpu", quiet=True))
    assert (folder / "results.json").read_bytes() == before
    assert not list(folder.rglob("*.tmp"))
    assert untouched.stat().st_mtime_ns == stamp


def test_a_changed_weight_file_is_noticed(tiny_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(network_folder(tiny_run, NAMES[0]), folder)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(UserError, match=r"is missing or is not the file that checkpoint\.json describes"):
        read_checkpoint(folder)
    (folder / "checkpoint.json").write_text("{}")
    with pytest.raises(UserError, match="is damaged: delete the folder"):
        read_checkpoint(folder)


def test_a_second_run_stage_by_stage_gives_the_same_bytes(tiny: Config, tiny_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stages"
    options = Options(folder, device="cpu", quiet=True)
    train(tiny, options)
    assert not (folder / "results.json").exists()
    measure_run(folder, options)
    assert report(folder) == folder / "report" / "index.html"
    for file in ("results.json", "metrics.csv", "config.toml", "report/index.html", "report/report.md"):
        assert (folder / file).read_bytes() == (tiny_run / file).read_bytes(), file


def test_networks_that_another_engine_trained_are_measured_as_they_are(tiny_run: Path, tmp_path: Path) -> None:
    """Their folders have other hashes than the plan of this version would give them."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    plan = (folder / "plan.json").read_text()
    for labels in read_plan(folder):
        other = labels.folder[:-4] + "beef"
        (folder / "networks" / labels.folder).rename(folder / "networks" / other)
        path = folder / "networks" / other / "checkpoint.json"
        file = CheckpointFile.model_validate_json(path.read_bytes())
        teacher = file.teacher and file.teacher[:-4] + "beef"
        path.write_text(file.model_copy(update={"teacher": teacher}).sealed().model_dump_json())
        plan = plan.replace(labels.folder, other)
    (folder / "plan.json").write_text(plan)
    (folder / "results.json").unlink()
    measure_run(folder, Options(folder, device="cpu", quiet=True))
    assert (folder / "results.json").read_bytes() == (tiny_run / "results.json").read_bytes()
    assert (folder / "plan.json").read_text() == plan


def test_a_run_folder_of_an_earlier_version_is_refused_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[study]\nobjective = 'self-training'\n[pseudo_labels]\ntype = 'hard'\n")
    for attempt in (
        lambda: open_run(resolve("quick"), Options(tmp_path)),
        lambda: measure_run(tmp_path, Options(tmp_path)),
        lambda: open_models([ModelConfig(source=str(tmp_path))]),
    ):
        with pytest.raises(UserError, match=r"by an earlier version of nsbench.*: choose another folder with --out"):
            attempt()
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_evaluating_before_training_says_so(tiny: Config, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run folder"):
        measure_run(tmp_path, Options(tmp_path))
    open_run(tiny, Options(tmp_path / "new", device="cpu"))
    with pytest.raises(UserError, match=r"has no checkpoint: run `nsbench train` first"):
        measure_run(tmp_path / "new", Options(tmp_path / "new", device="cpu", quiet=True))
    with pytest.raises(UserError, match=r"There is no .*results\.json: run `nsbench evaluate"):
        report(tmp_path / "new")


def test_an_empty_selection_trains_on_labelled_images_and_warns(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = resolve("quick", [*TINY, *CLEAN, "method.confidence_threshold=1.0"])
    shutil.copytree(tiny_run / "networks", tmp_path / "empty" / "networks")  # the teacher and the baseline are the same
    run_all(config, Options(tmp_path / "empty", device="cpu", quiet=True))
    sentence = "no unlabelled image was above the confidence threshold 1"
    assert sentence in capsys.readouterr().err
    results = load_results(tmp_path / "empty")
    assert any(sentence in text for text in results.warnings)
    assert results.checkpoints[1].selection is not None
    assert sum(results.checkpoints[1].selection.kept) == 0
    assert "no unlabelled image was above" in (tmp_path / "empty" / "report" / "report.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("corruptions", "perturbations"), [("[]", "[]"), ("['gaussian_blur']", "['translate']"), ("['contrast']", "[]")]
)
def test_any_choice_of_benchmarks_gives_a_report(
    corruptions: str, perturbations: str, tiny_run: Path, tmp_path: Path
) -> None:
    """The networks of the tiny run are taken as they are: only the evaluation differs."""
    choice = [f"evaluation.corruptions={corruptions}", f"evaluation.perturbations={perturbations}"]
    shutil.copytree(tiny_run / "networks", tmp_path / "run" / "networks")
    index = run_all(resolve("quick", [*TINY, *choice]), Options(tmp_path / "run", device="cpu", quiet=True))
    assert "mCE" not in index.with_name("report.md").read_text()
    kinds = {benchmark.kind for benchmark in load_results(tmp_path / "run").benchmarks}
    assert ("corruption" in kinds, "perturbation" in kinds) == (corruptions != "[]", perturbations != "[]")


@pytest.mark.slow
def test_a_run_without_unlabelled_images_says_so(tmp_path: Path) -> None:
    config = resolve("quick", [*TINY, *CLEAN, "data.labeled_fraction=1.0"])
    run_all(config, Options(tmp_path / "all", device="cpu", quiet=True))
    assert any("there is no unlabelled image" in text for text in load_results(tmp_path / "all").warnings)


def test_a_validation_slice_is_held_out_and_scored(tmp_path: Path) -> None:
    config = resolve("quick", [*TINY, "data.labeled_fraction=0.1", "data.validation_fraction=0.2"])
    records = open_run(config, Options(tmp_path / "held-out", device="cpu", quiet=True)).train()
    for record in records:
        assert all(point.validation_accuracy is not None for point in record.history)
    assert records[0].training_images == 104


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["study.networks=['resnet9']"], "depth that is not 6n"),
        (["study.baseline=vgg"], "is not a network"),
        (["study.name=supervised"], "study.name = 'supervised' is taken"),
        (["study.name=control"], "study.name = 'control' is taken"),
        (["study.seeds=[1, 2, 1]"], "names a seed twice"),
        (["training.selection=best-validation"], "needs held-out images"),
        (["transfer.weights=nowhere"], "nowhere"),
        (["evaluation.corruptions=['contrast', 'contrast']"], "names something twice"),
        (["evaluation.fgsm_epsilons=[0.0, 0.0]"], "names something twice"),
        (["training.nesterov=true", "training.momentum=0.0"], "needs momentum"),
        (["data.labeled_fraction=0.001"], "labeled_fraction"),
    ],
)
def test_a_configuration_that_cannot_work_fails_before_the_run_folder_exists(
    settings: list[str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        open_run(resolve("quick", [*TINY, *settings]), Options(tmp_path / "none", device="cpu"))
    assert not (tmp_path / "none").exists()
