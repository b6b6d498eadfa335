"""A checkpoint or a plan that is damaged, edited or a stranger's is one sentence: no hang and no wrong number."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nsbench.checkpoints.labels import read_plan
from nsbench.checkpoints.store import CheckpointFile, check_place, load_network, read_checkpoint, sha256
from nsbench.config.survey import ModelConfig
from nsbench.errors import UserError
from nsbench.models.open import open_models
from tests.checkpoints.test_initialise import saved, trained

CPU = torch.device("cpu")
Command = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a whole checkpoint."""
    return saved(tmp_path / "network", trained())


def crafted(folder: Path, *, sealed: bool = True, **changes: Any) -> None:
    """Change fields of checkpoint.json or of its record, under a checksum that fits if it is sealed."""
    path = folder / "checkpoint.json"
    content = json.loads(path.read_text())
    for name, value in changes.items():
        (content if name in content else content["record"])[name] = value
    if sealed:
        content["checksum"] = CheckpointFile.model_validate(content).sealed().checksum
    path.write_text(json.dumps(content))


def test_every_flipped_bit_of_a_description_is_noticed(folder: Path) -> None:
    path, found = folder / "checkpoint.json", 0
    whole, file = path.read_bytes(), read_checkpoint(folder)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert read_checkpoint(folder) == file  # white space, or a digit beyond what a number holds
        except UserError as error:
            found += 1
            assert re.search(r"damaged: delete the folder|is not the file that", str(error))  # noqa: PT017  # or none
    assert found > 0.8 * len(whole.split(b" ", 1)[1].replace(b" ", b""))


@pytest.mark.parametrize("changes", [{"mean": [0.5, 0.5, 0.6]}, {"images_seen": 2}, {"survival": 0.5}])
def test_an_edited_description_is_damaged(folder: Path, changes: dict[str, Any]) -> None:
    crafted(folder, sealed=False, **changes)
    with pytest.raises(UserError, match=r"checkpoint\.json is damaged: delete the folder"):
        read_checkpoint(folder)


def test_a_description_of_an_earlier_version_has_no_checksum_and_is_read(folder: Path) -> None:
    path = folder / "checkpoint.json"
    content = json.loads(path.read_text())
    del content["checksum"]
    path.write_text(json.dumps(content))
    assert load_network(folder, CPU).head.out_features == 3


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[" * 100_000, b'{"recipe": ' * 50_000, b"null", b'{"classes": ' + b"9" * 5000 + b"}"],
)
def test_a_description_that_is_garbage_is_damaged(folder: Path, content: bytes) -> None:
    (folder / "checkpoint.json").write_bytes(content)
    with pytest.raises(UserError, match=r"checkpoint\.json is damaged: delete the folder"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("network", "/elsewhere"),
        ("network", "resnet99999998"),
        ("network", "resnet20"),
        ("classes", 10**9),
        ("classes", 10**5),
        ("classes", 0),
        ("std", [0, 0.5, 0.5]),
        ("std", [-1, 0.5, 0.5]),
        ("mean", [math.nan, 0.5, 0.5]),
        ("mean", [0.5]),
        ("teacher", "../../elsewhere"),
        ("method", "/elsewhere"),
        ("seed", 10**400),
        ("dropout", 2),
    ],
)
def test_a_crafted_description_is_refused_before_any_network_is_made(folder: Path, field: str, value: Any) -> None:
    state = torch.random.get_rng_state()
    crafted(folder, sealed=False, checksum="", **{field: value})
    with pytest.raises(UserError):
        load_network(folder, CPU)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("linear.bias", torch.full((3,), math.nan)),
        ("linear.bias", torch.zeros(4)),
        ("linear.bias", torch.zeros(3, dtype=torch.float64)),
        ("linear.bias", None),
        ("other", torch.zeros(3)),
        ("normalize.std", torch.zeros(1, 3, 1, 1)),
    ],
)
def test_other_weights_under_the_right_checksum_are_refused_by_name(
    folder: Path, name: str, value: torch.Tensor | None
) -> None:
    path = folder / "weights.safetensors"
    tensors = {key: tensor for key, tensor in load_file(path).items() if key != name}
    save_file(tensors if value is None else {**tensors, name: value}, path)
    crafted(folder, weights_sha256=sha256(path))
    with pytest.raises(UserError, match=rf"does not hold finite weights .*{re.escape(name)} is another"):
        load_network(folder, CPU)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"parameters": 1}, "the number of parameters"),
        ({"mean": [0.5, 0.5, 0.5]}, "normalize.mean"),
        ({"std": [0.25, 0.25, 0.25]}, "normalize.std"),
        ({"classes": 4}, "linear.weight"),
        ({"network": "resnet8-w0.25"}, "stem.weight"),
    ],
)
def test_a_sealed_description_of_another_network_is_refused_by_what_differs(
    folder: Path, changes: dict[str, Any], what: str
) -> None:
    crafted(folder, **changes)
    with pytest.raises(UserError, match=rf"does not hold finite weights .*{re.escape(what)} is another"):
        load_network(folder, CPU)


def test_constants_that_came_with_the_weights_to_start_from_may_be_others(folder: Path) -> None:
    crafted(folder, mean=[0.5, 0.5, 0.5], initial_weights="0" * 64)
    assert load_network(folder, CPU).normalize.mean.flatten().tolist() == [1.5] * 3


def test_weights_that_are_no_safetensors_file_are_refused_under_the_right_checksum(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(b"nonsense")
    crafted(folder, weights_sha256=sha256(path))
    with pytest.raises(UserError, match="does not hold finite weights"):
        load_network(folder, CPU)


def test_a_strangers_study_that_is_a_path_writes_nothing_outside_the_folder(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for labels in ({"study": str(outside)}, {"method": str(outside)}):
        path = folder / "checkpoint.json"
        content = json.loads(path.read_text())
        content["record"] |= labels
        content["checksum"] = ""
        path.write_text(json.dumps(content))
        with pytest.raises(UserError, match="is damaged"):
            open_models([ModelConfig(source=str(folder))], 3)


def test_a_checkpoint_may_lie_in_a_folder_of_any_name(tmp_path: Path) -> None:
    (subject,) = open_models([ModelConfig(source=str(saved(tmp_path / "Größe (2)", trained())))], 3)
    assert subject.name == "supervised/seed0/gen0-resnet8-w0.125"


def test_a_folder_in_place_of_a_file_is_a_sentence_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").mkdir()
    with pytest.raises(UserError, match="is a folder where a file is needed"):
        check_place(tmp_path)


LABELS = {
    "study": "hard", "generation": 0, "network": "resnet8", "seed": 0, "role": "teacher", "folder": "x", "parent": None,
}  # fmt: skip


@pytest.mark.parametrize(
    "networks",
    [
        [LABELS | {"folder": "/elsewhere"}],
        [LABELS | {"folder": "../../elsewhere"}],
        [LABELS | {"folder": ".."}],
        [LABELS | {"study": "/elsewhere"}],
        [LABELS | {"study": "a/../../b"}],
        [LABELS | {"network": "resnet8\n"}],
        [LABELS | {"seed": 10**30}],
        [LABELS, LABELS],
        [LABELS | {"parent": "hard/seed0/gen0-resnet8"}],
        [LABELS | {"parent": "hard/seed0/gen7-resnet8"}],
        [LABELS | {"generation": 1, "parent": "hard/seed0/gen2-resnet8"},
         LABELS | {"generation": 2, "parent": "hard/seed0/gen1-resnet8"}],
        [LABELS | {"role": "baseline"}],
        [LABELS | {"role": "control"}],
        [LABELS | {"role": "student"}],
        [LABELS | {"generation": 1}],
        [LABELS | {"study": "supervised"}],
        [LABELS, LABELS | {"study": "soft", "generation": 1, "role": "student", "parent": "hard/seed0/gen0-resnet8"}],
        [LABELS, LABELS | {"generation": 2, "role": "student", "parent": "hard/seed0/gen0-resnet8"}],
    ],
)  # fmt: skip
def test_a_plan_of_strange_folders_cycles_or_duplicates_is_one_sentence(tmp_path: Path, networks: list[Any]) -> None:
    content = {"format": "nsbench-plan", "format_version": 1, "networks": networks}
    (tmp_path / "plan.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"plan\.json is damaged: delete it"):
        read_plan(tmp_path)
