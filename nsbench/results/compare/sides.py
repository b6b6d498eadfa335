"""What `nsbench compare` compares: one model of a folder with a record and predictions."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from nsbench.checkpoints.labels import named_folder, planned_labels
from nsbench.config.evaluation import EvaluationConfig, check_evaluation
from nsbench.errors import UserError
from nsbench.results.record import Results
from nsbench.results.store import load_results


@dataclass(frozen=True)
class Side:
    """One model, and the folder that has its predictions.

    Attributes:
        folder: folder of the run or evaluation.
        results: its record.
        model: the model's name.
    """

    folder: Path
    results: Results
    model: str

    @cached_property
    def config(self) -> EvaluationConfig:
        """What was measured.

        Raises UserError where the record does not say.
        """
        try:
            config = EvaluationConfig.model_validate_json(json.dumps(self.results.config["evaluation"]))
            check_evaluation(config)
        except (KeyError, ValidationError, UserError):
            raise UserError(
                f"{self.folder / 'results.json'} does not say what was measured in a form that this version reads: "
                f"run `nsbench evaluate {self.folder}` again."
            ) from None
        return config

    @property
    def baseline_identity(self) -> str:
        """Checksum of the model that the ratios are relative to; empty where there is none."""
        ours = {str(one): one.weights_sha256 for one in self.results.checkpoints}
        others = {str(one): one.identity for one in self.results.models}
        return (ours | others).get(self.results.baseline or "", "")


def open_side(text: str) -> Side:
    """The model that a user names.

    Args:
        text: a folder with `results.json`; the same with `:MODEL` after it; or the folder of a checkpoint in a run.

    Raises:
        UserError: there is no such folder or model, or the folder has several models and none is named.
    """
    folder, model = _divided(text)
    if not model and not (folder / "results.json").is_file():
        folder, model = _checkpoint(folder)
    results = load_results(folder)
    names = [str(one) for one in (*results.checkpoints, *results.models)]
    model = model or _only(text, results, names)
    if model not in names:
        raise UserError(f"{folder} has no model {model!r}: name one of {', '.join(names)}.")
    return Side(folder, results, model)


def _divided(text: str) -> tuple[Path, str]:
    """Folder and model; a colon may be part of either, so the longest folder that exists is taken."""
    parts = text.split(":")
    for count in range(len(parts), 0, -1):
        folder = named_folder(Path(":".join(parts[:count])))
        if folder.is_dir():
            return folder, ":".join(parts[count:])
    raise UserError(f"There is no folder {parts[0]}: name a run folder, an evaluation folder or a checkpoint's folder.")


def _checkpoint(folder: Path) -> tuple[Path, str]:
    """The run folder around a checkpoint's folder, and the checkpoint's name."""
    whole = folder.resolve()
    labels = planned_labels(folder)
    if labels is not None and (whole.parent.parent / "results.json").is_file():
        return whole.parent.parent, str(labels)
    for parent in whole.parents[:3]:  # a run of an earlier version had its networks in folders named after labels
        if (parent / "results.json").is_file():
            return parent, whole.relative_to(parent).as_posix()
    raise UserError(f"There is no {folder / 'results.json'}: run `nsbench evaluate {folder}` first.")


def _only(text: str, results: Results, names: list[str]) -> str:
    """The model that is meant where none is named: the only one, or the last student of a run."""
    students = [str(one) for one in results.checkpoints if one.role == "student"]
    if len(names) == 1:
        return names[0]
    if students and not results.models:
        return students[-1]
    raise UserError(f"{text} has {len(names)} models: name one as {text}:MODEL, of {', '.join(names)}.")
