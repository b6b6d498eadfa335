"""Weights carried over from real files: what fits, what is left as drawn, what is refused."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from nsbench.checkpoints.initialise import initialise, weights_sha256_of
from nsbench.checkpoints.record import TrainedNetwork
from nsbench.checkpoints.store import CheckpointFile, load_network, save_checkpoint
from nsbench.errors import UserError
from nsbench.networks.build import build_network
from nsbench.networks.classifier import Classifier
from nsbench.networks.cost import count_parameters

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
SMALL = "resnet8-w0.125"
CONSTANTS = ("normalize.mean", "normalize.std")
State = dict[str, Tensor]


def network(name: str = SMALL, classes: int = 3, seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return build_network(name, classes, MEAN, STD)


def trained(classes: int = 3) -> Classifier:
    """A network of which every tensor differs from a new one's."""
    model = network(classes=classes, seed=1)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(1)
    return model


def saved(folder: Path, model: Classifier, classes: int = 3) -> Path:
    """A checkpoint folder."""
    record = TrainedNetwork(
        network=SMALL,
        seed=0,
        method="supervised",
        parameters=count_parameters(model),
        images_seen=1,
        training_images=1,
        weights_selection="last",
        averaged=False,
        precision="float32",
        micro_batch=0,
        initial_weights="",
        weights_sha256="",
        selection=None,
        history=[],
    )
    description = {
        "recipe": {"parent": None},
        "teacher": None,
        "classes": classes,
        "mean": model.normalize.mean.flatten().tolist(),
        "std": model.normalize.std.flatten().tolist(),
        "dropout": 0.0,
        "survival": 1.0,
    }
    save_checkpoint(folder, model, CheckpointFile(**description, device="cpu", record=record))
    return folder


def copied(target: Classifier, before: State, source: State) -> set[str]:
    """Names of tensors that are the source's now; the others must be as they were."""
    names = {name for name, tensor in target.state_dict().items() if not torch.equal(tensor, before[name])}
    for name in names:
        assert torch.equal(target.state_dict()[name], source[name]), name
    return names


def snapshot(model: Classifier) -> State:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def refusal(source: Path, target: Classifier | None = None) -> str:
    """The one sentence said; the target must be left as it was."""
    target = target or network()
    before = snapshot(target)
    with pytest.raises(UserError) as caught:
        initialise(target, source)
    assert copied(target, before, {}) == set()
    assert str(source) in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_gives_every_tensor_and_its_checksum(tmp_path: Path) -> None:
    source, target = trained(), network()
    before = snapshot(target)
    checksum = initialise(target, saved(tmp_path, source))
    assert copied(target, before, source.state_dict()) == set(source.state_dict())
    assert checksum == hashlib.sha256((tmp_path / "weights.safetensors").read_bytes()).hexdigest()


def test_a_checkpoint_loads_as_the_network_it_was(tmp_path: Path) -> None:
    source = trained()
    loaded = load_network(saved(tmp_path, source), torch.device("cpu"))
    assert isinstance(loaded, Classifier)
    assert not loaded.training
    assert copied(loaded, snapshot(network()), source.state_dict()) == set(source.state_dict())


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_a_file_of_weights_gives_every_tensor_and_its_checksum(suffix: str, tmp_path: Path) -> None:
    source, target, path = trained(), network(), tmp_path / f"weights{suffix}"
    before = snapshot(target)
    (save_file if suffix == ".safetensors" else torch.save)(source.state_dict(), path)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights_sha256_of(path) == expected
    assert initialise(target, path) == expected
    assert copied(target, before, source.state_dict()) == set(source.state_dict())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
        lambda state: {f"module._orig_mod.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {name: tensor.double() for name, tensor in state.items()},
    ],
    ids=["state_dict", "model", "parallel", "compiled", "parallel-compiled", "compiled-parallel", "float64"],
)
def test_a_wrapped_state_dict_is_unwrapped(wrap: Callable[[State], object], tmp_path: Path) -> None:
    source, target = trained(), network()
    before = snapshot(target)
    torch.save(wrap(source.state_dict()), tmp_path / "weights.pt")
    initialise(target, tmp_path / "weights.pt")
    assert copied(target, before, source.state_dict()) == set(source.state_dict())
    assert {tensor.dtype for tensor in target.parameters()} == {torch.float32}


def test_a_head_for_other_classes_is_kept_as_drawn(tmp_path: Path) -> None:
    source, target = trained(classes=7), network(classes=3)
    before = snapshot(target)
    initialise(target, saved(tmp_path, source, classes=7))
    assert copied(target, before, source.state_dict()) == set(before) - {"linear.weight", "linear.bias"}


def test_what_may_be_absent_is_kept_as_it_was(tmp_path: Path) -> None:
    source, target, path = trained().state_dict(), network(), tmp_path / "weights.safetensors"
    absent = {name for name in source if name in CONSTANTS or name.endswith("batches_tracked") or "linear" in name}
    save_file({name: tensor for name, tensor in source.items() if name not in absent}, path)
    before = snapshot(target)
    initialise(target, path)
    assert copied(target, before, source) == set(before) - absent
    assert len(absent) == 2 + 7 + 2


def test_torchvisions_own_weights_fit_an_efficientnet_for_other_classes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = torchvision.models.efficientnet_b0(weights=None).state_dict()
    torch.save(source, tmp_path / "b0.pth")
    target = network("efficientnet-b0", 10)
    initialise(target, tmp_path / "b0.pth")
    body = [name for name in source if not name.startswith("classifier")]
    assert len(body) == 358
    assert all(torch.equal(target.state_dict()[name], source[name]) for name in body)
    assert target.head.out_features == 10


@pytest.mark.parametrize(
    ("change", "there", "here"),
    [
        ({"stem.weight": None}, "stem.weight is absent there", "of shape (2, 3, 3, 3) in the network"),
        (
            {"stem.weight": torch.ones(4, 3, 3, 3)},
            "stem.weight is of shape (4, 3, 3, 3) there",
            "of shape (2, 3, 3, 3)",
        ),
        ({"norm.running_var": None}, "norm.running_var is absent there", "of shape (8,) in the network"),
        ({"blocks.3.conv1.weight": torch.ones(1)}, "blocks.3.conv1.weight is of shape (1,) there", "absent in the"),
        ({"fc.weight": torch.ones(3, 8)}, "fc.weight is of shape (3, 8) there", "absent in the network"),
        ({"linear.bias": None}, "linear.bias is absent there", "of shape (3,) in the network"),
        ({"linear.weight": torch.ones(3, 9)}, "linear.weight is of shape (3, 9) there", "of shape (3, 8)"),
        ({"linear.weight": torch.ones(5, 9)}, "linear.weight is of shape (5, 9) there", "of shape (3, 8)"),
        ({"linear.weight": torch.ones(5, 8)}, "linear.weight is of shape (5, 8) there", "of shape (3, 8)"),
        ({"normalize.mean": torch.ones(3)}, "normalize.mean is of shape (3,) there", "of shape (1, 3, 1, 1)"),
    ],
)
def test_weights_that_do_not_fit_are_refused_whole(
    change: dict[str, Tensor | None], there: str, here: str, tmp_path: Path
) -> None:
    state = trained().state_dict() | change
    path = tmp_path / "weights.safetensors"
    save_file({name: tensor for name, tensor in state.items() if tensor is not None}, path)
    sentence = refusal(path)
    assert f"{there} and " in sentence
    assert here in sentence
    assert "choose the network that these weights were trained in" in sentence


def test_a_deeper_network_does_not_fit_a_shallower_one_nor_the_other_way_round(tmp_path: Path) -> None:
    save_file(network("resnet14-w0.125").state_dict(), tmp_path / "deep.safetensors")
    save_file(network().state_dict(), tmp_path / "shallow.safetensors")
    assert "does not fit" in refusal(tmp_path / "deep.safetensors")
    assert "does not fit" in refusal(tmp_path / "shallow.safetensors", network("resnet14-w0.125"))


@pytest.mark.parametrize("name", ["gone", "gone.pt", "gone/weights.safetensors"])
def test_a_source_that_does_not_exist_is_refused(name: str, tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / name)
    with pytest.raises(UserError, match="does not exist"):
        weights_sha256_of(tmp_path / name)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    assert "There is no checkpoint in" in refusal(tmp_path)


def test_a_checkpoint_whose_weights_were_changed_is_refused(tmp_path: Path) -> None:
    weights = saved(tmp_path, trained()) / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "is not the file that checkpoint.json describes" in refusal(tmp_path)
    with pytest.raises(UserError, match=r"is not the file that checkpoint\.json describes"):
        weights_sha256_of(tmp_path)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.onnx").write_bytes(b"x")
    assert "is not a file of weights" in refusal(tmp_path / "weights.onnx")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", None], ids=["empty", "text", "half"])
def test_a_damaged_file_is_refused(suffix: str, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(trained().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"epoch": 3}, {"state_dict": {"stem.weight": 1.0}}, torch.ones(3), {3: torch.ones(3)}]
)
def test_a_file_without_a_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pt")
    assert "holds no state dict" in refusal(tmp_path / "weights.pt")


class Touch:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_in_it_is_refused_and_the_code_does_not_run(tmp_path: Path) -> None:
    torch.save(trained().state_dict() | {"code": Touch(tmp_path / "ran")}, tmp_path / "weights.pt")
    assert "loading it could run any code" in refusal(tmp_path / "weights.pt")
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "weights.pt", weights_only=False)
    assert (tmp_path / "ran").exists(), "the test's own file would have run nothing"
