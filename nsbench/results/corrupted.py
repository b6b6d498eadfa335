"""Numbers on corrupted images, alone and relative to a baseline."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics import corruption
from nsbench.metrics.classification import weighted_mean
from nsbench.metrics.paper import (
    PAPER_CORRUPTIONS,
    paper_mean_corruption_error,
    paper_mean_error,
    paper_relative_mean_corruption_error,
)
from nsbench.metrics.top_label import top_label_bins
from nsbench.predictions.store import corruption_cell
from nsbench.results.calibrated import Calibration
from nsbench.results.numbers import Number, Place, Resampler, Sampled, last_mean
from nsbench.results.predicted import Predicted

ILL_CONDITIONED = "the baseline's error hardly rises {where}, so this ratio is unstable"


@dataclass(frozen=True)
class CorruptionErrors:
    """What the ratios of another model need of a baseline."""

    cells: Sampled
    """(C, 5) errors."""
    clean: Sampled
    """The error on the same images when clean."""

    def shaky(self, names: tuple[str, ...]) -> list[str]:
        """Corruptions on which a baseline's error hardly rises."""
        return list(corruption.small_denominators(self.cells.value, float(self.clean.value), names))


def corruption_errors(model: Predicted, config: EvaluationConfig, resampler: Resampler) -> CorruptionErrors:
    """Errors of a baseline."""
    return _errors(model, model.corrupted(config.corruptions)[0], resampler)


def corruption_numbers(
    model: Predicted, base: CorruptionErrors | None, config: EvaluationConfig, resampler: Resampler
) -> Iterator[Number]:
    """Errors and calibration per cell and per corruption, and their means over the corruptions that count."""
    names = config.corruptions
    predicted, confidence = model.corrupted(names)
    own = _errors(model, predicted, resampler)
    n = predicted.shape[-1]
    wrong = predicted != model.labels[:n]
    calibration = _calibration(confidence, wrong, config, resampler)
    images = _identities(model, names)
    for row, name in enumerate(names):
        for column, severity in enumerate(corruption.SEVERITIES):
            cell = corruption_cell(name, severity)
            place = Place(f"corruption/{name}/{severity}", n, model.images(cell))
            yield place.number("top1_error", own.cells.at(row, column), wrong=wrong[row, column])
            if calibration is not None:
                found = calibration.at(row, column)
                yield found.number(place, "expected_calibration_error", found.errors())
        place = Place(f"corruption/{name}", n, images[name])
        yield place.number("mean_error", own.cells.at(row).map(last_mean))
        if calibration is not None:
            found = calibration.at(row)
            yield found.number(place, "mean_expected_calibration_error", found.errors().map(last_mean))
    place = Place("corruption", n, " ".join(images.values()))
    yield place.number("clean_error", own.clean, wrong=model.wrong[:n])
    yield from _means(names, own, calibration, images, n)
    if base is not None:
        yield from _ratios(names, own, base, images, n)


def _errors(model: Predicted, predicted: NDArray[np.uint8], resampler: Resampler) -> CorruptionErrors:
    n = predicted.shape[-1]
    return CorruptionErrors(
        cells=resampler.sample(partial(corruption.cell_errors, predicted, model.labels[:n]), n),
        clean=resampler.sample(partial(weighted_mean, model.wrong[:n]), n),
    )


def _calibration(
    confidence: NDArray[np.float32], wrong: NDArray[np.bool_], config: EvaluationConfig, resampler: Resampler
) -> Calibration | None:
    if not config.calibration:
        return None
    return Calibration.of(top_label_bins(confidence, ~wrong, config.calibration_bins), resampler)


def _identities(model: Predicted, names: tuple[str, ...]) -> dict[str, str]:
    return {name: model.images(*(corruption_cell(name, one) for one in corruption.SEVERITIES)) for name in names}


def _means(
    names: tuple[str, ...], own: CorruptionErrors, calibration: Calibration | None, images: dict[str, str], n: int
) -> Iterator[Number]:
    declared = corruption.corruption_set(names)
    rows, counted = [names.index(name) for name in declared.counted], declared.counted
    if counted:
        place = Place("corruption", n, " ".join(images[name] for name in counted))
        error = partial(corruption.mean_error, names=counted, declared=declared)
        yield place.number("mean_error", own.cells.at(rows).map(error))
        if calibration is not None:
            gap = partial(corruption.mean_expected_calibration_error, names=counted, declared=declared)
            found = calibration.at(rows)
            yield found.number(place, "mean_expected_calibration_error", found.errors().map(gap))
    if _all_nineteen(names):
        place = Place("corruption", n, " ".join(images[name] for name in PAPER_CORRUPTIONS.counted))
        yield place.number("paper_mean_error", own.cells.map(partial(paper_mean_error, names=names)))


def _ratios(
    names: tuple[str, ...], own: CorruptionErrors, base: CorruptionErrors, images: dict[str, str], n: int
) -> Iterator[Number]:
    """Corruption errors, per corruption and averaged."""
    declared, shaky = corruption.corruption_set(names), base.shaky(names)
    ratios = own.cells.map(corruption.corruption_error, base.cells)
    rises = own.cells.map(corruption.relative_corruption_error, own.clean, base.cells, base.clean)
    for row, name in enumerate(names):
        place = Place(f"corruption/{name}", n, images[name])
        note = ILL_CONDITIONED.format(where="here") if name in shaky else None
        yield place.number("corruption_error", ratios.at(row), relative=True)
        yield place.number("relative_corruption_error", rises.at(row), relative=True, note=note)
    rows, counted = [names.index(name) for name in declared.counted], declared.counted
    if counted:
        place = Place("corruption", n, " ".join(images[name] for name in counted))
        mean = partial(corruption.mean_corruption_error, names=counted, declared=declared)
        yield place.number("mean_corruption_error", ratios.at(rows).map(mean), relative=True)
        rise = partial(corruption.relative_mean_corruption_error, names=counted, declared=declared)
        note = _caution([name for name in counted if name in shaky])
        yield place.number("relative_mean_corruption_error", rises.at(rows).map(rise), relative=True, note=note)
    if _all_nineteen(names):
        place = Place("corruption", n, " ".join(images[name] for name in PAPER_CORRUPTIONS.counted))
        paper = partial(paper_mean_corruption_error, names=names)
        yield place.number("paper_mean_corruption_error", ratios.map(paper), relative=True)
        paper = partial(paper_relative_mean_corruption_error, names=names)
        found = rises.map(paper)
        yield place.number("paper_relative_mean_corruption_error", found, relative=True, note=_caution(shaky))


def _caution(shaky: list[str]) -> str | None:
    return ILL_CONDITIONED.format(where="on " + ", ".join(shaky)) if shaky else None


def _all_nineteen(names: tuple[str, ...]) -> bool:
    return set(PAPER_CORRUPTIONS.counted) <= set(names)
