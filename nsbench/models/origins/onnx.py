"""ONNX files, computed by onnxruntime on the CPU."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nsbench.checkpoints.state_dicts import shown
from nsbench.checkpoints.store import sha256
from nsbench.errors import UserError, describe
from nsbench.models.origins.origin import Built, Origin, need

_INSTALL = "onnx onnxruntime"


class OnnxNetwork(nn.Module):
    """A session of onnxruntime as a network; gradients do not reach its images.

    Args:
        session: with one input and one output.
    """

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session, self.input = session, session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        """What the graph computes of a batch, on the device of the batch."""
        (out,) = self.session.run(None, {self.input: images.detach().cpu().contiguous().numpy()})
        return torch.from_numpy(out).to(images.device)


class OnnxFile(Origin):
    """A network in an ONNX file; weights in files beside it are read too.

    Args:
        path: path of the file.
    """

    kind = "onnx"
    differentiable = False
    any_layout = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.label, self.short, self.file_sha256 = path.name, path.stem, sha256(path)
        self.onnx: Any = need("onnx", self.label, _INSTALL)
        self.runtime: Any = need("onnxruntime", self.label, _INSTALL)

    def build(self, device: torch.device) -> Built:  # noqa: ARG002 - it computes on the CPU
        """A session over the whole model, so that no file is read later."""
        try:
            model = self.onnx.load(self.path)
            self._check_whole(model)
            content = model.SerializeToString(deterministic=True)
            options = self.runtime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            options.log_severity_level = 3  # errors
            with redirect_stdout(io.StringIO()):  # where it says that it tries the same once more
                session = self.runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            self._check(session)
            network = OnnxNetwork(session)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{self.path} cannot be opened ({describe(error)}): export it again.") from error
        weights = [tensor for tensor in model.graph.initializer if tensor.data_type == self.onnx.TensorProto.FLOAT]
        parameters = sum(torch.Size(tensor.dims).numel() for tensor in weights)
        return Built(network, hashlib.sha256(content).hexdigest(), parameters)

    def _check_whole(self, model: Any) -> None:
        """Raise UserError when values are still in other files: onnxruntime would look for them in any folder."""
        missing = next(_kept_elsewhere(model, self.onnx.TensorProto.EXTERNAL), None)
        if missing is not None:
            raise UserError(
                f"{self.path} keeps {shown(missing)} in another file in a form that is not read (a sparse tensor): "
                "save the model in one file."
            )

    def _check(self, session: Any) -> None:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise UserError(
                f"{self.path} has {len(inputs)} inputs and {len(outputs)} outputs: "
                "export a model that takes images alone and gives logits alone."
            )
        if inputs[0].type != "tensor(float)":
            raise UserError(f"{self.path} takes {inputs[0].type}, not float32 images: export it in float32.")
        if inputs[0].shape and isinstance(inputs[0].shape[0], int):
            raise UserError(
                f"{self.path} takes batches of exactly {inputs[0].shape[0]} images: "
                "export it with a dynamic batch size."
            )


def _kept_elsewhere(message: Any, external: int) -> Iterator[str]:
    """Names of the tensors anywhere in a protobuf message whose values are in another file."""
    if message.DESCRIPTOR.name == "TensorProto":
        if message.data_location == external:
            yield message.name
        return
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for one in [value] if hasattr(value, "DESCRIPTOR") else value:
                yield from _kept_elsewhere(one, external)
