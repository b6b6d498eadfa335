"""Everything that is measured of a model, and a number as the record has it."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics.uncertainty import interval
from nsbench.predictions.store import Labels, load_labels, load_test_set_labels
from nsbench.protocols.protocol import Protocol
from nsbench.protocols.registry import find_protocol
from nsbench.results.key import own_protocol
from nsbench.results.measure.attacked import attack_numbers
from nsbench.results.measure.clean import clean_numbers, scaled_numbers
from nsbench.results.measure.corrupted import CorruptionErrors, corruption_errors, corruption_numbers
from nsbench.results.measure.further import further_numbers, test_set_numbers
from nsbench.results.measure.numbers import Number, Resampler
from nsbench.results.measure.perturbed import Flips, flips_of, perturbation_numbers
from nsbench.results.measure.predicted import Predicted
from nsbench.results.measured import Measurement

NO_INTERVAL = "it has no interval, because its denominator is zero on some resamples"
NO_OPTIMUM = "no temperature is best on the held-out images, so this is the bound of those tried"


class Measurer:
    """Measures models one after the other, on shared resamples.

    Args:
        run: the folder with `predictions/`.
        config: what was measured.
        resampler: resampler of the images.
        baseline: the model that ratios are relative to; None: there are none.
        data: the name of the data set.
        classes: how many it has.
    """

    def __init__(
        self, run: Path, config: EvaluationConfig, resampler: Resampler, baseline: str | None, data: str, classes: int
    ) -> None:
        self.run, self.config, self.resampler, self.baseline, self.data = run, config, resampler, baseline, data
        self.classes = classes

    @cached_property
    def _labels(self) -> tuple[Labels, Labels]:
        return load_labels(self.run, self.classes)

    @property
    def labels(self) -> Labels:
        """True classes of the test images."""
        return self._labels[0]

    @property
    def held_out(self) -> Labels:
        """True classes of the held-out images; empty where there are none."""
        return self._labels[1]

    def predicted(self, model: str) -> Predicted:
        """The predictions of a model."""
        return Predicted(self.run, model, self.labels, self.held_out, self.config, self.classes)

    @property
    def scales(self) -> bool:
        """Whether temperatures are fitted: there are images to fit them on."""
        return self.config.calibration and len(self.held_out) > 0

    def numbers(self, model: Predicted) -> Iterator[Number]:
        """Every number of one model.

        Raises UserError naming predictions that are missing.
        """
        yield from clean_numbers(model, self.config, self.resampler)
        if self.scales:
            yield from scaled_numbers(model, self.config, self.resampler)
        yield from attack_numbers(model, self.config, self.resampler)
        itself = model.model == self.baseline
        if self.config.corruptions:
            own = own_protocol("corruption", self.data)
            found = corruption_numbers(model, self._base_errors, self.config, self.resampler, own)
            yield from map(_of_itself, found) if itself else found
        if self.config.perturbations:
            own = own_protocol("perturbation", self.data)
            found = perturbation_numbers(model, self._base_flips, self.config, self.resampler, own)
            yield from map(_of_itself, found) if itself else found
        for name in self.config.protocols:
            yield from self._further(model, find_protocol(name))

    def _further(self, model: Predicted, protocol: Protocol) -> Iterator[Number]:
        if protocol.kind == "test_set":
            labels = load_test_set_labels(self.run, protocol.name, self.classes)
            return test_set_numbers(model, protocol.name, labels, self.config, self.resampler)
        return further_numbers(model, protocol, protocol.names, self.config, self.resampler)

    @cached_property
    def _base_errors(self) -> CorruptionErrors | None:
        if self.baseline is None:
            return None
        return corruption_errors(self.predicted(self.baseline), self.config, self.resampler)

    @cached_property
    def _base_flips(self) -> Flips | None:
        return flips_of(self.predicted(self.baseline), self.config, self.resampler) if self.baseline else None


def _of_itself(number: Number) -> Number:
    """A number of the baseline, whose ratios to itself are 1 by definition, also where it makes no error at all."""
    if not number.relative:
        return number
    return replace(number, value=1.0, samples=np.ones_like(number.samples), note=None, interval=(1.0, 1.0))


def measurement(number: Number, model: str, baseline: str | None) -> Measurement:
    """A number with its interval; one without an interval says why."""
    low, high = ends(number.samples) if number.interval is None else map(finite, number.interval)
    note = number.note
    if low is None:
        why = (
            NO_INTERVAL if number.relative and not note else NO_OPTIMUM if number.key.metric == "temperature" else None
        )
        note = "; ".join(part for part in (note, why) if part) or None
    return Measurement(
        model=model,
        key=number.key,
        value=finite(number.value),
        unbiased=number.unbiased,
        floor=number.floor,
        ci_low=low,
        ci_high=high,
        n=number.n,
        baseline=baseline if number.relative else None,
        note=note,
    )


def ends(samples: ArrayLike) -> tuple[float | None, float | None]:
    """The 95 % interval of samples (B,); None where undefined."""
    low, high = interval(np.asarray(samples))
    return finite(low), finite(high)


def finite(number: float) -> float | None:
    """The number, or None for nan and infinity."""
    return float(number) if math.isfinite(number) else None
