"""`nsbench compare`: the right model of the right folder, paired or refused, with a verdict and an exit status."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from nsbench.checkpoints.labels import Labels, plan_text
from nsbench.cli.compare import compare
from nsbench.errors import UserError
from nsbench.metrics.uncertainty import holm
from nsbench.predictions.store import save_labels
from nsbench.results.assemble import assemble, checkpoint_pairs
from nsbench.results.compare.sides import open_side
from nsbench.results.compare.versus import Choice, Versus, versus
from nsbench.results.record import Results
from nsbench.results.store import save_results
from tests.results.small import CONFIG, checkpoint_record, evaluated, labels, model_record, setup_of, write_model

STUDENT, TEACHER, BASELINE = "hard/seed0/gen1-resnet8", "hard/seed0/gen0-resnet8", "supervised/seed0/gen0-resnet8"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation of three models."""
    made = tmp_path_factory.mktemp("evaluation")
    evaluated(made, {"base": 2.0, "same": 2.0, "good": 3.5}, "base")
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a teacher, a student and a baseline."""
    made = tmp_path_factory.mktemp("run")
    records = [
        checkpoint_record(TEACHER, "teacher"),
        checkpoint_record(STUDENT, "student", TEACHER),
        checkpoint_record(BASELINE, "baseline"),
    ]
    for seed, record in enumerate(records):
        write_model(made, str(record), skill=2.0, seed=10 + seed)
    setup = setup_of(made, records, BASELINE)
    save_results(made, assemble(setup))
    assert checkpoint_pairs(records)
    return made


def command(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(compare)
    return CliRunner().invoke(app, [*arguments])


def test_the_last_student_of_a_run_is_meant_where_none_is_named(run: Path) -> None:
    assert open_side(str(run)).model == STUDENT


def test_a_checkpoint_is_named_by_its_folder_or_after_a_colon(run: Path) -> None:
    folder = run / "networks" / "resnet8-supervised-1f3a09bc52"
    folder.mkdir(parents=True)
    own = {"study": "hard", "generation": 0, "network": "resnet8", "seed": 0, "role": "teacher", "parent": None}
    (run / "plan.json").write_text(plan_text([Labels(**own, folder=folder.name)]))
    for text in (str(folder), f"{run}:{TEACHER}"):
        side = open_side(text)
        assert (side.folder.resolve(), side.model) == (run.resolve(), TEACHER)


def test_a_folder_with_one_model_needs_no_name(tmp_path: Path) -> None:
    evaluated(tmp_path, {"only": 2.0}, None)
    assert open_side(str(tmp_path)).model == "only"


def test_a_side_that_is_not_clear_is_refused_with_the_choices(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has 3 models: name one as .*:MODEL, of base, same, good"):
        open_side(str(folder))
    with pytest.raises(UserError, match="has no model 'bad': name one of base, same, good"):
        open_side(f"{folder}:bad")
    with pytest.raises(UserError, match="There is no folder nowhere"):
        open_side("nowhere:good")
    with pytest.raises(UserError, match=r"There is no .*results\.json: run `nsbench evaluate"):
        open_side(str(tmp_path))
    with pytest.raises(UserError, match="good cannot be compared with itself"):
        versus(open_side(f"{folder}:good"), open_side(f"{folder}:good"), Choice())


def test_the_headlines_equal_the_records_own_comparisons_but_for_the_resamples(folder: Path) -> None:
    record = Results.model_validate_json((folder / "results.json").read_bytes())
    found = versus(open_side(f"{folder}:good"), open_side(f"{folder}:base"), Choice())
    own = [one for one in record.comparisons if (one.candidate, one.baseline) == ("good", "base")]
    assert len(found.comparisons) == len(own) == 9
    for mine, theirs in zip(found.comparisons, own, strict=True):
        assert (mine.benchmark, mine.metric, mine.difference) == (theirs.benchmark, theirs.metric, theirs.difference)
    p_values = [one.p_value for one in found.comparisons if one.p_value is not None]
    assert [one.p_holm for one in found.comparisons] == pytest.approx(holm(p_values))


def test_models_of_two_folders_are_paired_where_their_images_are_the_same(folder: Path, run: Path) -> None:
    found = versus(open_side(f"{folder}:good"), open_side(str(run)), Choice())
    assert found.not_compared == []
    assert {one.verdict for one in found.comparisons if one.metric == "top1_error"} == {"better"}
    assert (found.candidate_of, found.baseline) == ("small", STUDENT)


def test_a_ratio_is_compared_only_where_both_are_relative_to_the_same_model(folder: Path, run: Path) -> None:
    ratio = Choice(("corruption:mean_corruption_error",))
    (one,) = versus(open_side(f"{folder}:good"), open_side(f"{folder}:same"), ratio).comparisons
    assert one.verdict == "better"
    with pytest.raises(UserError, match=r"mean_corruption_error cannot be compared .relative to different models"):
        versus(open_side(f"{folder}:good"), open_side(str(run)), ratio)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A model shown other corrupted images."""
    write_model(tmp_path, "other", skill=2.0, seed=9, images="v2")
    save_results(tmp_path, assemble(setup_of(tmp_path, [model_record("other")], None)))
    return tmp_path


def test_other_images_are_never_compared_unpaired(folder: Path, elsewhere: Path) -> None:
    sides = open_side(f"{folder}:good"), open_side(str(elsewhere))
    found = versus(*sides, Choice())
    assert "corruption" not in {one.benchmark for one in found.comparisons}
    assert "corruption mean_error: measured on other images" in found.not_compared
    with pytest.raises(UserError, match=r"corruption mean_error cannot be compared .measured on other images"):
        versus(*sides, Choice(("corruption:mean_error",)))
    with pytest.raises(UserError, match=r"measured on other images"):
        versus(*sides, Choice(), strict=True)


def test_another_number_of_steps_is_another_attack(folder: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"attack_steps": 7})
    write_model(tmp_path, "other", config=config)
    save_results(tmp_path, assemble(setup_of(tmp_path, [model_record("other")], None, config)))
    found = versus(open_side(f"{folder}:good"), open_side(str(tmp_path)), Choice())
    assert found.not_compared == ["pgd/0.0313725 top1_error: measured on other images"]


def test_everything_is_compared_but_what_has_no_direction(folder: Path) -> None:
    found = versus(open_side(f"{folder}:same"), open_side(f"{folder}:base"), Choice(everything=True))
    metrics = {one.metric for one in found.comparisons}
    assert not metrics & {"temperature", "zero_gradients", "relative_mean_corruption_error"}
    assert len(found.comparisons) > 60
    assert any(one.startswith("scaled temperature: lower is not better") for one in found.not_compared)
    assert "worse" not in {one.verdict for one in found.comparisons}, "models of equal skill"


def test_a_metric_that_neither_has_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="Neither model has a number 'accuracy'"):
        versus(open_side(f"{folder}:same"), open_side(f"{folder}:base"), Choice(("accuracy",)))
    with pytest.raises(UserError, match=r"Did you mean top1_error\?"):
        versus(open_side(f"{folder}:same"), open_side(f"{folder}:base"), Choice(("clean:top1_eror",)))


def test_the_table_names_models_numbers_and_verdicts(folder: Path) -> None:
    text = command(f"{folder}:good", f"{folder}:base").output
    assert text.startswith("# good (small) against base (small)\n")
    rows = [line for line in text.splitlines() if line.startswith("| clean | top1_error |")]
    assert len(rows) == 1
    assert rows[0].endswith("| better |")
    assert "%" in rows[0]
    assert "Of 9 numbers, good is better in" in text
    assert "Holm's correction over the 9 rows" in text
    assert "says nothing about what training either again would give" in text


def test_json_is_a_typed_record_with_the_texts_of_the_table_and_goes_into_a_file(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = command(f"{folder}:good", f"{folder}:base", "--format", "json", "--out", str(out))
    assert (done.exit_code, done.output) == (0, "")
    content = json.loads(out.read_bytes())
    texts = [(one.pop("benchmark"), one.pop("metric")) for one in content["comparisons"]]
    found = Versus.model_validate(content)
    assert texts == [(one.benchmark, one.metric) for one in found.comparisons]
    assert found == versus(open_side(f"{folder}:good"), open_side(f"{folder}:base"), Choice())


@pytest.mark.parametrize(
    ("candidate", "baseline", "option", "status"),
    [
        ("good", "base", ["--fail-on-regression"], 0),
        ("base", "good", ["--fail-on-regression"], 1),
        ("same", "base", ["--fail-on-regression"], 0),
        ("base", "good", [], 0),
    ],
)
def test_a_regression_fails_only_where_it_is_asked_to(
    folder: Path, candidate: str, baseline: str, option: list[str], status: int
) -> None:
    assert command(f"{folder}:{candidate}", f"{folder}:{baseline}", *option).exit_code == status


def test_metrics_may_be_listed_with_commas_or_one_by_one(folder: Path) -> None:
    sides = (f"{folder}:good", f"{folder}:base", "--format", "json")
    both = command(*sides, "--metrics", "clean:brier_score,mean_flip_probability").output
    assert both == command(*sides, "--metrics", "clean:brier_score", "--metrics", "mean_flip_probability").output
    assert [one["metric"] for one in json.loads(both)["comparisons"]] == ["brier_score", "mean_flip_probability"]


def test_the_command_imports_no_torch(folder: Path) -> None:
    code = (
        "import sys\nfrom nsbench.cli.compare import compare\n"
        f"compare({str(folder) + ':good'!r}, {str(folder) + ':base'!r})\n"
        "assert not {'torch', 'torchvision', 'matplotlib', 'sklearn', 'pyarrow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| clean | top1_error |" in done.stdout


def test_other_labels_of_the_same_images_are_refused_with_both_folders(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    test, held_out = labels()
    save_labels(other, (test + 1) % 10, held_out)
    found = command(f"{folder}:good", f"{other}:base")
    with pytest.raises(UserError, match="have other labels of the same images: evaluate both") as caught:
        versus(open_side(f"{folder}:good"), open_side(f"{other}:base"), Choice())
    assert str(folder) in str(caught.value)
    assert str(other) in str(caught.value)
    assert found.exit_code != 0
