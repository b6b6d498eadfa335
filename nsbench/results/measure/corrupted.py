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
from nsbench.predictions.store import corruption_cell
from nsbench.protocols.cifar import CIFAR10_C
from nsbench.results.measure.cells import Cells, calibration_of
from nsbench.results.measure.numbers import Number, Resampler, Sampled
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
    model: Predicted, base: CorruptionErrors | None, config: EvaluationConfig, resampler: Resampler, protocol: str
) -> Iterator[Number]:
    """Errors and calibration per cell and per corruption, and their means over the corruptions that count.

    Args:
        model: its predictions.
        base: errors of the baseline, or None.
        config: what was measured.
        resampler: resampler of the images.
        protocol: the benchmark's name.
    """
    names = config.corruptions
    predicted, confidence = model.corrupted(names)
    own = _errors(model, predicted, resampler)
    n = predicted.shape[-1]
    cells = Cells(
        protocol=protocol,
        names=names,
        severities=CIFAR10_C.severities,
        wrong=predicted != model.labels[:n],
        identities={name: _identities(model, name) for name in names},
        errors=own.cells,
        calibration=calibration_of(confidence, predicted != model.labels[:n], config, resampler),
    )
    yield from cells.numbers()
    yield cells.place(names).share("clean_error", own.clean, model.wrong[:n])
    yield from _means(cells)
    if base is not None:
        yield from _ratios(cells, own, base)


def _errors(model: Predicted, predicted: Integers, resampler: Resampler) -> CorruptionErrors:
    n = predicted.shape[-1]
    return CorruptionErrors(
        cells=resampler.sample(partial(corruption.cell_errors, predicted, model.labels[:n]), n),
        clean=resampler.sample(partial(weighted_mean, model.wrong[:n]), n),
    )


def _identities(model: Predicted, name: str) -> list[str]:
    return [model.image_identity(corruption_cell(name, one)) for one in CIFAR10_C.severities]


def _means(cells: Cells) -> Iterator[Number]:
    names, declared = cells.names, corruption.corruption_set(cells.names)
    rows, counted = [names.index(name) for name in declared.counted], declared.counted
    if counted:
        place = cells.place(counted)
        error = partial(corruption.mean_error, names=counted, declared=declared)
        yield place.mean("mean_error", cells.errors.at(rows).map(error))
        if cells.calibration is not None:
            gap = partial(corruption.mean_expected_calibration_error, names=counted, declared=declared)
            found = cells.calibration.at(rows)
            yield found.number(place, "mean_expected_calibration_error", found.errors().map(gap))
    if nineteen := _nineteen(names):
        place = cells.place(PAPER_CORRUPTIONS.counted)
        rows = [names.index(name) for name in nineteen]
        taken = cells.errors.map(partial(np.take, indices=rows, axis=-2))
        yield place.mean("paper_mean_error", taken.map(partial(paper_mean_error, names=nineteen)))


def _ratios(cells: Cells, own: CorruptionErrors, base: CorruptionErrors) -> Iterator[Number]:
    """Corruption errors, per corruption, averaged and pooled."""
    names = cells.names
    declared, shaky = corruption.corruption_set(names), base.shaky(names)
    found = own.cells.map(corruption.corruption_error, base.cells)
    ratios = error_ratios(found, own.cells.map(_last_sum), base.cells.map(_last_sum))
    found = own.cells.map(corruption.relative_corruption_error, own.clean, base.cells, base.clean)
    rises = rise_ratios(found, own.rises, base.rises)
    unclear = [name for name, value in zip(names, rises.found.value, strict=True) if np.isnan(value)]
    for row, name in enumerate(names):
        place = cells.place([name], member=name)
        yield ratios.number(place, "corruption_error", row)
        yield rises.number(place, "relative_corruption_error", row, _caution([name], shaky, unclear, "here"))
    rows, counted = [names.index(name) for name in declared.counted], declared.counted
    if counted:
        place = cells.place(counted)
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
        place = cells.place(PAPER_CORRUPTIONS.counted)
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
