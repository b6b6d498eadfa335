"""Numbers on clean images, and the same after temperature scaling."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nsbench.config.evaluation import EvaluationConfig
from nsbench.errors import UserError
from nsbench.metrics import classification
from nsbench.metrics.adaptive import adaptive_bins
from nsbench.metrics.calibration import maximum_calibration_error, paper_calibration_error
from nsbench.metrics.classification import Floats
from nsbench.metrics.classwise import classwise_bins
from nsbench.metrics.top_label import top_label, top_label_bins
from nsbench.metrics.uncertainty import resampled_temperature
from nsbench.results import quantities
from nsbench.results.measure.calibrated import Calibration, without_interval
from nsbench.results.measure.numbers import Number, Place, Resampler, Sampled, last_mean
from nsbench.results.measure.predicted import Predicted

PAPER_BINS = 10
SHARES = (classification.top1_error, classification.top5_error)


def clean_numbers(model: Predicted, config: EvaluationConfig, resampler: Resampler) -> Iterator[Number]:
    """Error, likelihood and calibration on clean images."""
    place = Place("clean", len(model.labels), model.image_identity("clean"))
    yield from _numbers(place, model.clean, model, config, resampler)
    for added in map(quantities.metric, config.metrics):
        yield _added(added, place, model, resampler)


def _added(metric: quantities.Metric, place: Place, model: Predicted, resampler: Resampler) -> Number:
    """A metric from outside nsbench; UserError unless it takes the weights of all resamples and keeps its range."""
    assert metric.function is not None, metric.name
    found = resampler.sample(partial(metric.function, model.clean, model.labels), place.n)
    shapes, wanted = (found.value.shape, found.samples.shape), ((), (resampler.resamples,))
    if shapes != wanted:
        raise UserError(
            f"The metric {metric.name!r} gives shapes {shapes[0]} and {shapes[1]} without weights and with "
            f"{resampler.resamples} rows of them, not {wanted[0]} and {wanted[1]}: mend its function."
        )
    fault = quantities.fault_of_value(metric.name, float(found.value))
    if fault is not None:
        raise UserError(f"The metric {fault}, which it declares: mend its function or its range.")
    return (place.mean if metric.unit == "share" else place.number)(metric.name, found)


def scaled_numbers(model: Predicted, config: EvaluationConfig, resampler: Resampler) -> Iterator[Number]:
    """The temperature fitted on held-out images, and every number after scaling by it.

    The interval of the temperature is over held-out images; the others are over test images, this temperature given.
    """
    logits, n = model.logits("held-out"), len(model.held_out)
    samples = resampled_temperature(logits, model.held_out, model.temperature, resampler.weights(n))
    place = Place("scaled", n, model.image_identity("held-out"))
    yield place.number("temperature", Sampled(np.asarray(model.temperature), samples))
    place = Place("scaled", len(model.labels), model.image_identity("clean"))
    yield from _numbers(place, model.scaled, model, config, resampler)


def _numbers(
    place: Place, logits: Floats, model: Predicted, config: EvaluationConfig, resampler: Resampler
) -> Iterator[Number]:
    labels = model.labels
    metrics = [classification.top1_error, classification.negative_log_likelihood, classification.brier_score]
    if logits.shape[1] >= 5:
        metrics.insert(1, classification.top5_error)
    for metric in metrics:
        found = resampler.sample(partial(metric, logits, labels), place.n)
        if metric in SHARES:
            yield place.share(metric.__name__, found, model.wrong if metric is classification.top1_error else None)
        else:
            yield place.number(metric.__name__, found)
    if config.calibration:
        yield from _calibration(place, classification.softmax(logits), labels, config.calibration_bins, resampler)


def _calibration(
    place: Place, probabilities: Floats, labels: NDArray[np.int64], bins: int, resampler: Resampler
) -> Iterator[Number]:
    of_top = top_label_bins(*top_label(probabilities, labels), bins)
    of_mass, of_classes = adaptive_bins(probabilities, labels, bins), classwise_bins(probabilities, labels, bins)
    expected, adaptive, classwise = (Calibration.of(one, resampler) for one in (of_top, of_mass, of_classes))
    maximum, paper = (
        without_interval(
            place.number(error.__name__, resampler.sample(partial(error, probabilities, labels, m), place.n))
        )
        for error, m in ((maximum_calibration_error, bins), (paper_calibration_error, PAPER_BINS))
    )
    yield expected.number(place, "expected_calibration_error", expected.errors())
    yield maximum
    yield adaptive.number(place, "adaptive_calibration_error", adaptive.errors())
    yield classwise.number(place, "classwise_calibration_error", classwise.errors().map(last_mean))
    yield paper
