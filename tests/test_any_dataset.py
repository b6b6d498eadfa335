"""A whole run, trained and measured, is the same wherever its images lie, and learns from images without labels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nsbench.config.resolve import resolve
from nsbench.config.schema import Config
from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.rows.mapped import MappedImages
from nsbench.data.rows.pictures import PictureFiles
from nsbench.data.splits import split
from nsbench.work.options import Options
from nsbench.work.runs import Run, open_run

BRIEF = (
    "name=brief",
    "study.networks=['resnet8-w0.125', 'resnet8-w0.125']",
    "study.control=false",
    "data.labeled_fraction=0.3",
    "input_noise.operations=1",
    "method.confidence_threshold=0.1",
    "method.min_images_per_class=20",
    "training.teacher_images=400",
    "training.student_images=400",
    "training.baseline_images=400",
    "training.batch_size=16",
    "training.precision=float32",
    "evaluation.attack_images=20",
    "evaluation.corruptions=['contrast']",
    "evaluation.perturbations=['translate']",
    "evaluation.corruption_images=20",
    "evaluation.perturbation_images=10",
    "evaluation.bootstrap_resamples=100",
)


@pytest.fixture(scope="module")
def brief() -> Config:
    return resolve("quick", BRIEF)


def opened(config: Config, folder: Path) -> Run:
    return open_run(config, Options(folder, device="cpu", quiet=True))


def finished(run: Run) -> bytes:
    """The results of a run."""
    run.measure(run.train())
    return (run.bench.folder / "results.json").read_bytes()


@pytest.fixture(scope="module")
def whole(brief: Config, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The results with arrays in memory."""
    return finished(opened(brief, tmp_path_factory.mktemp("whole")))


def mapped(part: ImageSet, folder: Path) -> ImageSet:
    np.save(folder / "images.npy", part.images[:])
    return ImageSet(MappedImages(folder / "images.npy"), part.labels)


def pictures(part: ImageSet, folder: Path) -> ImageSet:
    files = [folder / f"{number:04d}.png" for number in range(len(part))]
    for path, pixels in zip(files, part.images[:], strict=True):
        Image.fromarray(pixels).save(path)
    return ImageSet(PictureFiles(files, 32), part.labels)


@pytest.mark.slow
@pytest.mark.parametrize("lay", [mapped, pictures])
def test_a_run_on_images_on_a_disk_has_the_results_of_one_in_memory(
    brief: Config, whole: bytes, tmp_path: Path, lay: Callable[[ImageSet, Path], ImageSet]
) -> None:
    run = opened(brief, tmp_path / "run")
    parts = {}
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        parts[name] = lay(getattr(run.dataset, name), tmp_path / name)
    assert content_checksum(*parts.values()) == run.dataset.checksum
    assert finished(replace(run, dataset=replace(run.dataset, **parts))) == whole


def with_extra(dataset: Dataset) -> Dataset:
    """The last 400 training images without their labels."""
    train, extra = (dataset.train.select(np.arange(*rows)) for rows in ((0, 897), (897, 1297)))
    unlabeled = ImageSet(extra.images)
    return replace(dataset, train=train, unlabeled=unlabeled, checksum=content_checksum(train, dataset.test, unlabeled))


ALL_TAKEN = ("data.labeled_fraction=1.0", "method.confidence_threshold=0.0", "method.max_class_gap=2000")


def test_a_student_learns_from_images_whose_labels_are_unknown(tmp_path: Path) -> None:
    config = resolve("quick", [*BRIEF, *ALL_TAKEN])
    run = opened(config, tmp_path)
    dataset, data = with_extra(run.dataset), config.data
    divided = split(
        dataset.train.labels, data.labeled_fraction, data.validation_fraction, data.split_seed, dataset.extra
    )
    records = replace(run, dataset=dataset, split=divided).train()
    (selection,) = (record.selection for record in records if record.selection is not None)
    assert sum(selection.kept) == selection.available == 400
    assert not selection.labels_known
    assert selection.accuracy is None
