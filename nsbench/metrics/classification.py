"""Top-1 and top-5 error, negative log-likelihood, Brier score and the confusion matrix.

One implementation gives both the value and its bootstrap: every metric that averages over N images
takes `weights` of shape (..., N), how often each image is counted (see
`nsbench.metrics.uncertainty.resample_weights`), and returns shape (...). Without weights each image
counts once. A result without dimensions is a float.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Value = float | NDArray[np.float64]
Outcome = Callable[[Floats, Integers], NDArray[np.float64]]

_BLOCK = 2**20
"""Scores worked on at a time, so that 50,000 images of 1,000 classes do not need several copies of their logits."""


def weighted_mean(outcomes: NDArray[Any], weights: Floats | None = None) -> Value:
    """Average outcomes over the images, once for each row of weights.

    Args:
        outcomes: shape (*O, N), one number for each image.
        weights: shape (*W, N), at least 0; an image of weight 2 counts as two images. The product
            is taken in the weights' precision: float32 is exact for counts of errors below 2**24.

    Returns:
        Shape (*W, *O), or (*O) without weights; nan where the weights sum to 0.

    Raises:
        ValueError: the weights are of another number of images.

    >>> weighted_mean(np.array([1.0, 0.0, 0.5]))
    0.5
    >>> weighted_mean(np.array([1.0, 0.0, 0.5]), np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 2.0]]))
    array([1.        , 0.33333333])
    """
    if weights is None:
        weights = np.ones(outcomes.shape[-1])
    if weights.shape[-1:] != outcomes.shape[-1:]:
        raise ValueError(f"weights are {weights.shape}, but there are {outcomes.shape[-1]} images or sequences")
    # Never an integer product: that would cut outcomes such as a log-likelihood down to whole numbers.
    precision = np.result_type(weights, np.float32)
    totals = np.tensordot(weights.astype(precision, copy=False), outcomes.astype(precision, copy=False), axes=(-1, -1))
    counted = weights.sum(axis=-1, dtype=np.float64)
    return ratio(totals, counted.reshape(counted.shape + (1,) * (outcomes.ndim - 1)))


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Value:
    """Divide elementwise in float64; nan, without a warning, wherever the denominator is 0.

    >>> ratio(np.array([0.2, 0.3]), np.array([0.4, 0.0]))
    array([0.5, nan])
    """
    top, bottom = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    return float_if_scalar(np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0))


def float_if_scalar(array: NDArray[np.float64]) -> Value:
    """Turn a result without dimensions into a float and leave any other as it is."""
    return float(array) if array.ndim == 0 else array


def check_scores(scores: Floats, labels: Integers) -> None:
    """Raise ValueError unless scores are finite (N, K) and labels are N classes in 0..K-1.

    NaN compares as neither larger nor smaller, so a broken model would otherwise look right.
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"scores must be (N, K) and labels (N,), but they are {scores.shape} and {labels.shape}")
    if not all(np.isfinite(scores[rows]).all() for rows in _blocks(scores)):
        raise ValueError("scores must be finite, but some are NaN or infinite")
    check_classes(labels, scores.shape[1])


def check_classes(labels: Integers, classes: int) -> None:
    """Raise ValueError unless every label lies in 0..classes-1."""
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(f"labels must lie in 0..{classes - 1}, but they span {labels.min()}..{labels.max()}")


def softmax(logits: Floats) -> NDArray[np.float64]:
    """Turn logits (..., K) into probabilities (..., K) in float64; no logit is too large.

    >>> softmax(np.array([0.0, 0.0, 0.0, 0.0]))
    array([0.25, 0.25, 0.25, 0.25])
    >>> softmax(np.array([1000.0, 0.0]))
    array([1., 0.])
    """
    exponentials = np.exp(_below_largest(logits))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def top1_error(logits: Floats, labels: Integers, weights: Floats | None = None) -> Value:
    """Share of images whose largest logit is not the label's, in [0, 1].

    Among equal logits the first class is the predicted one, as in `numpy.argmax`.

    Args:
        logits: shape (N, K), finite.
        labels: shape (N,), in 0..K-1.
        weights: shape (..., N).

    Raises:
        ValueError: the shapes do not match, a logit is not finite or a label is not a class.

    >>> top1_error(np.array([[2.0, 1.0], [0.0, 0.0]]), np.array([0, 1]))
    0.5
    """
    return weighted_mean(_rank_of_label(logits, labels) >= 1, weights)


def top5_error(logits: Floats, labels: Integers, weights: Floats | None = None) -> Value:
    """Share of images whose label is not among the five largest logits, in [0, 1].

    Equal logits are ranked by class, the first class highest, so the result never depends on how a
    sort breaks ties. Arguments as in `top1_error`.

    Raises:
        ValueError: as `top1_error`, and with fewer than five classes, where the number means nothing.

    >>> top5_error(np.zeros((6, 6)), np.arange(6))
    0.16666666666666666
    """
    if logits.shape[-1] < 5:
        raise ValueError(f"top-5 error needs at least five classes, but there are {logits.shape[-1]}")
    return weighted_mean(_rank_of_label(logits, labels) >= 5, weights)


def negative_log_likelihood(logits: Floats, labels: Integers, weights: Floats | None = None) -> Value:
    """Mean of -log softmax(logits)[label], natural logarithm, at least 0.

    Finite for every finite logit, where the logarithm of a rounded probability would be infinite.
    Arguments and errors as in `top1_error`.

    >>> negative_log_likelihood(np.array([[0.0, -1000.0], [0.0, -1000.0]]), np.array([0, 1]))
    500.0
    """
    check_scores(logits, labels)
    return weighted_mean(_by_rows(_surprise, logits, labels), weights)


def brier_score(logits: Floats, labels: Integers, weights: Floats | None = None) -> Value:
    """Squared difference of softmax and one-hot label, summed over classes, averaged over images.

    In [0, 2]: the sum over classes of Brier 1950, not its half. Arguments and errors as in `top1_error`.

    >>> brier_score(np.array([[0.0, 0.0], [1000.0, 0.0]]), np.array([0, 1]))
    1.25
    """
    check_scores(logits, labels)
    return weighted_mean(_by_rows(_squared_difference, logits, labels), weights)


def confusion_matrix(predicted: Integers, labels: Integers, classes: int) -> NDArray[np.int64]:
    """Count images by true class (row) and predicted class (column).

    Args:
        predicted: shape (N,), in 0..classes-1.
        labels: shape (N,), in 0..classes-1.
        classes: K.

    Returns:
        Shape (K, K); the entries sum to N.

    Raises:
        ValueError: the shapes differ or an entry is not a class.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    if predicted.shape != labels.shape or labels.ndim != 1:
        raise ValueError(f"predicted and labels must both be (N,), but they are {predicted.shape} and {labels.shape}")
    check_classes(predicted, classes)
    check_classes(labels, classes)
    pairs = labels.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=classes**2).astype(np.int64).reshape(classes, classes)


def _below_largest(logits: Floats) -> NDArray[np.float64]:
    """Shift each row so that its largest logit is 0: the softmax stays and `exp` cannot overflow."""
    wide = logits.astype(np.float64)
    return np.asarray(wide - wide.max(axis=-1, keepdims=True))


def _rank_of_label(logits: Floats, labels: Integers) -> NDArray[np.int64]:
    """Rank (N,) of the label among the classes: 0 is the predicted one, ties go to the first class."""
    check_scores(logits, labels)
    return _by_rows(_rank, logits, labels).astype(np.int64)


def _rank(logits: Floats, labels: Integers) -> NDArray[np.float64]:
    of_label = np.take_along_axis(logits, labels[:, None].astype(np.intp), axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    ahead = (logits > of_label) | ((logits == of_label) & earlier)
    return np.asarray(ahead.sum(axis=1), np.float64)


def _surprise(logits: Floats, labels: Integers) -> NDArray[np.float64]:
    """-log softmax(logits)[label] of each image."""
    shifted = _below_largest(logits)
    of_label = np.take_along_axis(shifted, labels[:, None].astype(np.intp), axis=1)[:, 0]
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - of_label)


def _squared_difference(logits: Floats, labels: Integers) -> NDArray[np.float64]:
    """Squared difference of softmax and one-hot label of each image."""
    one_hot = labels[:, None] == np.arange(logits.shape[1])
    return np.asarray(((softmax(logits) - one_hot) ** 2).sum(axis=1))


def _by_rows(outcome: Outcome, logits: Floats, labels: Integers) -> NDArray[np.float64]:
    """One number (N,) for each image; of what it takes to compute them only a block is in memory at a time."""
    found = [outcome(logits[rows], labels[rows]) for rows in _blocks(logits)]
    return np.concatenate(found) if found else np.empty(0)


def _blocks(scores: Floats) -> Iterator[slice]:
    """Slices that cover the rows of (N, K) scores, of _BLOCK numbers each."""
    step = max(1, _BLOCK // max(1, scores.shape[1]))
    for start in range(0, len(scores), step):
        yield slice(start, start + step)
