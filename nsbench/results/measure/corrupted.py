"""Numbers on corrupted images, alone and relative to a baseline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics import corruption
from nsbench.metrics.classification import Integers, weighted_mean
from nsbench.metrics.paper import (
    PAPER_CORRUPTIONS,
    paper_mean_corruption_error,
    paper_mean_error,
    paper_relative_mean_corruption_error,
)
from nsbench.metrics.pooled import pooled_relative_corruption_error
from nsbench.metrics.top_label import top_label_bins
from nsbench.predictions.store import corruption_cell
from nsbench.protocols.cifar import CIFAR10_C
from nsbench.results.measure.calibrated import Calibration
from nsbench.results.measure.numbers import Number, Place, Resampler, Sampled, last_mean
from nsbench.results.measure.predicted import Predicted
from nsbench.results.measure.ratios import NO_VALUE, error_ratios, rise_ratios

ILL_CONDITIONED = "the baseline's error hardly rises {where}, so this ratio is unstable"


@dataclass(frozen=True)
class CorruptionErrors:
    """What the ratios of another model need of a baseline."""

    cells: Sampled
    """(C, 5) errors."""
    clean: Sampled
    """The error on the same images when clean."""

    @property
    def rises(self) -> Sampled:
        """(C,) sums over severities of the rise over the clean error."""
        return self.cells.map(corruption.rise, self.clean)

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
        for column, severity in enumerate(CIFAR10_C.severities):
            cell = corruption_cell(name, severity)
            place = Place(f"corruption/{name}/{severity}", n, model.images(cell))
            yield place.share("top1_error", own.cells.at(row, column), wrong[row, column])
            if calibration is not None:
                found = calibration.at(row, column)
                yield found.number(place, "expected_calibration_error", found.errors())
        place = Place(f"corruption/{name}", n, images[name])
        yield place.mean("mean_error", own.cells.at(row).map(last_mean))
        if calibration is not None:
            found = calibration.at(row)
            yield found.number(place, "mean_expected_calibration_error", found.errors().map(last_mean))
    place = Place("corruption", n, " ".join(images.values()))
    yield place.share("clean_error", own.clean, model.wrong[:n])
    yield from _means(names, own, calibration, images, n)
    if base is not None:
        yield from _ratios(names, own, base, images, n)


def _errors(model: Predicted, predicted: Integers, resampler: Resampler) -> CorruptionErrors:
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
    return {name: model.images(*(corruption_cell(name, one) for one in CIFAR10_C.severities)) for name in names}


def _means(
    names: tuple[str, ...], own: CorruptionErrors, calibration: Calibration | None, images: dict[str, str], n: int
) -> Iterator[Number]:
    declared = corruption.corruption_set(names)
    rows, counted = [names.index(name) for name in declared.counted], declared.counted
    if counted:
        place = Place("corruption", n, " ".join(images[name] for name in counted))
        error = partial(corruption.mean_error, names=counted, declared=declared)
        yield place.mean("mean_error", own.cells.at(rows).map(error))
        if calibration is not None:
            gap = partial(corruption.mean_expected_calibration_error, names=counted, declared=declared)
            found = calibration.at(rows)
            yield found.number(place, "mean_expected_calibration_error", found.errors().map(gap))
    if nineteen := _nineteen(names):
        place = Place("corruption", n, " ".join(images[name] for name in PAPER_CORRUPTIONS.counted))
        rows = [names.index(name) for name in nineteen]
        taken = own.cells.map(partial(np.take, indices=rows, axis=-2))
        yield place.mean("paper_mean_error", taken.map(partial(paper_mean_error, names=nineteen)))


def _ratios(
    names: tuple[str, ...], own: CorruptionErrors, base: CorruptionErrors, images: dict[str, str], n: int
) -> Iterator[Number]:
    """Corruption errors, per corruption, averaged and pooled."""
    declared, shaky = corruption.corruption_set(names), base.shaky(names)
    found = own.cells.map(corruption.corruption_error, base.cells)
    ratios = error_ratios(found, own.cells.map(_last_sum), base.cells.map(_last_sum))
    found = own.cells.map(corruption.relative_corruption_error, own.clean, base.cells, base.clean)
    rises = rise_ratios(found, own.rises, base.rises)
    unclear = [name for name, value in zip(names, rises.found.value, strict=True) if np.isnan(value)]
    for row, name in enumerate(names):
        place = Place(f"corruption/{name}", n, images[name])
        yield ratios.number(place, "corruption_error", row)
        yield rises.number(place, "relative_corruption_error", row, _caution([name], shaky, unclear, "here"))
    rows, counted = [names.index(name) for name in declared.counted], declared.counted
    if counted:
        place = Place("corruption", n, " ".join(images[name] for name in counted))
        mean = partial(corruption.mean_corruption_error, names=counted, declared=declared)
        yield ratios.mean(place, "mean_corruption_error", mean, rows)
        mean = partial(corruption.relative_mean_corruption_error, names=counted, declared=declared)
        note = _caution(counted, shaky, unclear)
        yield rises.mean(place, "relative_mean_corruption_error", mean, rows, note)
        pool = partial(pooled_relative_corruption_error, names=counted, declared=declared)
        found = own.cells.at(rows).map(pool, own.clean, base.cells.at(rows), base.clean).map(_alone)
        pooled = rise_ratios(found, own.rises.at(rows).map(_pooled), base.rises.at(rows).map(_pooled))
        note = NO_VALUE.format(where="over all corruptions") if np.isnan(pooled.found.value[0]) else None
        yield pooled.number(place, "pooled_relative_corruption_error", 0, note)
    if nineteen := _nineteen(names):
        place = Place("corruption", n, " ".join(images[name] for name in PAPER_CORRUPTIONS.counted))
        rows = [names.index(name) for name in nineteen]
        mean = partial(paper_mean_corruption_error, names=nineteen)
        yield ratios.mean(place, "paper_mean_corruption_error", mean, rows)
        mean = partial(paper_relative_mean_corruption_error, names=nineteen)
        note = _caution(nineteen, shaky, unclear)
        yield rises.mean(place, "paper_relative_mean_corruption_error", mean, rows, note)


def _caution(names: Sequence[str], shaky: list[str], unclear: list[str], where: str = "") -> str | None:
    """Why a relative error, over these corruptions, has no value; or else that it is unstable."""
    for text, which in ((NO_VALUE, unclear), (ILL_CONDITIONED, shaky)):
        if found := [name for name in names if name in which]:
            return text.format(where=where or "on " + ", ".join(found))
    return None


def _nineteen(names: tuple[str, ...]) -> list[str]:
    """The study's nineteen in the order of what was measured; none where one of them was not."""
    found = [name for name in names if name in PAPER_CORRUPTIONS.counted]
    return found if len(found) == len(PAPER_CORRUPTIONS.counted) else []


def _last_sum(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cells.sum(axis=-1))


def _pooled(rises: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rises.sum(axis=-1, keepdims=True))


def _alone(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """A ratio as the only one of an array (..., 1)."""
    return np.asarray(found)[..., None]
