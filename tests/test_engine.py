"""What the engine trains beyond the study's chain, by configuration alone, in runs of seconds on the digits."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nsbench.checkpoints.labels import network_folder
from nsbench.checkpoints.record import CheckpointRecord
from nsbench.checkpoints.store import load_network
from nsbench.config.resolve import resolve
from nsbench.errors import UserError
from nsbench.results.store import load_results
from nsbench.study.chain import warnings_of
from nsbench.study.plan import make_plan
from nsbench.work.options import Options
from nsbench.work.runs import open_run, run_all
from tests.conftest import TINY

pytestmark = pytest.mark.training

SHORT = (
    *TINY,
    "training.teacher_images=600",
    "training.student_images=600",
    "training.baseline_images=64",
    "evaluation.corruptions=[]",
    "evaluation.perturbations=[]",
    "evaluation.attack_images=20",
)
TEACHER, STUDENT = "hard/seed0/gen0-resnet8-w0.125", "hard/seed0/gen1-resnet8-w0.25"
CONTROL = "control/seed0/gen1-resnet8-w0.25"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained plain run."""
    folder = tmp_path_factory.mktemp("plain")
    train(folder)
    return folder


def train(folder: Path, *settings: str) -> dict[str, CheckpointRecord]:
    """Train in a folder; the records by name."""
    run = open_run(resolve("quick", [*SHORT, *settings]), Options(folder, device="cpu", quiet=True))
    return {str(record): record for record in run.train()}


def beside_the_plain_run(plain: Path, folder: Path, *settings: str) -> dict[str, CheckpointRecord]:
    """Train with whatever networks of the plain run the settings do not concern."""
    shutil.copytree(plain / "networks", folder / "networks")
    return train(folder, *settings)


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(network_folder(folder, name) / "weights.safetensors")


def test_the_control_is_a_student_without_pseudo_labels(plain: Path, tmp_path: Path) -> None:
    records = beside_the_plain_run(plain, tmp_path, "study.control=true", "model_noise.dropout=0.3")
    control, student = records[CONTROL], records[STUDENT]
    assert (control.role, control.method, control.parent, control.selection) == (
        "control", "supervised", None, None
    )  # fmt: skip
    assert (control.images_seen, control.parameters) == (student.images_seen, student.parameters)
    assert student.selection is not None
    assert control.training_images == sum(max(20, count) for count in student.selection.labeled)
    assert '"dropout": 0.3' in (network_folder(tmp_path, CONTROL) / "checkpoint.json").read_text()


def test_each_students_network_has_a_control_and_students_that_share_it_share_the_control() -> None:
    config = resolve("quick", ["study.networks=['resnet8', 'resnet8', 'resnet8', 'resnet14']", "study.seeds=[3, 5]"])
    names = [str(planned.name) for planned in make_plan(config, "data")]
    assert [name for name in names if name.startswith("control")] == [
        "control/seed3/gen1-resnet8",
        "control/seed3/gen3-resnet14",
        "control/seed5/gen1-resnet8",
        "control/seed5/gen3-resnet14",
    ]
    assert len(names) == 2 * (4 + 1 + 2)


def test_seeds_train_everything_again_on_one_split_and_share_their_configuration(plain: Path, tmp_path: Path) -> None:
    records = beside_the_plain_run(plain, tmp_path, "study.seeds=[0, 1]")
    first, again = (records[STUDENT.replace("seed0", f"seed{seed}")] for seed in (0, 1))
    assert first.weights_sha256 == train(plain)[STUDENT].weights_sha256
    assert again.weights_sha256 != first.weights_sha256
    assert again.parent == TEACHER.replace("seed0", "seed1")
    assert again.configuration == first.configuration
    assert first.configuration["parent"] == records[TEACHER].configuration
    assert again.selection is not None
    assert first.selection is not None
    assert again.selection.labeled == first.selection.labeled


def test_a_network_of_another_split_is_trained_anew_even_where_its_own_seed_is_the_same(
    plain: Path, tmp_path: Path
) -> None:
    other = beside_the_plain_run(plain, tmp_path, "data.split_seed=1")[TEACHER]
    assert other.weights_sha256 != train(plain)[TEACHER].weights_sha256
    assert other.configuration != train(plain)[TEACHER].configuration


@pytest.mark.parametrize(
    "setting",
    [
        "data.labeled_fraction=0.4",
        "input_noise.magnitude=4",
        "model_noise.dropout=0.2",
        "method.confidence_threshold=0.3",
        "training.learning_rate=0.05",
        "training.student_images=616",
    ],
)
def test_whatever_changes_a_students_weights_changes_its_configuration(
    setting: str, plain: Path, tmp_path: Path
) -> None:
    assert train(tmp_path, setting)[STUDENT].configuration != train(plain)[STUDENT].configuration


def test_weights_that_a_training_starts_from_are_part_of_its_configuration_whatever_their_file_is_called(
    plain: Path, tmp_path: Path
) -> None:
    start = tmp_path / "start.safetensors"
    shutil.copy(network_folder(plain, TEACHER) / "weights.safetensors", start)
    found = train(tmp_path / "run", f"transfer.weights={start}")[TEACHER]
    assert found.configuration["initial"]["sha256"] == found.initial_weights != ""
    assert str(start) not in str(found.configuration)
    assert train(plain)[TEACHER].configuration["initial"] is None


def test_two_studies_share_a_teacher_that_is_trained_once(plain: Path, tmp_path: Path) -> None:
    shutil.copytree(plain / "networks", tmp_path / "networks")
    teacher = network_folder(plain, TEACHER).name
    before = (tmp_path / "networks" / teacher / "weights.safetensors").stat().st_mtime_ns
    records = train(tmp_path, "study.name=other", "method.type=soft")
    assert records[TEACHER.replace("hard", "other")].recipe == train(plain)[TEACHER].recipe
    assert (tmp_path / "networks" / teacher / "weights.safetensors").stat().st_mtime_ns == before


def test_one_recipe_under_two_labels_is_one_network(tmp_path: Path) -> None:
    records = train(tmp_path, "study.baseline=resnet8-w0.125", "training.baseline_images=600")
    baseline = records["supervised/seed0/gen0-resnet8-w0.125"]
    assert baseline.weights_sha256 == records[TEACHER].weights_sha256
    assert len(list((tmp_path / "networks").iterdir())) == 2


def test_distillation_trains_a_smaller_student_on_softened_probabilities(tmp_path: Path) -> None:
    chain = "study.networks=['resnet8-w0.25', 'resnet8-w0.125']"
    longer = ["training.teacher_images=1200", "training.student_images=1200"]
    records = train(tmp_path, "method.kind=distillation", chain, "study.baseline=resnet8-w0.125", *longer)
    student = records["hard/seed0/gen1-resnet8-w0.125"]
    assert (student.method, student.parent) == ("distillation", "hard/seed0/gen0-resnet8-w0.25")
    assert student.parameters < records["hard/seed0/gen0-resnet8-w0.25"].parameters
    assert student.history[-1].loss < student.history[0].loss


@pytest.mark.slow
def test_an_efficientnet_is_a_student_with_the_configured_noise(tmp_path: Path) -> None:
    settings = ["study.networks=['resnet8-w0.125', 'efficientnet-b0']", "study.baseline=resnet8-w0.25"]
    records = train(tmp_path, *settings, "training.student_images=64", "model_noise.dropout=0.25")
    student = records["hard/seed0/gen1-efficientnet-b0"]
    assert (student.role, student.parameters) == ("student", 4_020_358)
    network = load_network(network_folder(tmp_path, str(student)), torch.device("cpu"))
    assert network.head_dropout.p == 0.25


@pytest.mark.parametrize("setting", ["method.temperature=8.0", "method.weight=0.1"])
def test_the_settings_of_distillation_change_the_student(setting: str, plain: Path, tmp_path: Path) -> None:
    beside_the_plain_run(plain, tmp_path / "one", "method.kind=distillation")
    beside_the_plain_run(plain, tmp_path / "two", "method.kind=distillation", setting)
    one, two = (weights(tmp_path / name, STUDENT)["linear.weight"] for name in ("one", "two"))
    assert not torch.equal(one, two)


def test_transfer_starts_the_named_roles_from_trained_weights(plain: Path, tmp_path: Path) -> None:
    """With a learning rate near zero the student stays where it started."""
    settings = ["transfer.roles=['student']", "training.learning_rate=1e-12", "training.weight_decay=0.0"]
    source = network_folder(plain, STUDENT)
    records = train(tmp_path, f"transfer.weights={source}", *settings)
    started, ended = weights(plain, STUDENT), weights(tmp_path, STUDENT)
    assert torch.allclose(started["stem.weight"], ended["stem.weight"], atol=1e-6)
    assert records[STUDENT].initial_weights == train(plain)[STUDENT].weights_sha256
    assert records[TEACHER].initial_weights == ""


def test_transfer_to_the_head_alone_keeps_the_body(plain: Path, tmp_path: Path) -> None:
    source = network_folder(plain, TEACHER) / "weights.safetensors"
    train(tmp_path, f"transfer.weights={source}", "transfer.train=head", "transfer.head_rate=2.0")
    before, after = weights(plain, TEACHER), weights(tmp_path, TEACHER)
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"linear.weight", "linear.bias"}


def test_weights_that_do_not_fit_a_later_student_are_refused_before_anything_is_trained(
    plain: Path, tmp_path: Path
) -> None:
    settings = [f"transfer.weights={network_folder(plain, TEACHER)}", "transfer.roles=['student']"]
    with pytest.raises(UserError, match=r"does not fit: .* choose the network that these weights were trained in"):
        train(tmp_path / "run", *settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_weights_selected_on_test_say_so_wherever_they_appear(tmp_path: Path) -> None:
    config = resolve("quick", [*SHORT, "training.selection=best-test"])
    index = run_all(config, Options(tmp_path / "run", device="cpu", quiet=True))
    results = load_results(tmp_path / "run")
    assert all(record.test_selected for record in results.checkpoints)
    assert all(point.test_accuracy is not None for record in results.checkpoints for point in record.history)
    for page in (index, index.with_name("report.md")):
        assert "test-selected, optimistic" in page.read_text()


def test_micro_batches_are_recorded_and_warned_of(tmp_path: Path) -> None:
    record = train(tmp_path, "training.micro_batch=4")[TEACHER]
    assert record.micro_batch == 4
    assert any("learnt in parts of 4 images" in sentence for sentence in warnings_of(record, ("0",) * 10))
