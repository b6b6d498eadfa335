"""The networks of a run, in the order they are trained, and what a reader must know about each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nsbench.checkpoints.record import CheckpointName, CheckpointRecord, SelectionRecord
from nsbench.config.schema import Config

SUPERVISED = "supervised"
CONTROL = "control"


@dataclass(frozen=True)
class Stage:
    """One network to train.

    Attributes:
        name: of its checkpoint.
        role: what it is for; a control has a student's noise and budget, but no teacher.
        parent: the teacher, None where labels alone are learnt.
    """

    name: CheckpointName
    role: Literal["teacher", "student", "baseline", "control"]
    parent: CheckpointName | None

    @property
    def noisy(self) -> bool:
        """Whether it is trained as a student is: with noise inside, on balanced classes."""
        return self.role in ("student", "control")


def stages(config: Config) -> list[Stage]:
    """The networks of a run: for each seed the chain, the baseline, and the controls if there are any."""
    return [stage for seed in config.weight_seeds for stage in _stages(config, seed)]


def _stages(config: Config, seed: int) -> list[Stage]:
    chain: list[Stage] = []
    for generation, network in enumerate(config.study.networks):
        name = CheckpointName(study=config.study.name, generation=generation, network=network, seed=seed)
        parent = chain[-1].name if chain else None
        chain.append(Stage(name, "student" if parent else "teacher", parent))
    baseline = CheckpointName(study=SUPERVISED, generation=0, network=config.baseline_network, seed=seed)
    return [*chain, Stage(baseline, "baseline", None), *(_controls(chain) if config.study.control else [])]


def _controls(chain: list[Stage]) -> list[Stage]:
    """A control for each network that a student has, named after the first such student."""
    first: dict[str, CheckpointName] = {}
    for student in chain[1:]:
        first.setdefault(student.name.network, student.name)
    return [Stage(name.model_copy(update={"study": CONTROL}), "control", None) for name in first.values()]


def warnings_of(record: CheckpointRecord, classes: tuple[str, ...]) -> Iterator[str]:
    """Sentences a reader must see about one network's training."""
    if record.micro_batch:
        yield (
            f"{record}: batches were learnt in parts of {record.micro_batch:,} images to save memory; "
            "batch normalisation saw the parts, so another micro-batch gives other weights."
        )
    if record.selection is not None:
        yield from _selection_warnings(str(record), record.selection, classes)


def _selection_warnings(name: str, selection: SelectionRecord, classes: tuple[str, ...]) -> Iterator[str]:
    if not selection.available:
        yield f"{name}: there is no unlabelled image, so this student was trained on labelled images alone."
        return
    if not any(selection.above_threshold):
        yield (
            f"{name}: no unlabelled image was above the confidence threshold {selection.confidence_threshold:g}, "
            "so this student was trained on labelled images alone."
        )
        return
    empty = [name for name, count in zip(classes, selection.above_threshold, strict=True) if count == 0]
    if empty:
        yield (
            f"{name}: no unlabelled image of {', '.join(empty)} was above the confidence threshold "
            f"{selection.confidence_threshold:g}; balancing filled those classes with copies of labelled images."
        )
