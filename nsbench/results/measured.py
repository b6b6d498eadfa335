"""Numbers as the record has them, and the images that they were measured on.

Every quantity is a fraction in [0, 1] (never percent) unless its field says otherwise.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer, model_validator

from nsbench.checkpoints.record import CheckpointName, Count, Record
from nsbench.config.fields import ModelName, Name, OptionalName, Seed
from nsbench.results.key import Key, Kind
from nsbench.results.quantities import ROUNDING, fault_of_value
from nsbench.results.verdicts import Verdict, verdict

Images = Annotated[Count, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
PValue = Annotated[float, Field(gt=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class Keyed(Record):
    """Base of whatever holds a number: what it measures, without the fields that say nothing."""

    key: Annotated[Key, PlainSerializer(Key.dumped)] = Field(
        description="kind, protocol, member, severity or strength, and metric; a field that does not apply is absent"
    )

    @property
    def benchmark(self) -> str:
        """All of the key but the metric, as text."""
        return self.key.benchmark

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return self.key.metric


def _refuse(fault: str | None) -> None:
    """Raise ValueError where there is a fault."""
    if fault is not None:
        raise ValueError(fault)


def _check_ends(low: float | None, high: float | None) -> None:
    """An interval need not hold its value, which bootstrap and bias may put outside, but its ends have an order."""
    if low is not None and high is not None and low > high:
        raise ValueError(f"an interval from {low:g} down to {high:g}")


class Measurement(Keyed):
    """One number, with its 95 % interval, what it was measured on and what it is relative to."""

    model: ModelName = Field(description="a checkpoint as STUDY/seedK/genI-NETWORK, or the name of another model")
    value: float | None = Field(description="None where the number is undefined; `note` says why")
    unbiased: float | None = Field(
        default=None,
        description="median-unbiased calibration error, where `value` is the plug-in, which noise raises",
    )
    floor: float | None = Field(
        default=None,
        description="plug-in calibration error to expect of a calibrated model with these confidences",
    )
    ci_low: float | None = Field(
        description="lower end of the 95 % interval of the true value; None where none is defined"
    )
    ci_high: float | None
    n: Images = Field(description="images (sequences for perturbations) it was measured on")
    baseline: ModelName | None = Field(description="the model it is relative to")
    note: str | None = Field(default=None, description="a caution that must be printed beside the number")

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        """Raise ValueError where no model has such a number."""
        _refuse(fault_of_value(self.metric, self.value, self.unbiased, self.floor))
        _refuse(fault_of_value(self.metric, self.ci_low, self.ci_high, end=True))
        _check_ends(self.ci_low, self.ci_high)
        return self


class Comparison(Keyed):
    """One number of two models on the same images: the paired difference, its interval and its p-value."""

    candidate: ModelName = Field(description="the name of a model")
    baseline: ModelName = Field(description="the model it is compared with")
    family: str = Field(
        default="all comparisons",
        description="the question that it helps to answer; Holm's correction is over a family",
    )
    candidate_value: float | None = Field(description="a calibration error is median-unbiased")
    baseline_value: float | None
    difference: float | None = Field(description="candidate minus baseline; None where either is undefined")
    ci_low: float | None = Field(description="lower end of the paired 95 % interval")
    ci_high: float | None
    test: Literal["McNemar", "paired bootstrap", "MOVER"]
    p_value: PValue | None = Field(description="None where the two differ on no image")
    p_holm: PValue | None = Field(description="after Holm's correction over the comparisons of its family")
    verdict: Verdict = Field(
        description="on the candidate, by the corrected p-value at 0.05 and an interval without zero"
    )
    detectable: Amount | None = Field(
        default=None,
        description="smallest true difference that this test would have found with 80 % power, at the level that "
        "its family leaves to one comparison",
    )
    n: Images

    @model_validator(mode="after")
    def _follows(self) -> Self:
        """Raise ValueError where it contradicts itself."""
        _refuse(_contradiction(self))
        return self


def unseeded_name(one: CheckpointName) -> str:
    """What networks are called that differ in their seed alone.

    >>> unseeded_name(CheckpointName(study="hard", generation=1, network="resnet8", seed=3))
    'hard/gen1-resnet8'
    """
    return f"{one.study}/gen{one.generation}-{one.network}"


class SeedMean(Keyed):
    """One number averaged over networks that differ in their seed alone."""

    group: str = Field(description="STUDY/genI-NETWORK, with a number after it where two recipes would share it")
    seeds: list[Seed]
    value: float | None
    ci_low: float | None = Field(description="95 % interval over both images and seeds")
    ci_high: float | None
    image_low: float | None = Field(description="95 % interval over images alone, these networks given")
    image_high: float | None
    seed_low: float | None = Field(description="95 % interval over seeds alone, these images given")
    seed_high: float | None
    n: Images

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        """Raise ValueError where no models have such a mean; by Student's t, its intervals may leave the range."""
        _refuse(fault_of_value(self.metric, self.value))
        for which in ("ci", "image", "seed"):
            _check_ends(getattr(self, f"{which}_low"), getattr(self, f"{which}_high"))
        return self


class SeedComparison(Keyed):
    """One number of two groups of networks, each trained from the same seeds: what retraining would leave of it."""

    candidate: str = Field(description="the `group` of a mean over seeds")
    baseline: str = Field(description="the group it is compared with")
    seeds: list[Seed] = Field(description="in both groups; networks of one seed share split and resamples")
    family: str = Field(description="as in `Comparison`")
    candidate_value: float | None
    baseline_value: float | None
    difference: float | None = Field(description="mean over seeds of candidate minus baseline")
    ci_low: float | None = Field(description="lower end of the 95 % interval over both seeds and images")
    ci_high: float | None
    p_value: Share | None = Field(description="paired by seed, with the variance of training and of images in it")
    p_holm: Share | None
    verdict: Verdict
    detectable: Amount | None = Field(description="as in `Comparison`")
    n: Images

    @model_validator(mode="after")
    def _follows(self) -> Self:
        """Raise ValueError where it contradicts itself."""
        _refuse(_contradiction(self))
        return self


def _contradiction(one: Comparison | SeedComparison) -> str | None:
    """Where difference, correction and verdict do not follow from the numbers beside them; None where they do."""
    own, other, apart = one.candidate_value, one.baseline_value, one.difference
    _check_ends(one.ci_low, one.ci_high)
    fault = fault_of_value(one.metric, own, other)
    if fault is not None:
        return fault
    if own is not None and other is not None and apart is not None:
        if abs(own - other - apart) > ROUNDING * max(1.0, abs(own), abs(other)):
            return f"a difference of {apart:g} between {own:g} and {other:g}"
        if {"better": apart > 0, "worse": apart < 0}.get(one.verdict):
            return f"{one.verdict} at a difference of {apart:g}, where less is better"
    if one.p_holm is not None and (one.p_value is None or one.p_holm < one.p_value):
        return f"a p-value of {one.p_value} that Holm's correction lowers to {one.p_holm:g}"
    if one.verdict != verdict(one.p_holm, one.ci_low, one.ci_high):
        return f"the verdict {one.verdict!r}, which its corrected p-value and its interval do not give"
    return None


class BenchmarkSet(Record):
    """The images a group of numbers was measured on."""

    kind: Kind
    protocol: OptionalName = Field(default="", description="as in the keys of its measurements")
    attack: OptionalName = Field(default="", description="the name of the attack, where it is one")
    name: str = Field(
        description="such as `nsbench-c v1 (5 of 15 corruptions, first 500 test images)`; an attack's steps and starts"
    )
    images: Images
    complete: bool = Field(description="False for a subset, which is never printed under the full set's name")
    counted: list[Name] = Field(default=[], description="members that enter the means")
    shown: list[Name] = Field(
        default=[], description="members measured but never averaged, such as gaussian_blur in -C"
    )
    missing: list[Name] = Field(default=[], description="canonical members that were not measured")
    severities: list[int] = Field(default=[])
    seed: int | None = None
