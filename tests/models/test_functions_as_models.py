"""Models that a user's function returns, in a file, a package, or a repository for torch.hub."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nsbench.config.survey import ModelConfig
from nsbench.config.trust import Trust
from nsbench.errors import UserError
from nsbench.models.open import open_models
from nsbench.models.subject import Subject

One = Callable[..., Subject]
Refusal = Callable[..., str]
Logits = Callable[[Subject, Tensor], Tensor]
CPU = torch.device("cpu")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def constant(value: str, imports: str = "") -> str:
    """A file with a network that gives ten times the same number."""
    return f"""{imports}
import torch
from torch import nn

class Constant(nn.Module):
    def forward(self, images):
        return torch.full((len(images), 10), float({value}))

def net():
    return Constant()
"""


def test_a_function_in_a_file_gives_its_network_behind_the_declared_normalisation(
    nets: Path, tmp_path: Path, small: nn.Module, pixels: Tensor, one: One, logits: Logits
) -> None:
    torch.save(small.state_dict(), tmp_path / "w.pt")
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    subject = one(f"{nets}:small", weights=str(tmp_path / "w.pt"), mean=mean, std=std)
    normal = (pixels - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    torch.testing.assert_close(logits(subject, pixels), small(normal))
    assert str(subject.record) == subject.name == "small"
    assert subject.record.parameters == sum(parameter.numel() for parameter in small.parameters())


def test_the_network_is_frozen_and_in_evaluation_mode(nets: Path, one: One) -> None:
    network = one(f"{nets}:small").load(CPU)
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_network_that_flattens_with_view_takes_images_in_either_layout(
    nets: Path, pixels: Tensor, one: One, logits: Logits
) -> None:
    subject = one(f"{nets}:viewer")
    assert torch.equal(logits(subject, pixels), logits(subject, pixels.contiguous()))


def test_the_record_names_no_folder(nets: Path, tmp_path: Path, one: One) -> None:
    assert str(tmp_path) not in one(f"{nets}:small").record.model_dump_json()
    assert one(f"{nets}:small").record.source == "nets.py:small"


@pytest.mark.parametrize(
    ("function", "stated"),
    [
        ("smal", "did you mean small?"),
        ("xyz", "it has small, Viewer, viewer"),
        ("number", "returned an int, not a torch.nn.Module"),
        ("needs_argument", "TypeError: needs_argument() missing 1 required positional argument: 'width'"),
    ],
)
def test_a_function_that_gives_no_network_is_reported(nets: Path, function: str, stated: str, refusal: Refusal) -> None:
    assert stated in refusal(f"{nets}:{function}")


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("import torch\nimport no_such_package\n", "No module named 'no_such_package' (net.py, line 2)"),
        ("def net(:\n", "SyntaxError: invalid syntax (net.py, line 1) (net.py, line 1)"),
        ("x = 1\n\nx.y\n", "AttributeError: 'int' object has no attribute 'y' (net.py, line 3)"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 (net.py, line 2)"),
        ("def net():\n    raise KeyError('a')\n", "net.py:net failed: KeyError: 'a' (net.py, line 2)"),
        ("import helper\n", "ZeroDivisionError: division by zero (helper.py, line 1)"),
    ],
)
def test_an_error_in_the_users_file_is_reported_with_its_place(
    tmp_path: Path, text: str, stated: str, refusal: Refusal
) -> None:
    write(tmp_path / "helper.py", "1 / 0\n")
    assert stated in refusal(f"{write(tmp_path / 'net.py', text)}:net")


def test_a_missing_file_is_reported_with_the_nearest(nets: Path, refusal: Refusal) -> None:
    assert f"did you mean {nets}?" in refusal(f"{nets.with_name('net.py')}:small")


def test_a_file_without_a_function_is_reported(nets: Path, refusal: Refusal) -> None:
    assert f"{nets}:FUNCTION" in refusal(nets)


def test_a_module_in_the_current_folder_is_found(
    tmp_path: Path, pixels: Tensor, one: One, logits: Logits, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "ours_here" / "nets" / "flat.py", constant("4"))
    monkeypatch.chdir(tmp_path)
    subject = one("ours_here.nets.flat:net")
    assert (logits(subject, pixels) == 4).all()
    assert subject.record.source == "ours_here.nets.flat:net"


def test_an_installed_module_is_named_by_its_version(one: One, pixels: Tensor, logits: Logits) -> None:
    subject = one("torchvision.models.squeezenet:squeezenet1_1")
    assert logits(subject, pixels).shape == (8, 1000)
    assert subject.identity == one("torchvision.models.squeezenet:squeezenet1_1").identity


@pytest.mark.parametrize(
    ("source", "stated"),
    [
        ("torchvison.models:resnet18", "There is no module 'torchvison' here: did you mean torchvision,"),
        ("torchvision.modls:resnet18", "There is no module 'torchvision.modls' here: did you mean torchvision.models,"),
        ("torchvision.models:resnet19", "did you mean resnet"),
        ("not a module:f", "neither a Python file nor the name of a module"),
    ],
)
def test_an_unknown_module_or_function_is_reported_with_the_nearest(source: str, stated: str, refusal: Refusal) -> None:
    assert stated in refusal(source)


def test_a_module_whose_own_import_fails_is_reported_by_that_import(
    tmp_path: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "broken_here.py", "import no_such_package\n")
    monkeypatch.chdir(tmp_path)
    assert "No module named 'no_such_package' (broken_here.py, line 1)" in refusal("broken_here:net")


def test_files_beside_a_model_are_its_own_and_no_other_models(
    tmp_path: Path, pixels: Tensor, one: One, logits: Logits
) -> None:
    for name, value in (("a", 1), ("b", 2)):
        write(tmp_path / name / "layers.py", f"VALUE = {value}\n")
        write(tmp_path / name / "net.py", constant("layers.VALUE", "import layers"))
    subjects = [one(f"{tmp_path / name / 'net.py'}:net") for name in "ab"]
    assert [float(logits(subject, pixels)[0, 0]) for subject in subjects] == [1, 2]


def test_opening_leaves_the_interpreter_and_the_generator_as_they_were(nets: Path, one: One) -> None:
    one(f"{nets}:small")
    torch.manual_seed(123)
    path, modules, generator = list(sys.path), set(sys.modules), torch.get_rng_state()
    one(f"{nets}:small").load(CPU)
    assert sys.path == path
    assert set(sys.modules) == modules
    assert torch.equal(torch.get_rng_state(), generator)


def test_the_identity_is_that_of_code_helpers_weights_and_preprocessing(
    tmp_path: Path, nets: Path, small: nn.Module, one: One
) -> None:
    write(tmp_path / "layers.py", "VALUE = 1\n")
    net = write(tmp_path / "net.py", constant("layers.VALUE", "import layers"))
    seen = [one(f"{net}:net").identity]
    assert one(f"{net}:net").identity == seen[0]
    write(tmp_path / "layers.py", "VALUE = 1  # a comment\n")
    seen.append(one(f"{net}:net").identity)
    write(net, net.read_text() + "# a comment\n")
    seen.append(one(f"{net}:net").identity)
    seen.append(one(f"{net}:net", mean=(0, 0, 0), std=(1, 1, 1)).identity)
    torch.save(small.state_dict(), tmp_path / "w.pt")
    seen.append(one(f"{nets}:small").identity)
    seen.append(one(f"{nets}:small", weights=str(tmp_path / "w.pt")).identity)
    assert len(set(seen)) == len(seen)


def test_the_identity_does_not_depend_on_the_folder(tmp_path: Path, one: One) -> None:
    found = set()
    for name in "ab":
        write(tmp_path / name / "layers.py", "VALUE = 1\n")
        net = write(tmp_path / name / "net.py", constant("layers.VALUE", "import layers"))
        found.add(one(f"{net}:net").identity)
    assert len(found) == 1


def test_random_weights_are_the_same_each_time(nets: Path, pixels: Tensor, one: One, logits: Logits) -> None:
    subject = one(f"{nets}:small")
    assert torch.equal(logits(subject, pixels), logits(subject, pixels))
    assert torch.equal(logits(subject, pixels), logits(one(f"{nets}:small"), pixels))


def test_weights_that_change_from_call_to_call_are_refused(tmp_path: Path, one: One) -> None:
    net = write(
        tmp_path / "net.py",
        "import itertools\nimport pathlib\nfrom torch import nn\n\n"
        "def net():\n    path = pathlib.Path(__file__).with_name('calls')\n"
        "    path.write_text(path.read_text() + 'x' if path.exists() else 'x')\n"
        "    network = nn.Linear(1, 1)\n    nn.init.constant_(network.bias, len(path.read_text()))\n"
        "    return network\n",
    )
    subject = one(f"{net}:net")
    with pytest.raises(UserError, match="gives different weights each time it is called"):
        subject.load(CPU)


HUBCONF = """dependencies = ["torch"]
import parts

def net(pretrained=False):
    return parts.Constant(1, asked=pretrained)

def plain():
    return parts.Constant(2)

def raised():
    raise ValueError("no")
"""
PARTS = """import torch
from torch import nn

class Constant(nn.Module):
    def __init__(self, value, asked=False):
        super().__init__()
        self.value, self.asked = nn.Parameter(torch.tensor(float(value))), asked

    def forward(self, images):
        return self.value.repeat(len(images), 10) + (100 if self.asked else 0)
"""


def repository(folder: Path) -> Path:
    write(folder / "parts.py", PARTS)
    return write(folder / "hubconf.py", HUBCONF).parent


def test_a_hub_entry_is_asked_for_its_pretrained_weights(
    tmp_path: Path, pixels: Tensor, one: One, logits: Logits
) -> None:
    folder = repository(tmp_path / "nets")
    assert (logits(one(f"torchhub:{folder}:net"), pixels) == 101).all()
    assert (logits(one(f"torchhub:{folder}:plain"), pixels) == 2).all()
    assert one(f"torchhub:{folder}:net").record.source == "torchhub:nets:net"
    assert one(f"torchhub:{folder}:net").record.kind == "torchhub"


def test_a_hub_entry_with_named_weights_is_not_asked_for_others(
    tmp_path: Path, pixels: Tensor, one: One, logits: Logits
) -> None:
    folder = repository(tmp_path / "nets")
    torch.save({"value": torch.tensor(5.0)}, tmp_path / "w.pt")
    subject = one(f"torchhub:{folder}:net", weights=str(tmp_path / "w.pt"))
    assert (logits(subject, pixels) == 5).all()


def test_a_repository_in_the_cache_of_torch_hub_is_used(
    tmp_path: Path, pixels: Tensor, one: One, logits: Logits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    repository(tmp_path / "someone_nets_v1")
    subject = one("torchhub:someone/nets:v1:net")
    assert (logits(subject, pixels) == 101).all()
    assert subject.record.source == "torchhub:someone/nets:v1:net"
    assert subject.name == "net"


@pytest.mark.parametrize(
    ("source", "stated"),
    [
        ("torchhub:net", "write torchhub:OWNER/NAME:ENTRY"),
        ("torchhub:no slash:net", "is neither a folder here nor OWNER/NAME or OWNER/NAME:REF on GitHub"),
        ("torchhub:{folder}:nett", "did you mean net?"),
        ("torchhub:{folder}:raised", "ValueError: no (hubconf.py, line 11)"),
        ("torchhub:{folder}/empty:net", "hubconf.py does not exist"),
    ],
)
def test_a_hub_name_that_leads_nowhere_is_reported(tmp_path: Path, source: str, stated: str, refusal: Refusal) -> None:
    folder = repository(tmp_path / "nets")
    (folder / "empty").mkdir()
    assert stated in refusal(source.format(folder=folder))


def test_a_repository_that_cannot_be_opened_is_reported(
    tmp_path: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    write(tmp_path / "someone_nets_v1" / "hubconf.py", "import no_such_package\n")
    assert "torch.hub could not open someone/nets:v1 (ModuleNotFoundError" in refusal("torchhub:someone/nets:v1:net")


def test_a_model_named_twice_is_given_once(nets: Path) -> None:
    config = ModelConfig(source=f"{nets}:small", inside=True)
    assert [subject.name for subject in open_models([config, config], trust=Trust(named=True))] == ["small"]
