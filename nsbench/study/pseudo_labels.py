"""Pseudo-labels: confidence filter, class balance, hard, soft and smooth targets.

The order of duplication and removal is the published study's: labelled images first, then pseudo-labelled images by
falling confidence of the teacher.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class PseudoLabels:
    """What a teacher says of U unlabelled images.

    Attributes:
        classes: (U,) int64, the most probable class.
        confidences: (U,) float64 in [0, 1], its probability.
        soft: (U, classes) float64, the probabilities at the temperature of soft labels.
    """

    classes: Indices
    confidences: NDArray[np.float64]
    soft: NDArray[np.float64]


def read_logits(logits: NDArray[np.floating], temperature: float = 1.0) -> PseudoLabels:
    """Pseudo-labels of (U, classes) logits; the temperature softens soft labels, never the confidence."""
    assert logits.ndim == 2, logits.shape
    probabilities = softmax(logits.astype(np.float64), axis=1)
    return PseudoLabels(
        classes=probabilities.argmax(1).astype(np.int64),
        confidences=probabilities.max(1, initial=0),
        soft=softmax(logits.astype(np.float64) / temperature, axis=1),
    )


def nothing_said(classes: int) -> PseudoLabels:
    """Pseudo-labels of no image."""
    return read_logits(np.empty((0, classes), dtype=np.float32))


@dataclass(frozen=True)
class TrainingRows:
    """A student's training set: rows of the training images, copies repeated.

    Attributes:
        rows: (n,) int64, indices of training images.
        classes: (n,) int64, the true class of a labelled image, the pseudo-label of another.
        above_threshold: (classes,) int64, pseudo-labelled images above the threshold, before balancing.
        kept: (classes,) int64, distinct pseudo-labelled images after balancing.
        duplicates: (classes,) int64, copies that balancing added.
        labeled: (classes,) int64, labelled images.
        accuracy: share of the kept pseudo-labels that are right, of those whose true label is known; None for none.
        class_accuracy: the same for each pseudo-label's class.
    """

    rows: Indices
    classes: Indices
    above_threshold: Indices
    kept: Indices
    duplicates: Indices
    labeled: Indices
    accuracy: float | None
    class_accuracy: list[float | None]


def select_and_balance(
    labels: Indices,
    labeled: Indices,
    unlabeled: Indices,
    pseudo: PseudoLabels,
    *,
    classes: int,
    threshold: float,
    min_per_class: int,
    max_gap: int,
) -> TrainingRows:
    """Filter by confidence, then balance the classes.

    Args:
        labels: (N,) true classes of all training images, -1 where unknown; those of unlabelled images serve
            only to score the pseudo-labels, never to choose them.
        labeled: rows of the labelled images.
        unlabeled: (U,) rows of the unlabelled images, in the order of `pseudo`.
        pseudo: what the teacher says of them.
        classes: number of classes.
        threshold: images with a confidence strictly above it are used.
        min_per_class: a smaller class is filled with copies, the first of its images in order first.
        max_gap: a class larger than the smallest by more than this loses its last images in order.
    """
    above = pseudo.confidences > threshold
    per_class = []
    for index in range(classes):
        own = labeled[labels[labeled] == index]
        mask = above & (pseudo.classes == index)
        falling = np.argsort(-pseudo.confidences[mask], kind="stable")
        per_class.append((own, unlabeled[mask][falling]))
    filled = [_fill(np.concatenate(pair), min_per_class) for pair in per_class]
    limit = min(len(rows) for rows in filled) + max_gap
    balanced = [rows[:limit] for rows in filled]
    kept = [np.setdiff1d(rows, own) for rows, (own, _) in zip(balanced, per_class, strict=True)]
    right = [int((labels[rows] == index).sum()) for index, rows in enumerate(kept)]
    scored = [int((labels[rows] >= 0).sum()) for rows in kept]
    return TrainingRows(
        rows=np.concatenate(balanced),
        classes=np.repeat(np.arange(classes), [len(rows) for rows in balanced]),
        above_threshold=_counts([pseudo_rows for _, pseudo_rows in per_class]),
        kept=_counts(kept),
        duplicates=_counts(balanced) - _counts([np.unique(rows) for rows in balanced]),
        labeled=_counts([own for own, _ in per_class]),
        accuracy=_share(sum(right), sum(scored)),
        class_accuracy=[_share(count, known) for count, known in zip(right, scored, strict=True)],
    )


def make_targets(
    kind: str, training: TrainingRows, unlabeled: Indices, pseudo: PseudoLabels, smoothing: float
) -> NDArray[np.float32]:
    """The target distribution over the classes for each row of a training set.

    Args:
        kind: `hard`, `soft` (labelled images stay hard) or `smooth` (labelled images too, as in the study).
        training: the rows.
        unlabeled: (U,) ascending rows of the unlabelled images, in the order of `pseudo`.
        pseudo: what the teacher says of them.
        smoothing: eps of Szegedy et al. 2016 (arXiv:1512.00567) over the other classes, as in the study: 1 - eps on
            the class, eps / (classes - 1) elsewhere.

    Returns:
        (n, classes), rows that sum to 1.
    """
    classes = pseudo.soft.shape[1]
    targets = np.eye(classes)[training.classes]
    if kind == "smooth":
        other = smoothing / (classes - 1)
        targets = targets * (1 - smoothing - other) + other
    if kind == "soft":
        given = np.isin(training.rows, unlabeled)
        targets[given] = pseudo.soft[np.searchsorted(unlabeled, training.rows[given])]
    return targets.astype(np.float32)


def _fill(ordered: Indices, least: int) -> Indices:
    """Add copies until there are `least`, the first images first; an empty class stays empty.

    In rounds, as the study does: each copies every image that is there, copies among them, from the first in order, so
    that in the last round, which has room for some only, an image is copied with its copies before the next one is.
    """
    while 0 < len(ordered) < least:
        missing = least - len(ordered)
        ordered = np.concatenate([np.repeat(ordered[:missing], 2), ordered[missing:]])
    return ordered


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _counts(groups: list[Indices]) -> Indices:
    return np.array([len(group) for group in groups], dtype=np.int64)
