"""The record of a run, `results.json`: versioned, typed, and all that a report needs.

Every quantity is a fraction in [0, 1] (never percent) unless its field says otherwise. The record
holds no clock time and no path, so the same command with the same seed on the same machine writes
the same bytes.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT_VERSION = 1

Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """Base of all parts: immutable, unknown fields refused, NaN refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CheckpointName(Record):
    """What names one trained network in a run."""

    study: str = Field(description="the configuration of the chain, or `supervised` for the baseline")
    generation: Count = Field(description="0 is the supervised teacher")
    network: str = Field(description="for example resnet20 or resnet8-w0.5")
    seed: Count

    def __str__(self) -> str:
        return f"{self.study}/seed{self.seed}/gen{self.generation}-{self.network}"


class Measurement(CheckpointName):
    """One number, with its 95 % interval, what it was measured on and what it is relative to."""

    benchmark: str = Field(description="`clean`, `fgsm/0.03`, `corruption`, `corruption/fog`, `corruption/fog/3`, `perturbation`, `perturbation/tilt`")
    metric: str = Field(description="a name of METRICS: top1_error, expected_calibration_error, ...")
    value: float | None = Field(description="None where the number is undefined; `note` says why")
    ci_low: float | None = Field(description="lower end of the 95 % interval; None where none is defined")
    ci_high: float | None
    n: Count = Field(description="images (sequences for perturbations) it was measured on")
    baseline: str | None = Field(description="the checkpoint it is relative to, as STUDY/seedK/genI-NETWORK")
    note: str | None = Field(default=None, description="a caution that must be printed beside the number")


class SelectionRecord(Record):
    """Pseudo-labelled images that one student was trained on, per class."""

    teacher: str
    confidence_threshold: float
    available: Count = Field(description="unlabelled images the teacher predicted")
    above_threshold: list[Count] = Field(description="per class, before balancing: the published tables 4, 8, 9 add the labelled images")
    kept: list[Count] = Field(description="per class, distinct pseudo-labelled images after balancing")
    duplicates: list[Count] = Field(description="per class, copies added by balancing, labelled and pseudo-labelled")
    labeled: list[Count] = Field(description="per class, labelled images")
    accuracy: float | None = Field(description="share of kept pseudo-labels that are right, by the true labels training never sees; None if unknown")


class HistoryPoint(Record):
    """Training progress at one moment."""

    images: Count = Field(description="images seen so far")
    learning_rate: float
    loss: float
    accuracy: float = Field(description="on noisy training images against their targets")
    validation_accuracy: float | None = None


class CheckpointRecord(CheckpointName):
    """One trained network."""

    role: Literal["teacher", "student", "baseline"]
    parent: str | None = Field(description="the teacher's name, None for a supervised network")
    parameters: Count
    images_seen: Count
    training_images: Count = Field(description="images in the training set, duplicates counted")
    weights_selection: str = Field(description="which weights were kept: `last`")
    weights_sha256: str
    selection: SelectionRecord | None
    history: list[HistoryPoint]


class ReliabilityBin(Record):
    """One bin (low, high] of top-label confidence."""

    low: float
    high: float
    count: Count
    accuracy: float | None = Field(description="None for an empty bin")
    confidence: float | None = Field(description="mean confidence, not the centre; None for an empty bin")


class Diagnostics(CheckpointName):
    """What a picture shows and a table does not."""

    reliability: list[ReliabilityBin]
    confusion: list[list[Count]] = Field(description="rows are true classes, columns predicted ones")


class BenchmarkSet(Record):
    """The images a group of numbers was measured on."""

    kind: Literal["clean", "fgsm", "corruption", "perturbation"]
    name: str = Field(description="for example `nsbench-c v1 (5 of 15 corruptions, first 500 test images)`")
    images: Count
    complete: bool = Field(description="False for a subset, which is never printed under the full set's name")
    counted: list[str] = Field(default=[], description="members that enter the means")
    shown: list[str] = Field(default=[], description="members measured but never averaged, such as gaussian_blur in -C")
    missing: list[str] = Field(default=[], description="canonical members that were not measured")
    severities: list[int] = []
    seed: int | None = None


class SampleImage(Record):
    """A strip of example images stored beside the record."""

    kind: Literal["corruption", "perturbation", "fgsm", "noise"]
    name: str
    file: str = Field(description="PNG, relative to the run folder")
    caption: str


class DatasetRecord(Record):
    """The data a run used."""

    name: str
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
    format_version: Literal[1] = FORMAT_VERSION
    name: str
    config: dict[str, Any]
    data: DatasetRecord
    provenance: Provenance
    baseline: str = Field(description="the checkpoint that corruption error and flip rate are relative to")
    checkpoints: list[CheckpointRecord]
    benchmarks: list[BenchmarkSet]
    measurements: list[Measurement]
    diagnostics: list[Diagnostics]
    samples: list[SampleImage]
    warnings: list[str] = Field(description="sentences a reader must see, such as an empty selection")
