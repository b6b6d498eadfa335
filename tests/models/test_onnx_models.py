"""ONNX files of a user's."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nsbench.models.subject import Subject

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

One = Callable[..., Subject]
Refusal = Callable[..., str]
Logits = Callable[[Subject, Tensor], Tensor]
CPU = torch.device("cpu")


def exported(network: nn.Module, path: Path, *, dynamic: bool = True, dtype: torch.dtype = torch.float32) -> Path:
    axes = {"dynamic_axes": {"images": {0: "batch"}}} if dynamic else {}
    images = torch.zeros(2, 3, 32, 32, dtype=dtype)
    with warnings.catch_warnings(action="ignore"):  # that this exporter, which needs no further package, is an old one
        torch.onnx.export(network, (images,), path, dynamo=False, input_names=["images"], **axes)
    return path


def test_an_onnx_file_computes_what_its_network_does(
    tmp_path: Path, small: nn.Module, pixels: Tensor, one: One, logits: Logits
) -> None:
    subject = one(exported(small, tmp_path / "my net.onnx"))
    torch.testing.assert_close(logits(subject, pixels), small(pixels), rtol=1e-4, atol=1e-5)
    assert (subject.name, subject.record.kind) == ("my-net", "onnx")
    assert not subject.differentiable
    assert subject.record.parameters > 4 * 27 + 40


def test_weights_in_a_file_beside_it_are_read_and_part_of_its_identity(
    tmp_path: Path, small: nn.Module, pixels: Tensor, one: One, logits: Logits
) -> None:
    path = exported(small, tmp_path / "net.onnx")
    whole = onnx.load(path)
    onnx.save(whole, path, save_as_external_data=True, location="net.data", size_threshold=0)
    subject = one(path)
    torch.testing.assert_close(logits(subject, pixels), small(pixels), rtol=1e-4, atol=1e-5)
    content = bytearray((tmp_path / "net.data").read_bytes())
    content[3] ^= 1
    (tmp_path / "net.data").write_bytes(content)
    assert one(path).identity != subject.identity
    assert one(path).record.weights_sha256 == subject.record.weights_sha256


@pytest.mark.parametrize(
    ("network", "dtype", "dynamic", "stated"),
    [
        (nn.Flatten(), torch.float32, False, "takes batches of exactly 2 images"),
        (nn.Flatten(), torch.float64, True, "takes tensor(double), not float32 images"),
    ],
)
def test_an_input_that_is_no_batch_of_images_is_reported(
    tmp_path: Path, network: nn.Module, dtype: torch.dtype, dynamic: bool, stated: str, refusal: Refusal
) -> None:
    assert stated in refusal(exported(network, tmp_path / "net.onnx", dtype=dtype, dynamic=dynamic))


def test_several_outputs_are_reported(tmp_path: Path, refusal: Refusal) -> None:
    class Two(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return images.mean((2, 3)), images.sum((2, 3))

    assert "has 1 inputs and 2 outputs" in refusal(exported(Two(), tmp_path / "net.onnx"))


def test_a_damaged_file_is_reported(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "net.onnx").write_bytes(b"nonsense")
    assert "net.onnx cannot be opened" in refusal(tmp_path / "net.onnx")


def test_a_missing_file_and_weights_for_it_are_reported(tmp_path: Path, small: nn.Module, refusal: Refusal) -> None:
    path = exported(small, tmp_path / "net.onnx")
    assert f"did you mean {path}?" in refusal(tmp_path / "nett.onnx")
    assert "holds its weights: leave out --weights" in refusal(path, weights=str(path))
