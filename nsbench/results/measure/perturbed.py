"""Numbers on perturbation sequences, alone and relative to a baseline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics import paper, perturbation
from nsbench.metrics.classification import weighted_mean
from nsbench.predictions.store import perturbation_cell
from nsbench.results.measure.numbers import Number, Place, Resampler, Sampled
from nsbench.results.measure.predicted import Predicted
from nsbench.results.measure.ratios import Ratios, error_ratios

IMAGENET = perturbation.IMAGENET_SET.counted
ALL_TWENTY = paper.PAPER_PERTURBATIONS.counted


@dataclass(frozen=True)
class Flips:
    """Flip probabilities (P,) of a model."""

    steps: Sampled
    """As the benchmark counts them: against the frame before, for noise against the first."""
    first: Sampled
    """As the report counts them: against the first frame."""
    n: int


def flips_of(model: Predicted, config: EvaluationConfig, resampler: Resampler) -> Flips:
    """Flip probabilities of every perturbation that was measured."""
    found = model.perturbed(config.perturbations)
    n = len(next(iter(found.values())))
    return Flips(
        steps=resampler.sample(partial(perturbation.flip_probabilities, found), n),
        first=resampler.sample(partial(paper.paper_flip_probabilities, found), n),
        n=n,
    )


def perturbation_numbers(
    model: Predicted, base: Flips | None, config: EvaluationConfig, resampler: Resampler, protocol: str
) -> Iterator[Number]:
    """Flip probabilities and, with a baseline, rates; and their means over the perturbations that count.

    Args:
        model: its predictions.
        base: flips of the baseline, or None.
        config: what was measured.
        resampler: resampler of the sequences.
        protocol: the benchmark's name.
    """
    names, own = config.perturbations, flips_of(model, config, resampler)
    place_of = partial(_place, model, own.n, protocol)
    rates = _rates(own.steps, base.steps) if base is not None else None
    for row, name in enumerate(names):
        place = place_of([name], member=name)
        yield place.mean("flip_probability", own.steps.at(row))
        yield place.mean("paper_flip_probability", own.first.at(row))
        if rates is not None:
            yield rates.number(place, "flip_rate", row)
    clean = resampler.sample(partial(weighted_mean, model.wrong[: own.n]), own.n)
    yield place_of(names).share("clean_error", clean, model.wrong[: own.n])
    declared = perturbation.perturbation_set(names)
    if declared.counted:
        rows = [names.index(name) for name in declared.counted]
        place = place_of(declared.counted)
        mean = partial(perturbation.mean_flip_probability, names=declared.counted, declared=declared)
        yield place.mean("mean_flip_probability", own.steps.at(rows).map(mean))
        if rates is not None:
            mean = partial(perturbation.mean_flip_rate, names=declared.counted, declared=declared)
            yield rates.mean(place, "mean_flip_rate", mean, rows)
    if set(IMAGENET) <= set(names):
        yield from _imagenet(place_of(IMAGENET), names, own.steps, rates)
    if set(ALL_TWENTY) <= set(names):
        place = place_of(ALL_TWENTY)
        twenty = [name for name in names if name in ALL_TWENTY]
        rows = [names.index(name) for name in twenty]
        mean = partial(paper.paper_mean_flip_probability, names=twenty)
        taken = own.first.map(partial(np.take, indices=rows, axis=-1))
        yield place.mean("paper_mean_flip_probability", taken.map(mean))
        if base is not None:
            mean = partial(paper.paper_mean_flip_rate, names=twenty)
            firsts = _rates(own.first, base.first)
            yield firsts.mean(place, "paper_mean_flip_rate", mean, rows)


def _imagenet(place: Place, names: tuple[str, ...], steps: Sampled, rates: Ratios | None) -> Iterator[Number]:
    rows = [names.index(name) for name in IMAGENET]
    mean = partial(perturbation.imagenet_mean_flip_probability, names=IMAGENET)
    yield place.mean("imagenet_mean_flip_probability", steps.at(rows).map(mean))
    if rates is not None:
        mean = partial(perturbation.imagenet_mean_flip_rate, names=IMAGENET)
        yield rates.mean(place, "imagenet_mean_flip_rate", mean, rows)


def _rates(own: Sampled, base: Sampled) -> Ratios:
    return error_ratios(own.map(perturbation.flip_rate, base), own, base)


def _place(model: Predicted, n: int, protocol: str, names: Sequence[str], member: str = "") -> Place:
    identity = model.image_identity(*(perturbation_cell(name) for name in names))
    return Place("perturbation", n, identity, protocol, member)
