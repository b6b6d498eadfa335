"""Training in progress on disk: `training.safetensors`, read back only whole and under the same fingerprint.

A checksum covers every tensor and all metadata. Whatever is not as it was written counts as missing, before any of it
has reached the network.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import safetensors
import torch
from pydantic import ConfigDict, TypeAdapter
from safetensors.torch import save
from torch import Tensor

from nsbench.errors import describe, shortened
from nsbench.files import write_bytes
from nsbench.training.schedule import Schedule
from nsbench.training.selection import Best
from nsbench.training.step import Step

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Point:
    """Training progress after a segment.

    Attributes:
        images: images seen so far.
        learning_rate: learning rate of the last step.
        loss: mean over the segment's noisy images.
        accuracy: share of them classified as their targets say.
        validation_accuracy: on held-out images, if there are any.
        test_accuracy: on test images, if the weights are selected on them.
    """

    images: int
    learning_rate: float
    loss: float
    accuracy: float
    validation_accuracy: float | None = None
    test_accuracy: float | None = None

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass
class Progress:
    """How far training has come.

    Attributes:
        step: the next step to do.
        history: one point for each finished segment.
        best: the weights that scored best.
    """

    step: int = 0
    history: list[Point] = field(default_factory=list)
    best: Best = field(default_factory=Best)


def save_state(path: Path, fingerprint: str, step: Step, progress: Progress) -> None:
    """Write the state of training."""
    metadata = {
        "fingerprint": fingerprint,
        "step": str(progress.step),
        "micro_batch": str(step.learner.micro_batch),
        "history": json.dumps([asdict(point) for point in progress.history]),
        "best_score": repr(progress.best.score),
    }
    every = {**step.tensors(), **{f"{_BEST}{name}": value for name, value in progress.best.state.items()}}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in every.items()}
    write_bytes(path, save(tensors, metadata | {_CHECKSUM: _checksum(tensors, metadata)}))


def load_state(path: Path, schedule: Schedule, step: Step, warn: Callable[[str], None]) -> Progress:
    """Give `step` the saved state and return how far it had come; the beginning, if nothing fits.

    Args:
        path: path of the file.
        schedule: what is trained, whose fingerprint the state must have.
        step: stays as it is unless the whole file is as it was written.
        warn: called with a sentence where the file is damaged.

    Raises:
        OSError: something that cannot be read stands there.
    """
    try:
        with path.open("rb"):  # the operating system's own words for a folder or a file without permission
            tensors, metadata = _read(path)
        _check_sum(tensors, metadata)
        if metadata["fingerprint"] != schedule.fingerprint:
            return Progress()
        progress = _progress(metadata, schedule)
        best = {name.removeprefix(_BEST): tensors.pop(name) for name in list(tensors) if name.startswith(_BEST)}
        _check_fit(tensors, step.tensors())
        if best or progress.best.score >= 0:
            _check_fit(best, step.learner.network.state_dict())
    except FileNotFoundError:
        return Progress()
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        warn(f"{path} is damaged ({shortened(describe(error))}): training begins again.")
        return Progress()
    step.restore(tensors)
    step.learner.micro_batch = int(metadata["micro_batch"])
    progress.best.state = {name: value.to(step.learner.device) for name, value in best.items()}
    return progress


def _read(path: Path) -> tuple[Tensors, dict[str, str]]:
    with safetensors.safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118  # no mapping


def _checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors, and over all metadata but itself."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    rest = {name: text for name, text in metadata.items() if name != _CHECKSUM}
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()


def _check_sum(tensors: Tensors, metadata: Mapping[str, str]) -> None:
    if metadata.get(_CHECKSUM) != _checksum(tensors, metadata):
        raise ValueError("its checksum is another, or missing")


def _check_fit(found: Tensors, wanted: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless the tensors are those that are wanted, and finite."""
    if found.keys() != wanted.keys():
        raise ValueError("other tensors than this network's")
    for name, tensor in found.items():
        if (tensor.shape, tensor.dtype) != (wanted[name].shape, wanted[name].dtype):
            raise ValueError(f"{name} has another shape or type")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} is not finite")


def _progress(metadata: Mapping[str, str], schedule: Schedule) -> Progress:
    """How far training had come; raises ValueError for what this schedule cannot have led to."""
    done, size = int(metadata["step"]), schedule.settings.batch_size
    progress = Progress(done, TypeAdapter(list[Point]).validate_json(metadata["history"]))
    progress.best.score = float(metadata["best_score"])
    seen = [point.images for point in progress.history]
    if not 0 < done < schedule.steps or not 0 < int(metadata["micro_batch"]) <= size:
        raise ValueError("a step or a micro-batch outside this schedule")
    if seen != sorted(set(seen)) or not all(0 < images <= done * size for images in seen):
        raise ValueError("a history of other steps")
    if not (math.isfinite(progress.best.score) and -1 <= progress.best.score <= 1):
        raise ValueError("a score that is no accuracy")
    return progress


_BEST, _CHECKSUM = "best.", "sha256"
