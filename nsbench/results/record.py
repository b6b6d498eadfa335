"""The record of a run, `results.json`: versioned, typed, and all that a report needs.

Every quantity is a fraction in [0, 1] (never percent) unless its field says otherwise. The record
holds no clock time and no path, so the same command with the same seed on the same machine writes
the same bytes.
"""

from typing import Any, Literal

from pydantic import Field

from nsbench.checkpoints.record import CheckpointRecord, Count, Record
from nsbench.models.record import ModelRecord


class Measurement(Record):
    """One number, with its 95 % interval, what it was measured on and what it is relative to."""

    model: str = Field(description="a checkpoint as STUDY/seedK/genI-NETWORK, or the name of another model")
    benchmark: str = Field(
        description="such as clean, scaled, fgsm/0.03, pgd/0.03, corruption, corruption/fog/3, perturbation/tilt"
    )
    metric: str = Field(description="a name of METRICS: top1_error, expected_calibration_error, ...")
    value: float | None = Field(description="None where the number is undefined; `note` says why")
    unbiased: float | None = Field(
        default=None,
        description="of a calibration error: median-unbiased, where `value` is the plug-in, which noise raises",
    )
    floor: float | None = Field(
        default=None,
        description="of a calibration error: the plug-in value to expect of a calibrated model with these confidences",
    )
    ci_low: float | None = Field(
        description="lower end of the 95 % interval of the true value; None where none is defined"
    )
    ci_high: float | None
    n: Count = Field(description="images (sequences for perturbations) it was measured on")
    baseline: str | None = Field(description="the model it is relative to")
    note: str | None = Field(default=None, description="a caution that must be printed beside the number")


class Comparison(Record):
    """One number of two models on the same images: the paired difference, its interval and its p-value."""

    candidate: str = Field(description="the name of a model")
    baseline: str = Field(description="the model it is compared with")
    family: str = Field(
        default="all comparisons",
        description="the question that it helps to answer; Holm's correction is over a family",
    )
    benchmark: str
    metric: str
    candidate_value: float | None = Field(description="of a calibration error the median-unbiased value")
    baseline_value: float | None
    difference: float | None = Field(description="candidate minus baseline; None where either is undefined")
    ci_low: float | None = Field(description="lower end of the paired 95 % interval")
    ci_high: float | None
    test: Literal["McNemar", "paired bootstrap", "MOVER"]
    p_value: float | None = Field(gt=0, description="None where no image tells the two apart")
    p_holm: float | None = Field(description="after Holm's correction over the comparisons of its family")
    verdict: Literal["better", "worse", "no evidence"] = Field(
        description="of the candidate, by the corrected p-value at 0.05 and an interval without zero"
    )
    detectable: float | None = Field(
        default=None,
        description="smallest true difference that this test would have found with 80 % power, at the level that "
        "its family leaves to one comparison",
    )
    n: Count


class SeedMean(Record):
    """One number averaged over networks that differ in their seed alone."""

    group: str = Field(description="STUDY/genI-NETWORK, with a number behind it where two recipes would share it")
    seeds: list[int]
    benchmark: str
    metric: str
    value: float | None
    ci_low: float | None = Field(description="95 % interval over both images and seeds")
    ci_high: float | None
    image_low: float | None = Field(description="95 % interval over images alone, these networks given")
    image_high: float | None
    seed_low: float | None = Field(description="95 % interval over seeds alone, these images given")
    seed_high: float | None
    n: Count


class SeedComparison(Record):
    """One number of two groups of networks, each trained from the same seeds: what retraining would leave of it."""

    candidate: str = Field(description="the `group` of a mean over seeds")
    baseline: str = Field(description="the group it is compared with")
    seeds: list[int] = Field(description="in both groups; networks of one seed share split and resamples")
    family: str = Field(description="as in `Comparison`")
    benchmark: str
    metric: str
    candidate_value: float | None
    baseline_value: float | None
    difference: float | None = Field(description="mean over seeds of candidate minus baseline")
    ci_low: float | None = Field(description="lower end of the 95 % interval over both seeds and images")
    ci_high: float | None
    p_value: float | None = Field(description="paired by seed, with the variance of training and of images in it")
    p_holm: float | None
    verdict: Literal["better", "worse", "no evidence"]
    detectable: float | None = Field(description="as in `Comparison`")
    n: Count


class ReliabilityBin(Record):
    """One bin (low, high] of top-label confidence."""

    low: float
    high: float
    count: Count
    accuracy: float | None = Field(description="None for an empty bin")
    confidence: float | None = Field(description="mean confidence, not the centre; None for an empty bin")


class Diagnostics(Record):
    """What a picture shows and a table does not."""

    model: str
    reliability: list[ReliabilityBin]
    scaled_reliability: list[ReliabilityBin] = Field(
        default=[], description="after temperature scaling; empty where no temperature was fitted"
    )
    masking: list[str] = Field(default=[], description="signs of gradient masking, a sentence each")
    overshoot: list[str] = Field(
        default=[], description="one-step attacks that do less at a larger eps, a footnote each; no sign of masking"
    )
    confusion: list[list[Count]] = Field(description="rows are true classes, columns predicted ones")


class BenchmarkSet(Record):
    """The images a group of numbers was measured on."""

    kind: str = Field(
        description="what its measurements' `benchmark` begins with: clean, scaled, corruption, perturbation, an attack"
    )
    name: str = Field(
        description="such as `nsbench-c v1 (5 of 15 corruptions, first 500 test images)`; an attack's steps and starts"
    )
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
    format_version: Literal[3] = 3
    name: str
    config: dict[str, Any]
    data: DatasetRecord
    provenance: Provenance
    baseline: str | None = Field(
        description="the model that corruption error and flip rate are relative to; None: nothing is relative"
    )
    checkpoints: list[CheckpointRecord] = Field(description="networks that nsbench trained")
    models: list[ModelRecord] = Field(default=[], description="anybody's models")
    benchmarks: list[BenchmarkSet]
    measurements: list[Measurement]
    comparisons: list[Comparison] = Field(default=[], description="pairs of models that the report compares")
    seed_means: list[SeedMean] = Field(default=[], description="where networks differ in their seed alone")
    seed_comparisons: list[SeedComparison] = Field(default=[], description="of groups that share their seeds")
    diagnostics: list[Diagnostics]
    samples: list[SampleImage]
    warnings: list[str] = Field(description="sentences a reader must see, such as an empty selection")

    def number(self, model: str, benchmark: str, metric: str) -> Measurement:
        """One number, such as `number("resnet20", "corruption", "mean_error")`.

        Raises KeyError when it was not measured.
        """
        for found in self.measurements:
            if (found.model, found.benchmark, found.metric) == (model, benchmark, metric):
                return found
        raise KeyError(f"{metric} of {model} on {benchmark} was not measured")
