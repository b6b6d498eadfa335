"""Intervals on every number of many models from stored predictions, against a plain loop over resamples.

Synthetic models as sure as they are right have predictions for everything: the clean images and held-out ones, eleven
FGSM and three PGD strengths, nineteen corruptions at five severities with confidences, ten perturbations. All of them
are measured as `nsbench evaluate` does it. One model's clean error, clean ECE and corrupted errors are also measured by
a loop that draws the images of each resample and calls the metrics on them; both must agree, on the same resamples, to
single precision before anything is timed.
"""

import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import interleave, parser, positive, ratios, report, spread, table, use_threads
from numpy.typing import NDArray

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics.calibration import expected_calibration_error
from nsbench.metrics.classification import softmax
from nsbench.metrics.corruption import cell_errors
from nsbench.predictions.store import Stored, corruption_cell, perturbation_cell, save_labels
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P
from nsbench.results.measure.everything import Measurer, measurement
from nsbench.results.measure.numbers import Resampler
from nsbench.results.measure.predicted import Predicted
from nsbench.results.measured import Measurement

CLASSES = 10
Array = NDArray[Any]


def options_from(arguments: Sequence[str] | None = None) -> Namespace:
    """The command line."""
    made = parser(__doc__, rounds=3)
    made.add_argument("--models", type=positive, default=40, help="models (default %(default)s)")
    made.add_argument("--images", type=positive, default=10_000, help="test images (default %(default)s)")
    made.add_argument("--resamples", type=positive, default=1000, help="resamples (default %(default)s)")
    return made.parse_args(arguments)


def settings(options: Namespace) -> EvaluationConfig:
    """Everything measured but the stronger attacks other than PGD."""
    return EvaluationConfig(attacks=("pgd",), strong_attack_images=0, bootstrap_resamples=max(100, options.resamples))


def logits_of(labels: Array, confidence: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Logits whose largest is the label's more often the larger `confidence` is."""
    logits = random.normal(0, 1, (len(labels), CLASSES))
    logits[np.arange(len(labels)), labels] += confidence
    return (1.5 * logits).astype(np.float32)


def write_model(run: Path, name: str, labels: Array, held_out: Array, config: EvaluationConfig, seed: int) -> None:
    """Every cell of one model."""
    random = np.random.default_rng(seed)
    save = partial(Stored(run, name).save, fingerprint="synthetic")
    save("clean", {"logits": logits_of(labels, 4, random)}, image_identity="clean")
    save("held-out", {"logits": logits_of(held_out, 4, random)}, image_identity="held-out")
    for attack, epsilons in (("fgsm", config.fgsm_epsilons), ("pgd", config.attack_epsilons)):
        arrays = {"logits": np.stack([logits_of(labels, 4 - 40 * epsilon, random) for epsilon in epsilons])}
        save(attack, arrays | {"zero_gradient": random.random(len(labels)) < 0.01}, image_identity="clean")
    for corruption in config.corruptions:
        for severity in CIFAR10_C.severities:
            probabilities = softmax(logits_of(labels, 4 - severity / 2, random))
            arrays = {
                "predicted": probabilities.argmax(1).astype(np.uint8),
                "confidence": probabilities.max(1).astype(np.float32),
            }
            cell = corruption_cell(corruption, severity)
            save(cell, arrays, image_identity=cell)
    for moving in config.perturbations:
        steps = random.random((len(labels), CIFAR10_P.member(moving).frames)) < 0.05
        save(
            perturbation_cell(moving),
            {"predicted": (steps.cumsum(1) % CLASSES).astype(np.uint8)},
            image_identity=moving,
        )


def measured(run: Path, names: Sequence[str], config: EvaluationConfig) -> list[Measurement]:
    """Every number of all models, with its interval."""
    measurer = Measurer(run, config, Resampler(config.bootstrap_resamples, seed=0), names[0], "cifar10", CLASSES)
    return [
        measurement(number, name, names[0]) for name in names for number in measurer.numbers(measurer.predicted(name))
    ]


def some_at_once(model: Predicted, config: EvaluationConfig, weights: Array) -> Array:
    """(B, 97) the clean error, the clean ECE and 95 corrupted errors, by products with the weights."""
    predicted, _ = model.corrupted(config.corruptions)
    cells = cell_errors(predicted, model.labels, weights).reshape(len(weights), -1)
    clean = weights @ model.wrong.astype(np.float32) / len(model.labels)
    ece = expected_calibration_error(softmax(model.clean), model.labels, 15, weights)
    return np.column_stack([clean, ece, cells])


def some_in_a_loop(model: Predicted, config: EvaluationConfig, weights: Array) -> Array:
    """The same, one resample after the other."""
    predicted, _ = model.corrupted(config.corruptions)
    probabilities, rows = softmax(model.clean), []
    for row in weights:
        drawn = np.repeat(np.arange(len(row)), row.astype(np.int64))
        labels = model.labels[drawn]
        ece = expected_calibration_error(probabilities[drawn], labels)
        rows.append([model.wrong[drawn].mean(), ece, *cell_errors(predicted[..., drawn], labels).ravel()])
    return np.array(rows)


def seconds(work: Any) -> float:
    """Seconds for one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    options = options_from()
    use_threads(options)
    config, names = settings(options), [f"model{number}" for number in range(options.models)]
    with tempfile.TemporaryDirectory(prefix="bootstrap-") as folder:
        run, random = Path(folder), np.random.default_rng(0)
        labels, held_out = random.integers(CLASSES, size=options.images), random.integers(CLASSES, size=5000)
        save_labels(run, labels, held_out)
        for seed, name in enumerate(names):
            write_model(run, name, labels, held_out, config, seed)
        model = Predicted(run, names[0], labels, held_out, config, CLASSES)
        weights = Resampler(config.bootstrap_resamples, seed=0).weights(options.images)
        apart = np.abs(some_at_once(model, config, weights) - some_in_a_loop(model, config, weights)).max()
        assert apart < 1e-5, f"the two sides differ by {apart}"
        count = len(measured(run, names[:1], config)) * len(names)
        sides = {
            "all": lambda: seconds(partial(measured, run, names, config)),
            "at once": lambda: seconds(partial(some_at_once, model, config, weights)),
            "loop": lambda: seconds(partial(some_in_a_loop, model, config, weights)),
        }
        readings = interleave(sides, options.rounds)
    rows = [
        [f"every number of {len(names)} models ({count:,})", spread(readings["all"], ".2f"), ""],
        ["97 numbers of one model, at once", spread(readings["at once"], ".2f"), ""],
        [
            "the same, a loop over resamples",
            spread(readings["loop"], ".2f"),
            spread(ratios(readings, "loop", "at once"), ".0f"),
        ],
    ]
    title = f"{config.bootstrap_resamples:,} resamples of {options.images:,} images (largest difference {apart:.0e})"
    report(options, {title: table(["", "seconds", "times as long"], rows)}, readings)


if __name__ == "__main__":
    main()
