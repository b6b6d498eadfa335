"""The stages of a run, in order, each skipped when its output exists."""

from dataclasses import dataclass
from pathlib import Path

from nsbench.checkpoints.initialise import initialise, weights_sha256_of
from nsbench.checkpoints.record import CheckpointRecord
from nsbench.checkpoints.store import folder_of, read_checkpoint
from nsbench.config.evaluation import EvaluationConfig
from nsbench.config.resolve import first_difference, load_file, to_toml
from nsbench.config.schema import Config
from nsbench.data.images import Dataset
from nsbench.data.library.folder import data_folder
from nsbench.data.load import load_dataset
from nsbench.data.splits import Split, split
from nsbench.devices import choose_device, prepare
from nsbench.errors import UserError
from nsbench.files import remove_leftovers, write_text
from nsbench.models.trained import Trained
from nsbench.networks.build import build_network
from nsbench.networks.names import parse_network_name
from nsbench.predictions.collect import Evaluation
from nsbench.predictions.disagreement import disagreements
from nsbench.predictions.shown import open_source
from nsbench.predictions.strips import write_benchmark_samples, write_noise_sample
from nsbench.progress import Reporter
from nsbench.report.render import write_report
from nsbench.results.assemble import Setup, assemble, checkpoint_pairs
from nsbench.results.described import NOISE, benchmark_samples, describe
from nsbench.results.record import DatasetRecord
from nsbench.results.store import load_results, save_results
from nsbench.session import Session, provenance
from nsbench.study.chain import Chain
from nsbench.study.stages import CONTROL, SUPERVISED, stages, warnings_of


@dataclass(frozen=True)
class Options:
    """What a run needs besides its configuration; none of it changes what is measured.

    Attributes:
        out: the run folder.
        data: the data folder, None for the default.
        device: auto, cpu or cuda.
        quiet: show warnings only.
        save_every: least seconds between two saved states of a training in progress.
    """

    out: Path
    data: Path | None = None
    device: str = "auto"
    quiet: bool = False
    save_every: float = 60.0


class Run:
    """One run folder, ready to work in.

    Raises UserError at once for what would otherwise fail hours later: a name that does not exist, a device that is not
    there, missing or damaged data, a folder that belongs to another configuration or cannot be written.
    """

    def __init__(self, config: Config, options: Options) -> None:
        check_config(config)
        self.config, self.folder, self.save_every = config, options.out, options.save_every
        self.reporter = Reporter(quiet=options.quiet)
        self.device = choose_device(options.device)
        prepare(self.device)
        check_folder(config, self.folder)
        self.dataset: Dataset = load_dataset(config.data.name, options.data)
        self.split: Split = split(
            self.dataset.train.labels, config.data.labeled_fraction, config.data.validation_fraction, config.seed
        )
        self.source = open_source(config.evaluation, self.dataset, data_folder(options.data))
        for note in self.source.notes:
            self.reporter.say(note)
        check_transfer(config, self.dataset)
        remove_leftovers(self.folder)
        write_text(self.folder / "config.toml", to_toml(config))

    def train(self) -> list[CheckpointRecord]:
        """Train the networks that are missing."""
        chain = Chain(self.config, self.dataset, self.split, self.folder, self.device, self.save_every)
        records = chain.train_all(self.reporter)
        for record in records:
            for sentence in warnings_of(record, self.dataset.classes):
                self.reporter.warn(sentence)
        return records

    def checkpoints(self) -> list[CheckpointRecord]:
        """Records of the trained networks; raises UserError when one is missing."""
        records = []
        for stage in stages(self.config):
            file = read_checkpoint(folder_of(self.folder, stage.name))
            if file is None:
                raise UserError(f"{folder_of(self.folder, stage.name)} has no checkpoint: run `nsbench train` first.")
            records.append(file.record)
        return records

    def evaluate(self, records: list[CheckpointRecord]) -> None:
        """Make the predictions that are missing, and measure."""
        held_out = self.dataset.train.select(self.split.validation) if len(self.split.validation) else None
        settings = self.config.evaluation
        evaluation = Evaluation(settings, self.dataset, self.source, self.folder, self.device, held_out)
        evaluation.collect([Trained(self.folder, record) for record in records], self.reporter)
        write_noise_sample(self.config, self.dataset, self.folder)
        write_benchmark_samples(settings, self.dataset, self.source, self.folder)
        self.reporter.say("measure")
        save_results(self.folder, assemble(self._setup(records)))

    def _setup(self, records: list[CheckpointRecord]) -> Setup:
        baseline = next(str(record) for record in records if record.role == "baseline")
        return Setup(
            name=self.config.name,
            config=self.config.model_dump(mode="json"),
            seed=self.config.seed,
            evaluation=self.config.evaluation,
            data=self._data(),
            source=self.source,
            run=self.folder,
            records=list(records),
            baseline=baseline,
            provenance=provenance(self.device),
            samples=[NOISE, *benchmark_samples(self.config.evaluation)],
            warnings=[
                *(sentence for record in records for sentence in warnings_of(record, self.dataset.classes)),
                *disagreements(self.config.evaluation, self.folder, [str(record) for record in records]),
            ],
            pairs=checkpoint_pairs(records),
        )

    def _data(self) -> DatasetRecord:
        return describe(self.dataset, len(self.split.labeled), len(self.split.unlabeled), len(self.split.validation))


def run_all(config: Config, options: Options) -> Path:
    """Train, evaluate and report; returns the report's path. What exists already is not made again."""
    run = Run(config, options)
    with Session(run.folder, run.device):
        run.evaluate(run.train())
    return report(options.out)


def train(config: Config, options: Options) -> Path:
    """Train only; returns the run folder."""
    run = Run(config, options)
    with Session(run.folder, run.device):
        run.train()
    return run.folder


def evaluate(folder: Path, options: Options) -> Path:
    """Evaluate a trained run folder; returns the path of its results."""
    run = Run(run_config(folder), options)
    with Session(run.folder, run.device):
        run.evaluate(run.checkpoints())
    return folder / "results.json"


def report(folder: Path) -> Path:
    """Write the report of an evaluated run folder; returns its path."""
    return write_report(load_results(folder), folder)


def run_config(folder: Path) -> Config:
    """The configuration of a run folder."""
    path = folder / "config.toml"
    if not path.is_file():
        raise UserError(f"{folder} is not a run folder (it has no config.toml): name one that `nsbench train` made.")
    return load_file(path)


def check_config(config: Config) -> None:
    """Raise UserError for a name that cannot be used, or for values that do not go together."""
    for name in (*config.study.networks, config.baseline_network):
        parse_network_name(name)
    if config.study.name in (SUPERVISED, CONTROL):
        raise UserError(f"study.name = {config.study.name!r} is taken: choose another name.")
    if len(set(config.study.seeds)) < len(config.study.seeds):
        raise UserError(f"study.seeds = {list(config.study.seeds)} names a seed twice: name each once.")
    check_evaluation(config.evaluation)
    if config.training.nesterov and config.training.momentum == 0:
        raise UserError("training.nesterov = true needs momentum: set training.momentum above 0.")
    if config.training.selection == "best-validation" and config.data.validation_fraction == 0:
        raise UserError(
            "training.selection = 'best-validation' needs held-out images: set data.validation_fraction above 0."
        )
    if config.transfer.weights:
        weights_sha256_of(Path(config.transfer.weights))


def check_evaluation(config: EvaluationConfig) -> None:
    """Raise UserError for something that would be measured twice."""
    for key in ("corruptions", "perturbations", "fgsm_epsilons", "attacks", "attack_epsilons"):
        values = getattr(config, key)
        if len(set(values)) < len(values):
            raise UserError(f"evaluation.{key} = {list(values)} names something twice: name each once.")


def check_transfer(config: Config, dataset: Dataset) -> None:
    """Raise UserError when a network that is to start from trained weights cannot."""
    for stage in stages(config):
        if config.transfer.weights and stage.role in config.transfer.roles:
            network = build_network(stage.name.network, len(dataset.classes), dataset.mean, dataset.std)
            initialise(network, Path(config.transfer.weights))


def check_folder(config: Config, folder: Path) -> None:
    """Raise UserError when the run folder was made by another configuration."""
    if not (folder / "config.toml").is_file():
        return
    difference = first_difference(run_config(folder), config)
    if difference is not None:
        key, theirs, ours = difference
        raise UserError(
            f"{folder} was made with {key} = {theirs!r}, not {ours!r}: "
            "choose another folder with --out, or delete that one."
        )
