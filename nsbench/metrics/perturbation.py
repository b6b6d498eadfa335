"""Flip probabilities and rates on sequences of perturbed frames: Hendrycks & Dietterich 2019, arXiv:1903.12261.

No labels are needed, and a constant model scores 0: print these numbers beside the accuracy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nsbench.metrics.classification import Floats, Integers, Value, ratio, weighted_mean
from nsbench.metrics.declared import DeclaredSet, declared_mean
from nsbench.protocols.cifar import CIFAR10_P, IMAGENET
from nsbench.protocols.protocol import Protocol


@dataclass(frozen=True)
class PerturbationSet(DeclaredSet):
    """The perturbations that a mean stands for."""


def perturbation_set(names: Sequence[str], protocol: Protocol = CIFAR10_P) -> PerturbationSet:
    """Declare which of the measured perturbations count.

    Args:
        names: names of the perturbations measured.
        protocol: the benchmark that they belong to.

    Raises:
        ValueError: a name is unknown or comes twice.

    >>> declared = perturbation_set(["snow", "tilt"])
    >>> declared.counted, declared.shown, len(declared.missing), declared.complete
    (('tilt',), ('snow',), 9, False)
    """
    return PerturbationSet.divide(names, protocol.counted, protocol.shown)


IMAGENET_SET = PerturbationSet.exactly(CIFAR10_P.mean(IMAGENET))
"""The paper's own ten, those of ImageNet-P."""


def flip_probability(predicted: Integers, noise: bool, weights: Floats | None = None) -> Value:
    """Share of frames 2..T predicted unlike the frame before or, for noise, unlike the first, in [0, 1].

    FP_p of the paper, averaged over frames and sequences.

    Args:
        predicted: predicted classes, shape (Q, T): Q sequences of T frames, T at least 2.
        noise: whether frames are independent draws and not steps in time.
        weights: shape (..., Q).

    Returns:
        Shape (...).

    Raises:
        ValueError: the shape is another, or there are fewer than two frames.

    >>> sequence = np.array([[3, 5, 5, 3]])
    >>> flip_probability(sequence, noise=False), flip_probability(sequence, noise=True)
    (0.6666666666666666, 0.6666666666666666)
    >>> flip_probability(np.array([[3, 5, 5, 5, 5]]), noise=False)
    0.25
    """
    if predicted.ndim != 2 or predicted.shape[1] < 2:
        raise ValueError(f"predicted must be (Q, T) with at least two frames, but it is {predicted.shape}")
    reference = predicted[:, :1] if noise else predicted[:, :-1]
    return weighted_mean((predicted[:, 1:] != reference).mean(axis=1), weights)


def flip_probabilities(
    predicted: Mapping[str, Integers], weights: Floats | None = None, protocol: Protocol = CIFAR10_P
) -> NDArray[np.float64]:
    """`flip_probability` of each perturbation by its name, over whole sequences only.

    Args:
        predicted: by perturbation, predicted classes (Q, T): the same Q sequences of all T frames.
        weights: shape (..., Q); one resample of the sequences serves all perturbations.
        protocol: the benchmark that the perturbations belong to.

    Returns:
        Shape (..., P), in the order of the mapping.

    Raises:
        ValueError: a name is unknown, or a perturbation has too few or too many frames or sequences.

    >>> constant = {"translate": np.zeros((3, 16), np.uint8), "tilt": np.zeros((3, 31), np.uint8)}
    >>> flip_probabilities(constant)
    array([0., 0.])
    """
    check_sequences(predicted, protocol)
    flips = [flip_probability(found, protocol.member(name).independent, weights) for name, found in predicted.items()]
    return np.stack([np.asarray(flip) for flip in flips], axis=-1)


def check_sequences(predicted: Mapping[str, Integers], protocol: Protocol = CIFAR10_P) -> None:
    """Raise ValueError unless every perturbation has all its frames, and all have the same number of sequences.

    >>> check_sequences({"motion_blur": np.zeros((3, 20), np.uint8)})
    Traceback (most recent call last):
    ValueError: motion_blur has sequences of 21 frames, but the predictions are (3, 20)
    """
    perturbation_set(list(predicted), protocol)
    for name, found in predicted.items():
        frames = protocol.member(name).frames
        if found.ndim != 2 or found.shape[1] != frames:
            raise ValueError(f"{name} has sequences of {frames} frames, but the predictions are {found.shape}")
    sequences = {name: len(found) for name, found in predicted.items()}
    most = max(sequences.values(), default=0)
    short = [f"{name} {count}" for name, count in sequences.items() if count != most]
    if short:
        raise ValueError(f"there are {most} sequences, but fewer of: {', '.join(short)}")


def flip_rate(flip_probabilities: Floats, baseline_flip_probabilities: Floats) -> NDArray[np.float64]:
    """Flip probability divided by the baseline's, FR_p of the paper.

    Args:
        flip_probabilities: shape (..., P).
        baseline_flip_probabilities: the same perturbations in the same order, (..., P) or (P,).

    Returns:
        Shape (..., P), at least 0; nan where the baseline never flips.

    Raises:
        ValueError: the two differ in their perturbations.

    >>> flip_rate(np.array([0.1, 0.1]), np.array([0.2, 0.0]))
    array([0.5, nan])
    """
    if flip_probabilities.shape[-1:] != baseline_flip_probabilities.shape[-1:]:
        raise ValueError(
            f"flip probabilities are {flip_probabilities.shape}, but the baseline's {baseline_flip_probabilities.shape}"
        )
    return np.asarray(ratio(flip_probabilities, baseline_flip_probabilities))


def mean_flip_probability(flip_probabilities: Floats, names: Sequence[str], declared: PerturbationSet) -> Value:
    """Mean over perturbations of `flip_probability`, in [0, 1]: what is left without a baseline.

    Args:
        flip_probabilities: shape (..., P).
        names: names of the P entries, in any order.
        declared: what the mean stands for.

    Returns:
        Shape (...).

    Raises:
        ValueError: the entries are not exactly the declared ones.

    >>> mean_flip_probability(np.array([0.25, 0.75]), ["tilt", "scale"], perturbation_set(["scale", "tilt"]))
    0.5
    """
    return declared_mean(flip_probabilities, names, declared)


def mean_flip_rate(flip_rates: Floats, names: Sequence[str], declared: PerturbationSet) -> Value:
    """Mean over perturbations of `flip_rate` (mFR), at least 0; the baseline itself has 1.

    Arguments and errors as in `mean_flip_probability`.

    Returns:
        Shape (...); nan where one of the flip rates is.
    """
    return declared_mean(flip_rates, names, declared)


def imagenet_mean_flip_probability(flip_probabilities: Floats, names: Sequence[str]) -> Value:
    """`mean_flip_probability` over the paper's own ten perturbations, with snow in spatter's place.

    Raises:
        ValueError: the entries are not exactly those of `IMAGENET_SET`.

    >>> imagenet_mean_flip_probability(np.linspace(0.0, 1.0, 10), CIFAR10_P.counted)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: the mean is declared over gaussian_noise, ..., but the array has missing snow; extra spatter
    """
    return mean_flip_probability(flip_probabilities, names, IMAGENET_SET)


def imagenet_mean_flip_rate(flip_rates: Floats, names: Sequence[str]) -> Value:
    """`mean_flip_rate` over the paper's own ten perturbations, with snow in spatter's place.

    Raises:
        ValueError: the entries are not exactly those of `IMAGENET_SET`.
    """
    return mean_flip_rate(flip_rates, names, IMAGENET_SET)
