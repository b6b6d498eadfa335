"""Weights and their description on disk.

A checkpoint is a folder: `weights.safetensors`, `history.csv`, and `checkpoint.json`, which is written last, so that
a checkpoint exists when its description does.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError
from safetensors.torch import load_file, save
from torch import nn

from nsbench.checkpoints.record import Record, TrainedNetwork
from nsbench.errors import UserError
from nsbench.files import write_bytes, write_text
from nsbench.networks.build import build_network
from nsbench.networks.classifier import Classifier, ModelNoise

TRAINING_STATE = "training.safetensors"


class CheckpointFile(Record):
    """The content of `checkpoint.json`."""

    format: Literal["nsbench-checkpoint"] = "nsbench-checkpoint"
    format_version: Literal[2] = 2
    recipe: dict[str, Any] = Field(description="all that determined the weights")
    teacher: str | None = Field(description="name of the teacher's folder, beside this one")
    classes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    dropout: float
    survival: float
    device: str = Field(description="kind of device it was trained on")
    record: TrainedNetwork


def save_checkpoint(folder: Path, network: nn.Module, file: CheckpointFile) -> CheckpointFile:
    """Write weights, history and description; returns the description with the weights' checksum."""
    weights = folder / "weights.safetensors"
    write_bytes(weights, save({name: value.contiguous().cpu() for name, value in network.state_dict().items()}))
    record = file.record.model_copy(update={"weights_sha256": sha256(weights)})
    file = file.model_copy(update={"record": record})
    rows = [",".join(str(getattr(point, column)) for column in _HISTORY) for point in record.history]
    write_text(folder / "history.csv", "\n".join([",".join(_HISTORY), *rows]) + "\n")
    write_text(folder / "checkpoint.json", file.model_dump_json(indent=1) + "\n")
    (folder / TRAINING_STATE).unlink(missing_ok=True)
    return file


_EARLIER = b'"format_version": 1,'
_HISTORY = ("images", "learning_rate", "loss", "accuracy")


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
    try:
        text = path.read_text()
        file = CheckpointFile.model_validate_json(text)
    except (ValidationError, UnicodeDecodeError):
        if path.is_file() and _EARLIER in path.read_bytes():
            raise UserError(
                f"{path} was written by an earlier version of nsbench, which named networks otherwise: train it again "
                "into another folder; its file weights.safetensors can be measured with `nsbench evaluate`, as weights "
                "of a model of yours."
            ) from None
        raise UserError(f"{path} is damaged: delete the folder {folder} and run the same command again.") from None
    weights = folder / "weights.safetensors"
    if not weights.is_file() or sha256(weights) != file.record.weights_sha256:
        raise UserError(
            f"{weights} is missing or is not the file that {path.name} describes: "
            f"delete the folder {folder} and run the same command again."
        )
    return file


def load_network(folder: Path, device: torch.device) -> Classifier:
    """The network of a checkpoint, in evaluation mode on `device`."""
    file = read_checkpoint(folder)
    if file is None:
        raise UserError(f"There is no checkpoint in {folder}: run `nsbench train` first.")
    noise = ModelNoise(file.dropout, file.survival)
    network = build_network(file.record.network, file.classes, file.mean, file.std, noise)
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    return network.to(device).to(memory_format=torch.channels_last).eval()


def sha256(path: Path) -> str:
    """Checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
