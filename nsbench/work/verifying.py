"""Whether a run or evaluation folder is whole, and what makes the rest: no model is run and nothing is written."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from nsbench.checkpoints.labels import Labels, networks_folder, read_plan, refuse_earlier
from nsbench.checkpoints.store import CheckpointFile, read_checkpoint, read_weights
from nsbench.config.evaluation import EvaluationConfig
from nsbench.config.resolve import from_table, load_file, read_toml
from nsbench.config.schema import Config
from nsbench.config.survey import SurveyConfig, is_survey
from nsbench.errors import UserError
from nsbench.predictions.expected import Expected
from nsbench.predictions.store import Stored, load_labels
from nsbench.report.listing import report_faults
from nsbench.results.record import Results
from nsbench.results.recount import fault_of_errors
from nsbench.results.store import is_earlier, load_results, table_texts
from nsbench.study.plan import make_plan
from nsbench.training.trainer import ENGINE_VERSION
from nsbench.work.checks import check_links


@dataclass(frozen=True)
class Part:
    """A part of a folder, looked at.

    Attributes:
        kind: plan, networks, predictions, results or report.
        name: path of a file or folder, relative to the one that is verified.
        fault: what is wrong with it; None where it is as it should be.
        note: what else there is to say of it.
    """

    kind: str
    name: str
    fault: str | None = None
    note: str = ""


def verify_folder(folder: Path) -> list[Part]:
    """Look at every part of a run or evaluation folder: checksums, shapes, ranges, versions.

    Args:
        folder: made by `nsbench run-all`, `train` or `evaluate`.

    Raises:
        UserError: it is no such folder, its configuration or its plan cannot be read, or a folder below is a link.
    """
    check_links(folder)
    refuse_earlier(folder)
    path = folder / "config.toml"
    if not path.is_file():
        raise UserError(f"{folder} is neither a run nor an evaluation (it has no config.toml): name one that is.")
    if is_survey(folder):
        return _Folder(folder, from_table(read_toml(path), SurveyConfig).evaluation, None).parts()
    config = load_file(path)
    return _Folder(folder, config.evaluation, read_plan(folder), config).parts()


def remedy(folder: Path, wrong: Sequence[Part]) -> str:
    """What makes missing and damaged parts again, as the end of a sentence."""
    place = shlex.quote(str(folder))
    if is_survey(folder):
        return f"`nsbench evaluate {place}` makes them again, with --trust-code where its models are code"
    damaged = [part.name for part in wrong if part.kind == "networks" and (folder / part.name).is_dir()]
    delete = (
        f"delete {folder / damaged[0]}{' and the others named above' * (len(damaged) > 1)}, then " if damaged else ""
    )
    return f"{delete}`nsbench run-all {place}/config.toml --out {place}` makes them again"


class _Folder:
    """A folder on which work was done.

    Args:
        folder: the folder.
        config: what is measured.
        plan: labels of the networks of a run; None for an evaluation.
        run: configuration of the run; None for an evaluation.
    """

    def __init__(
        self, folder: Path, config: EvaluationConfig, plan: list[Labels] | None, run: Config | None = None
    ) -> None:
        self.folder, self.config, self.plan, self.run = folder, config, plan, run
        self.networks: dict[str, CheckpointFile] = {}
        self.results: Results | None = None

    def parts(self) -> list[Part]:
        """All of them."""
        known = [*self._trained(), *self._planned(), *self._measured()]  # these say what predictions there should be
        return [*known, *self._predicted(), *self._rendered()]

    def _trained(self) -> Iterator[Part]:
        for name in sorted({labels.folder for labels in self.plan or ()}):
            place = networks_folder(self.folder) / name
            shown = place.relative_to(self.folder).as_posix()
            try:
                file = read_checkpoint(place)
                if file is not None:
                    read_weights(place, file)
            except UserError as error:
                yield Part("networks", shown, str(error))
                continue
            if file is None:
                yield Part("networks", shown, "it is not trained")
                continue
            self.networks[name] = file
            yield Part("networks", shown, note=_of_engine(file))

    def _planned(self) -> Iterator[Part]:
        """Whether `plan.json` calls each network what it is, and is what `config.toml` asks for."""
        if self.plan is None or self.run is None:
            return
        try:
            for labels in self.plan:
                if labels.folder in self.networks:
                    labels.on(self.networks[labels.folder], self.plan)
        except UserError as error:
            yield Part("plan", "plan.json", str(error))
            return
        recipes = [file.recipe for file in self.networks.values()]
        datasets = {str(recipe.get("dataset")) for recipe in recipes}
        if len(datasets) != 1 or any(recipe.get("engine") != ENGINE_VERSION for recipe in recipes):
            note = "not compared with config.toml, since not all networks are of this version of the engine"
            yield Part("plan", "plan.json", note=note)
            return
        yield _compared(self.plan, self.run, datasets.pop())

    def _measured(self) -> Iterator[Part]:
        if not (self.folder / "results.json").exists():
            yield Part("results", "results.json", "it is not there")
            return
        try:
            self.results = load_results(self.folder)
        except UserError as error:
            yield Part("results", "results.json", str(error))
            return
        fault = fault_of_errors(self.folder, self.results, self.config)
        if is_earlier(self.folder):
            yield Part(
                "results", "results.json", fault, note="written by an earlier version, so its tables are not compared"
            )
            return
        yield Part("results", "results.json", fault)
        for name, text in table_texts(self.results).items():
            yield Part("results", name, _fault_of_table(self.folder / name, text))

    def _predicted(self) -> Iterator[Part]:
        names, classes = self._models(), self._classes()
        if not names or not classes:
            yield Part("predictions", "predictions", "which there should be is not known before the rest is whole")
            return
        if not (self.folder / "predictions").is_dir():
            yield Part("predictions", "predictions", "they are not there")
            return
        try:
            labels, held_out = load_labels(self.folder, classes)
        except UserError as error:
            yield Part("predictions", "predictions/labels.safetensors", str(error))
            return
        yield Part("predictions", "predictions/labels.safetensors")
        expected = Expected(self.config, len(labels), len(held_out), classes)
        for name in names:
            stored = Stored(self.folder, name)
            for cell in expected.names():
                yield Part("predictions", f"predictions/{name}/{cell}", expected.fault(stored, cell))

    def _models(self) -> list[str]:
        """Names of the models whose predictions should be there."""
        if self.plan is not None:
            return [str(labels) for labels in self.plan]
        found = self.results
        return [str(one) for one in (*found.checkpoints, *found.models)] if found else []

    def _classes(self) -> int:
        """Classes of the data set; 0 where nothing says."""
        if self.results is not None:
            return len(self.results.data.classes)
        return next((file.classes for file in self.networks.values()), 0)

    def _rendered(self) -> Iterator[Part]:
        if not (self.folder / "report").is_dir():
            yield Part("report", "report", "it is not there")
            return
        for name, fault in report_faults(self.folder).items():
            yield Part("report", name, fault)


def _compared(plan: list[Labels], config: Config, dataset: str) -> Part:
    """A plan beside the one that a configuration asks for on a data set, by its checksum."""
    try:
        asked = [planned.labels for planned in make_plan(config, dataset)]
    except (UserError, OSError) as error:  # the weights to start from are elsewhere
        return Part("plan", "plan.json", note=f"not compared with config.toml: {error}")
    other = next((here for here, there in zip_longest(plan, asked) if here != there), None)
    if plan == asked:
        return Part("plan", "plan.json")
    what = f"{other} is another network there" if other is not None else "a network is missing"
    return Part("plan", "plan.json", f"it is not what config.toml asks for: {what}")


def _of_engine(file: CheckpointFile) -> str:
    """A note on a network that this version would train otherwise."""
    version = file.recipe.get("engine")
    if version == ENGINE_VERSION:
        return ""
    return f"trained by version {version} of the engine, and this one is {ENGINE_VERSION}: training would make another"


def _fault_of_table(path: Path, text: str) -> str | None:
    """A table has no checksum of its own, but the record says what it should be."""
    try:
        same = path.read_bytes() == text.encode()
    except FileNotFoundError:
        return "it is not there"
    return None if same else "it is not what results.json gives: one of the two was changed"
