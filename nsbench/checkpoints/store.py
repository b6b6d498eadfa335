"""Weights and their description on disk.

A checkpoint is a folder: `weights.safetensors`, `history.csv`, and `checkpoint.json`, which is written last, so that
a checkpoint exists when its description does. The description has a checksum of itself and one of the weights.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from nsbench.checkpoints.record import Record, Table, TrainedNetwork
from nsbench.config.fields import FolderName
from nsbench.errors import UserError
from nsbench.files import write_bytes, write_text
from nsbench.networks.build import build_network
from nsbench.networks.classifier import Classifier, ModelNoise
from nsbench.networks.cost import count_parameters
from nsbench.networks.names import ResNetName, parse_network_name

TRAINING_STATE = "training.safetensors"
LARGEST = 2**26
"""Bytes of a description at most; one has some ten thousand."""

Positive = Annotated[float, Field(gt=0)]


class CheckpointFile(Record):
    """The content of `checkpoint.json`."""

    format: Literal["nsbench-checkpoint"] = "nsbench-checkpoint"
    format_version: Literal[2] = 2
    recipe: Table = Field(description="all that determined the weights")
    teacher: FolderName | None = Field(description="name of the teacher's folder, beside this one")
    classes: int = Field(ge=1, le=10**6)
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]
    dropout: float = Field(ge=0, lt=1)
    survival: float = Field(gt=0, le=1)
    device: str = Field(description="kind of device it was trained on")
    record: TrainedNetwork
    checksum: str = Field(default="", description="SHA-256 of all else; empty where an earlier version wrote it")

    def sealed(self) -> Self:
        """The same with its checksum."""
        content = self.model_dump(mode="json", exclude={"checksum"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return self.model_copy(update={"checksum": hashlib.sha256(text.encode()).hexdigest()})

    @property
    def whole(self) -> bool:
        """Whether it says what it said when it was written, as far as a checksum shows it."""
        return not self.checksum or self.checksum == self.sealed().checksum


def save_checkpoint(folder: Path, network: nn.Module, file: CheckpointFile) -> CheckpointFile:
    """Write weights, history and description; returns the description with the checksums."""
    weights = folder / "weights.safetensors"
    write_bytes(weights, save({name: value.contiguous().cpu() for name, value in network.state_dict().items()}))
    record = file.record.model_copy(update={"weights_sha256": sha256(weights)})
    file = file.model_copy(update={"record": record}).sealed()
    rows = [",".join(str(getattr(point, column)) for column in _HISTORY) for point in record.history]
    write_text(folder / "history.csv", "\n".join([",".join(_HISTORY), *rows]) + "\n")
    write_text(folder / "checkpoint.json", file.model_dump_json(indent=1) + "\n")
    (folder / TRAINING_STATE).unlink(missing_ok=True)
    return file


_EARLIER = b'"format_version": 1,'
_HISTORY = ("images", "learning_rate", "loss", "accuracy")


def check_place(folder: Path) -> None:
    """Raise UserError where a folder stands in place of a file that could not be written hours later."""
    for name in ("checkpoint.json", "weights.safetensors", "history.csv"):
        if (folder / name).is_dir():
            raise UserError(f"{folder / name} is a folder where a file is needed: delete it and run the command again.")


def has_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint; its description is written last."""
    return (folder / "checkpoint.json").is_file()


def read_checkpoint(folder: Path) -> CheckpointFile | None:
    """The description in a folder; None when there is none.

    Raises UserError when the description is damaged or from an earlier version, or the weights are not the ones it
    describes.
    """
    path = folder / "checkpoint.json"
    if not path.is_file():
        return None
    content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    try:
        file = CheckpointFile.model_validate_json(content)
    except ValidationError:
        if _EARLIER in content:
            raise UserError(
                f"{path} was written by an earlier version of nsbench, which named networks otherwise: train it again "
                "into another folder; its file weights.safetensors can be measured with `nsbench evaluate`, as weights "
                "of a model of yours."
            ) from None
        raise _damaged(folder) from None
    if not file.whole:
        raise _damaged(folder)
    weights = folder / "weights.safetensors"
    if not weights.is_file() or sha256(weights) != file.record.weights_sha256:
        raise UserError(
            f"{weights} is missing or is not the file that {path.name} describes: "
            f"delete the folder {folder} and run the same command again."
        )
    return file


def _damaged(folder: Path) -> UserError:
    path = folder / "checkpoint.json"
    return UserError(f"{path} is damaged: delete the folder {folder} and run the same command again.")


def load_network(folder: Path, device: torch.device) -> Classifier:
    """The network of a checkpoint, in evaluation mode on `device`.

    Raises UserError where there is none, or its weights are not those of the network that it describes.
    """
    file = read_checkpoint(folder)
    if file is None:
        raise UserError(f"There is no checkpoint in {folder}: run `nsbench train` first.")
    state = read_weights(folder, file)
    noise = ModelNoise(file.dropout, file.survival)
    network = build_network(file.record.network, file.classes, file.mean, file.std, noise)
    network.load_state_dict(state)
    return network.to(device).to(memory_format=torch.channels_last).eval()


def read_weights(folder: Path, file: CheckpointFile) -> dict[str, Tensor]:
    """The tensors of a checkpoint, once they are found to be those of its network; no network is made before.

    Raises UserError where they are not finite, or are not what the description says of them: names, shapes, number of
    parameters, channel means and standard deviations.
    """
    path = folder / "weights.safetensors"
    try:
        state = load_file(path)
        network = _described(file, len(state))
        wanted: dict[str, Tensor] = network.state_dict()
        unfit = next((name for name in {**wanted, **state} if not _fits(name, state, wanted)), None)
        unfit = unfit or _unlike(file, state, count_parameters(network))
    except (SafetensorError, ValueError, KeyError):
        unfit = "file"
    if unfit is not None:
        raise UserError(
            f"{path} does not hold finite weights of the {file.record.network} that checkpoint.json describes "
            f"({unfit} is another): delete the folder {folder} and run the same command again."
        )
    return state


def _described(file: CheckpointFile, tensors: int) -> Classifier:
    """The network that is described, without memory; ValueError where it has more layers than there are tensors."""
    name = parse_network_name(file.record.network)
    if isinstance(name, ResNetName) and name.depth > tensors:
        raise ValueError(name)
    with torch.device("meta"):
        return build_network(str(name), file.classes, file.mean, file.std)


def _unlike(file: CheckpointFile, state: Mapping[str, Tensor], parameters: int) -> str | None:
    """What else a description says that its weights do not."""
    if not (state["normalize.std"] > 0).all():
        return "normalize.std"
    if file.record.parameters != parameters:
        return "the number of parameters"
    for name, said in (("normalize.mean", file.mean), ("normalize.std", file.std)):
        same = torch.allclose(state[name].flatten(), torch.tensor(said), rtol=1e-3, atol=1e-4)  # an average rounds
        if not same and not file.record.initial_weights:  # those bring their own
            return name
    return None


def _fits(name: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    if name not in found or name not in wanted:
        return False
    its, own = found[name], wanted[name]
    return (its.shape, its.dtype) == (own.shape, own.dtype) and bool(torch.isfinite(its).all())


def sha256(path: Path) -> str:
    """Checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
