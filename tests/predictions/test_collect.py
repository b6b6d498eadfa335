"""One pass: each image is made once for all models, and nothing that is stored is computed again."""

from collections import Counter
from pathlib import Path
from threading import get_ident

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nsbench.config.evaluation import EvaluationConfig
from nsbench.corruptions.corruptions import corrupt
from nsbench.corruptions.perturbations import perturb
from nsbench.data.images import Dataset
from nsbench.data.load import load_dataset
from nsbench.errors import UserError
from nsbench.models.in_memory import InMemory
from nsbench.networks.inference import to_float
from nsbench.predictions.collect import Evaluation
from nsbench.predictions.shown import Generated, Subset
from nsbench.predictions.store import Stored, load_labels
from nsbench.progress import Reporter

CONFIG = EvaluationConfig(
    batch_size=7,
    corruptions=("contrast", "brightness"),
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
QUIET = Reporter(quiet=True)


class Counting(Generated):
    """Generated images that are counted as they are made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Counter[str] = Counter()
        self.threads: set[int] = set()

    def corrupted(self, part: Subset, name: str, severity: int) -> Tensor:
        """As ever."""
        self.threads.add(get_ident())
        self.made[f"{name}-{severity}"] += len(part)
        return super().corrupted(part, name, severity)

    def sequences(self, part: Subset, name: str) -> Tensor:
        """As ever."""
        self.made[name] += len(part)
        return super().sequences(part, name)


class Reading(Counting):
    """The same, read ahead as if from files."""

    reads = True


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", None)


def model(name: str, seed: int, kind: type[InMemory] = InMemory) -> InMemory:
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(4)
    norm.running_mean = torch.randn(4)
    network = nn.Sequential(nn.Conv2d(3, 4, 5, 4), norm, nn.ReLU(), nn.Flatten(), nn.Linear(196, 10)).eval()
    return kind(name, network, inside=True)


def evaluate(
    folder: Path, digits: Dataset, names: dict[str, int], config: EvaluationConfig = CONFIG, *, reads: bool = False
) -> Counting:
    source = Reading() if reads else Counting()
    evaluation = Evaluation(config, digits, source, folder, torch.device("cpu"), digits.train.select(np.arange(12)))
    evaluation.collect([model(name, seed) for name, seed in names.items()], QUIET)
    return source


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")}


@pytest.mark.parametrize("reads", [False, True])
def test_each_image_is_made_once_for_all_models(digits: Dataset, tmp_path: Path, reads: bool) -> None:
    source = evaluate(tmp_path, digits, {"a": 1, "b": 2, "c": 3}, reads=reads)
    cells = {f"{name}-{severity}": 20 for name in ("contrast", "brightness") for severity in range(1, 6)}
    assert source.made == cells | {"translate": 6}


class Shown(InMemory):
    """A model whose passes over images are counted."""

    def load(self, device: torch.device) -> nn.Module:
        """The network, which counts."""
        network = super().load(device)
        network.register_forward_pre_hook(lambda *_: SHOWN.update([self.name]))
        return network


SHOWN: Counter[str] = Counter()


def test_one_network_under_two_names_is_shown_each_cell_once(digits: Dataset, tmp_path: Path) -> None:
    SHOWN.clear()
    twins = [model(name, 1, Shown) for name in ("one", "two")]
    assert twins[0].identity == twins[1].identity
    evaluation = Evaluation(CONFIG, digits, Generated(), tmp_path, torch.device("cpu"))
    evaluation.collect(twins, QUIET)
    assert SHOWN["one"] > 50
    assert SHOWN["two"] <= 10  # it is tried out before the work, and predicts nothing
    for cell in ("clean", "fgsm", "corruption/contrast-3", "perturbation/translate"):
        assert Stored(tmp_path, "one").path(cell).read_bytes() == Stored(tmp_path, "two").path(cell).read_bytes(), cell


def test_what_waits_for_a_disk_is_read_in_another_thread(digits: Dataset, tmp_path: Path) -> None:
    assert get_ident() not in evaluate(tmp_path / "files", digits, {"a": 1}, reads=True).threads
    assert evaluate(tmp_path / "made", digits, {"a": 1}).threads == {get_ident()}


def test_stored_predictions_are_those_of_an_obvious_loop(digits: Dataset, tmp_path: Path) -> None:
    evaluate(tmp_path, digits, {"a": 1, "b": 2})
    network, stored = model("b", 2).load(torch.device("cpu")), Stored(tmp_path, "b")
    images, indices = torch.tensor(digits.test.images), torch.arange(20)

    @torch.no_grad()
    def logits(shown: Tensor) -> Tensor:
        return torch.stack([network(to_float(image[None]))[0] for image in shown])

    assert np.allclose(stored.load("clean")["logits"], logits(images), atol=1e-5)
    assert np.allclose(stored.load("held-out")["logits"], logits(torch.tensor(digits.train.images[:12])), atol=1e-5)
    found = stored.load("corruption/contrast-4")
    expected = logits(corrupt(images[:20], "contrast", 4, indices=indices)).softmax(1)
    assert np.array_equal(found["predicted"], expected.argmax(1).numpy())
    assert np.allclose(found["confidence"], expected.max(1).values, atol=1e-5)
    assert found["predicted"].dtype == np.uint8
    frames = perturb(images[:6], "translate", indices=indices[:6])
    classes = np.stack([logits(sequence).argmax(1).numpy() for sequence in frames])
    assert np.array_equal(stored.load("perturbation/translate")["predicted"], classes)
    swept = stored.load("fgsm")
    assert swept["logits"].shape == (2, 15, 10)
    assert np.allclose(swept["logits"][0], stored.load("clean")["logits"][:15], atol=1e-5)
    assert stored.load("pgd")["logits"].shape == (1, 9, 10)
    test, held_out = load_labels(tmp_path, 10)
    assert np.array_equal(test, digits.test.labels)
    assert np.array_equal(held_out, digits.train.labels[:12])


def test_another_model_or_benchmark_costs_only_what_is_new(digits: Dataset, tmp_path: Path) -> None:
    less = CONFIG.model_copy(update={"corruptions": ("contrast",)})
    evaluate(tmp_path, digits, {"a": 1}, less)
    before = bytes_of(tmp_path)
    assert evaluate(tmp_path, digits, {"a": 1}, less).made == {}
    added = evaluate(tmp_path, digits, {"a": 1}, CONFIG)
    assert added.made == {f"brightness-{severity}": 20 for severity in range(1, 6)}
    second = evaluate(tmp_path, digits, {"a": 1, "b": 2}, CONFIG)
    assert sum(second.made.values()) == 2 * 5 * 20 + 6
    assert {name: content for name, content in bytes_of(tmp_path).items() if name in before} == before


def test_weights_that_changed_are_measured_again(digits: Dataset, tmp_path: Path) -> None:
    evaluate(tmp_path, digits, {"a": 1})
    before = bytes_of(tmp_path)
    assert sum(evaluate(tmp_path, digits, {"a": 5}).made.values()) == 2 * 5 * 20 + 6
    after = bytes_of(tmp_path)
    assert all(after[name] != before[name] for name in before if "labels" not in name)


class Killed(Counting):
    """Stops at a corruption as if killed."""

    def corrupted(self, part: Subset, name: str, severity: int) -> Tensor:
        """Contrast only."""
        if (name, severity) == ("brightness", 3):
            raise KeyboardInterrupt
        return super().corrupted(part, name, severity)


@pytest.mark.parametrize("reads", [False, True])
def test_an_interrupted_evaluation_goes_on_at_the_next_cell_and_ends_alike(
    digits: Dataset, tmp_path: Path, reads: bool
) -> None:
    evaluate(tmp_path / "whole", digits, {"a": 1, "b": 2})
    source = Killed()
    source.reads = reads  # type: ignore[misc]  # this source stands for both kinds
    subjects = [model("a", 1), model("b", 2)]
    evaluation = Evaluation(CONFIG, digits, source, tmp_path / "killed", torch.device("cpu"))
    with pytest.raises(KeyboardInterrupt):
        evaluation.collect(subjects, QUIET)
    resumed = evaluate(tmp_path / "killed", digits, {"a": 1, "b": 2})
    assert set(resumed.made) == {"brightness-3", "brightness-4", "brightness-5", "translate"}
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")


def test_models_that_do_not_fit_together_are_loaded_in_turn(digits: Dataset, tmp_path: Path) -> None:
    evaluate(tmp_path / "all", digits, {"a": 1, "b": 2, "c": 3})
    loaded: Counter[str] = Counter()

    class Watched(InMemory):
        def load(self, device: torch.device) -> nn.Module:
            loaded[self.name] += 1
            return super().load(device)

    subjects = [model(name, seed) for name, seed in (("a", 1), ("b", 2), ("c", 3))]
    for subject in subjects:
        subject.__class__ = Watched
    evaluation = Evaluation(
        CONFIG, digits, Counting(), tmp_path / "few", torch.device("cpu"), digits.train.select(np.arange(12))
    )
    evaluation.pool.room = 1
    evaluation.collect(subjects, QUIET)
    assert min(loaded.values()) > 10  # each of the ten corrupted cells shows its images to all three
    assert bytes_of(tmp_path / "few") == bytes_of(tmp_path / "all")


class Hungry(nn.Module):
    """Runs out of memory on more than a few images."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.weight = most, nn.Parameter(torch.linspace(-1, 1, 3072 * 10).reshape(10, 3072))

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        if len(images) > self.most:
            raise torch.OutOfMemoryError
        return images.flatten(1) @ self.weight.T


def hungry(most: int) -> InMemory:
    return InMemory("hungry", Hungry(most), inside=True)


def test_a_batch_that_is_too_large_is_halved_until_it_fits(digits: Dataset, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"batch_size": 50, "attacks": (), "fgsm_epsilons": ()})

    def collect(most: int, folder: Path) -> int:
        evaluation = Evaluation(config, digits, Counting(), folder, torch.device("cpu"))
        evaluation.collect([hungry(most)], QUIET)
        return evaluation.batch.size

    assert collect(1000, tmp_path / "plenty") == 50
    assert 4 <= collect(9, tmp_path / "little") <= 9
    for cell in ("corruption/contrast-2", "perturbation/translate"):
        few, many = (Stored(tmp_path / folder, "hungry").load(cell)["predicted"] for folder in ("little", "plenty"))
        assert np.array_equal(few, many)


def test_a_model_that_never_fits_is_reported_in_a_sentence(digits: Dataset, tmp_path: Path) -> None:
    evaluation = Evaluation(CONFIG, digits, Counting(), tmp_path, torch.device("cpu"))
    with pytest.raises(UserError, match="is not enough memory for hungry and a few images"):
        evaluation.collect([hungry(0)], QUIET)


def test_a_model_without_gradients_is_not_attacked(digits: Dataset, tmp_path: Path) -> None:
    subject = model("a", 1)
    subject.differentiable = False  # type: ignore[misc]  # as an ONNX file is
    evaluation = Evaluation(CONFIG, digits, Counting(), tmp_path, torch.device("cpu"))
    with pytest.raises(UserError, match=r"a cannot be attacked, .* leave fgsm, pgd out of"):
        evaluation.collect([subject], QUIET)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.gpu
@pytest.mark.parametrize("reads", [False, True])
def test_a_gpu_predicts_what_a_cpu_does(digits: Dataset, tmp_path: Path, reads: bool) -> None:
    for device in ("cpu", "cuda"):
        source = Reading() if reads else Counting()
        evaluation = Evaluation(CONFIG, digits, source, tmp_path / device, torch.device(device))
        evaluation.collect([model("a", 1), model("b", 2)], QUIET)
    cpu, cuda = Stored(tmp_path / "cpu", "b"), Stored(tmp_path / "cuda", "b")
    assert np.allclose(cpu.load("clean")["logits"], cuda.load("clean")["logits"], atol=1e-4)
    for cell in ("corruption/contrast-4", "perturbation/translate"):
        assert np.mean(cpu.load(cell)["predicted"] != cuda.load(cell)["predicted"]) < 0.02
    assert np.mean(cpu.load("fgsm")["logits"].argmax(2) != cuda.load("fgsm")["logits"].argmax(2)) < 0.05
