"""A run: its plan trained, its networks measured, its report written; what is there is not made again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nsbench.checkpoints.initialise import initialise
from nsbench.checkpoints.labels import networks_folder, plan_text, read_plan, refuse_earlier
from nsbench.checkpoints.record import CheckpointRecord
from nsbench.config.resolve import load_file, to_toml
from nsbench.config.schema import Config
from nsbench.data.images import Dataset
from nsbench.data.load import data_folder, load_dataset
from nsbench.data.splits import Split, split
from nsbench.devices import choose_device, prepare
from nsbench.errors import UserError
from nsbench.models.trained import Trained
from nsbench.networks.build import build_network
from nsbench.predictions.further import Further, open_further
from nsbench.predictions.shown import BenchmarkImages, open_source
from nsbench.predictions.strips import write_noise_strip
from nsbench.progress import Reporter
from nsbench.results.assemble import checkpoint_pairs
from nsbench.results.described import NOISE, describe
from nsbench.results.record import Results
from nsbench.study.chain import read_networks, train_plan, warnings_of
from nsbench.study.plan import Planned, make_plan
from nsbench.study.train import RecipeTrainer
from nsbench.work.bench import Bench
from nsbench.work.checks import check_config, check_run_folder
from nsbench.work.measuring import Measuring, find_baseline, measure
from nsbench.work.options import Options
from nsbench.work.reporting import write_shared_report
from nsbench.work.session import Session, enter_folder


@dataclass(frozen=True, eq=False)
class Run:
    """One run folder, ready to work in; `open_run` makes it."""

    config: Config
    options: Options
    bench: Bench
    dataset: Dataset
    split: Split
    plan: Sequence[Planned]
    source: BenchmarkImages
    further: Sequence[Further]

    def train(self) -> list[CheckpointRecord]:
        """Train the networks that are missing."""
        trainer = RecipeTrainer(
            dataset=self.dataset,
            split=self.split,
            networks=networks_folder(self.bench.folder),
            device=self.bench.device,
            initial=Path(self.config.transfer.weights) if self.config.transfer.weights else None,
            batch_size=self.config.evaluation.batch_size,
            save_every=self.options.save_every,
        )
        records = train_plan(self.plan, trainer, self.bench.claims, self.bench.reporter)
        for record in records:
            for sentence in warnings_of(record, self.dataset.classes):
                self.bench.reporter.warn(sentence)
        return records

    def measure(self, records: Sequence[CheckpointRecord]) -> Results:
        """Make the predictions that are missing, and measure."""
        folder = self.bench.folder
        places = {str(labels): networks_folder(folder) / labels.folder for labels in read_plan(folder)}
        subjects = [Trained(folder, record, places[str(record)]) for record in records]
        write_noise_strip(self.config, self.dataset, folder)
        validation = self.split.validation
        what = Measuring(
            name=self.config.name,
            config=self.config.model_dump(mode="json"),
            seed=self.config.seed,
            evaluation=self.config.evaluation,
            dataset=self.dataset,
            data=describe(self.dataset, len(self.split.labeled), len(self.split.unlabeled), len(validation)),
            held_out=self.dataset.train.select(validation) if len(validation) else None,
            source=self.source,
            subjects=subjects,
            baseline=find_baseline("", subjects),
            pairs=checkpoint_pairs(records),
            samples=[NOISE],
            warnings=[sentence for record in records for sentence in warnings_of(record, self.dataset.classes)],
            further=self.further,
        )
        return measure(what, self.bench)


def open_run(config: Config, options: Options, *, to_train: bool = True) -> Run:
    """A run folder, ready to work in.

    Args:
        config: configuration of the run.
        options: the folder, the data and the device.
        to_train: whether its networks may be trained; otherwise they stay those that `plan.json` names.

    Raises:
        UserError: at once for what would otherwise fail hours later: a name that does not exist, a device that is not
            there, missing or damaged data, a folder that belongs to another configuration or cannot be written.
    """
    check_config(config)
    reporter, device = Reporter(quiet=options.quiet), choose_device(options.device)
    prepare(device)
    refuse_earlier(options.out)
    check_run_folder(config, options.out)
    dataset = load_dataset(config.data.name, options.data)
    shares = (config.data.labeled_fraction, config.data.validation_fraction)
    divided = split(dataset.train.labels, *shares, config.data.split_seed, dataset.extra)
    source = open_source(config.evaluation, dataset, data_folder(options.data), reporter)
    further = open_further(config.evaluation, dataset, data_folder(options.data), reporter)
    for note in source.notes:
        reporter.say(note)
    plan = make_plan(config, dataset.checksum)
    check_initial_weights(config, plan, dataset)
    described = {"plan.json": plan_text([one.labels for one in plan])} if to_train else {}
    enter_folder(options.claims, described | {"config.toml": to_toml(config)})
    bench = Bench(options.out, device, reporter, options.claims)
    return Run(config, options, bench, dataset, divided, plan, source, further)


def check_initial_weights(config: Config, plan: Sequence[Planned], dataset: Dataset) -> None:
    """Raise UserError when a network that is to start from trained weights cannot."""
    for planned in plan:
        if planned.recipe.initial is not None:
            network = build_network(planned.name.network, len(dataset.classes), dataset.mean, dataset.std)
            initialise(network, Path(config.transfer.weights))


def run_all(config: Config, options: Options) -> Path:
    """Train, measure and report; returns the report's path. What exists already is not made again."""
    run = open_run(config, options)
    with Session(run.bench):
        results = run.measure(run.train())
    return write_shared_report(results, options.claims)


def train(config: Config, options: Options) -> Path:
    """Train only; returns the run folder."""
    run = open_run(config, options)
    with Session(run.bench):
        run.train()
    return run.bench.folder


def measure_run(folder: Path, options: Options) -> Path:
    """Measure a trained run folder, whatever version of the engine trained it; returns the path of its results."""
    run = open_run(run_config(folder), options, to_train=False)
    with Session(run.bench):
        run.measure(read_networks(folder, read_plan(folder)))
    return folder / "results.json"


def run_config(folder: Path) -> Config:
    """The configuration of a run folder."""
    path = folder / "config.toml"
    if not path.is_file():
        raise UserError(f"{folder} is not a run folder (it has no config.toml): name one that `nsbench train` made.")
    refuse_earlier(folder)
    return load_file(path)
