"""Predictions on disk: after them no model and no GPU is needed."""

from pathlib import Path
from typing import Any

import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save

from nsbench.checkpoints.record import CheckpointName
from nsbench.errors import UserError
from nsbench.files import write_bytes

Arrays = dict[str, NDArray[Any]]


def path_of(run: Path, name: CheckpointName, benchmark: str) -> Path:
    """Where the predictions of a checkpoint on a benchmark lie."""
    return run / "predictions" / str(name) / f"{benchmark}.safetensors"


def save_predictions(path: Path, arrays: Arrays, fingerprint: str) -> None:
    """Write named arrays; they appear whole or not at all."""
    write_bytes(path, save(arrays, {"fingerprint": fingerprint}))


def has_predictions(path: Path, fingerprint: str) -> bool:
    """Whether predictions made under this fingerprint are there."""
    if not path.is_file():
        return False
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return bool((file.metadata() or {}).get("fingerprint") == fingerprint)
    except safetensors.SafetensorError:
        return False


def load_predictions(path: Path) -> Arrays:
    """The named arrays of a file.

    Raises UserError when the file is missing or damaged.
    """
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except (OSError, safetensors.SafetensorError):
        raise UserError(f"The predictions in {path} are missing or damaged: run `nsbench evaluate` again.") from None
