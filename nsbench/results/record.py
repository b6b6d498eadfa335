"""The record of a run, `results.json`: versioned, typed, and all that a report needs.

Every quantity is a fraction in [0, 1] (never percent) unless its field says otherwise. The record
holds no clock time and no path, so the same command with the same seed on the same machine writes
the same bytes.
"""

from typing import Any, Literal

from pydantic import Field

from nsbench.checkpoints.record import CheckpointName, CheckpointRecord, Count, Record


class Measurement(CheckpointName):
    """One number, with its 95 % interval, what it was measured on and what it is relative to."""

    benchmark: str = Field(
        description="such as clean, fgsm/0.03, corruption, corruption/fog, corruption/fog/3, perturbation/tilt"
    )
    metric: str = Field(description="a name of METRICS: top1_error, expected_calibration_error, ...")
    value: float | None = Field(description="None where the number is undefined; `note` says why")
    ci_low: float | None = Field(description="lower end of the 95 % interval; None where none is defined")
    ci_high: float | None
    n: Count = Field(description="images (sequences for perturbations) it was measured on")
    baseline: str | None = Field(description="the checkpoint it is relative to, as STUDY/seedK/genI-NETWORK")
    note: str | None = Field(default=None, description="a caution that must be printed beside the number")


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
    severities: list[int] = Field(default=[])
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
    format_version: Literal[1] = 1
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
