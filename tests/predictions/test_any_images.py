"""Predictions do not depend on where images lie, how many fit into memory, or how many classes there are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from nsbench.config.evaluation import EvaluationConfig
from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.load import load_dataset
from nsbench.data.rows.images import Images
from nsbench.data.rows.mapped import MappedImages
from nsbench.data.rows.pictures import open_picture_folder
from nsbench.errors import UserError
from nsbench.models.in_memory import InMemory
from nsbench.predictions.cell import CHUNK_BYTES
from nsbench.predictions.cells import Clean
from nsbench.predictions.collect import Evaluation
from nsbench.predictions.shown import Generated, Subset
from nsbench.predictions.store import Stored
from nsbench.predictions.strips import write_benchmark_strips
from nsbench.progress import Reporter
from nsbench.protocols.cifar import CIFAR10_P

CONFIG = EvaluationConfig(
    batch_size=7,
    corruptions=("contrast",),
    corruption_images=20,
    perturbations=("translate",),
    perturbation_images=6,
    fgsm_epsilons=(0.0, 0.1),
    attack_images=15,
    attacks=("pgd",),
    attack_epsilons=(0.1,),
    attack_steps=2,
    strong_attack_images=9,
)
CPU = torch.device("cpu")
PLAIN = (0.5, 0.5, 0.5)
TEST, TRAIN = 40, 12


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """A few digits, in the order of their classes, as a folder a class has them."""
    whole = load_dataset("digits", None)
    test = whole.test.select(np.argsort(whole.test.labels[:TEST], kind="stable"))
    train = whole.train.select(np.argsort(whole.train.labels[:TRAIN], kind="stable"))
    return replace(whole, train=train, test=test, checksum=content_checksum(train, test))


def network(outputs: int = 10, seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(196, outputs))


def evaluation(dataset: Dataset, run: Path, config: EvaluationConfig = CONFIG) -> Evaluation:
    return Evaluation(config, dataset, Generated(), run, CPU, dataset.train)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The bytes of all files, temporary ones included; without the claims, which are empty."""
    files = (path for path in folder.rglob("*.*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def predicted(work: Evaluation, model: nn.Module | None = None, name: str = "a") -> dict[str, bytes]:
    """All files of an evaluation of one model, and the example images."""
    work.collect([InMemory(name, model or network(), inside=True)], Reporter(quiet=True))
    write_benchmark_strips(work.config, work.dataset, work.source, work.run)
    return bytes_of(work.run)


def mapped(part: ImageSet, folder: Path) -> ImageSet:
    np.save(folder / "images.npy", part.images[:])
    return ImageSet(MappedImages(folder / "images.npy"), part.labels)


def pictures(part: ImageSet, folder: Path) -> ImageSet:
    for number, (pixels, label) in enumerate(zip(part.images[:], part.labels, strict=True)):
        (folder / str(label)).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / str(label) / f"{number:03d}.png")
    found, classes = open_picture_folder(folder, 32)
    named = np.array([int(name) for name in classes])
    return ImageSet(found.images, named[found.labels])


@pytest.mark.parametrize("resident", [0, 2**30])
@pytest.mark.parametrize("lay", [mapped, pictures])
def test_a_mapped_file_and_a_folder_of_pictures_give_what_an_array_gives(
    digits: Dataset, tmp_path: Path, lay: Callable[[ImageSet, Path], ImageSet], resident: int
) -> None:
    folders = [tmp_path / name for name in ("train", "test")]
    for folder in folders:
        folder.mkdir()
    train, test = lay(digits.train, folders[0]), lay(digits.test, folders[1])
    dataset = replace(digits, train=train, test=test, checksum=content_checksum(train, test))
    assert dataset.checksum == digits.checksum
    work = evaluation(dataset, tmp_path / "run")
    work.resident = resident
    found = predicted(work)
    assert len(found) == 13
    assert found == predicted(evaluation(digits, tmp_path / "whole"))


class Asked:
    """Images that remember the most rows asked for at once."""

    def __init__(self, images: Images) -> None:
        self.images, self.shape, self.most = images, images.shape, 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        found = self.images[rows]
        self.most = max(self.most, len(found))
        return found


def test_of_images_that_do_not_fit_no_more_than_a_chunk_is_read(digits: Dataset, tmp_path: Path) -> None:
    images = Asked(digits.test.images)
    dataset = replace(digits, test=ImageSet(images, digits.test.labels))
    work = evaluation(dataset, tmp_path, CONFIG.model_copy(update={"corruptions": (), "perturbations": ()}))
    work.resident = 0
    for cell in work._cells:
        if cell.attacks:
            for part in cell.chunks(7):
                assert not part.resident
                assert part.images.shape == (len(part), 32, 32, 3)
    assert images.most == 7


def chunks_of(images: Images | Tensor, batch: int) -> list[int]:
    subset = Subset(images, torch.zeros(len(images), dtype=torch.int64))
    return [len(part) for part in Clean("clean", subset, "x").chunks(batch)]


@pytest.mark.parametrize(("batch", "piece"), [(100, 2000), (2000, 2000), (7, 1995), (3000, 3000)])
def test_images_on_a_disk_are_read_ahead_in_whole_batches(batch: int, piece: int) -> None:
    images = np.broadcast_to(np.uint8(0), (10_000, 32, 32, 3))
    *pieces, last = chunks_of(images, batch)
    assert set(pieces) == {piece}
    assert sum(pieces) + last == 10_000


def test_large_images_are_held_by_bytes_and_small_ones_by_number() -> None:
    def chunks(side: int) -> list[int]:
        images = torch.zeros(1, dtype=torch.uint8).expand(25_000, side, side, 3)  # which takes no memory
        return chunks_of(images, batch=100)

    assert chunks(32) == [10_000, 10_000, 5_000]
    large = chunks(224)
    assert sum(large) == 25_000
    assert max(large) == CHUNK_BYTES // (224 * 224 * 3)


@pytest.mark.parametrize("resident", [True, False])
def test_a_part_of_a_part_knows_its_place_in_the_test_set(digits: Dataset, resident: bool) -> None:
    images = torch.tensor(digits.test.images) if resident else digits.test.images
    part = Subset(images, torch.tensor(digits.test.labels)).part(slice(10, 30)).part(slice(5, 99))
    assert part.rows == slice(15, 30)
    assert part.indices.tolist() == list(range(15, 30))
    assert part.labels.tolist() == digits.test.labels[15:30].tolist()
    np.testing.assert_array_equal(part.images, digits.test.images[15:30])
    assert [one.rows for one in part.parts(10)] == [slice(15, 25), slice(25, 30)]


@pytest.mark.parametrize("held", [0, 700])  # each chunk, and a few together with some left over at the end
def test_cells_written_as_they_come_have_the_same_bytes(digits: Dataset, tmp_path: Path, held: int) -> None:
    work = evaluation(digits, tmp_path / "parts")
    work.held = held
    assert predicted(work) == predicted(evaluation(digits, tmp_path / "whole"))


class Stops(nn.Module):
    """Is interrupted at the second batch whose gradient is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.asked = network(), 0

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        self.asked += images.requires_grad and len(images) > 2
        if self.asked == 2:
            raise KeyboardInterrupt
        return self.network(images)


def test_an_interrupted_cell_leaves_neither_itself_nor_its_parts(digits: Dataset, tmp_path: Path) -> None:
    work = evaluation(digits, tmp_path)
    work.held = 0
    with pytest.raises(KeyboardInterrupt):
        predicted(work, Stops())
    assert sorted(bytes_of(tmp_path / "predictions")) == [
        "a/clean.safetensors",
        "a/held-out.safetensors",
        "labels.safetensors",
    ]


def test_what_a_killed_process_left_of_a_cell_is_cleaned_away(digits: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "predictions" / "a"
    folder.mkdir(parents=True)
    (folder / ".clean.safetensors.k3xk3xk3.nsbench.tmp").write_bytes(b"half")
    (folder / ".other.safetensors.k3xk3xk3.nsbench.tmp").write_bytes(b"another process is writing this")
    predicted(evaluation(digits, tmp_path))
    assert [path.name for path in folder.glob(".*.tmp")] == [".other.safetensors.k3xk3xk3.nsbench.tmp"]


class Readable(nn.Module):
    """Reads an image's class out of its first pixel."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images: Tensor) -> Tensor:
        """Logits that point at the class."""
        digits = (images[:, :, 0, 0] * 255).round().long()
        return nn.functional.one_hot(digits @ torch.tensor([1, 256, 65536]), self.classes).float() * 9


class AsTheyAre(Generated):
    """Shows the clean images as every corruption and in every frame."""

    def corrupted(self, part: Subset, name: str, severity: int) -> Tensor:  # noqa: ARG002  # as a source has them
        """The images themselves."""
        return part.images

    def sequences(self, part: Subset, name: str) -> Tensor:
        """The images themselves."""
        return part.images[:, None].expand(-1, CIFAR10_P.member(name).frames, -1, -1, -1)


@pytest.mark.parametrize(
    ("classes", "kind"), [(256, np.uint8), (257, np.uint16), (300, np.uint16), (2**16, np.uint16), (70_000, np.int32)]
)
def test_a_predicted_class_is_kept_however_many_classes_there_are(tmp_path: Path, classes: int, kind: type) -> None:
    labels = np.array([0, 1, 255, classes - 1, classes - 2, min(classes - 1, 299), classes // 2, 7, 8, 9])
    images = np.zeros((len(labels), 8, 8, 3), np.uint8)
    images[:, 0, 0] = np.stack([labels % 256, labels // 256 % 256, labels // 65536], 1)
    test = ImageSet(images, labels.astype(np.int64))
    names = tuple(map(str, range(classes)))
    dataset = Dataset("x", "X", "none", "none", names, PLAIN, PLAIN, test, test, content_checksum(test, test))
    config = CONFIG.model_copy(update={"fgsm_epsilons": (), "attacks": (), "precision": "bfloat16"})
    work = Evaluation(config, dataset, AsTheyAre(), tmp_path, CPU)
    work.held = 100
    work.collect([InMemory("a", Readable(classes), inside=True)], Reporter(quiet=True))
    stored = Stored(tmp_path, "a")
    for cell, expected in (
        ("corruption/contrast-3", labels),
        ("clean-bfloat16", labels),
        ("perturbation/translate", np.repeat(labels[:6, None], CIFAR10_P.member("translate").frames, 1)),
    ):
        found = stored.load(cell)["predicted"]
        assert found.dtype == kind
        np.testing.assert_array_equal(found, expected)


COUNTED = (7, 2, 5)


class Columns(nn.Module):
    """The network's outputs that count, chosen by the model itself."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: Tensor) -> Tensor:
        """Logits of three classes."""
        return self.network(images)[:, list(COUNTED)]


@pytest.fixture(scope="module")
def three() -> Dataset:
    """Digits of three classes, which count as three outputs of a model for all ten."""
    whole = load_dataset("digits", None)
    parts = []
    for part, count in ((whole.train, TRAIN), (whole.test, TEST)):
        chosen = part.select(np.flatnonzero(np.isin(part.labels, COUNTED))[:count])
        parts.append(ImageSet(chosen.images, np.array([COUNTED.index(label) for label in chosen.labels])))
    checksum = content_checksum(*parts)
    return replace(whole, classes=("7", "2", "5"), train=parts[0], test=parts[1], checksum=checksum, counted=COUNTED)


def test_only_the_outputs_that_count_are_kept_and_attacked(three: Dataset, tmp_path: Path) -> None:
    predicted(evaluation(three, tmp_path / "ten"))
    predicted(evaluation(three, tmp_path / "three"), Columns())
    predicted(evaluation(replace(three, counted=None), tmp_path / "plain"), Columns())
    ten, own, plain = (Stored(tmp_path / folder, "a") for folder in ("ten", "three", "plain"))
    assert ten.load("clean")["logits"].shape == (TEST, 3)
    for cell in ("clean", "held-out", "fgsm", "pgd", "corruption/contrast-5", "perturbation/translate"):
        for key, values in plain.load(cell).items():
            np.testing.assert_array_equal(ten.load(cell)[key], values)
            np.testing.assert_array_equal(own.load(cell)[key], values)
    assert ten.image_identity("clean") == own.image_identity("clean") != plain.image_identity("clean")


def test_other_outputs_that_count_are_other_predictions(three: Dataset, tmp_path: Path) -> None:
    first = predicted(evaluation(three, tmp_path))
    second = predicted(evaluation(replace(three, counted=(7, 2, 6)), tmp_path))
    assert all(first[name] != second[name] for name in first if name.endswith("clean.safetensors"))


def test_a_model_without_an_output_that_counts_is_refused(three: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a gives 6 classes, but the data set has 3, some of 8 or more: use a model"):
        predicted(evaluation(three, tmp_path), network(6))
