"""The stages of a run, in order, each skipped when its output exists."""

import json
import os
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import nsbench
from nsbench.checkpoints.chain import Chain
from nsbench.checkpoints.record import CheckpointRecord
from nsbench.checkpoints.stages import CONTROL, SUPERVISED, stages, warnings_of
from nsbench.checkpoints.store import folder_of, read_checkpoint
from nsbench.checkpoints.transfer import initialise, weights_sha256_of
from nsbench.config.resolve import first_difference, load_file, to_toml
from nsbench.config.schema import Config
from nsbench.data.folder import data_folder
from nsbench.data.images import Dataset
from nsbench.data.load import load_dataset
from nsbench.data.splits import Split, split
from nsbench.devices import choose_device, prepare
from nsbench.errors import UserError
from nsbench.files import remove_leftovers, write_json, write_text
from nsbench.networks.build import build_network
from nsbench.networks.names import parse_network_name
from nsbench.predictions.collect import Evaluation
from nsbench.predictions.samples import write_samples
from nsbench.predictions.sources import open_source
from nsbench.progress import Reporter
from nsbench.report.render import write_report
from nsbench.results.assemble import assemble
from nsbench.results.record import Provenance
from nsbench.results.store import load_results, save_results


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
        evaluation = Evaluation(self.config.evaluation, self.dataset, self.source, self.folder, self.device)
        evaluation.collect(records, self.reporter)
        write_samples(self.config, self.dataset, self.source, self.folder)
        self.reporter.say("measure")
        results = assemble(
            self.config, self.dataset, self.split, self.source, self.folder, records, provenance(self.device)
        )
        save_results(self.folder, results)


def run_all(config: Config, options: Options) -> Path:
    """Train, evaluate and report; returns the report's path. What exists already is not made again."""
    run = Run(config, options)
    with Session(run):
        run.evaluate(run.train())
    return report(options.out)


def train(config: Config, options: Options) -> Path:
    """Train only; returns the run folder."""
    run = Run(config, options)
    with Session(run):
        run.train()
    return run.folder


def evaluate(folder: Path, options: Options) -> Path:
    """Evaluate a trained run folder; returns the path of its results."""
    run = Run(run_config(folder), options)
    with Session(run):
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
    if config.study.control and len(config.study.networks) < 2:
        raise UserError("study.control = true needs a student to compare with: name two study.networks or more.")
    for key in ("corruptions", "perturbations", "fgsm_epsilons"):
        values = getattr(config.evaluation, key)
        if len(set(values)) < len(values):
            raise UserError(f"evaluation.{key} = {list(values)} names something twice: name each once.")
    if config.training.nesterov and config.training.momentum == 0:
        raise UserError("training.nesterov = true needs momentum: set training.momentum above 0.")
    if config.training.selection == "best-validation" and config.data.validation_fraction == 0:
        raise UserError(
            "training.selection = 'best-validation' needs held-out images: set data.validation_fraction above 0."
        )
    if config.transfer.weights:
        weights_sha256_of(Path(config.transfer.weights))


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


def provenance(device: torch.device) -> Provenance:
    """Software and hardware of this process."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return Provenance(
        nsbench=nsbench.__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        torchvision=version("torchvision"),
        numpy=version("numpy"),
        platform=platform.platform(),
        device=f"{device.type} ({name})",
        threads=torch.get_num_threads(),
    )


def processor() -> str:
    """The CPU's name."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class Session:
    """Writes down in `environment.json` when and where work was done; results hold no clock time."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.path = run.folder / "environment.json"
        self.earlier = self._read()
        self.entry: dict[str, Any] = {}

    def __enter__(self) -> None:
        self.entry = {
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "finished": None,
            "pid": os.getpid(),
            **provenance(self.run.device).model_dump(),
        }
        self._write()

    def __exit__(self, *failure: object) -> None:
        if failure[0] is None:
            self.entry["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
            self._write()

    def _read(self) -> list[Any]:
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return []
        return found["sessions"] if isinstance(found, dict) and "sessions" in found else []

    def _write(self) -> None:
        write_json(self.path, {"sessions": [*self.earlier, self.entry]})
