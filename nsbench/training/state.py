"""Training in progress on disk: `training.safetensors`, read back only under the same fingerprint."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import safetensors
from safetensors.torch import save
from torch import Tensor

from nsbench.files import write_bytes
from nsbench.training.selection import Best
from nsbench.training.step import Step


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
    tensors = {**step.tensors(), **{f"best.{name}": value for name, value in progress.best.state.items()}}
    write_bytes(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))


def load_state(path: Path, fingerprint: str, step: Step) -> Progress:
    """Give `step` the saved state and return how far it had come; the beginning, if nothing fits."""
    try:
        with safetensors.safe_open(path, framework="pt", device=str(step.learner.device)) as file:
            metadata = file.metadata() or {}
            if metadata.get("fingerprint") != fingerprint:
                return Progress()
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except (FileNotFoundError, safetensors.SafetensorError):
        return Progress()
    step.restore(tensors)
    step.learner.micro_batch = int(metadata["micro_batch"])
    progress = Progress(int(metadata["step"]), [Point(**point) for point in json.loads(metadata["history"])])
    progress.best.score = float(metadata["best_score"])
    progress.best.state = {
        name.removeprefix("best."): value for name, value in tensors.items() if name.startswith("best.")
    }
    return progress
