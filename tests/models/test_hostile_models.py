"""Models that are hostile, damaged or merely wrong: each is refused in one sentence, and changes nothing of ours."""

import os
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nsbench.api import evaluate
from nsbench.checkpoints.initialise import initialise, weights_sha256_of
from nsbench.config.request import EvaluationRequest
from nsbench.config.survey import ModelConfig
from nsbench.config.trust import Trust
from nsbench.errors import UserError
from nsbench.models.in_memory import InMemory
from nsbench.models.open import open_models
from nsbench.models.subject import Subject
from nsbench.models.weights import state_sha256
from nsbench.networks.build import build_network
from tests.conftest import Command

One = Callable[..., Subject]
Refusal = Callable[..., str]
CPU = torch.device("cpu")
HEAD = "import os, sys, warnings, threading\nimport torch\nfrom torch import nn\n"
SPARSE = torch.eye(4).to_sparse()


def quantised() -> Tensor:
    with warnings.catch_warnings(action="ignore"):  # that torch will do it otherwise one day
        return torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)


def nested() -> Tensor:
    with warnings.catch_warnings(action="ignore"):  # that its interface may change
        return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])


def holding(tensor: Tensor) -> nn.Module:
    network = nn.Flatten()
    network.register_buffer("odd", tensor)
    return network


class Keeps(nn.Flatten):
    """Keeps something beside tensors, as packed weights are."""

    def __init__(self, kept: object) -> None:
        super().__init__()
        self.kept = kept

    def get_extra_state(self) -> object:
        """As a state dict keeps it."""
        return self.kept

    def set_extra_state(self, state: object) -> None:
        """Put it back."""
        self.kept = state


@pytest.mark.parametrize(
    ("make", "stated"),
    [
        (lambda: nn.LazyLinear(10), "since weight is without a shape, as in a lazy module before its first batch"),
        (lambda: holding(quantised()), "since odd is quantised"),
        (lambda: nn.Linear(3, 3, device="meta"), "since weight is without numbers, on torch's meta device"),
        (lambda: holding(SPARSE), "since odd is sparse (sparse_coo)"),
        (lambda: holding(nested()), "since odd is nested"),
        (lambda: Keeps((torch.ones(1), None)), "since _extra_state is a tuple and no tensor"),
    ],
    ids=["lazy", "quantised", "meta", "sparse", "nested", "packed"],
)
def test_what_an_identity_cannot_cover_is_refused_by_name(make: Callable[[], nn.Module], stated: str) -> None:
    with pytest.raises(UserError) as caught:
        InMemory("net", make(), inside=True)
    assert str(caught.value).startswith(f"net cannot be measured, {stated}: ")


@pytest.mark.parametrize("expression", ["nn.LazyLinear(10)", "nn.Linear(3, 3, device='meta')"])
def test_a_function_that_returns_such_a_network_is_refused(tmp_path: Path, expression: str, refusal: Refusal) -> None:
    (tmp_path / "net.py").write_text(f"{HEAD}\ndef net():\n    return {expression}\n")
    assert "net.py:net cannot be measured, since weight is without" in refusal(f"{tmp_path}/net.py:net")


def test_all_that_decides_the_outputs_is_in_the_checksum() -> None:
    def checksum(change: Callable[[nn.Module], object]) -> str:
        network = Keeps("a")
        network.register_buffer("scale", torch.ones(2), persistent=False)
        network.register_buffer("waves", torch.ones(2, dtype=torch.complex64))
        change(network)
        return state_sha256(network)

    plain = checksum(lambda _network: None)
    assert checksum(lambda _network: None) == plain
    for change in (
        lambda network: network.scale.fill_(2),
        lambda network: network.waves.fill_(1j),
        lambda network: network.set_extra_state("b"),
    ):
        assert checksum(change) != plain


TENSORS: dict[str, tuple[Callable[[], Tensor], str]] = {
    "quantised": (quantised, "its tensor {name} is quantised: save plain tensors."),
    "sparse": (lambda: SPARSE, "its tensor {name} is sparse (sparse_coo)"),
    "nested": (nested, "holds more than tensors (torch._utils._rebuild_nested_tensor) and was not opened"),
    "meta": (lambda: torch.ones(4, device="meta"), "its tensor {name} is without numbers, on torch's meta device"),
    "complex": (lambda: torch.ones(16, 3, 3, 3, dtype=torch.complex64), "complex, in the network fractions"),
    "integers": (lambda: torch.ones(16, 3, 3, 3, dtype=torch.int8), "whole numbers, in the network fractions"),
    "absurd": (lambda: torch.zeros(1).expand(10**9, 10**6), "(1000000000, 1000000)"),
}
"""Tensors that are no weights, and what is said of them."""


@pytest.mark.parametrize("kind", TENSORS)
def test_a_state_dict_with_such_a_tensor_is_refused_by_name(tmp_path: Path, kind: str, refusal: Refusal) -> None:
    make, stated = TENSORS[kind]
    torch.save({"weight": make(), "bias": torch.ones(16)}, tmp_path / "w.pt")
    (tmp_path / "net.py").write_text(f"{HEAD}\ndef net():\n    return nn.Conv2d(3, 16, 3)\n")
    said = refusal(f"{tmp_path}/net.py:net", weights=str(tmp_path / "w.pt"))
    assert stated.format(name="weight") in said
    assert "weight" in said


@pytest.mark.parametrize("kind", [*TENSORS, "nan"])
def test_training_does_not_begin_from_such_a_tensor(tmp_path: Path, kind: str) -> None:
    network = build_network("resnet8-w0.125", 10, (0.5,) * 3, (0.5,) * 3)
    state = dict(network.state_dict())
    name = next(name for name in state if name.endswith("weight"))
    make, stated = TENSORS.get(kind, (lambda: torch.full_like(state[name], torch.nan), "NaN or infinite in places"))
    made = make()
    state[name] = torch.ones(state[name].shape, dtype=made.dtype) if kind in ("complex", "integers") else made
    torch.save(state, tmp_path / "w.pt")
    before = state_sha256(network)
    with pytest.raises(UserError) as caught:
        initialise(network, tmp_path / "w.pt")
    assert stated.format(name=name) in str(caught.value)
    assert state_sha256(network) == before


def test_training_does_not_begin_from_a_pipe_or_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.pt")
    for path in (tmp_path / "w.pt", Path("/dev/zero")):
        with pytest.raises(UserError, match="is not a regular file"):
            weights_sha256_of(path)


def test_weights_that_would_unpack_to_more_than_memory_holds_are_refused_unread(
    nets: Path, tmp_path: Path, refusal: Refusal
) -> None:
    torch.save({"weight": torch.zeros(100_000)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    said = refusal(f"{nets}:small", weights=str(tmp_path / "w.pt"))
    assert "was not opened, since it unpacks to 4" in said


def test_names_of_tensors_that_would_fill_or_steer_a_terminal_are_shortened(
    nets: Path, tmp_path: Path, small: nn.Module, refusal: Refusal
) -> None:
    for odd, count in (("a\nb", 2), ("\x1b[31mred", 2000), ("n" * 10_000, 2)):
        state = small.state_dict() | {f"{odd}{one}": torch.zeros(1) for one in range(count)}
        torch.save(state, tmp_path / f"{count}.pt")
        said = refusal(f"{nets}:small", weights=str(tmp_path / f"{count}.pt"))
        assert f"{count:,} tensors unknown to the network" in said
        assert said.isprintable()
        assert len(said) < 1000
    torch.save({1: torch.zeros(1), ("a",): torch.zeros(1)}, tmp_path / "w.pt")
    assert "holds no state dict" in refusal(f"{nets}:small", weights=str(tmp_path / "w.pt"))


def test_weights_that_arrived_in_part_are_reported(
    nets: Path, tmp_path: Path, small: nn.Module, refusal: Refusal
) -> None:
    torch.save(small.state_dict(), tmp_path / "w.pt")
    torch.save(small.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(small.state_dict(), tmp_path / "w.safetensors")
    for name in ("w.pt", "old.pth", "w.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for part in (0, 1, 9, len(whole) // 2, len(whole) - 1):
            (tmp_path / name).write_bytes(whole[:part])
            said = refusal(f"{nets}:small", weights=str(tmp_path / name))
            assert "damaged" in said, (name, part, said)


SOURCES: dict[str, tuple[str, str]] = {
    "pipe as weights": ("{nets}:small --weights {folder}/pipe", "pipe is not a regular file"),
    "device as weights": ("{nets}:small --weights /dev/zero", "/dev/zero is not a regular file"),
    "pipe as code": ("{folder}/pipe.py:net", "pipe.py is not a regular file"),
    "pipe as onnx": ("{folder}/pipe.onnx", "pipe.onnx is not a regular file"),
    "link to a device": ("{folder}/zero.onnx", "zero.onnx is not a regular file"),
    "pipe as a listing": ("{folder}/pipe.toml", "pipe.toml is not a regular file"),
    "device": ("/dev/zero", "There is no model '/dev/zero'"),
    "folder as onnx": ("{folder}/folder.onnx", "folder.onnx is neither a run folder"),
    "folder as code": ("{folder}/folder.py:net", "folder.py is not a regular file"),
    "folder as weights": ("{nets}:small --weights {folder}", "is not a regular file"),
    "newline": ("a\nb.py:net", r"The source of a model has characters that cannot be printed ('a\nb.py:net')"),
    "escape": ("\x1b[31mred:net", r"The source of a model has characters that cannot be printed ('\x1b[31mred:net')"),
    "long": ("x" * 10_000, "The source of a model has 10,000 characters"),
    "long part": ("x" * 3000 + ".onnx", "File name too long"),
    "newline in a name": ("{nets}:small --name a\nb", "has a line end or a control character in it"),
    "long name": (f"{{nets}}:small --name {'x' * 10_000}", "is a text of 10,000 characters"),
    "name that leaves": ("{nets}:small --name ../../x", "The name '../../x' cannot be used"),
}
"""What is named on the command line, and what is said of it."""


@pytest.mark.parametrize("case", SOURCES)
def test_what_is_no_model_is_refused_in_one_sentence_and_never_waited_for(
    nsbench: Command, nets: Path, tmp_path: Path, case: str
) -> None:
    for suffix in ("", ".py", ".onnx", ".toml"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / "zero.onnx").symlink_to("/dev/zero")
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "folder.py").mkdir()
    words, stated = SOURCES[case]
    words = [word.format(folder=tmp_path, nets=nets) for word in words.split(" ")]
    options = ("--out", str(tmp_path / "out"), "--data-set", "digits")
    inside = () if case in ("pipe as a listing", "folder as onnx") else ("--inside",)
    outcome = nsbench("evaluate", *words, *options, *inside)
    assert outcome.returncode == 2, outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 1, outcome.stderr
    assert stated in outcome.stderr
    assert len(outcome.stderr) < 1500
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [("",), ("x.py:net", ""), ("", "x.py:net")])
def test_an_empty_model_is_refused_and_is_not_the_current_folder(
    nsbench: Command, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text("name = 'run'\n")  # the current folder is a run
    monkeypatch.chdir(tmp_path)
    outcome = nsbench("evaluate", *words, "--out", str(tmp_path / "out"))
    assert outcome.returncode == 2
    assert outcome.stderr == "error: The source of a model is empty: name it, or leave it out.\n"


def test_networks_in_memory_alone_do_not_have_the_current_folder_read_as_a_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text("[[models]]\nsource = 'strangers.py:net'\ninside = true\n")
    monkeypatch.chdir(tmp_path)
    request = EvaluationRequest(models=())
    assert request.trust.named
    assert request.configuration(tmp_path / "out").models == ()


def test_an_empty_source_in_a_listing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("[[models]]\nsource = ''\ninside = true\n")
    with pytest.raises(UserError, match=r"models.toml: source is empty"):
        EvaluationRequest(models=(str(tmp_path / "models.toml"),)).configuration(tmp_path / "out")


FAILING: dict[str, tuple[str, str]] = {
    "exit": ("sys.exit(0)", "could not be imported: SystemExit: 0 (net.py, line 4)"),
    "interrupt": ("class Mine(KeyboardInterrupt): pass\nraise Mine('no')", "could not be imported: Mine: no"),
    "base": ("class Base(BaseException): pass\nraise Base('no')", "could not be imported: Base: no"),
    "recursion": ("def f(): f()\nf()", "could not be imported: RecursionError"),
    "memory": ("raise MemoryError('all of it')", "could not be imported: MemoryError: all of it"),
    "control": ("raise ValueError('\\x1b[31mred')", "could not be imported: ValueError"),
    "short download": (
        "def net():\n    from http.client import IncompleteRead\n    raise IncompleteRead(b'ab', 9)",
        "net.py:net failed: IncompleteRead: IncompleteRead(2 bytes read, 9 more expected)",
    ),
    "http error": (
        "from urllib.error import HTTPError\ndef net(): raise HTTPError('u', 404, 'a\\x1b[31mb\\nc', None, None)",
        "net.py:net failed: HTTPError: HTTP Error 404: a",
    ),
    "state": (
        "class Net(nn.Flatten):\n    def state_dict(self, *a, **k): raise OSError('none')\ndef net(): return Net()",
        "net.py:net does not say what it holds: OSError: none (net.py, line 5)",
    ),
    "state leaves": (
        "class Net(nn.Flatten):\n    def state_dict(self, *a, **k): sys.exit(0)\ndef net(): return Net()",
        "net.py:net does not say what it holds: SystemExit: 0",
    ),
    "attribute": ("def __getattr__(name): raise OSError(name)", "net.py:net failed: OSError: net (net.py, line 4)"),
    "vanished": (
        "def net():\n    del sys.modules[__name__]\n    return nn.LazyLinear(1)",
        "since weight is without a shape",
    ),
}
"""What the code of a model may do, and what is said of it."""


@pytest.mark.parametrize("case", FAILING)
def test_a_model_whose_code_fails_in_whatever_way_is_one_sentence(nsbench: Command, tmp_path: Path, case: str) -> None:
    code, stated = FAILING[case]
    (tmp_path / "net.py").write_text(f"{HEAD}{code}\n")
    arguments = ("--inside", "--data-set", "digits", "--device", "cpu", "--out", str(tmp_path / "out"))
    outcome = nsbench("evaluate", f"{tmp_path / 'net.py'}:net", *arguments)
    assert outcome.returncode == 2, outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 1, outcome.stderr
    assert stated in outcome.stderr
    assert "\x1b" not in outcome.stderr


def test_what_the_code_of_a_model_changes_for_everyone_is_undone(
    tmp_path: Path, one: One, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = (
        "os.chdir('/')\nwarnings.simplefilter('error')\ntorch.set_grad_enabled(False)\n"
        "torch.set_default_dtype(torch.float64)\ntorch.set_default_device('meta')\nprint('x' * 3_000_000)\n"
    )
    (tmp_path / "net.py").write_text(f"{HEAD}{changes}\ndef net():\n    return nn.Flatten()\n")
    before = (Path.cwd(), list(warnings.filters), torch.get_default_dtype(), torch.get_default_device())
    try:
        one(f"{tmp_path}/net.py:net")
        assert (Path.cwd(), list(warnings.filters), torch.get_default_dtype(), torch.get_default_device()) == before
        assert torch.is_grad_enabled()
        written = capsys.readouterr()
        assert written.out == ""
        assert len(written.err) > 3_000_000
    finally:  # lest another test fail when this one does
        os.chdir(before[0])
        torch.set_grad_enabled(True)
        torch.set_default_dtype(before[2])
        torch.set_default_device(None)


def test_parameters_that_are_shared_are_measured_as_one(tmp_path: Path, one: One) -> None:
    (tmp_path / "net.py").write_text(
        f"{HEAD}\ndef net():\n    first, second = nn.Linear(4, 4), nn.Linear(4, 4)\n    second.weight = first.weight\n"
        "    return nn.Sequential(first, second)\n"
    )
    subject = one(f"{tmp_path}/net.py:net")
    assert subject.record.parameters == 16 + 8
    loaded = subject.load(CPU)
    assert loaded.network[0].weight is loaded.network[1].weight


class Uncopied(nn.Flatten):
    """Cannot be copied."""

    def __deepcopy__(self, memo: object) -> Any:
        raise TypeError("one is enough")


class Unshown(nn.Flatten):
    """Cannot be shown."""

    def __repr__(self) -> str:
        sys.exit(0)


def test_a_network_in_memory_that_cannot_be_copied_or_described_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"^net cannot be copied: TypeError: one is enough"):
        InMemory("net", Uncopied(), inside=True).load(CPU)
    with pytest.raises(UserError, match=r"^net cannot be described: SystemExit"):
        InMemory("net", Unshown(), inside=True)


@pytest.mark.parametrize("name", ["../up", "", "a\nb", "x" * 10_000])
def test_a_network_in_memory_has_a_name_that_leads_nowhere(name: str) -> None:
    with pytest.raises(UserError, match=r"cannot be (used|called so)"):
        InMemory(name, nn.Flatten(), inside=True)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "x", None])
def test_preprocessing_that_is_no_number_is_one_sentence(value: Any) -> None:
    with pytest.raises(UserError, match=r"mean = .* is not allowed: mean "):
        InMemory("net", nn.Flatten(), [value, 0.5, 0.5], [1, 1, 1], inside=False)


@pytest.mark.parametrize("figure", ["nan", "inf", "1e999", "-nan"])
def test_a_deviation_that_is_no_number_is_one_sentence(nsbench: Command, nets: Path, figure: str) -> None:
    deviations = f"--std={figure},1,1"
    outcome = nsbench("evaluate", f"{nets}:small", "--mean", "0,0,0", deviations, "--out", str(nets.parent / "out"))
    assert outcome.returncode == 2, outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 1, outcome.stderr
    assert "std" in outcome.stderr


def test_a_model_whose_code_is_changed_while_it_is_measured_is_refused(tmp_path: Path, one: One) -> None:
    (tmp_path / "layers.py").write_text(f"{HEAD}\nLayer = nn.Flatten\n")
    (tmp_path / "net.py").write_text("import layers\n\ndef net():\n    return layers.Layer()\n")
    subject = one(f"{tmp_path}/net.py:net")
    subject.load(CPU)
    (tmp_path / "layers.py").write_text(f"{HEAD}\nLayer = nn.Softmax\n")
    with pytest.raises(UserError, match=r"net\.py:net or what it imports was changed while it was measured"):
        subject.load(CPU)


def test_a_hub_repository_that_ends_the_program_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "someone_nets_v1").mkdir()
    (tmp_path / "someone_nets_v1" / "hubconf.py").write_text("import sys\nsys.exit(0)\n")
    config = ModelConfig(source="torchhub:someone/nets:v1:net", inside=True)
    with pytest.raises(UserError, match=r"torch.hub could not open someone/nets:v1 \(SystemExit: 0\)"):
        open_models([config], trust=Trust(named=True))


def test_what_is_neither_a_network_nor_a_source_is_not_left_out_in_silence(tmp_path: Path) -> None:
    models: Any = {"a": nn.Flatten(), "b": nn.Flatten}
    with pytest.raises(UserError, match=r"^'b' is a type, neither a torch.nn.Module nor a source"):
        evaluate(models, tmp_path, inside=True, data_set="digits", on=["clean"])
