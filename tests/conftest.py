"""What every test may use: a run small enough to make in seconds."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from filelock import FileLock

from nsbench.checkpoints.store import load_network
from nsbench.cli.app import main
from nsbench.config.resolve import resolve
from nsbench.config.schema import Config
from nsbench.data.load import load_dataset
from nsbench.networks.inference import predict_logits
from nsbench.work.options import Options
from nsbench.work.runs import open_run, run_all

# One thread each: the tests run side by side on all cores, and threads that wait for each other waste them.
THREADS = int(os.environ.get("NSBENCH_TEST_THREADS", "1"))
os.environ["OMP_NUM_THREADS"] = str(THREADS)
torch.set_num_threads(THREADS)
# Said, so that a machine's own preference (`auto`) does not decide what is tested.
PRECISION = os.environ.get("NSBENCH_TEST_PRECISION", "float32")

MadeOnce = Callable[[str, Callable[[Path], None]], Path]
Command = Callable[..., "CompletedProcess[str]"]

TINY = (
    "name=tiny",
    "study.networks=['resnet8-w0.125', 'resnet8-w0.25']",
    "study.control=false",
    "data.labeled_fraction=0.3",
    "input_noise.operations=1",
    "input_noise.magnitude=3",
    "input_noise.crop_padding=1",
    "method.confidence_threshold=0.2",
    "method.min_images_per_class=20",
    "training.teacher_images=2500",
    "training.student_images=2000",
    "training.baseline_images=1500",
    "training.batch_size=16",
    "training.learning_rate=0.1",
    f"training.precision={PRECISION}",
    "evaluation.attack_images=60",
    "evaluation.corruptions=['gaussian_noise', 'impulse_noise', 'gaussian_blur', 'brightness', 'contrast', "
    "'jpeg_compression']",
    "evaluation.perturbations=['gaussian_noise', 'brightness', 'translate']",
    "evaluation.corruption_images=40",
    "evaluation.perturbation_images=20",
    "evaluation.bootstrap_resamples=100",
)


# Teacher and student of 250 steps each on the real CIFAR-10, and a baseline that is hardly trained.
SMALL = (
    "study.networks=['resnet8-w0.5', 'resnet8-w0.5']",
    "study.baseline=resnet8-w0.125",
    "study.control=false",
    "study.name=hard",
    "study.seeds=[]",
    "data.labeled_fraction=0.1",
    "input_noise.operations=1",
    "input_noise.magnitude=9",
    "model_noise.dropout=0.1",
    "model_noise.survival=0.9",
    "method.type=hard",
    "method.temperature=1.0",
    "method.mixup_alpha=0.0",
    "method.min_images_per_class=1500",
    "method.max_class_gap=500",
    "training.schedule=steps",
    "training.average_decay=0.0",
    "training.learning_rate=0.1",
    "method.confidence_threshold=0.4",
    "training.teacher_images=16_000",
    "training.student_images=16_000",
    "training.baseline_images=64",
    "training.batch_size=64",
    f"training.precision={PRECISION}",
)


TRAINED = {"tiny_run", "second_run", "tiny_arguments", "train_small", "make_schedule", "resnet", "stranger", "exact"}
"""Fixtures that are trained networks, or that train them."""


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what trains networks; skip, with the reason, what needs data or a device that is not here."""
    for item in items:
        if TRAINED.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.training)
    reasons = {}
    if "NSBENCH_TEST_CIFAR10" not in os.environ:
        reasons["cifar"] = "NSBENCH_TEST_CIFAR10 does not name a folder with the real CIFAR-10"
    if not torch.cuda.is_available():
        reasons["gpu"] = "there is no CUDA device"
    for item in items:
        for marker, reason in reasons.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def tiny() -> Config:
    """Digits, two tiny networks, a few hundred steps."""
    return resolve("quick", TINY)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Have a folder filled by the first process of this session that asks for it, while the others wait."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder, done = shared / "made-once" / name, shared / "made-once" / f"{name}.done"
        folder.parent.mkdir(exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not done.exists():
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_run(tiny: Config, made_once: MadeOnce) -> Path:
    """The folder of a finished tiny run; tests read it and never write to it."""
    return made_once("tiny", lambda folder: run_all(tiny, Options(folder, device="cpu", quiet=True)))


@pytest.fixture(scope="session")
def second_run(made_once: MadeOnce) -> Path:
    """The same with another seed."""
    config = resolve("quick", [*TINY, "seed=1"])
    return made_once("second", lambda folder: run_all(config, Options(folder, device="cpu", quiet=True)))


@pytest.fixture
def nsbench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line in this process: another one would import PyTorch each time."""

    def run(*arguments: str) -> "CompletedProcess[str]":
        monkeypatch.setattr(sys, "argv", ["nsbench", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        written = capsys.readouterr()
        return CompletedProcess(arguments, int(left.value.code or 0), written.out, written.err)

    return run


@pytest.fixture(scope="session")
def tiny_arguments() -> list[str]:
    """The tiny run as command-line arguments."""
    return ["run-all", "quick", "--device", "cpu", *(word for setting in TINY for word in ("--set", setting))]


@pytest.fixture(scope="session")
def train_small() -> Callable[..., None]:
    """Train on the real CIFAR-10 in a folder, with settings of one's own."""

    def train(folder: Path, *settings: str) -> None:
        data = Path(os.environ["NSBENCH_TEST_CIFAR10"])
        open_run(resolve("cifar10-small", [*SMALL, *settings]), Options(folder, data, "cpu", quiet=True)).train()

    return train


@pytest.fixture(scope="session")
def accuracy() -> Callable[[Path], float]:
    """Top-1 accuracy of a checkpoint on 3,000 test images; chance is 10 %, with a standard error of 0.6 points."""

    def measure(checkpoint: Path) -> float:
        test, cpu = load_dataset("cifar10", Path(os.environ["NSBENCH_TEST_CIFAR10"])).test, torch.device("cpu")
        logits = predict_logits(load_network(checkpoint, cpu), test.images[:3000], cpu, 500)
        return float((logits.argmax(1) == test.labels[:3000]).mean())

    return measure


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the fuzzer's figures, which its processes report with their tests."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, figures in report.user_properties:
                if name == "fuzz":
                    terminalreporter.write_line(f"fuzz {figures}")
