"""Two models compared in every number that both have on the same images."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from nsbench.checkpoints.record import Record
from nsbench.errors import UserError, hint
from nsbench.predictions.store import Labels, load_labels, load_test_set_labels
from nsbench.results.compare.pair import compare, corrected, paired
from nsbench.results.compare.sides import Side
from nsbench.results.key import Key, parsed
from nsbench.results.measure.everything import Measurer
from nsbench.results.measure.numbers import Number, Resampler
from nsbench.results.measured import Comparison
from nsbench.results.quantities import is_headline, metric

Numbers = dict[Key, Number]


class Versus(Record):
    """Two models compared, as `nsbench compare --format json` writes it."""

    format: Literal["nsbench-comparison"] = "nsbench-comparison"
    format_version: Literal[1] = 1
    candidate: str = Field(description="name of the model")
    candidate_of: str = Field(description="name of its run or evaluation")
    baseline: str = Field(description="name of the model it is compared with")
    baseline_of: str = Field(description="name of its run or evaluation")
    comparisons: list[Comparison] = Field(description="corrected over these and no others")
    not_compared: list[str] = Field(description="numbers that were asked for, and why they are not here")


@dataclass(frozen=True)
class Choice:
    """Which numbers to compare.

    Attributes:
        metrics: `METRIC` on every benchmark that has it, or `BENCHMARK:METRIC`; empty: the headlines.
        everything: all that both have.
    """

    metrics: tuple[str, ...] = ()
    everything: bool = False

    def takes(self, key: Key) -> bool:
        """Whether a number is asked for."""
        return self.names(key) if self.metrics else self.everything or is_headline(key)

    def names(self, key: Key) -> bool:
        """Whether a number is asked for by its name."""
        return any(meant(name, key) for name in self.metrics)


def meant(name: str, key: Key) -> bool:
    """Whether a user's METRIC or BENCHMARK:METRIC is this number.

    >>> meant("fgsm/8/255:top1_error", Key("attack", "top1_error", member="fgsm", strength=8 / 255))
    True
    """
    benchmark, _, last = name.rpartition(":")
    if last != key.metric:
        return False
    try:
        return not benchmark or parsed(benchmark, last, key.data).matches(key)
    except ValueError:
        return False


def versus(candidate: Side, baseline: Side, choice: Choice, *, strict: bool = False) -> Versus:
    """Compare two models.

    Args:
        candidate: one model.
        baseline: the other.
        choice: the numbers to compare.
        strict: refuse at once where a number that both have was measured on other images.

    Raises:
        UserError: both are one model; a metric that was named is not there, has no direction, or was measured on other
            images; the two sides have other labels of the same images; nothing is left to compare.
    """
    if candidate.folder.resolve() == baseline.folder.resolve() and candidate.model == baseline.model:
        raise UserError(
            f"{candidate.model} cannot be compared with itself: name another model after the folder and ':'."
        )
    # Both are measured alike: a calibration error over other bins would be another number.
    settings = {
        "bootstrap_resamples": candidate.config.bootstrap_resamples,
        "calibration_bins": candidate.config.calibration_bins,
    }
    resampler = Resampler(candidate.config.bootstrap_resamples, seed=0)
    own, other = (_numbers(side, settings, resampler, choice) for side in (candidate, baseline))
    same = candidate.baseline_identity == baseline.baseline_identity != ""
    reasons = _reasons(own, other, same=same)
    known = {one.metric for side in (candidate, baseline) for one in side.results.measurements}
    _check(choice, own, other, reasons, known, strict=strict)
    common = [key for key in own if key in other and key not in reasons]
    question = {"family": f"{candidate.model} against {baseline.model}"}
    _check_labels(candidate, baseline, common)
    pairs = [compare(candidate.model, own[key], baseline.model, other[key]) for key in common]
    found = [one.model_copy(update=question) for one in pairs]
    if not found:
        raise UserError(
            f"{candidate.model} and {baseline.model} have nothing in common to compare"
            + (f" ({next(iter(reasons.values()))})" if reasons else "")
            + ": evaluate both on the same benchmarks."
        )
    return Versus(
        candidate=candidate.model,
        candidate_of=candidate.results.name,
        baseline=baseline.model,
        baseline_of=baseline.results.name,
        comparisons=corrected(found),
        not_compared=[f"{key}: {reason}" for key, reason in reasons.items()],
    )


def _numbers(side: Side, settings: dict[str, int], resampler: Resampler, choice: Choice) -> Numbers:
    config = side.config.model_copy(update=settings)
    data = side.results.data
    measurer = Measurer(side.folder, config, resampler, side.results.baseline, data.name, len(data.classes))
    return {one.key: one for one in measurer.numbers(measurer.predicted(side.model)) if choice.takes(one.key)}


def _check_labels(candidate: Side, baseline: Side, common: list[Key]) -> None:
    """Raise UserError where the same images have other true classes on the other side."""
    for protocol in dict.fromkeys(key.protocol if key.kind == "test_set" else "" for key in common):
        own, other = (_labels(side, protocol) for side in (candidate, baseline))
        if not np.array_equal(own, other):
            raise UserError(
                f"{candidate.folder} and {baseline.folder} have other labels of the same images"
                f"{f' of {protocol}' if protocol else ''}: evaluate both with the same data."
            )


def _labels(side: Side, protocol: str) -> Labels:
    """True classes of the test images, or of a further test set."""
    classes = len(side.results.data.classes)
    return load_test_set_labels(side.folder, protocol, classes) if protocol else load_labels(side.folder, classes)[0]


OTHER_IMAGES = "measured on other images"


def _reasons(own: Numbers, other: Numbers, *, same: bool) -> dict[Key, str]:
    """Why a number that was asked for is not compared."""
    reasons = {}
    for key in dict.fromkeys([*own, *other]):
        if not metric(key.metric).directed:
            reasons[key] = "lower is not better"
        elif not metric(key.metric).tested:
            reasons[key] = "no test of it is valid"
        elif key not in own or key not in other:
            reasons[key] = f"only the {'candidate' if key in own else 'baseline'} has it"
        elif not paired(own[key], other[key]):
            reasons[key] = OTHER_IMAGES
        elif own[key].relative and not same:
            reasons[key] = "relative to different models"
    return reasons


def _check(
    choice: Choice, own: Numbers, other: Numbers, reasons: dict[Key, str], known: set[str], *, strict: bool
) -> None:
    keys = dict.fromkeys([*own, *other])
    for name in choice.metrics:
        if not any(meant(name, key) for key in keys):
            raise UserError(
                f"Neither model has a number {name!r}: name a METRIC or BENCHMARK:METRIC as in metrics.csv."
                + hint(name.rpartition(":")[2], known)
            )
    for key, reason in reasons.items():
        if choice.names(key) or (strict and reason == OTHER_IMAGES):
            raise UserError(f"{key} cannot be compared ({reason}): leave it out, or measure both the same way.")
