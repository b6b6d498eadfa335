"""`nsbench verify` names every part of a folder that is missing or damaged, and what makes it again."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

from nsbench.checkpoints.labels import read_plan
from nsbench.checkpoints.store import CheckpointFile
from nsbench.config.evaluation import EvaluationConfig
from nsbench.data.load import load_dataset
from nsbench.errors import UserError
from nsbench.predictions.cells import cells
from nsbench.predictions.expected import Expected
from nsbench.predictions.shown import Generated, Subset
from nsbench.study.chain import read_networks

Command = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run of one's own."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def first(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


def test_a_finished_run_is_whole_and_stays_as_it_is(nsbench: Command, run: Path) -> None:
    before = tree(run)
    outcome = nsbench("verify", str(run))
    assert outcome.returncode == 0, outcome.stderr
    assert "networks     3 of 3 whole" in outcome.stdout
    assert tree(run) == before


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a flipped bit in predictions": (
        lambda run: flip(first(run, "predictions/hard/seed0/*/corruption/*.safetensors")),
        "its checksum is another",
    ),
    "missing predictions": (lambda run: first(run, "predictions/supervised/seed0/*/clean.*").unlink(), "clean: "),
    "damaged labels": (lambda run: flip(run / "predictions" / "labels.safetensors"), "labels.safetensors"),
    "a flipped bit in weights": (lambda run: flip(first(run, "networks/*/weights.safetensors")), "weights.safetensors"),
    "a network that is gone": (lambda run: shutil.rmtree(first(run, "networks/*")), "it is not trained"),
    "a changed number": (
        lambda run: (run / "metrics.csv").write_text((run / "metrics.csv").read_text().replace("0.1", "0.2", 1)),
        "metrics.csv: it is not what results.json gives",
    ),
    "a missing table": (lambda run: (run / "comparisons.csv").unlink(), "comparisons.csv: it is not there"),
    "a missing record": (lambda run: (run / "results.json").unlink(), "results.json: it is not there"),
    "a changed report": (lambda run: flip(run / "report" / "index.html"), "report/index.html"),
    "a missing figure": (lambda run: first(run, "report/figures/*.svg").unlink(), "report/figures/"),
    "a missing report": (lambda run: shutil.rmtree(run / "report"), "report: it is not there"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_or_missing_is_named(what: str, nsbench: Command, run: Path) -> None:
    harm, words = DAMAGE[what]
    harm(run)
    outcome = nsbench("verify", str(run))
    assert outcome.returncode == 2
    assert words in outcome.stdout
    assert f"{run} is not whole, " in outcome.stderr
    assert outcome.stderr.count("\n") == 1


Entries = dict[str, dict[str, Any]]


def shared_folder(plan: Entries) -> None:
    plan["student"]["folder"] = plan["baseline"]["folder"]


def own_student(plan: Entries) -> None:
    shared_folder(plan)
    plan["student"]["parent"] = None


def another_teacher(plan: Entries, role: str = "baseline") -> None:
    plan["teacher"] |= {key: plan[role][key] for key in ("folder", "network")}
    plan["student"]["parent"] = f"hard/seed0/gen0-{plan[role]['network']}"


def student_as_teacher(plan: Entries) -> None:
    another_teacher(plan, "student")


LIES = {
    shared_folder: "learnt from no teacher, not from ",
    own_student: "was trained as a teacher or baseline",
    another_teacher: "learnt from ",
    student_as_teacher: ", not from labels alone",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_plan_that_calls_a_network_what_it_is_not_is_refused_and_named(
    lie: Callable[[Entries], None], nsbench: Command, run: Path
) -> None:
    path = run / "plan.json"
    content = json.loads(path.read_text())
    lie({entry["role"]: entry for entry in content["networks"]})
    path.write_text(json.dumps(content))
    outcome = nsbench("verify", str(run))
    assert outcome.returncode == 2
    assert LIES[lie] in outcome.stdout
    with pytest.raises(UserError, match=LIES[lie]):
        read_networks(run, read_plan(run))


def test_a_plan_that_leaves_a_network_out_is_not_what_the_configuration_asks_for(nsbench: Command, run: Path) -> None:
    path = run / "plan.json"
    content = json.loads(path.read_text())
    content["networks"].pop()
    path.write_text(json.dumps(content))
    outcome = nsbench("verify", str(run))
    assert outcome.returncode == 2
    assert "plan.json: it is not what config.toml asks for: a network is missing" in outcome.stdout


def test_a_report_of_another_record_is_named(nsbench: Command, run: Path) -> None:
    path = run / "results.json"
    path.write_text(path.read_text().rstrip() + "\n\n")
    outcome = nsbench("verify", str(run))
    assert outcome.returncode == 2
    assert "report/files.json: it is of another results.json" in outcome.stdout


def test_a_description_that_is_sealed_but_not_of_its_weights_is_named(nsbench: Command, run: Path) -> None:
    path = first(run, "networks/*/checkpoint.json")
    file = CheckpointFile.model_validate_json(path.read_bytes())
    record = file.record.model_copy(update={"parameters": 1})
    path.write_text(file.model_copy(update={"record": record}).sealed().model_dump_json())
    outcome = nsbench("verify", str(run))
    assert outcome.returncode == 2
    assert "the number of parameters is another" in outcome.stdout


NUMBERS = {
    "a clean error": {"kind": "clean", "metric": "top1_error"},
    "an error under attack": {"kind": "attack", "metric": "top1_error", "member": "fgsm"},
    "an error on a corruption": {"kind": "corruption", "metric": "top1_error", "severity": 3},
}


@pytest.mark.parametrize("what", NUMBERS)
def test_an_error_that_the_predictions_do_not_give_is_named(what: str, nsbench: Command, run: Path) -> None:
    content, key = json.loads((run / "results.json").read_text()), NUMBERS[what].items()
    one = next(one for one in content["measurements"] if key <= one["key"].items() and "/gen1" in one["model"])
    one["value"] = one["value"] / 2 + 0.01
    content["comparisons"] = content["seed_comparisons"] = []
    (run / "results.json").write_text(json.dumps(content))
    outcome = nsbench("verify", str(run))
    assert outcome.returncode == 2
    assert f"results.json: it says {one['value']:.4g} for " in outcome.stdout
    assert f" of {one['model']} on {one['n']:,} images, its predictions give " in outcome.stdout


@pytest.mark.slow
def test_the_command_that_it_names_makes_all_of_it_again(nsbench: Command, run: Path, tiny_run: Path) -> None:
    for harm, _ in DAMAGE.values():
        if run.joinpath("report").exists() and run.joinpath("results.json").exists():
            harm(run)
    for _ in range(3):  # a damaged network is named, then another
        said = nsbench("verify", str(run)).stderr
        if "delete " not in said:
            break
        shutil.rmtree(said.partition("delete ")[2].split(",")[0].split(" and ")[0])
    words = shlex.split(said.split("`")[1])
    assert nsbench(*words[1:]).returncode == 0
    assert nsbench("verify", str(run)).returncode == 0
    assert (run / "results.json").read_bytes() == (tiny_run / "results.json").read_bytes()


def test_a_folder_of_something_else_is_one_sentence(nsbench: Command, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        outcome = nsbench("verify", str(folder))
        assert outcome.returncode == 2
        assert "is neither a run nor an evaluation" in outcome.stderr


def test_an_evaluation_is_verified_too_and_as_json(nsbench: Command, tiny_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "evaluation"
    network = first(tiny_run, "networks/*supervised*")
    few = ["--set", "evaluation.corruption_images=20", "--set", "evaluation.bootstrap_resamples=100"]
    on = ["--data-set", "digits", "--on", "clean,fgsm", "--device", "cpu"]
    assert nsbench("evaluate", str(network), *on, *few, "--name", "mine", "--out", str(folder)).returncode == 0
    assert nsbench("verify", str(folder)).returncode == 0
    flip(folder / "predictions" / "mine" / "fgsm.safetensors")
    outcome = nsbench("verify", str(folder), "--json")
    assert outcome.returncode == 2
    wrong = [part for part in json.loads(outcome.stdout) if part["fault"]]
    assert [part["name"] for part in wrong] == ["predictions/mine/fgsm"]
    assert "`nsbench evaluate " in outcome.stderr
    assert nsbench("evaluate", str(folder), "--device", "cpu").returncode == 0
    assert nsbench("verify", str(folder)).returncode == 0


def test_the_cells_that_are_expected_are_those_that_are_made() -> None:
    """Two lists, since one is made with images at hand and the other without."""
    test = load_dataset("digits", None).test
    images = Subset(torch.tensor(test.images[:8]), torch.tensor(test.labels[:8]))
    config = EvaluationConfig(attacks=("pgd",), paper_fgsm=True, precision="bfloat16")
    made = [cell.name for cell in cells(config, images, images, "images", Generated())]
    assert list(Expected(config, 8, 8, 10).names()) == made


def test_tables_of_a_record_of_an_earlier_version_are_not_compared(nsbench: Command, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parent / "results" / "version3" / "results.json", tmp_path)
    (tmp_path / "config.toml").write_text("models = []\n")
    outcome = nsbench("verify", str(tmp_path))
    assert "results.json was written by an earlier version, so its tables are not compared" in outcome.stdout
    assert "metrics.csv" not in outcome.stdout
