"""Every metric of the record: its name in prose, its unit, its direction, and whether it is compared unless asked.

The one table of them. What a metric is, docs/statistics.md and the functions of `nsbench.metrics` say.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nsbench.config.names import METRICS
from nsbench.errors import UserError
from nsbench.names import check_name
from nsbench.plugins import load_plugins
from nsbench.results.key import Key, Kind

Function = Callable[[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32] | None], ArrayLike]
"""A function of logits (N, K), labels (N,) and weights (..., N), or None for every image once; returns (...)."""


Range = tuple[float, float]
SHARE: Range = (0.0, 1.0)
POSITIVE: Range = (0.0, math.inf)

ROUNDING = 1e-5
"""So far beyond its range, or apart from another sum of the same numbers, rounding in float32 may put a value."""


@dataclass(frozen=True)
class Metric:
    """One metric; less is better of each but for the undirected ones."""

    name: str
    """As the record has it, such as `top1_error`."""
    title: str
    """As prose has it."""
    unit: Literal["share", "ratio", "plain"] = "share"
    """A share is printed in percent, a ratio in percent of the baseline's, anything else as it is."""
    directed: bool = True
    """Whether less is better; what has no direction is not compared."""
    tested: bool = True
    """Whether a test of its differences is right in simulation; without one it is not compared."""
    full: str = ""
    """What its mean over a full benchmark is called, such as mCE."""
    headline: bool = False
    """Whether it is compared on clean images unless others are asked for; see also `HEADLINES`."""
    function: Function | None = None
    """Measures a registered metric on clean images."""
    range: Range | None = None
    """Least and largest value; None: any."""


def _ranged(one: Metric) -> Metric:
    """One of nsbench's own with the range of its unit; only a relative error has none, being negative at times."""
    usual = {"share": SHARE, "ratio": POSITIVE if one.directed else None, "plain": POSITIVE}[one.unit]
    return replace(one, range=one.range or usual)


def _relative(name: str, title: str, full: str = "") -> Metric:
    """A relative corruption error, which falls when the clean error rises, so that it names no winner."""
    return Metric(name, title, "ratio", directed=False, full=full)


_BUILT_IN = (
    Metric("top1_error", "top-1 error"),
    Metric("top5_error", "top-5 error"),
    Metric("negative_log_likelihood", "negative log-likelihood", "plain"),
    Metric("brier_score", "Brier score", "plain", range=(0.0, 2.0)),
    Metric("temperature", "temperature", "plain", directed=False),
    Metric("expected_calibration_error", "expected calibration error"),
    Metric("maximum_calibration_error", "maximum calibration error", tested=False),
    Metric("adaptive_calibration_error", "adaptive calibration error"),
    Metric("classwise_calibration_error", "class-wise calibration error"),
    Metric("calibration_error", "calibration error", tested=False),
    Metric("mean_error", "top-1 error", full="uCE"),
    Metric("clean_error", "clean error"),
    Metric("corruption_error", "corruption error", "ratio"),
    Metric("mean_corruption_error", "corruption error", "ratio", full="mCE"),
    _relative("relative_corruption_error", "relative corruption error"),
    _relative("relative_mean_corruption_error", "relative corruption error", "relative mCE"),
    _relative("pooled_relative_corruption_error", "relative corruption error, ratio of sums,"),
    Metric("mean_expected_calibration_error", "expected calibration error"),
    Metric("flip_probability", "flip probability"),
    Metric("flip_rate", "flip rate", "ratio"),
    Metric("mean_flip_probability", "flip probability"),
    Metric("mean_flip_rate", "flip rate", "ratio", full="mFR"),
    Metric("zero_gradients", "share of zero gradients", directed=False),
)
_KNOWN = {one.name: one for one in map(_ranged, _BUILT_IN)}
_REGISTERED: dict[str, Metric] = {}

COUNTED = {"paper_": " as the published study counted", "imagenet_": " of ImageNet-P's ten"}
"""What stands before a metric's name where its members are counted in another way, and the words for it."""


def plain_name(name: str) -> str:
    """A metric's name without the way of counting.

    >>> plain_name("paper_mean_error")
    'mean_error'
    """
    for prefix in COUNTED:
        name = name.removeprefix(prefix)
    return name


def metric(name: str) -> Metric:
    """What is known of a metric, in whichever way its members are counted; its own words where nothing is."""
    plain = plain_name(name)
    if name not in _REGISTERED and plain not in _KNOWN:
        load_plugins()
    found = _REGISTERED.get(name) or _KNOWN.get(plain)
    return found or Metric(plain, plain.replace("_", " "))


def fault_of_value(name: str, *values: float | None, end: bool = False) -> str | None:
    """What is wrong with values of a metric, such as `top1_error is 5, outside [0, 1]`; None where nothing is.

    Args:
        name: the metric's name.
        values: some of its values; None is no value.
        end: whether they are ends of an interval, which may be outside by the width of the range, since some
            bootstraps reflect their samples at the value.

    >>> fault_of_value("top1_error", 0.2, None), fault_of_value("flip_rate", -1.5)
    (None, 'flip_rate is -1.5, outside [0, inf]')
    """
    limits = metric(name).range
    if limits is None:
        return None
    low, high = limits
    room = high - low if end else ROUNDING
    odd = next((one for one in values if one is not None and not low - room <= one <= high + room), None)
    return None if odd is None else f"{name} is {odd:g}, outside [{low:g}, {high:g}]"


def built_in(name: str) -> bool:
    """Whether a metric is one of nsbench's own."""
    return plain_name(name) in _KNOWN


def register(new: Metric) -> None:
    """Add a metric of clean logits, which `evaluation.metrics` and `--on` may name from then on.

    Raises UserError where the name is taken or cannot be one, or there is no function to measure it by.
    """
    check_name(new.name, "The metric")
    if built_in(new.name) or _REGISTERED.get(new.name, new) != new:
        raise UserError(f"There is a metric {new.name!r} already: give yours another name.")
    if new.function is None:
        raise UserError(f"The metric {new.name!r} has no function: give one of logits, labels and weights.")
    _REGISTERED[new.name] = new
    METRICS.add(new.name)


@dataclass(frozen=True)
class Headline:
    """A number that is compared unless others are asked for; less is better in each."""

    title: str
    kind: Kind
    metric: str
    member: str = ""
    strength: float | None = None

    @property
    def where(self) -> dict[str, Any]:
        """What selects it beside kind and metric."""
        return {"member": self.member, "strength": self.strength}

    def of(self, key: Key) -> bool:
        """Whether this is the number; a further benchmark is not meant."""
        wanted = Key(self.kind, self.metric, key.protocol if key.standard else "", self.member, None, self.strength)
        return wanted.matches(key)


USUAL = 8 / 255
"""The usual strength for CIFAR: every strength of a sweep would only weaken what Holm's correction leaves."""

HEADLINES = (
    Headline("clean error", "clean", "top1_error"),
    Headline("NLL", "clean", "negative_log_likelihood"),
    Headline("Brier score", "clean", "brier_score"),
    Headline("calibration error", "clean", "expected_calibration_error"),
    Headline("error on corruptions", "corruption", "mean_error"),
    Headline("calibration error on corruptions", "corruption", "mean_expected_calibration_error"),
    Headline("flip probability", "perturbation", "mean_flip_probability"),
    Headline("error under FGSM", "attack", "top1_error", "fgsm", USUAL),
    Headline("error under PGD", "attack", "top1_error", "pgd", USUAL),
)
"""In the order of prose."""

_FURTHER = {"corruption": "mean_error", "perturbation": "mean_flip_probability", "test_set": "top1_error"}
"""By kind, the number that stands for a further benchmark."""


def headline(key: Key) -> Headline | None:
    """The headline that a number is, or None."""
    return next((one for one in HEADLINES if one.of(key)), None)


def is_headline(key: Key) -> bool:
    """Whether a number is compared unless others are asked for.

    >>> is_headline(Key("clean", "top1_error")), is_headline(Key("clean", "top5_error"))
    (True, False)
    >>> [is_headline(Key("attack", "top1_error", member="fgsm", strength=eps)) for eps in (8 / 255, 0.01)]
    [True, False]
    """
    if key.kind == "clean":
        return headline(key) is not None or metric(key.metric).headline
    further = not (key.member or key.standard) and _FURTHER.get(key.kind) == key.metric
    return further or headline(key) is not None
