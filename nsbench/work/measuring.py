"""The one way to measure, with training before it or without: predictions, numbers, record."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.config.evaluation import EvaluationConfig
from nsbench.data.images import Dataset, ImageSet
from nsbench.errors import UserError
from nsbench.models.check import suspicions
from nsbench.models.record import ModelRecord
from nsbench.models.subject import Subject
from nsbench.models.trained import Trained
from nsbench.predictions.collect import Evaluation
from nsbench.predictions.disagreement import disagreements
from nsbench.predictions.further import Further
from nsbench.predictions.shown import BenchmarkImages
from nsbench.predictions.store import Stored
from nsbench.predictions.strips import write_benchmark_strips
from nsbench.results.assemble import Pair, Setup, assemble
from nsbench.results.described import benchmark_samples
from nsbench.results.record import DatasetRecord, Results, SampleImage
from nsbench.results.store import load_results, save_results
from nsbench.work.bench import Bench
from nsbench.work.session import provenance


@dataclass(frozen=True)
class Measuring:
    """What is measured, and what the record says of it.

    Attributes:
        name: name of the run or the evaluation.
        config: its whole configuration.
        seed: seed of the resamples.
        evaluation: on what, and how.
        dataset: the images.
        data: the data set as the record describes it.
        held_out: labelled images that no model has seen, to fit temperatures on.
        source: corrupted and perturbed images.
        subjects: the models.
        baseline: name of the one that ratios are relative to; None: there are none.
        pairs: pairs of models to compare.
        samples: strips of example images besides those of benchmarks.
        warnings: sentences a reader must see.
        further: benchmarks beside the data set's own -C and -P.
    """

    name: str
    config: dict[str, Any]
    seed: int
    evaluation: EvaluationConfig
    dataset: Dataset
    data: DatasetRecord
    held_out: ImageSet | None
    source: BenchmarkImages
    subjects: Sequence[Subject]
    baseline: str | None
    pairs: list[Pair]
    samples: list[SampleImage] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    further: Sequence[Further] = ()


def measure(what: Measuring, bench: Bench) -> Results:
    """Make the predictions that are missing, measure, and write the record.

    Another process that works on the folder measures the rest of the predictions; the record is put together once.

    Raises:
        UserError: a model fails, or predictions are damaged.
    """
    before = _written(bench.folder)
    evaluation = Evaluation(
        what.evaluation,
        what.dataset,
        what.source,
        bench.folder,
        bench.device,
        what.held_out,
        bench.claims,
        what.further,
    )
    evaluation.collect(what.subjects, bench.reporter)
    with bench.claims.hold("measure"):
        found = _by_another(what, bench.folder, before)
        if found is not None:
            bench.reporter.say("another process has measured")
            return found
        bench.reporter.say("measure")
        write_benchmark_strips(what.evaluation, what.dataset, what.source, bench.folder)
        results = assemble(_setup(what, bench))
        with bench.claims.hold("folder"):
            save_results(bench.folder, results)
    return results


def _written(folder: Path) -> int:
    """When the record was written, in nanoseconds; 0 where there is none."""
    try:
        return (folder / "results.json").stat().st_mtime_ns
    except OSError:
        return 0


def _by_another(what: Measuring, folder: Path, before: int) -> Results | None:
    """The record, if another process has made the same one since we began."""
    if _written(folder) == before:
        return None
    try:
        found = load_results(folder)
    except UserError:
        return None
    same = found.config == _config(what) and [str(one) for one in (*found.checkpoints, *found.models)] == [
        subject.name for subject in what.subjects
    ]
    return found if same else None


def _config(what: Measuring) -> dict[str, Any]:
    return what.config | {"evaluation": what.evaluation.model_dump(mode="json")}


def _setup(what: Measuring, bench: Bench) -> Setup:
    names = [subject.name for subject in what.subjects]
    return Setup(
        name=what.name,
        config=what.config,
        seed=what.seed,
        evaluation=what.evaluation,
        data=what.data,
        source=what.source,
        run=bench.folder,
        records=[recorded(subject) for subject in what.subjects],
        baseline=what.baseline,
        provenance=provenance(bench.device),
        samples=[*what.samples, *benchmark_samples(what.evaluation)],
        warnings=[
            *what.warnings,
            *what.source.warnings,
            *(sentence for subject in what.subjects for sentence in _suspicions(subject, what.dataset, bench.folder)),
            *disagreements(what.evaluation, bench.folder, names),
        ],
        pairs=what.pairs,
    )


def recorded(subject: Subject) -> CheckpointRecord | ModelRecord:
    """The record of a model under its name; a checkpoint of ours under another name is recorded as any model."""
    record = subject.record
    if isinstance(record, ModelRecord) or str(record) == subject.name:
        return record
    return ModelRecord(
        name=subject.name,
        source=str(record),
        kind="checkpoint",
        parameters=record.parameters,
        weights_sha256=record.weights_sha256,
        mean=None,
        std=None,
        identity=subject.identity,
    )


def _suspicions(subject: Subject, dataset: Dataset, folder: Path) -> list[str]:
    """What is suspicious about a model that nsbench did not train, from all its clean logits."""
    if isinstance(subject.record, CheckpointRecord):
        return []
    logits = torch.from_numpy(Stored(folder, subject.name).load("clean")["logits"])
    return suspicions(subject.name, logits, torch.tensor(dataset.test.labels), len(dataset.classes))


def find_baseline(name: str, subjects: Sequence[Subject]) -> str | None:
    """The name of the baseline among the models; None where none is asked for.

    Unless named, it is the baseline of the one run that the models come from, of the first of its seeds.

    Raises:
        UserError: no model has that name.
    """
    names = [subject.name for subject in subjects]
    if name and name not in names:
        raise UserError(f"The baseline {name!r} is not one of the models: name one of {', '.join(names)}.")
    own = [one for one in subjects if isinstance(one, Trained) and one.record.role == "baseline"]
    runs = {one.run for one in own}
    return name or (own[0].name if len(runs) == 1 else None)
