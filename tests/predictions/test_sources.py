"""Where corrupted images come from: made, or read from files that are never taken for what they are not."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nsbench.config.evaluation import EvaluationConfig
from nsbench.config.resolve import resolve
from nsbench.corruptions.corruptions import corruption_set_version
from nsbench.corruptions.generate import Request, generate
from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.library.fingerprints import digest_file
from nsbench.data.library.recorded import Records, record_now, save_records
from nsbench.data.load import load_dataset
from nsbench.data.npy.folder import DESCRIPTION
from nsbench.errors import UserError
from nsbench.predictions.shown import BenchmarkImages, Files, Generated, Subset, open_source
from nsbench.progress import Reporter
from nsbench.results.described import benchmark_sets
from nsbench.results.store import load_results
from nsbench.work.options import Options
from nsbench.work.runs import open_run
from tests.conftest import TINY, Command

CODE = """
from torch import nn


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(196, 10))
"""


def config(**changes: object) -> EvaluationConfig:
    settings: dict[str, object] = {"source": "official", "corruptions": ("contrast",), "perturbations": ()}
    return EvaluationConfig.model_validate(settings | changes)


def some(dataset: Dataset, first: int, count: int) -> Subset:
    rows = slice(first, first + count)
    return Subset(torch.tensor(dataset.test.images[rows]), torch.tensor(dataset.test.labels[rows]), first)


@pytest.fixture(scope="module")
def cifar10() -> Dataset:
    return load_dataset("cifar10", Path(os.environ["NSBENCH_TEST_CIFAR10"]))


def written(folder: Path, name: str, request: Request) -> Path:
    data = Path(os.environ["NSBENCH_TEST_CIFAR10"])
    generate(name, request, folder, data, torch.device("cpu"), Reporter(quiet=True))
    return folder


def agree(one: BenchmarkImages, other: BenchmarkImages, part: Subset) -> bool:
    return all(
        torch.equal(one.corrupted(part, "contrast", severity), other.corrupted(part, "contrast", severity))
        for severity in range(1, 6)
    )


@pytest.mark.cifar
def test_files_that_nsbench_made_give_its_images_and_its_name(cifar10: Dataset, tmp_path: Path) -> None:
    written(tmp_path / "CIFAR-10-C", "cifar10-c", Request(("contrast",), limit=40))
    source = open_source(config(corruption_images=30), cifar10, tmp_path)
    assert isinstance(source, Files)
    assert source.corruptions == corruption_set_version()
    assert agree(source, Generated(), some(cifar10, 7, 9))
    (corrupted,) = (
        one
        for one in benchmark_sets(config(corruption_images=30), source, "cifar10", 10_000)
        if one.kind == "corruption"
    )
    assert corrupted.name == f"{corruption_set_version()} (1 of 15 corruptions, first 30 test images)"
    assert not corrupted.complete
    with pytest.raises(UserError, match=r"holds 40 of the 10,000 test images: set evaluation\.corruption_images to 40"):
        open_source(config(), cifar10, tmp_path)


@pytest.mark.cifar
def test_a_seed_of_its_own_is_part_of_the_name(cifar10: Dataset, tmp_path: Path) -> None:
    written(tmp_path / "CIFAR-10-C", "cifar10-c", Request(("contrast",), limit=5, seed=4))
    source = open_source(config(corruption_images=5), cifar10, tmp_path)
    assert source.corruptions == f"{corruption_set_version()} seed 4"


@pytest.mark.cifar
def test_files_without_a_description_are_the_official_ones(cifar10: Dataset, tmp_path: Path) -> None:
    folder = written(tmp_path / "CIFAR-10-C", "cifar10-c", Request(("contrast",)))
    (folder / DESCRIPTION).unlink()
    source = open_source(config(), cifar10, tmp_path)
    assert (source.corruptions, source.seed) == ("CIFAR-10-C", None)
    assert agree(source, Generated(), some(cifar10, 9_990, 10))


@pytest.mark.cifar
def test_sequences_are_read_as_they_were_written(cifar10: Dataset, tmp_path: Path) -> None:
    written(tmp_path / "CIFAR-10-P", "cifar10-p", Request(("translate",), limit=20))
    settings = config(corruptions=(), perturbations=("translate",), perturbation_images=20)
    source, part = open_source(settings, cifar10, tmp_path), some(cifar10, 3, 5)
    assert torch.equal(source.sequences(part, "translate"), Generated().sequences(part, "translate"))


@pytest.mark.cifar
def test_other_images_give_another_identity(cifar10: Dataset, tmp_path: Path) -> None:
    found = []
    for name, request in (("a", Request(("fog",), limit=8)), ("b", Request(("fog",), limit=8, seed=1))):
        written(tmp_path / name / "CIFAR-10-C", "cifar10-c", request)
        described = tmp_path / name / "CIFAR-10-C" / DESCRIPTION
        described.write_text(json.dumps(json.loads(described.read_text()) | {"seed": 0}))
        settings = config(corruptions=("fog",), corruption_images=8)
        found.append(open_source(settings, cifar10, tmp_path / name).identity("corruption", "fog"))
    assert found[0] != found[1]
    assert Generated().identity("corruption", "fog") not in found


def few(dataset: Dataset, count: int) -> Dataset:
    test = ImageSet(dataset.test.images[:count], dataset.test.labels[:count])
    return replace(dataset, test=test, train=test, checksum=content_checksum(test, test))


@pytest.fixture
def small(tmp_path: Path) -> Dataset:
    """Six digits as if they were CIFAR-10, and the official layout of one corruption of them in `CIFAR-10-C`."""
    dataset = replace(few(load_dataset("digits", None), 6), name="cifar10", title="CIFAR-10")
    folder = tmp_path / "CIFAR-10-C"
    folder.mkdir()
    np.save(folder / "contrast.npy", np.tile(dataset.test.images, (5, 1, 1, 1)))
    np.save(folder / "labels.npy", np.tile(dataset.test.labels, 5))
    return dataset


def test_official_files_of_which_no_checksum_is_known_are_named_to_the_reader(small: Dataset, tmp_path: Path) -> None:
    assert open_source(config(), small, tmp_path).warnings == (
        "CIFAR-10-C: 1 of 1 files were compared with no checksum, since none is published or recorded: "
        "`nsbench data verify cifar10-c` records them.",
    )


@pytest.mark.parametrize("inside", [False, True])
def test_an_official_file_that_is_not_the_recorded_one_is_never_measured(
    small: Dataset, tmp_path: Path, inside: bool
) -> None:
    path = tmp_path / "CIFAR-10-C" / "contrast.npy"
    content = digest_file(path, lambda _: None).fingerprint()
    save_records(tmp_path, "cifar10-c", Records(entries={path.name: record_now(content, "first use")}))
    data = path.parent if inside else tmp_path
    assert open_source(config(), small, data).warnings == ()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=r"contrast\.npy is not what was recorded on .* delete it and fetch the set"):
        open_source(config(), small, data)


def test_an_array_of_a_made_set_that_is_not_as_it_was_made_is_never_measured(small: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "CIFAR-10-C" / "contrast.npy"
    files = {path.name: digest_file(path, lambda _: None).digits("sha256")}
    said = {"set": "nsbench-c v1", "data_checksum": small.checksum, "images": 6, "severities": [1, 2, 3, 4, 5]}
    (path.parent / DESCRIPTION).write_text(json.dumps(said | {"seed": 0, "files": files}))
    assert open_source(config(), small, tmp_path).warnings == ()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=r"is not as it was made \(its SHA-256 differs\): make it again with `nsbench"):
        open_source(config(), small, tmp_path)


@pytest.mark.cifar
def test_files_that_are_not_measured_are_named(cifar10: Dataset, tmp_path: Path) -> None:
    folder = written(tmp_path / "CIFAR-10-C", "cifar10-c", Request(("contrast", "fog"), limit=5))
    source = open_source(config(corruption_images=5), cifar10, tmp_path)
    assert source.notes == (f"{folder}: not measured: fog",)


@pytest.mark.cifar
def test_official_files_are_measured_by_the_command_and_those_left_out_are_named(
    nsbench: Command, tmp_path: Path
) -> None:
    written(tmp_path / "CIFAR-10-C", "cifar10-c", Request(("contrast", "fog"), limit=5))
    (tmp_path / "cifar-10-batches-py").symlink_to(Path(os.environ["NSBENCH_TEST_CIFAR10"]) / "cifar-10-batches-py")
    (tmp_path / "mine.py").write_text(CODE)
    few = ["source=official", "corruptions=['contrast']", "corruption_images=5", "bootstrap_resamples=100"]
    settings = [word for setting in few for word in ("--set", f"evaluation.{setting}")]
    model = [f"{tmp_path / 'mine.py'}:network", "--inside", "--on", "clean,cifar10-c", "--device", "cpu"]
    outcome = nsbench("evaluate", *model, "--data", str(tmp_path), "--out", str(tmp_path / "out"), *settings)
    assert outcome.returncode == 0, outcome.stderr
    assert f"{tmp_path / 'CIFAR-10-C'}: not measured: fog\n" in outcome.stderr
    found = {one.benchmark for one in load_results(tmp_path / "out").measurements}
    assert {f"corruption/contrast/{severity}" for severity in range(1, 6)} <= found
    assert not any("fog" in benchmark for benchmark in found)


@pytest.mark.cifar
def test_a_run_names_the_files_that_it_will_not_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "CIFAR-10-C", "cifar10-c", Request(("contrast", "fog"), limit=5))
    (tmp_path / "cifar-10-batches-py").symlink_to(Path(os.environ["NSBENCH_TEST_CIFAR10"]) / "cifar-10-batches-py")
    few = ["source=official", "corruptions=['contrast']", "perturbations=[]", "corruption_images=5"]
    settings = [*TINY, "data.name=cifar10", *(f"evaluation.{setting}" for setting in few)]
    open_run(resolve("quick", settings), Options(tmp_path / "run", tmp_path, device="cpu"))
    assert "not measured: fog" in capsys.readouterr().err


@pytest.mark.cifar
def test_missing_files_are_reported_before_anything_is_trained(tmp_path: Path) -> None:
    data = Path(os.environ["NSBENCH_TEST_CIFAR10"])
    settings = ["data.name=cifar10", "evaluation.source=official"]
    with pytest.raises(UserError, match="holds no CIFAR-10-C: download it with `nsbench data fetch cifar10-c`"):
        open_run(resolve("quick", [*TINY, *settings]), Options(tmp_path / "run", data, device="cpu", quiet=True))
    assert not (tmp_path / "run").exists()


def test_digits_have_no_official_files(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no official files of Handwritten digits.*set evaluation\.source to 'generated'"
    ):
        open_source(config(), load_dataset("digits", None), tmp_path)


def test_frost_of_a_users_photographs_is_another_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"frost1\.png"):
        open_source(config(source="generated", frost_textures=str(tmp_path)), load_dataset("digits", None), tmp_path)


def test_what_is_not_defined_for_images_of_a_size_is_refused_before_any_is_made(tmp_path: Path) -> None:
    digits = load_dataset("digits", None)
    small = ImageSet(np.ascontiguousarray(digits.test.images[:, :20, :20]), digits.test.labels)
    smaller = replace(digits, test=small)
    generated = config(source="generated", corruptions=("contrast", "motion_blur"), perturbations=("translate",))
    made = open_source(generated, smaller, tmp_path).corrupted(some(smaller, 0, 2), "motion_blur", 3)
    assert made.shape == (2, 20, 20, 3)
    with pytest.raises(UserError, match="fog is defined for images of 32 x 32 pixels, and these have 20 x 20"):
        open_source(config(source="generated", corruptions=("contrast", "fog")), smaller, tmp_path)
    with pytest.raises(UserError, match="tilt is defined for images of 32 x 32 pixels, and these have 20 x 20"):
        open_source(config(source="generated", perturbations=("tilt",)), smaller, tmp_path)
