"""Stored predictions turned into measurements, each with its interval and its baseline."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nsbench.checkpoints.record import CheckpointName
from nsbench.metrics import calibration, classification, corruption, perturbation
from nsbench.metrics.uncertainty import mcnemar_p_value
from nsbench.predictions.store import Arrays
from nsbench.results.record import Measurement
from nsbench.results.resampling import Estimate, Resampler, estimate

Floats = NDArray[np.float64]
PAPER_BINS = 10
ILL_CONDITIONED = "the baseline's error hardly rises {where}, so this ratio is unstable"
NO_INTERVAL = "it has no interval, because its denominator is zero on some resamples"


@dataclass(frozen=True)
class Author:
    """Makes the measurements of one checkpoint, relative to a baseline where one is named."""

    name: CheckpointName
    n: int
    baseline: CheckpointName | None = None

    def write(
        self, benchmark: str, metric: str, found: Estimate, *, relative: bool = False, note: str | None = None
    ) -> Measurement:
        """One measurement; a ratio without an interval says why."""
        if relative and found.low is None and metric != "mcnemar_p_value":
            note = f"{note}; {NO_INTERVAL}" if note else NO_INTERVAL
        return Measurement(
            study=self.name.study,
            generation=self.name.generation,
            network=self.name.network,
            seed=self.name.seed,
            benchmark=benchmark,
            metric=metric,
            value=found.value,
            ci_low=found.low,
            ci_high=found.high,
            n=self.n,
            baseline=str(self.baseline) if relative and self.baseline else None,
            note=note,
        )


def clean(
    author: Author, logits: NDArray[np.float32], labels: NDArray[np.int64], resampler: Resampler, bins: int
) -> Iterator[Measurement]:
    """Error, likelihood and calibration on clean images."""
    for metric in (
        classification.top1_error,
        classification.top5_error,
        classification.negative_log_likelihood,
        classification.brier_score,
    ):
        if metric is not classification.top5_error or logits.shape[1] >= 5:
            found = resampler.estimate(partial(metric, logits, labels), author.n)
            yield author.write("clean", metric.__name__, found)
    probabilities = classification.softmax(logits)
    for error, m in (
        (calibration.expected_calibration_error, bins),
        (calibration.maximum_calibration_error, bins),
        (calibration.paper_calibration_error, PAPER_BINS),
    ):
        found = resampler.estimate(partial(error, probabilities, labels, m), author.n)
        yield author.write("clean", error.__name__, found)


def difference(
    author: Author, wrong: NDArray[np.bool_], other: NDArray[np.bool_], resampler: Resampler
) -> Iterator[Measurement]:
    """Top-1 error minus the baseline's on the same images, and the exact paired p-value."""
    gap = wrong.astype(np.float64) - other
    found = resampler.estimate(partial(classification.weighted_mean, gap), author.n)
    yield author.write("clean", "top1_error_difference", found, relative=True)
    p_value = mcnemar_p_value(wrong, other)
    yield author.write("clean", "mcnemar_p_value", Estimate(p_value, None, None), relative=True)


def fgsm(
    author: Author,
    arrays: Arrays,
    clean_wrong: NDArray[np.bool_],
    labels: NDArray[np.int64],
    epsilons: tuple[float, ...],
    resampler: Resampler,
) -> Iterator[Measurement]:
    """Error under FGSM for each eps; an image that is wrong when clean stays wrong."""
    zero = arrays["zero_gradient"].astype(np.float64)
    stuck = resampler.estimate(partial(classification.weighted_mean, zero), author.n)
    yield author.write("fgsm", "zero_gradients", stuck)
    for epsilon, logits in zip(epsilons, arrays["logits"], strict=True):
        wrong = clean_wrong | (logits.argmax(1) != labels)
        found = resampler.estimate(partial(classification.weighted_mean, wrong), author.n)
        yield author.write(f"fgsm/{epsilon:g}", "top1_error", found)


@dataclass(frozen=True)
class CorruptionOutcome:
    """Errors of one checkpoint: point values, and the same on each resample as a leading axis."""

    errors: Floats
    clean: float
    error_samples: Floats
    clean_samples: Floats


def corruption_outcome(
    predicted: NDArray[np.uint8], clean_wrong: NDArray[np.bool_], labels: NDArray[np.int64], resampler: Resampler
) -> CorruptionOutcome:
    """Errors per corruption and severity of predicted classes (C, 5, N), and of the same images when clean."""
    weights = resampler.weights(len(labels))
    return CorruptionOutcome(
        errors=corruption.cell_errors(predicted, labels),
        clean=float(classification.weighted_mean(clean_wrong)),
        error_samples=corruption.cell_errors(predicted, labels, weights),
        clean_samples=np.asarray(classification.weighted_mean(clean_wrong, weights)),
    )


def corruptions(
    author: Author, own: CorruptionOutcome, base: CorruptionOutcome, names: tuple[str, ...]
) -> Iterator[Measurement]:
    """Errors per cell and per corruption, and the means over the corruptions that count."""
    declared = corruption.corruption_set(names)
    flagged = corruption.small_denominators(base.errors, base.clean, names)
    ratios = corruption.corruption_error(own.errors, base.errors)
    ratio_samples = corruption.corruption_error(own.error_samples, base.error_samples)
    relative = corruption.relative_corruption_error(own.errors, own.clean, base.errors, base.clean)
    relative_samples = corruption.relative_corruption_error(
        own.error_samples, own.clean_samples, base.error_samples, base.clean_samples
    )
    for row, name in enumerate(names):
        for column, severity in enumerate(corruption.SEVERITIES):
            cell = estimate(own.errors[row, column], own.error_samples[:, row, column])
            yield author.write(f"corruption/{name}/{severity}", "top1_error", cell)
        where = f"corruption/{name}"
        note = ILL_CONDITIONED.format(where="here") if name in flagged else None
        plain = estimate(own.errors[row].mean(), own.error_samples[:, row].mean(-1))
        yield author.write(where, "mean_error", plain)
        yield author.write(where, "corruption_error", estimate(ratios[row], ratio_samples[:, row]), relative=True)
        rise = estimate(relative[row], relative_samples[:, row])
        yield author.write(where, "relative_corruption_error", rise, relative=True, note=note)
    if not declared.counted:
        return
    rows = [names.index(name) for name in declared.counted]
    counted = declared.counted
    shaky = [name for name in counted if name in flagged]
    plain = estimate(
        corruption.mean_error(own.errors[rows], counted, declared),
        corruption.mean_error(own.error_samples[:, rows], counted, declared),
    )
    yield author.write("corruption", "mean_error", plain)
    mean = estimate(
        corruption.mean_corruption_error(ratios[rows], counted, declared),
        corruption.mean_corruption_error(ratio_samples[:, rows], counted, declared),
    )
    yield author.write("corruption", "mean_corruption_error", mean, relative=True)
    rise = estimate(
        corruption.relative_mean_corruption_error(relative[rows], counted, declared),
        corruption.relative_mean_corruption_error(relative_samples[:, rows], counted, declared),
    )
    note = ILL_CONDITIONED.format(where="on " + ", ".join(shaky)) if shaky else None
    yield author.write("corruption", "relative_mean_corruption_error", rise, relative=True, note=note)


def perturbations(
    author: Author, own: Arrays, base: Arrays, names: tuple[str, ...], resampler: Resampler
) -> Iterator[Measurement]:
    """Flip probabilities and rates, and their means over the perturbations that count."""
    declared = perturbation.perturbation_set(names)
    flips, samples = _flips(own, names, resampler)
    base_flips, base_samples = _flips(base, names, resampler)
    rates = perturbation.flip_rate(flips, base_flips)
    rate_samples = perturbation.flip_rate(samples, base_samples)
    for row, name in enumerate(names):
        where = f"perturbation/{name}"
        yield author.write(where, "flip_probability", estimate(flips[row], samples[:, row]))
        yield author.write(where, "flip_rate", estimate(rates[row], rate_samples[:, row]), relative=True)
    if not declared.counted:
        return
    rows = [names.index(name) for name in declared.counted]
    mean = estimate(
        perturbation.mean_flip_probability(flips[rows], declared.counted, declared),
        perturbation.mean_flip_probability(samples[:, rows], declared.counted, declared),
    )
    yield author.write("perturbation", "mean_flip_probability", mean)
    rate = estimate(
        perturbation.mean_flip_rate(rates[rows], declared.counted, declared),
        perturbation.mean_flip_rate(rate_samples[:, rows], declared.counted, declared),
    )
    yield author.write("perturbation", "mean_flip_rate", rate, relative=True)


def _flips(arrays: Arrays, names: tuple[str, ...], resampler: Resampler) -> tuple[Floats, Floats]:
    """(P,) flip probabilities and (B, P) on the resamples."""
    values, samples = [], []
    for name in names:
        noise = name in perturbation.NOISE_PERTURBATIONS
        values.append(perturbation.flip_probability(arrays[name], noise))
        weights = resampler.weights(len(arrays[name]))
        samples.append(perturbation.flip_probability(arrays[name], noise, weights))
    return np.asarray(values), np.stack([np.asarray(sample) for sample in samples], -1)
