"""Architectures of timm and torchvision with a user's weights."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from nsbench.models.subject import Subject

One = Callable[..., Subject]
Refusal = Callable[..., str]
Logits = Callable[[Subject, Tensor], Tensor]


def saved(network: nn.Module, path: Path) -> str:
    torch.save(network.state_dict(), path)
    return str(path)


def test_a_torchvision_architecture_is_built_for_the_data_sets_classes(
    tmp_path: Path, pixels: Tensor, one: One, logits: Logits
) -> None:
    network = torchvision.models.squeezenet1_1(num_classes=10).eval()
    subject = one("torchvision:squeezenet1_1", 10, weights=saved(network, tmp_path / "w.pt"))
    torch.testing.assert_close(logits(subject, pixels), network(pixels))
    assert (subject.name, subject.record.kind) == ("squeezenet1_1", "torchvision")
    assert subject.record.source == "torchvision:squeezenet1_1"


def test_a_timm_architecture_is_built_for_the_data_sets_classes(
    tmp_path: Path, pixels: Tensor, one: One, logits: Logits
) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    network = timm.create_model("test_resnet.r160_in1k", pretrained=False, num_classes=10).eval()
    subject = one("timm:test_resnet", 10, weights=saved(network, tmp_path / "w.pt"))
    torch.testing.assert_close(logits(subject, pixels), network(pixels))
    assert subject.record.kind == "timm"


def test_weights_for_other_classes_do_not_fit(tmp_path: Path, refusal: Refusal) -> None:
    weights = saved(torchvision.models.squeezenet1_1(num_classes=10), tmp_path / "w.pt")
    assert "(first classifier.1.weight: (10," in refusal("torchvision:squeezenet1_1", classes=100, weights=weights)


def test_an_architecture_without_weights_is_refused_and_nothing_downloaded(refusal: Refusal) -> None:
    assert "nothing is downloaded" in refusal("torchvision:resnet18")
    assert "nothing is downloaded" in refusal("timm:resnet18")


def test_an_unknown_architecture_is_reported_with_the_nearest(tmp_path: Path, refusal: Refusal) -> None:
    weights = saved(nn.Linear(1, 1), tmp_path / "w.pt")
    assert "did you mean squeezenet1_1?" in refusal("torchvision:squeezenet11", weights=weights)
    pytest.importorskip("timm", reason="timm is not installed")
    assert "did you mean resnet" in refusal("timm:resnet18x", weights=weights)


@pytest.mark.parametrize(("package", "source"), [("timm", "timm:resnet18"), ("onnx", "net.onnx")])
def test_a_missing_package_is_reported_with_how_to_install_it(
    tmp_path: Path, package: str, source: str, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what Python keeps for a module that cannot be imported
    monkeypatch.chdir(tmp_path)
    Path("net.onnx").write_bytes(b"")
    weights = saved(nn.Linear(1, 1), tmp_path / "w.pt") if package == "timm" else ""
    stated = refusal(source, weights=weights)
    assert f"needs the package {package}" in stated
    assert f"pip install {package}" in stated
