"""ONNX files of a user's."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def stored_beside(path: Path, network: nn.Module) -> Any:
    """The model in a file whose weights are in `net.data` beside it, without them."""
    onnx.save(
        onnx.load(exported(network, path)), path, save_as_external_data=True, location="net.data", size_threshold=0
    )
    return onnx.load(path, load_external_data=False)


def point(tensor: Any, location: str) -> None:
    for entry in tensor.external_data:
        if entry.key == "location":
            entry.value = location


@pytest.mark.parametrize("location", ["../net.data", "{folder}/net.data", "in/../../net.data", "link", "pipe", "gone"])
def test_weights_outside_the_folder_of_the_file_are_not_read(
    tmp_path: Path, small: nn.Module, location: str, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strangers" / "in").mkdir(parents=True)
    path = tmp_path / "strangers" / "net.onnx"
    model = stored_beside(path, small)
    for tensor in model.graph.initializer:
        point(tensor, location.format(folder=tmp_path))
    (path.parent / "net.data").rename(tmp_path / "net.data")
    (path.parent / "link").symlink_to(tmp_path / "net.data")
    os.mkfifo(path.parent / "pipe")
    path.write_bytes(model.SerializeToString())
    monkeypatch.chdir(tmp_path)
    assert "net.onnx cannot be opened (ValidationError: " in refusal(path)


def test_a_sparse_tensor_in_another_file_is_not_looked_for_in_the_current_folder(
    tmp_path: Path, small: nn.Module, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.onnx"
    model = stored_beside(path, small)
    dense = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 2)
    sparse = model.graph.sparse_initializer.add()
    sparse.dims.extend(dense.dims)
    sparse.values.CopyFrom(dense)
    sparse.values.ClearField("dims")
    sparse.values.dims.append(torch.Size(dense.dims).numel())
    sparse.indices.CopyFrom(onnx.numpy_helper.from_array(torch.arange(torch.Size(dense.dims).numel()).numpy(), "at"))
    model.graph.initializer.remove(dense)
    path.write_bytes(model.SerializeToString())
    monkeypatch.chdir(tmp_path)
    assert f"{path} keeps {dense.name} in another file in a form that is not read" in refusal(path)


def test_an_operator_that_is_not_onnxs_own_is_refused(tmp_path: Path, small: nn.Module, refusal: Refusal) -> None:
    path = exported(small, tmp_path / "net.onnx")
    model = onnx.load(path)
    model.graph.node[0].domain, model.graph.node[0].op_type = "strangers", "Evil"
    model.opset_import.append(onnx.helper.make_opsetid("strangers", 1))
    onnx.save(model, path)
    assert "is not a registered function/op" in refusal(path)


def test_names_in_a_file_that_are_no_text_are_reported_without_noise(
    tmp_path: Path, small: nn.Module, refusal: Refusal, capfd: pytest.CaptureFixture[str]
) -> None:
    path = exported(small, tmp_path / "net.onnx")
    capfd.readouterr()
    path.write_bytes(path.read_bytes().replace(b"images", b"imag\xe9\xa1"))
    assert "net.onnx cannot be opened" in refusal(path)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_arrived_in_part_is_reported(tmp_path: Path, small: nn.Module, refusal: Refusal) -> None:
    path = exported(small, tmp_path / "net.onnx")
    whole = path.read_bytes()
    for part in (0, 1, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:part])
        assert "net.onnx cannot be opened" in refusal(path)
