"""Benchmarks beside a data set's own: what a generator makes, what is refused, and a test set from end to end."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nsbench.api import evaluate
from nsbench.config.evaluation import EvaluationConfig
from nsbench.data.images import Dataset
from nsbench.data.load import load_dataset
from nsbench.errors import UserError
from nsbench.predictions.further import Corruptions, open_further
from nsbench.predictions.shown import Subset
from nsbench.protocols import registry
from nsbench.protocols.cifar import CIFAR10_1, CIFAR10_C
from nsbench.protocols.protocol import Layout, Member, Protocol
from nsbench.protocols.registry import is_own, register

Images = np.ndarray[Any, np.dtype[np.uint8]]
States = Sequence[np.random.Generator]


def speckles(images: Images, _: str, severity: int, states: States) -> Images:
    """Pixels that each image's own state turns white."""
    found = images.copy()
    for image, state in zip(found, states, strict=True):
        image[state.random(image.shape[:2]) < severity / 20] = 255
    return found


def in_turn(images: Images, *_: object) -> Images:
    """What an image looks like depends on its place in the batch."""
    return np.stack([image // (place + 1) for place, image in enumerate(images)])


def in_place(images: Images, *_: object) -> Images:
    """It changes what it was given."""
    images[:] = 0
    return images


def narrow(images: Images, *_: object) -> Images:
    """Half of each image."""
    return images[:, ::2]


DUST = Protocol(
    "dust", "Dust", "corruption", ("digits",), members=(Member("fine"),), severities=(1, 2), generator=speckles
)
NEW_DIGITS = Protocol(
    "digits.1", "Digits.1", "test_set", ("digits",), Layout(("new",), labels="labels", images="images")
)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", None)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Callable[[Protocol], EvaluationConfig]:
    """Register a benchmark for the time of one test; gives the configuration that names it."""
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))

    def add(protocol: Protocol) -> EvaluationConfig:
        register(protocol)
        return EvaluationConfig(protocols=(protocol.name,))

    return add


def test_an_image_is_made_the_same_in_any_batch_and_another_at_each_severity(
    added: Callable[..., EvaluationConfig], digits: Dataset, tmp_path: Path
) -> None:
    (found,) = open_further(added(DUST), digits, tmp_path)
    assert isinstance(found, Corruptions)
    test = Subset(torch.tensor(digits.test.images[:6]), torch.tensor(digits.test.labels[:6]))
    whole = found.corrupted(test, "fine", 2)
    assert torch.equal(whole[4:], found.corrupted(test.part(slice(4, 6)), "fine", 2))
    assert not torch.equal(whole, found.corrupted(test, "fine", 1))
    assert found.identity("fine", 1) != found.identity("fine", 2)
    assert torch.equal(test.images, torch.tensor(digits.test.images[:6]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"generator": in_turn}, "dust: an image looks different in another batch under fine"),
        ({"generator": in_place}, r"dust fails to make fine \(ValueError: assignment destination is read-only\)"),
        ({"generator": narrow}, r"dust makes uint8 \(4, 16, 32, 3\) of uint8 \(4, 32, 32, 3\) for fine"),
        ({"data_sets": ("cifar10",)}, "dust is of cifar10, not of digits: leave it out"),
        ({"side": 64}, "dust has images of 64 pixels, not of 32: leave it out"),
        (
            {"generator": None, "layout": Layout(("Dust",))},
            "holds no Dust: name the folder that holds Dust with --data",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused_before_any_work(
    change: dict[str, Any], said: str, added: Callable[..., EvaluationConfig], digits: Dataset, tmp_path: Path
) -> None:
    config = added(replace(DUST, **change))
    with pytest.raises(UserError, match=said):
        open_further(config, digits, tmp_path)


def test_a_name_that_ends_like_a_data_sets_own_is_refused() -> None:
    assert is_own(CIFAR10_C)
    with pytest.raises(UserError, match="'dust-c' ends like a data set's own -C or -P: choose another name"):
        register(replace(DUST, name="dust-c"))


class Bright(nn.Module):
    """Tells images by how bright ten columns of them are."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, 10)."""
        return 20 * images.mean((1, 2))[:, ::3][:, :10]


def test_files_of_corruptions_are_measured_as_the_generator_made_them(
    added: Callable[..., EvaluationConfig], digits: Dataset, tmp_path: Path
) -> None:
    stored = replace(DUST, name="stored", generator=None, layout=Layout(("Stored",), labels="labels"))
    for protocol in (DUST, stored):
        added(protocol)
    made, test = open_further(EvaluationConfig(protocols=("dust",)), digits, tmp_path)[0], digits.test
    assert isinstance(made, Corruptions)
    every = Subset(torch.tensor(test.images), torch.tensor(test.labels))
    (tmp_path / "Stored").mkdir()
    np.save(tmp_path / "Stored" / "fine.npy", np.concatenate([made.corrupted(every, "fine", one) for one in (1, 2)]))
    np.save(tmp_path / "Stored" / "labels.npy", np.tile(test.labels, 2))
    on = ("clean", "calibration", "dust", "stored")
    options: dict[str, Any] = {"data_set": "digits", "data": tmp_path, "device": "cpu", "bootstrap_resamples": 100}
    results = evaluate({"bright": Bright()}, tmp_path / "out", on=on, inside=True, quiet=True, **options)
    of = {name: [one for one in results.measurements if one.key.protocol == name] for name in ("dust", "stored")}
    assert len(of["dust"]) > 6
    assert [one.value for one in of["dust"]] == [one.value for one in of["stored"]]


def test_another_test_set_is_measured_by_its_own_labels_and_reported(
    added: Callable[..., EvaluationConfig], digits: Dataset, tmp_path: Path
) -> None:
    added(NEW_DIGITS)
    (tmp_path / "new").mkdir()
    np.save(tmp_path / "new" / "images.npy", digits.test.images[::2])
    labels = digits.test.labels[::2].copy()
    labels[:40] = (labels[:40] + 1) % 10
    np.save(tmp_path / "new" / "labels.npy", labels)
    options: dict[str, Any] = {"data_set": "digits", "data": tmp_path, "device": "cpu", "bootstrap_resamples": 100}
    on = ("clean", "digits.1")
    results = evaluate({"bright": Bright()}, tmp_path / "out", on=on, inside=True, quiet=True, **options)
    predicted = Bright()(torch.tensor(digits.test.images[::2]).permute(0, 3, 1, 2) / 255).argmax(1).numpy()
    found = results.number("bright", metric="top1_error", kind="test_set", protocol="digits.1")
    assert found.value == pytest.approx(np.mean(predicted != labels))
    assert found.n == len(labels)
    assert "Digits.1 (" in (tmp_path / "out" / "report" / "report.md").read_text(encoding="utf-8")


@pytest.mark.cifar
def test_cifar10_1_is_measured_from_its_official_layout_unless_its_published_checksums_say_otherwise(
    nsbench: Callable[..., Any], tmp_path: Path, added: Callable[..., EvaluationConfig]
) -> None:
    added(replace(CIFAR10_1, name="like.1", published=False))  # other images, so that it cannot have the name
    data = tmp_path / "data"
    data.mkdir()
    for path in Path(os.environ["NSBENCH_TEST_CIFAR10"]).iterdir():
        (data / path.name).symlink_to(path)
    test = load_dataset("cifar10", data).test
    rows = np.concatenate([np.flatnonzero(test.labels == label)[:200] for label in range(10)])
    folder = data / CIFAR10_1.layout.folders[0]
    folder.mkdir()
    np.save(folder / "cifar10.1_v6_data.npy", test.images[rows])
    np.save(folder / "cifar10.1_v6_labels.npy", test.labels[rows].astype(np.int32))
    (tmp_path / "model.py").write_text(
        "from torch.nn import AvgPool2d, Flatten, Linear, Sequential\n"
        "def flat(): return Sequential(AvgPool2d(16), Flatten(), Linear(12, 10))\n"
    )
    out = tmp_path / "out"

    def evaluate(name: str) -> Any:
        return nsbench(
            *("evaluate", f"{tmp_path}/model.py:flat", "--inside", "--on", f"clean,{name}", "--data", str(data)),
            *("--out", str(out), "--device", "cpu", "--quiet", "--set", "evaluation.bootstrap_resamples=100"),
        )

    refused = evaluate("cifar10.1")
    assert refused.returncode == 2
    assert "cifar10.1_v6_data.npy has the wrong checksum (expected SHA-256 2997188e" in refused.stderr
    assert not out.exists()
    done = evaluate("like.1")
    assert done.returncode == 0, done.stderr
    assert "CIFAR-10.1 (v6) (2,000 images)" in (out / "report" / "report.md").read_text(encoding="utf-8")
