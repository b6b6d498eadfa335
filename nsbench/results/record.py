"""The record of a run, `results.json`: versioned, typed, and all that a report needs.

Every quantity is a fraction in [0, 1] (never percent) unless its field says otherwise. The record
holds no clock time and no path, so the same command with the same seed on the same machine writes
the same bytes.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from nsbench.checkpoints.record import CheckpointRecord, Count, Record, Table
from nsbench.config.fields import ChosenName, ModelName, Name, SampleFile
from nsbench.models.record import ModelRecord
from nsbench.results.confusions import Confusions
from nsbench.results.frames import measurement_frame
from nsbench.results.key import Key, Kind, own_protocol, parsed
from nsbench.results.measured import BenchmarkSet, Comparison, Measurement, SeedComparison, SeedMean
from nsbench.results.quantities import ROUNDING

if TYPE_CHECKING:
    import pandas as pd


Portion = Annotated[float, Field(ge=-ROUNDING, le=1 + ROUNDING)]


class ReliabilityBin(Record):
    """One bin (low, high] of top-label confidence."""

    low: Portion
    high: Portion
    count: Count
    accuracy: Portion | None = Field(description="None for an empty bin")
    confidence: Portion | None = Field(description="mean confidence, not the centre; None for an empty bin")


class Diagnostics(Record):
    """What a picture shows and a table does not."""

    model: ModelName
    reliability: list[ReliabilityBin]
    scaled_reliability: list[ReliabilityBin] = Field(
        default=[], description="after temperature scaling; empty where no temperature was fitted"
    )
    masking: list[str] = Field(default=[], description="signs of gradient masking, a sentence each")
    overshoot: list[str] = Field(
        default=[], description="one-step attacks that do less at a larger eps, a footnote each; no sign of masking"
    )
    confusion: list[list[Count]] = Field(
        default=[], description="rows are true classes, columns predicted ones; empty where there are many classes"
    )
    confusions: Confusions | None = Field(default=None, description="instead, where there are many classes")

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        """Raise ValueError where the confusion matrix is not square."""
        if any(len(row) != len(self.confusion) for row in self.confusion):
            raise ValueError("a confusion matrix that is not square")
        return self


class SampleImage(Record):
    """A strip of example images stored beside the record."""

    kind: Literal["corruption", "perturbation", "fgsm", "noise"]
    name: str
    file: SampleFile = Field(description="PNG, relative to the run folder")
    caption: str


class DatasetRecord(Record):
    """The data a run used."""

    name: Name
    title: str
    licence: str
    citation: str
    checksum: str = Field(description="SHA-256 over all images and labels, whatever file layout they came from")
    classes: list[str]
    labeled: Count
    unlabeled: Count
    validation: Count
    test: Count


class Provenance(Record):
    """Software and hardware that made the numbers."""

    nsbench: str
    python: str
    torch: str
    torchvision: str
    numpy: str
    platform: str
    device: str
    threads: Count


class Results(Record):
    """Everything a report needs."""

    format: Literal["nsbench-results"] = "nsbench-results"
    format_version: Literal[4] = 4
    name: ChosenName
    config: Table
    data: DatasetRecord
    provenance: Provenance
    baseline: ModelName | None = Field(
        description="the model that corruption error and flip rate are relative to; None: nothing is relative"
    )
    checkpoints: list[CheckpointRecord] = Field(description="networks that nsbench trained")
    models: list[ModelRecord] = Field(default=[], description="models that nsbench did not train")
    benchmarks: list[BenchmarkSet]
    measurements: list[Measurement]
    comparisons: list[Comparison] = Field(default=[], description="pairs of models that the report compares")
    seed_means: list[SeedMean] = Field(default=[], description="where networks differ in their seed alone")
    seed_comparisons: list[SeedComparison] = Field(default=[], description="groups that share their seeds")
    diagnostics: list[Diagnostics]
    samples: list[SampleImage]
    warnings: list[str] = Field(description="sentences a reader must see, such as an empty selection")

    @model_validator(mode="after")
    def _refers_to_what_it_has(self) -> Self:
        """Raise ValueError where a model that it speaks of is not among those that it describes."""
        names = [str(one) for one in (*self.checkpoints, *self.models)]
        known = set(names)
        if len(known) < len(names):
            raise ValueError("two models have one name")
        unknown = next((name for name in self._named() if name not in known), None)
        if unknown is not None:
            raise ValueError(f"{unknown!r} is none of its models")
        return self

    @model_validator(mode="after")
    def _says_nothing_twice(self) -> Self:
        """Raise ValueError where it has two values of one number."""
        numbers = Counter((one.model, one.key) for one in self.measurements)
        means = Counter((one.group, one.key) for one in self.seed_means)
        for found in (numbers, means):
            twice = next((names for names, count in found.items() if count > 1), None)
            if twice is not None:
                raise ValueError(f"{twice[-1]} of {', '.join(map(str, twice[:-1]))} twice")
        return self

    @model_validator(mode="after")
    def _compares_what_it_measured(self) -> Self:
        """Raise ValueError where a comparison is of another value than the one that was measured."""
        measured = {(one.model, one.key): one for one in self.measurements}
        for pair in self.comparisons:
            sides = ((pair.candidate, pair.candidate_value), (pair.baseline, pair.baseline_value))
            for model, value in sides:
                one = measured.get((model, pair.key))
                if one is not None and value not in (one.value, one.unbiased):
                    raise ValueError(f"{pair.key} of {model} is {one.value}, and in a comparison {value}")
        return self

    def _named(self) -> Iterator[str]:
        """Every name of a model that is spoken of."""
        if self.baseline is not None:
            yield self.baseline
        for one in self.measurements:
            yield one.model
            if one.baseline is not None:
                yield one.baseline
        for pair in self.comparisons:
            yield from (pair.candidate, pair.baseline)
        yield from (diagnostics.model for diagnostics in self.diagnostics)

    def number(
        self,
        model: str,
        benchmark: str = "",
        metric: str = "",
        *,
        kind: Kind | None = None,
        protocol: str = "",
        member: str = "",
        severity: int | None = None,
        strength: float | None = None,
    ) -> Measurement:
        """One number, such as `number("resnet20", "corruption", "mean_error")`.

        Args:
            model: its name.
            benchmark: as text; or else the fields of `Key`, such as `kind="attack", member="fgsm", strength=8 / 255`.
            metric: its name.
            kind: kind of the number.
            protocol: the benchmark; empty: the data set's own.
            member: a corruption, a perturbation or an attack; empty: the mean.
            severity: severity of a corruption.
            strength: strength of an attack.

        Raises:
            KeyError: it was not measured.
        """
        if kind is None:
            key = parsed(benchmark, metric, self.data.name)
        else:
            protocol = protocol or own_protocol(kind, self.data.name)
            key = Key(kind, metric, protocol, member, severity, strength)
        for found in self.measurements:
            if found.model == model and found.key.matches(key):
                return found
        raise KeyError(f"{key.metric} of {model} on {key.benchmark} was not measured")

    def to_pandas(self) -> "pd.DataFrame":
        """One row a measurement, tidy: `nsbench.results.frames.measurement_frame` says which columns."""
        return measurement_frame(self.measurements, self.checkpoints)
