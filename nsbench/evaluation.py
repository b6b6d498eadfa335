"""Anybody's models measured: predictions, results and a report in one folder."""

from collections.abc import Sequence
from pathlib import Path

import torch

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.config.request import BenchmarkConfig, is_evaluation
from nsbench.config.resolve import to_toml
from nsbench.data.images import Dataset, ImageSet
from nsbench.data.library.folder import data_folder
from nsbench.data.library.manifests import load_manifest
from nsbench.data.load import load_dataset
from nsbench.devices import choose_device, prepare
from nsbench.errors import UserError
from nsbench.files import remove_leftovers, write_text
from nsbench.models.check import suspicions
from nsbench.models.open import open_models
from nsbench.models.record import ModelRecord
from nsbench.models.subject import Subject
from nsbench.models.trained import Trained
from nsbench.pipeline import Options, check_evaluation
from nsbench.predictions.collect import Evaluation
from nsbench.predictions.disagreement import disagreements
from nsbench.predictions.shown import open_source
from nsbench.predictions.store import Stored
from nsbench.predictions.strips import write_benchmark_samples
from nsbench.progress import Reporter
from nsbench.report.render import write_report
from nsbench.results.assemble import Setup, assemble, model_pairs
from nsbench.results.described import benchmark_samples, describe
from nsbench.results.record import Results
from nsbench.results.store import save_results
from nsbench.session import Session, provenance


class Survey:
    """Models to be measured into one folder.

    Args:
        config: the models and what they are measured on.
        options: the folder, the data and the device.
        given: further models, already in memory.

    Raises:
        UserError: at once, when a model, the data or the folder cannot be used.
    """

    def __init__(self, config: BenchmarkConfig, options: Options, given: Sequence[Subject] = ()) -> None:
        check_evaluation(config.evaluation)
        check_folder(options.out)
        self.config, self.folder = config, options.out
        self.reporter, self.device = Reporter(quiet=options.quiet), choose_device(options.device)
        prepare(self.device)
        self.subjects = [*open_models(config.models, len(load_manifest(config.data).classes)), *given]
        check_names(self.subjects)
        self.baseline = find_baseline(config.baseline, self.subjects)
        self.dataset = load_dataset(config.data, options.data)
        self.held_out = last_images(self.dataset, config.evaluation.held_out_images)
        self.source = open_source(config.evaluation, self.dataset, data_folder(options.data))
        for note in self.source.notes:
            self.reporter.say(note)
        remove_leftovers(self.folder)
        write_text(self.folder / "config.toml", to_toml(config))

    def evaluate(self) -> Results:
        """Make the predictions that are missing, measure, and write results and report."""
        settings = self.config.evaluation
        with Session(self.folder, self.device):
            evaluation = Evaluation(settings, self.dataset, self.source, self.folder, self.device, self.held_out)
            evaluation.collect(self.subjects, self.reporter)
            write_benchmark_samples(settings, self.dataset, self.source, self.folder)
            self.reporter.say("measure")
            results = assemble(self._setup())
            save_results(self.folder, results)
            write_report(results, self.folder)
        return results

    def _setup(self) -> Setup:
        names = [subject.name for subject in self.subjects]
        return Setup(
            name=self.config.name,
            config=self.config.model_dump(mode="json", exclude={"models"}),
            seed=self.config.seed,
            evaluation=self.config.evaluation,
            data=describe(self.dataset, validation=len(self.held_out) if self.held_out else 0),
            source=self.source,
            run=self.folder,
            records=[recorded(subject) for subject in self.subjects],
            baseline=self.baseline,
            provenance=provenance(self.device),
            samples=list(benchmark_samples(self.config.evaluation)),
            warnings=[
                *(sentence for subject in self.subjects for sentence in self._suspicions(subject)),
                *disagreements(self.config.evaluation, self.folder, names),
            ],
            pairs=model_pairs(names, self.baseline),
        )

    def _suspicions(self, subject: Subject) -> list[str]:
        """What to distrust in anybody's model, from all its clean logits."""
        if isinstance(subject.record, CheckpointRecord):
            return []
        logits = torch.from_numpy(Stored(self.folder, subject.name).load("clean")["logits"])
        return suspicions(subject.name, logits, torch.tensor(self.dataset.test.labels), len(self.dataset.classes))


def evaluate_models(config: BenchmarkConfig, options: Options, given: Sequence[Subject] = ()) -> Results:
    """Measure models and write `results.json`, `metrics.csv` and the report into a folder.

    What the folder has already is not computed again: a killed evaluation goes on at the next cell, and another model
    or benchmark costs only what is new. Arguments and errors as of `Survey`.
    """
    return Survey(config, options, given).evaluate()


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

    Unless named, it is the baseline of the one run that the models come from, of the first of its seeds.
    """
    names = [subject.name for subject in subjects]
    if name and name not in names:
        raise UserError(f"The baseline {name!r} is none of the models: name one of {', '.join(names)}.")
    own = [one for one in subjects if isinstance(one, Trained) and one.record.role == "baseline"]
    runs = {one.run for one in own}
    return name or (own[0].name if len(runs) == 1 else None)


def last_images(dataset: Dataset, count: int) -> ImageSet | None:
    """The last training images, as held-out ones; None for 0."""
    if count > len(dataset.train):
        raise UserError(
            f"evaluation.held_out_images = {count:,} is more than the {len(dataset.train):,} training images: lower it."
        )
    if not count:
        return None
    return ImageSet(dataset.train.images[-count:], dataset.train.labels[-count:])
