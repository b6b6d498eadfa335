"""Exported programs of a user's, and what their archives must not hold."""

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nsbench.models.subject import Subject

One = Callable[..., Subject]
Refusal = Callable[..., str]
Logits = Callable[[Subject, Tensor], Tensor]
MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
SAMPLES, CONSTANTS = "data/sample_inputs/model.pt", "data/constants/model_constants_config.json"


def exported(network: nn.Module, path: Path, *, dynamic: bool = True) -> Path:
    shapes = ({0: torch.export.Dim("batch", min=1, max=4096)},) if dynamic else None
    program = torch.export.export(network, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def program(small: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network, exported."""
    return exported(small, tmp_path_factory.mktemp("program") / "net.pt2")


def altered(program: Path, path: Path, change: Callable[..., object]) -> Path:
    """A copy of an archive with some of its records changed."""
    with zipfile.ZipFile(program) as archive:
        records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    change(records)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"net/{name}", content)
    return path


def change_json(record: str, change: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    def apply(records: dict[str, bytes]) -> None:
        value = json.loads(records[record])
        change(value)
        records[record] = json.dumps(value).encode()

    return apply


def test_an_exported_program_computes_what_its_network_does(
    program: Path, small: nn.Module, pixels: Tensor, one: One, logits: Logits
) -> None:
    subject = one(program)
    torch.testing.assert_close(logits(subject, pixels), small(pixels))
    torch.testing.assert_close(logits(subject, pixels[:1]), small(pixels[:1]))
    assert (subject.name, subject.record.kind, subject.record.source) == ("net", "exported", "net.pt2")
    assert subject.record.parameters == sum(parameter.numel() for parameter in small.parameters())


def test_gradients_reach_the_images_of_an_exported_program(program: Path, pixels: Tensor, one: One) -> None:
    subject = one(program)
    images = pixels.clone().requires_grad_()
    out = subject.load(torch.device("cpu"))(images)
    (gradient,) = torch.autograd.grad(out[:, 0].sum(), images)
    assert subject.differentiable
    assert bool(gradient.abs().sum() > 0)


def test_a_copy_with_nothing_changed_is_opened(program: Path, tmp_path: Path, one: One) -> None:
    assert one(altered(program, tmp_path / "net.pt2", dict.copy)).name == "net"


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_example_inputs_that_run_code_are_refused_unread(program: Path, tmp_path: Path, refusal: Refusal) -> None:
    marker = tmp_path / "marker"
    path = altered(
        program, tmp_path / "net.pt2", lambda records: records.update({SAMPLES: pickled(((Evil(marker),), {}))})
    )
    assert "holds pickled example inputs, and was not opened" in refusal(path)
    assert not marker.exists()
    with contextlib.suppress(Exception):  # whatever torch says after it has run the code
        torch.export.load(path)
    assert marker.exists(), "torch.export.load does run the code"


def test_a_weight_that_runs_code_is_refused_unread(program: Path, tmp_path: Path, refusal: Refusal) -> None:
    marker = tmp_path / "marker"

    def change(records: dict[str, bytes]) -> None:
        change_json(WEIGHTS, lambda config: config["config"]["0.bias"].update(use_pickle=True))(records)
        name = json.loads(records[WEIGHTS])["config"]["0.bias"]["path_name"]
        records[f"data/weights/{name}"] = pickled(Evil(marker))

    assert "holds a pickled object (0.bias)" in refusal(altered(program, tmp_path / "net.pt2", change))
    assert not marker.exists()


def opaque(config: Any) -> None:
    config["config"]["thing"] = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False}


def first_node(graph: Any) -> Any:
    return graph["graph_module"]["graph"]["nodes"][0]


@pytest.mark.parametrize(
    ("change", "stated"),
    [
        (change_json(CONSTANTS, opaque), "a pickled object (thing)"),
        (lambda records: records.update({"data/weights/model.pt": b""}), "the unknown part data/weights/model.pt"),
        (
            lambda records: records.update({"data/aotinductor/model/a.so": b""}),
            "the unknown part data/aotinductor/model/a.so",
        ),
        (
            change_json(MODEL, lambda model: first_node(model).update(target="torch.serialization.os.system")),
            "the operator 'torch.serialization.os.system'",
        ),
        (
            change_json(MODEL, lambda model: first_node(model).update(target="torch.ops.load_library")),
            "the operator 'torch.ops.load_library'",
        ),
        (
            change_json(MODEL, lambda model: model.update(x=[{"expr_str": "exec(chr(1))"}])),
            "the expression 'exec(chr(1))'",
        ),
        (
            change_json(
                MODEL,
                lambda model: model.update(
                    in_spec='[1, {"type": "builtins.dict", "context": "{\\"__enum__\\": 1}", "children_spec": []}]'
                ),
            ),
            "inputs or outputs of a type of its own",
        ),
    ],
)
def test_whatever_would_be_unpickled_evaluated_or_called_is_refused(
    program: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None], stated: str, refusal: Refusal
) -> None:
    assert f"holds {stated}, and was not opened" in refusal(altered(program, tmp_path / "net.pt2", change))


def test_a_fixed_batch_size_is_reported(small: nn.Module, tmp_path: Path, refusal: Refusal) -> None:
    path = exported(small, tmp_path / "net.pt2", dynamic=False)
    assert "takes batches of exactly 2 images" in refusal(path)


def test_a_file_that_is_no_program_is_reported(program: Path, tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(b"nonsense")
    assert "is damaged or is not an exported program" in refusal(path)
    torch.save({"a": torch.zeros(1)}, path)
    assert "is not an exported program of PyTorch 2.8 or later" in refusal(path)
    for part in (MODEL, SAMPLES):
        altered(program, path, lambda records, part=part: records.pop(part))
        assert "is damaged" in refusal(path)
    altered(program, path, lambda records: records.update({MODEL: b"{"}))
    assert "is damaged" in refusal(path)
    altered(program, path, lambda records: records.update({"archive_version": b"99"}))
    assert "cannot be opened by PyTorch" in refusal(path)


def test_a_missing_file_is_reported_with_the_nearest(program: Path, refusal: Refusal) -> None:
    assert f"did you mean {program}?" in refusal(program.with_name("nett.pt2"))
