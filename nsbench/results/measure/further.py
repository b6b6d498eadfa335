"""Numbers on benchmarks beside a data set's own: plain test sets, and further sets of corruptions."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics import classification
from nsbench.metrics.classification import weighted_mean
from nsbench.metrics.top_label import top_label, top_label_bins
from nsbench.predictions.store import further_cell, test_set_cell
from nsbench.protocols.protocol import Protocol
from nsbench.results.measure.calibrated import Calibration
from nsbench.results.measure.cells import Cells, calibration_of
from nsbench.results.measure.numbers import Number, Place, Resampler
from nsbench.results.measure.predicted import Predicted


def test_set_numbers(
    model: Predicted, protocol: str, labels: NDArray[np.int64], config: EvaluationConfig, resampler: Resampler
) -> Iterator[Number]:
    """Error, likelihood, Brier score and calibration error on a plain test set such as CIFAR-10.1.

    Args:
        model: its predictions, with logits (N, K) in the cell of the test set.
        protocol: its name.
        labels: (N,) the true classes.
        config: what was measured.
        resampler: resampler of the images.

    Raises:
        UserError: predictions are missing, or are not as many as the labels.
    """
    cell = test_set_cell(protocol)
    logits = model.test_set(protocol, labels)
    place = Place("test_set", len(labels), model.image_identity(cell), protocol)
    for metric in (classification.top1_error, classification.negative_log_likelihood, classification.brier_score):
        found = resampler.sample(partial(metric, logits, labels), place.n)
        if metric is classification.top1_error:
            yield place.share("top1_error", found, np.asarray(logits.argmax(1) != labels))
        else:
            yield place.number(metric.__name__, found)
    if config.calibration:
        binned = top_label_bins(*top_label(classification.softmax(logits), labels), config.calibration_bins)
        calibration = Calibration.of(binned, resampler)
        yield calibration.number(place, "expected_calibration_error", calibration.errors())


def further_numbers(
    model: Predicted,
    protocol: Protocol,
    measured: Sequence[str],
    config: EvaluationConfig,
    resampler: Resampler,
) -> Iterator[Number]:
    """Errors and calibration errors of a further set of corruptions: cells, members, mean over those that count.

    Args:
        model: its predictions, with predicted classes and confidences (N,) of the first N test images in each cell.
        protocol: the benchmark.
        measured: its members that were measured, at all severities.
        config: what was measured.
        resampler: resampler of the images.

    Raises:
        UserError: predictions are missing or damaged.
    """
    names = tuple(name for name in (*protocol.counted, *protocol.shown) if name in measured)
    if not names:
        return
    files = [[further_cell(protocol.name, name, one) for one in protocol.severities] for name in names]
    predicted, confidence = model.answers(files)
    n = predicted.shape[-1]
    wrong = predicted != model.labels[:n]
    cells = Cells(
        protocol=protocol.name,
        names=names,
        severities=protocol.severities,
        wrong=wrong,
        identities={name: [model.image_identity(one) for one in row] for name, row in zip(names, files, strict=True)},
        errors=resampler.sample(partial(weighted_mean, wrong), n),
        calibration=calibration_of(confidence, wrong, config, resampler),
    )
    yield from cells.numbers()
    clean = resampler.sample(partial(weighted_mean, model.wrong[:n]), n)
    yield cells.place(names).share("clean_error", clean, model.wrong[:n])
    counted = [name for name in names if name in protocol.counted]
    if counted:
        yield from cells.averaged(cells.place(counted), [names.index(name) for name in counted])
