"""Anybody's models measured: predictions, results and a report in one folder."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nsbench.attacks.catalog import ATTACKS
from nsbench.checkpoints.record import CheckpointRecord
from nsbench.config.benchmark import BenchmarkConfig
from nsbench.config.resolve import from_table, read_toml, to_toml, with_settings
from nsbench.data.folder import data_folder
from nsbench.data.images import Dataset, ImageSet
from nsbench.data.load import load_dataset
from nsbench.devices import choose_device, prepare
from nsbench.errors import UserError
from nsbench.files import remove_leftovers, write_text
from nsbench.models.open import open_models
from nsbench.models.record import ModelRecord
from nsbench.models.subject import Subject
from nsbench.pipeline import Options, check_evaluation
from nsbench.predictions.collect import Evaluation
from nsbench.predictions.disagreement import disagreements
from nsbench.predictions.samples import write_benchmark_samples
from nsbench.predictions.sources import open_source
from nsbench.progress import Reporter
from nsbench.report.render import write_report
from nsbench.results.assemble import Setup, assemble, model_pairs
from nsbench.results.describe import describe
from nsbench.results.record import Results
from nsbench.results.samples import benchmark_samples
from nsbench.results.store import save_results
from nsbench.session import Session, provenance


def evaluate_models(config: BenchmarkConfig, options: Options, given: Sequence[Subject] = ()) -> Results:
    """Measure models and write `results.json`, `metrics.csv` and the report into a folder.

    What the folder has already is not computed again: a killed evaluation goes on at the next cell, and another model
    or benchmark costs only what is new.

    Args:
        config: the models and what they are measured on.
        options: the folder, the data and the device.
        given: further models, already in memory.

    Raises:
        UserError: a model, the data or the folder cannot be used.
    """
    check_evaluation(config.evaluation)
    check_folder(options.out)
    reporter, device = Reporter(quiet=options.quiet), choose_device(options.device)
    prepare(device)
    dataset = load_dataset(config.data, options.data)
    subjects = [*open_models(config.models, len(dataset.classes)), *given]
    check_names(subjects)
    baseline = find_baseline(config.baseline, subjects)
    held_out = last_images(dataset, config.evaluation.held_out_images)
    source = open_source(config.evaluation, dataset, data_folder(options.data))
    for note in source.notes:
        reporter.say(note)
    remove_leftovers(options.out)
    write_text(options.out / "config.toml", to_toml(config))
    with Session(options.out, device):
        evaluation = Evaluation(config.evaluation, dataset, source, options.out, device, held_out)
        evaluation.collect(subjects, reporter)
        write_benchmark_samples(config.evaluation, dataset, source, options.out)
        reporter.say("measure")
        results = assemble(
            Setup(
                name=config.name,
                config=config.model_dump(mode="json", exclude={"models"}),
                seed=config.seed,
                evaluation=config.evaluation,
                data=describe(dataset, validation=len(held_out) if held_out else 0),
                source=source,
                run=options.out,
                records=[recorded(subject) for subject in subjects],
                baseline=baseline,
                provenance=provenance(device),
                samples=list(benchmark_samples(config.evaluation)),
                warnings=list(disagreements(config.evaluation, options.out, [subject.name for subject in subjects])),
                pairs=model_pairs([subject.name for subject in subjects], baseline),
            )
        )
        save_results(options.out, results)
        write_report(results, options.out)
    return results


def resolve_benchmark(table: dict[str, Any], settings: Sequence[str], folder: Path) -> BenchmarkConfig:
    """The configuration in a nested table, with `--set` applied; it is called as its folder if nothing else is said."""
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_")[:40] or "evaluation"
    return from_table(with_settings({"name": name} | table, settings), BenchmarkConfig)


def usual(data_set: str) -> tuple[str, ...]:
    """What is measured where nothing is named."""
    return ("clean", "calibration", f"{data_set}-c", f"{data_set}-p", "fgsm")


def choose(settings: dict[str, Any], wanted: Sequence[str], data_set: str) -> None:
    """Settings of an evaluation that measures what is wanted and nothing else."""
    known = (*usual(data_set), "paper_fgsm", *ATTACKS)
    for name in wanted:
        if name not in known:
            raise UserError(f"{name!r} is nothing to measure on {data_set}: choose among {', '.join(known)}.")
    settings["calibration"] = "calibration" in wanted
    settings["attacks"] = [name for name in ATTACKS if name in wanted]
    settings["paper_fgsm"] = "paper_fgsm" in wanted
    for name, key in ((f"{data_set}-c", "corruptions"), (f"{data_set}-p", "perturbations"), ("fgsm", "fgsm_epsilons")):
        if name not in wanted and not (name == "fgsm" and settings["paper_fgsm"]):
            settings[key] = []


def recorded(subject: Subject) -> CheckpointRecord | ModelRecord:
    """The record of a model under its name; a checkpoint of ours that goes by another name is anybody's model."""
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


def is_evaluation(folder: Path) -> bool:
    """Whether a folder was made by `evaluate_models`."""
    path = folder / "config.toml"
    return path.is_file() and "models" in read_toml(path)


def check_folder(folder: Path) -> None:
    """Raise UserError when a folder holds something else, such as a run."""
    if (folder / "config.toml").is_file() and not is_evaluation(folder):
        raise UserError(f"{folder} holds a run, not an evaluation: choose another folder with --out.")


def check_names(subjects: Sequence[Subject]) -> None:
    """Raise UserError unless there are models, each under a name of its own."""
    if not subjects:
        raise UserError("There is no model to measure: name at least one.")
    names = [subject.name for subject in subjects]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"Two models are called {name!r}: give each a name of its own with --name.")


def find_baseline(name: str, subjects: Sequence[Subject]) -> str | None:
    """The name of the baseline among the models; None where none is wanted.

    Without a wish, it is the baseline of the one run that the models come from.
    """
    names = [subject.name for subject in subjects]
    if name and name not in names:
        raise UserError(f"The baseline {name!r} is none of the models: name one of {', '.join(names)}.")
    own = [
        subject.name
        for subject in subjects
        if isinstance(subject.record, CheckpointRecord) and subject.record.role == "baseline"
    ]
    return name or (own[0] if len(own) == 1 else None)


def last_images(dataset: Dataset, count: int) -> ImageSet | None:
    """The last training images, as held-out ones; None for 0."""
    if count > len(dataset.train):
        raise UserError(
            f"evaluation.held_out_images = {count:,} is more than the {len(dataset.train):,} training images: lower it."
        )
    if not count:
        return None
    return ImageSet(dataset.train.images[-count:], dataset.train.labels[-count:])
