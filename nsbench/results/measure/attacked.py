"""Numbers under attack; an image that is wrong when clean stays wrong."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics.classification import weighted_mean
from nsbench.predictions.kinds import Arrays
from nsbench.protocols.attacks import sweep_names
from nsbench.results.measure.numbers import Number, Place, Resampler
from nsbench.results.measure.predicted import Predicted

FGSM = sweep_names()


def attacks_of(config: EvaluationConfig) -> dict[str, tuple[float, ...]]:
    """The attacks that a configuration asks for, each with its strengths."""
    fgsm = FGSM[: 1 + config.paper_fgsm] if config.fgsm_epsilons else ()
    return dict.fromkeys(fgsm, config.fgsm_epsilons) | dict.fromkeys(config.attacks, config.attack_epsilons)


def attack_numbers(model: Predicted, config: EvaluationConfig, resampler: Resampler) -> Iterator[Number]:
    """Error under every attack at every strength, and the share of images whose FGSM gradient is zero."""
    for attack, epsilons in attacks_of(config).items():
        found = model.load(attack)
        # Other steps or restarts make another attack, which is not compared image by image with this one.
        effort = "" if attack in FGSM else f" {config.attack_steps} steps {config.attack_restarts} restarts"
        identity = model.image_identity(attack, "clean") + effort
        if attack == "fgsm":
            zero = found["zero_gradient"]
            share = resampler.sample(partial(weighted_mean, zero), len(zero))
            yield Place("attack", len(zero), identity, member=attack).share("zero_gradients", share)
        wrong = errors_under(model, found)
        errors = resampler.sample(partial(weighted_mean, wrong), wrong.shape[1])
        for row, epsilon in enumerate(epsilons):
            place = Place("attack", wrong.shape[1], identity, member=attack, strength=epsilon)
            yield place.share("top1_error", errors.at(row), wrong[row])


def errors_under(model: Predicted, found: Arrays) -> NDArray[np.bool_]:
    """(E, N) whether each image is wrong at each strength, or was already when clean."""
    n = found["logits"].shape[1]
    return np.asarray(model.wrong[:n] | (found["logits"].argmax(-1) != model.labels[:n]))
