"""Models that fail at work, after all was well when they were tried out: one sentence, exit 2, and nothing is lost."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nsbench
from nsbench.config.evaluation import EvaluationConfig
from nsbench.corruptions.corruptions import corrupt
from nsbench.corruptions.perturbations import perturb
from nsbench.data.images import Dataset
from nsbench.data.load import load_dataset
from nsbench.errors import UserError
from nsbench.models.guarded import named
from nsbench.models.in_memory import InMemory
from nsbench.networks.inference import to_float
from nsbench.predictions.collect import Evaluation
from nsbench.predictions.shown import Generated
from nsbench.predictions.store import Stored
from nsbench.progress import Reporter
from tests.conftest import Command

CONFIG = EvaluationConfig(
    batch_size=7,
    corruptions=("contrast",),
    corruption_images=20,
    perturbations=("brightness",),
    perturbation_images=4,
    fgsm_epsilons=(0.0, 0.1),
    attack_images=15,
    attacks=("pgd",),
    attack_epsilons=(0.1,),
    attack_steps=2,
    strong_attack_images=9,
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """The data set."""
    return load_dataset("digits", None)


def grey(images: Tensor) -> Tensor:
    """(N,) whether no pixel of an image is black, as in no clean one and in those of little contrast."""
    return images.flatten(1).amin(1) > 0.02


def attacked(images: Tensor) -> Tensor:
    """(N,) whether an image has pixels between two of the 256 steps, as under attack alone."""
    steps = images.flatten(1) * 255
    return ((steps - steps.round()).abs() > 0.01).any(1)


Change = Callable[[Tensor, Tensor], object]
"""Logits of a batch, and which of its images are odd, to what the model gives instead."""


class Moody(nn.Module):
    """Is right nearly always, by least squares, but says something else where a batch has odd images."""

    def __init__(self, odd: Callable[[Tensor], Tensor], change: Change, scale: float = 1.0) -> None:
        super().__init__()
        test, head = load_dataset("digits", None).test, nn.Linear(64, 10, bias=False)
        pooled = functional.avg_pool2d(torch.tensor(test.images).permute(0, 3, 1, 2)[:, :1] / 255, 4).flatten(1)
        targets = functional.one_hot(torch.tensor(test.labels), 10).float()
        head.weight = nn.Parameter(scale * torch.linalg.lstsq(pooled, targets).solution.T)
        self.layers = nn.Sequential(nn.AvgPool3d((3, 4, 4)), nn.Flatten(), nn.Dropout(0.0), head)
        self.odd, self.change = odd, change

    def forward(self, images: Tensor) -> object:
        """Logits, or what the change makes of them."""
        logits, odd = self.layers(images), self.odd(images)
        return self.change(logits, odd) if odd.any() else logits


def nan(logits: Tensor, odd: Tensor) -> Tensor:
    """NaN for the odd ones."""
    return logits.where(~odd[:, None], torch.nan)


def subject(odd: Callable[[Tensor], Tensor] = grey, change: Change = nan, name: str = "net") -> InMemory:
    """A model that is moody."""
    return InMemory(name, Moody(odd, change, scale=len(name)).eval(), inside=True)


def evaluation(digits: Dataset, folder: Path, **changes: Any) -> Evaluation:
    """An evaluation on what the configuration says."""
    return Evaluation(CONFIG.model_copy(update=changes), digits, Generated(), folder, CPU)


GARBAGE = "its logits are NaN, infinite or beyond 1e+30"


def failure(digits: Dataset, folder: Path, *subjects: InMemory, **changes: Any) -> str:
    """The sentence that an evaluation ends with."""
    with pytest.raises(UserError) as caught:
        evaluation(digits, folder, **changes).collect(subjects, Reporter(quiet=True))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def stored(folder: Path) -> list[str]:
    """Everything below `predictions/` but the labels."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".claims" not in path.parts)
    return sorted(path.relative_to(folder / "predictions").as_posix() for path in found if path.stem != "labels")


def test_nan_on_a_corruption_is_no_error_rate_but_a_sentence_with_model_cell_and_count(
    digits: Dataset, tmp_path: Path
) -> None:
    images, places = torch.tensor(digits.test.images[:20]), torch.arange(20)
    made = (corrupt(images, "contrast", one, indices=places) for one in range(1, 6))
    counts = [int(grey(one.permute(0, 3, 1, 2) / 255).sum()) for one in made]
    severity = next(place for place, count in enumerate(counts, 1) if count)
    said = failure(digits, tmp_path, subject())
    assert said == (
        f"net on corruption/contrast-{severity}: {GARBAGE} for {counts[severity - 1]} "
        "of 20 images: check its weights and its preprocessing."
    )
    assert f"net/corruption/contrast-{severity}.safetensors" not in stored(tmp_path)
    assert "net/clean.safetensors" in stored(tmp_path)


def test_nan_on_a_perturbation_is_counted_by_frames(digits: Dataset, tmp_path: Path) -> None:
    frames = perturb(torch.tensor(digits.test.images[:4]), "brightness", indices=torch.arange(4))
    count = int(grey(frames.flatten(0, 1).permute(0, 3, 1, 2) / 255).sum())
    said = failure(digits, tmp_path, subject(), corruptions=())
    assert said.startswith(f"net on perturbation/brightness: {GARBAGE} for {count} of ")
    assert said.split(" of ")[1].startswith(f"{4 * frames.shape[1]} frames:")
    assert not [name for name in stored(tmp_path) if "perturbation" in name]


@pytest.mark.parametrize("value", [torch.inf, -1e38])
def test_infinity_on_a_clean_image_that_was_not_tried_out_is_stored_nowhere(
    digits: Dataset, tmp_path: Path, value: float
) -> None:
    last = torch.tensor(digits.test.images[-1]).permute(2, 0, 1) / 255

    def odd(images: Tensor) -> Tensor:
        return ((images - last).flatten(1).abs() < 1e-6).all(1)

    said = failure(digits, tmp_path, subject(odd, lambda logits, odd: logits.where(~odd[:, None], value)))
    assert said.startswith(f"net on clean: {GARBAGE} for 1 of {len(digits.test)} images")
    assert not stored(tmp_path)


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_nan_under_attack_is_stored_nowhere(digits: Dataset, tmp_path: Path, attack: str) -> None:
    only = {"fgsm_epsilons": ()} if attack == "pgd" else {}
    said = failure(digits, tmp_path, subject(attacked), **only)
    assert said.startswith(f"net on {attack}: ")
    assert re.search(r"logits are NaN.* infinite .*for \d+ of \d+ images", said)
    assert stored(tmp_path) == ["net/clean.safetensors"]


def test_nan_in_the_fast_arithmetic_alone_is_stored_nowhere(digits: Dataset, tmp_path: Path) -> None:
    model = subject(lambda images: torch.full((len(images),), torch.is_autocast_enabled("cpu")))
    said = failure(digits, tmp_path, model, precision="bfloat16")
    assert said.startswith(f"net on clean-bfloat16: {GARBAGE} for {len(digits.test)} of ")


@pytest.mark.parametrize(("held", "change"), [(0, nan), (2**24, nan), (0, lambda _, __: None)])
def test_the_models_beside_one_that_fails_keep_what_they_said(
    digits: Dataset, tmp_path: Path, held: int, change: Change
) -> None:
    models = [subject(odd, change, name) for name, odd in (("a", attacked), ("bad", grey), ("cc", attacked))]
    plain = {"fgsm_epsilons": (), "attacks": ()}
    work = evaluation(digits, tmp_path, **plain)
    work.held = held
    with pytest.raises(UserError, match="bad on corruption/contrast"):
        work.collect(models, Reporter(quiet=True))
    found = stored(tmp_path)
    (last,) = {name[2:] for name in found if name[0] == "a"} - {name[4:] for name in found if name[:3] == "bad"}
    assert last.startswith("corruption/contrast")
    assert f"cc/{last}" in found
    assert not [name for name in found if not name.endswith(".safetensors")]
    evaluation(digits, tmp_path / "alone", **plain).collect([models[0]], Reporter(quiet=True))
    name = f"predictions/a/{last}"
    assert (tmp_path / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


class Own(BaseException):
    """Not even an Exception."""


def fail(error: BaseException) -> Change:
    """A change that raises."""

    def change(_: Tensor, __: Tensor) -> object:
        raise error

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (fail(ValueError("no such luck\nand more")), "it fails on 7 images (ValueError: no such luck) ("),
        (fail(SystemExit(0)), "it fails on 7 images (SystemExit: 0) ("),
        (fail(SystemExit()), "it fails on 7 images (SystemExit) ("),
        (fail(RecursionError("too deep")), "it fails on 7 images (RecursionError: too deep)"),
        (fail(Own("mine")), "it fails on 7 images (Own: mine)"),
        (lambda logits, _: logits @ logits, "it fails on 7 images (RuntimeError: "),
        (lambda _, __: None, "it gives a value of type NoneType instead of one tensor of logits"),
        (lambda logits, _: (logits, logits), "it gives a tuple of 2 instead of one tensor of logits"),
        (lambda logits, _: logits[:-1], "it gives a tensor of shape (6, 10) for 7 images"),
        (lambda logits, _: logits[:1], "it gives a tensor of shape (1, 10) for 7 images"),
        (lambda logits, _: logits[..., None], "it gives a tensor of shape (7, 10, 1) for 7 images"),
        (lambda logits, _: logits[:, :9], "it gives 9 classes, but the data set has 10"),
        (lambda logits, _: logits.int(), "it gives a tensor of int32 (dense)"),
        (lambda logits, _: logits > 0, "it gives a tensor of bool (dense)"),
        (lambda logits, _: logits.to(torch.complex64), "it gives a tensor of complex64 (dense)"),
        (lambda logits, _: logits.to_sparse(), "it gives a tensor of float32 (sparse)"),
        (lambda logits, _: logits.to("meta"), "it gives logits on meta for images on cpu"),
    ],
)
def test_whatever_a_model_does_but_give_logits_is_one_sentence_with_model_and_cell(
    digits: Dataset, tmp_path: Path, change: Change, said: str
) -> None:
    found = failure(digits, tmp_path, subject(change=change), fgsm_epsilons=(), attacks=())
    assert found.startswith("net on corruption/contrast-")
    assert said in found
    assert "net/clean.safetensors" in stored(tmp_path)


def test_a_model_that_puts_itself_into_training_mode_is_refused(digits: Dataset, tmp_path: Path) -> None:
    model = subject()
    network = model._network
    assert isinstance(network, Moody)

    class Waking(Moody):
        def forward(self, images: Tensor) -> object:
            found = super().forward(images)
            self.layers[2].train(bool(self.odd(images).any()))
            return found

    network.__class__ = Waking
    network.change = lambda logits, _: logits
    said = failure(digits, tmp_path, model, fgsm_epsilons=(), attacks=())
    assert "it puts itself into training mode (first in network.layers.2)" in said


class Barred(torch.autograd.Function):
    """The identity, without a way back."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:  # type: ignore[override]  # torch's own is of any arguments
        """The values."""
        return values.clone()

    @staticmethod
    def backward(_: Any, *__: Any) -> Any:
        """Fails in a way of its own."""
        sys.exit("no way back")


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_a_backward_pass_that_fails_is_one_sentence(digits: Dataset, tmp_path: Path, attack: str) -> None:
    only = {"fgsm_epsilons": ()} if attack == "pgd" else {}
    always = subject(lambda images: torch.ones(len(images), dtype=torch.bool), lambda logits, _: Barred.apply(logits))
    said = failure(digits, tmp_path, always, **only)
    assert said.startswith(f"net on {attack}: it fails (SystemExit: no way back)")


def test_a_mistake_of_our_own_stays_a_bug() -> None:
    """The words `it fails` would send a user to look in a model that is right."""
    with pytest.raises(AssertionError), named("net", "clean"):
        to_float(torch.zeros(1))
    with pytest.raises(UserError, match="net on clean: it fails"), named("net", "clean"):
        functional.avg_pool2d(torch.zeros(1), 4).numpy().reshape(7)


@pytest.mark.parametrize("words", ["can't allocate memory: you tried to allocate 8 bytes", "not enough memory"])
def test_memory_that_never_suffices_on_a_cpu_is_one_sentence(digits: Dataset, tmp_path: Path, words: str) -> None:
    model = subject(change=fail(RuntimeError(f"[enforce fail] DefaultCPUAllocator: {words}.")))
    assert failure(digits, tmp_path, model) == (
        "There is not enough memory for net and a few images: use a device with more."
    )


def test_ctrl_c_while_a_model_computes_ends_the_work_as_ever(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluation(digits, tmp_path).collect([subject(change=fail(KeyboardInterrupt()))], Reporter(quiet=True))


class Reusing(Moody):
    """Writes every answer to the same place, as a captured graph does."""

    def __init__(self, odd: Callable[[Tensor], Tensor], change: Change) -> None:
        super().__init__(odd, change)
        self.register_buffer("place", torch.zeros(1000, 10), persistent=False)

    def forward(self, images: Tensor) -> object:
        """Logits, which the next call overwrites."""
        return self.get_buffer("place")[: len(images)].copy_(self.layers(images))


def test_answers_that_the_next_batch_overwrites_are_kept(digits: Dataset, tmp_path: Path) -> None:
    plain = {"fgsm_epsilons": (), "attacks": ()}
    for name, kind in (("once", Moody), ("reused", Reusing)):
        model = InMemory("net", kind(attacked, nan).eval(), inside=True)
        evaluation(digits, tmp_path / name, **plain).collect([model], Reporter(quiet=True))
    for cell in Stored(tmp_path / "once", "net").cells():
        once, reused = (Stored(tmp_path / name, "net").load(cell) for name in ("once", "reused"))
        assert all(np.array_equal(once[key], reused[key]) for key in once), cell


def test_a_models_name_leads_nowhere_else(digits: Dataset, tmp_path: Path) -> None:
    model = subject()
    model.name = "../../elsewhere"
    said = failure(digits, tmp_path / "out", model)
    assert "cannot be part of a path" in said
    assert not list(tmp_path.rglob("*.safetensors"))


FILE = """
import sys
import torch
from torch import nn

class Leaving(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    def forward(self, images):
        if bool((images.flatten(1).amin(1) > 0.02).any()):
            LEAVE
        return self.layers(images)

def network():
    return Leaving()
"""


def test_a_model_that_calls_sys_exit_exits_2_and_once_mended_the_work_goes_on(nsbench: Command, tmp_path: Path) -> None:
    words = ["evaluate", f"{tmp_path / 'mine.py'}:network", "--inside", "--data-set", "digits", "--device", "cpu"]
    words += ["--out", str(tmp_path / "out"), "--on", "clean,digits-c", "--set", "evaluation.corruptions=['contrast']"]
    words += ["--set", "evaluation.corruption_images=20", "--set", "evaluation.bootstrap_resamples=100"]
    (tmp_path / "mine.py").write_text(FILE.replace("LEAVE", "sys.exit(0)"))
    left = nsbench(*words)
    assert left.returncode == 2
    last = left.stderr.strip().splitlines()[-1]
    assert "network on corruption/contrast-" in last
    assert "it fails on 20 images (SystemExit: 0) (mine.py, line 13)" in last
    assert not (tmp_path / "out" / "results.json").exists()
    (tmp_path / "mine.py").write_text(FILE.replace("LEAVE", "pass"))
    assert nsbench(*words).returncode == 0
    assert (tmp_path / "out" / "results.json").exists()


def test_nsbench_evaluate_raises_the_same_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"net on corruption/contrast-\d: its logits are NaN, .* for \d+ of 20 im"):
        nsbench.evaluate(
            {"net": Moody(grey, nan)},
            tmp_path,
            data_set="digits",
            on=["clean", "digits-c"],
            inside=True,
            device="cpu",
            quiet=True,
            corruptions=("contrast",),
            corruption_images=20,
        )
    assert np.isfinite(Stored(tmp_path, "net").load("clean")["logits"]).all()
