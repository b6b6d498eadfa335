"""What a user asks of an evaluation, from the command line or from Python, made into its configuration."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nsbench.config.places import check_text, seen_from_here
from nsbench.config.resolve import read_toml
from nsbench.config.survey import SurveyConfig, choose, is_survey, resolve_survey, usual
from nsbench.config.trust import Trust
from nsbench.errors import UserError

Table = dict[str, Any]


@dataclass(frozen=True)
class EvaluationRequest:
    """Models to measure, and on what; an empty value asks for nothing.

    Attributes:
        models: sources of models; or one TOML file, or evaluation folder, that lists models.
        on: what to measure; empty: what is usual for the data set.
        attacks: stronger attacks, beside what `on` has.
        baseline: name of the model that ratios are relative to.
        weights: files of weights, one for each model.
        names: short names, one for each model.
        mean: that models subtract from each channel, pixels in [0, 1].
        std: that they divide by.
        inside: instead of the two: the models normalise their input themselves.
        data_set: whose test images.
        held_out: last training images to fit temperatures on.
        settings: `dotted.key=value`.
        evaluation: fields of the section `evaluation`.
        trust_code: exported programs, and Python code that a file names, may run.

    Raises:
        UserError: a source or a path is empty or cannot be one.
    """

    models: tuple[str, ...]
    on: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    baseline: str = ""
    weights: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    inside: bool = False
    data_set: str = ""
    held_out: int = 0
    settings: tuple[str, ...] = ()
    evaluation: Table = field(default_factory=dict)
    trust_code: bool = False

    def __post_init__(self) -> None:
        """Check what is read as a path from here on."""
        for source in self.models:
            check_text(source, "The source of a model")
        for path in filter(None, self.weights):
            check_text(path, "The path after --weights")

    @property
    def trust(self) -> Trust:
        """What may run as code."""
        return Trust(named=self.listing is None, code=self.trust_code)

    @property
    def run(self) -> Path | None:
        """The one run folder that is named, or None: alone, it is measured in place."""
        return Path(self.models[0]) if len(self.models) == 1 and is_run(Path(self.models[0])) else None

    @property
    def listing(self) -> Path | None:
        """The TOML file that lists the models: the one that is named, or what an evaluation folder holds."""
        if not self.models:
            return None
        path = Path(self.models[0])
        if path.suffix != ".toml" and not is_survey(path):
            return None
        if len(self.models) > 1:
            raise UserError(f"{path} lists models itself: name it alone.")
        return path if path.suffix == ".toml" else path / "config.toml"

    def refuse_options(self, why: str, *, describing_only: bool = False) -> None:
        """Raise UserError when something is asked for that would do nothing.

        Args:
            why: and the remedy.
            describing_only: only what describes models is refused.
        """
        describing: Table = {"--weights": self.weights, "--name": self.names, "--mean": self.mean, "--std": self.std}
        asking: Table = {"--on": self.on, "--attacks": self.attacks, "--baseline": self.baseline}
        asking |= {"--data-set": self.data_set, "--held-out": self.held_out, "--set": self.settings}
        options = describing | {"--inside": self.inside} | ({} if describing_only else asking)
        given = [option for option, value in options.items() if value]
        if given:
            raise UserError(f"{why}, or leave out {given[0]}.")

    def configuration(self, folder: Path) -> SurveyConfig:
        """The whole configuration of the evaluation into a folder.

        Raises:
            UserError: naming what is wrong, and the remedy.
        """
        file = self.listing
        if file:
            self.refuse_options(f"{file} says itself what its models are: change it there", describing_only=True)
        table = _listing(file) if file else {"models": self._listed()}
        self._ask(table, everything=not file)
        return resolve_survey(table, self.settings, folder)

    def _listed(self) -> list[Table]:
        """The models: weights and names belong to them in order, preprocessing to all but ours."""
        rows: list[Table] = [{"source": source} for source in self.models]
        for option, key, values in (("--weights", "weights", self.weights), ("--name", "name", self.names)):
            if values and len(values) != len(rows):
                raise UserError(
                    f"{option} is given {len(values)} times for {len(rows)} models: give it once for each, in order, "
                    f"or list the models in a TOML file."
                )
            for row, value in zip(rows, values, strict=False):
                row[key] = value
        preprocessing = {"mean": list(self.mean), "std": list(self.std), "inside": self.inside}
        for row in rows:
            if not Path(row["source"]).is_dir():
                row |= {key: value for key, value in preprocessing.items() if value}
        return rows

    def _ask(self, table: Table, *, everything: bool) -> None:
        """Put what is asked for into a table; `everything` that is usual is measured where nothing is named."""
        if self.baseline:
            table["baseline"] = self.baseline
        data = self.data_set or ("" if "data" in table else data_of(self.models))
        if data:
            table["data"] = data
        settings = table.setdefault("evaluation", {})
        if self.held_out:
            settings["held_out_images"] = self.held_out
        data = table.get("data", "cifar10")
        if self.on or everything:
            choose(settings, [*(self.on or usual(data)), *self.attacks], data)
        elif self.attacks:
            settings["attacks"] = list(self.attacks)
        settings |= self.evaluation


def _listing(file: Path) -> Table:
    """The tables of a file that lists models, its paths as they are from the current folder."""
    if file.exists() and not file.is_file():
        raise UserError(f"{file} is not a regular file: name a TOML file that lists models.")
    table = read_toml(file)
    rows = table.get("models")
    return table | {"models": [seen_from_here(row, file) for row in rows]} if isinstance(rows, list) else table


def is_run(folder: Path) -> bool:
    """Whether this is the folder of a run that nsbench trained."""
    return (folder / "config.toml").is_file() and not is_survey(folder)


def data_of(models: tuple[str, ...]) -> str:
    """The data set of the first run among the models; empty where there is none."""
    runs = [Path(source) for source in models if is_run(Path(source))]
    data = read_toml(runs[0] / "config.toml").get("data", {}) if runs else {}
    return str(data.get("name", "")) if isinstance(data, dict) else ""
