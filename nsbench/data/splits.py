"""Labelled, unlabelled and validation parts of a training set."""

import heapq
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from nsbench.errors import UserError
from nsbench.seeds import derive_seed


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into the images to learn from, labelled ones first: sorted int64, disjoint, together all of them.

    Attributes:
        labeled: images trained on with their labels.
        unlabeled: images whose labels training never sees.
        validation: images set aside from the labelled part, to select on.
    """

    labeled: NDArray[np.int64]
    unlabeled: NDArray[np.int64]
    validation: NDArray[np.int64]


def split(
    labels: NDArray[np.int64], labeled_fraction: float, validation_fraction: float, seed: int, extra: int = 0
) -> Split:
    """Divide a training set, stratified by class and seeded.

    Every image has a fixed place in one order of the whole set that depends on the labels and the
    seed alone; the labelled part (with its validation slice) is the first
    round(labeled_fraction * N) of that order. So a larger fraction contains a smaller one, with and
    without the validation slice, which a rounding of its own for each fraction cannot promise (the
    Alabama paradox). The order deals out the classes so that every beginning of it holds each class
    within less than one image of its share, unless a class would be left with none.

    Args:
        labels: (N,) class of each training image.
        labeled_fraction: share of the images that keep their labels, 0 < f <= 1.
        validation_fraction: share of those set aside for validation, 0 <= f < 1. The slice holds each
            class within one image of its share, and round(validation_fraction * L) images in all
            where the L labelled images are spread evenly over the classes.
        seed: seed of the run; another seed gives another split.
        extra: further images, which follow the training set and are all unlabelled.

    Returns:
        The three parts; each class has at least one labelled image outside the validation slice.

    Raises:
        UserError: a fraction out of range, or too small for the number of classes.
    """
    _check_fractions(labeled_fraction, validation_fraction)
    classes, sizes = np.unique(labels, return_counts=True)
    total = round(labeled_fraction * len(labels))
    if total < len(classes):
        raise UserError(
            f"labeled_fraction = {labeled_fraction} labels {total} of {len(labels)} images, too few for "
            f"{len(classes)} classes: use at least {math.ceil(1000 * len(classes) / len(labels)) / 1000}."
        )
    taken = np.bincount(_deal(sizes.tolist(), total), minlength=len(classes))
    labeled, validation = [], []
    unlabeled = [np.arange(len(labels), len(labels) + extra)]
    for position, (name, count) in enumerate(zip(classes.tolist(), taken.tolist(), strict=True)):
        members = shuffled(np.flatnonzero(labels == name), derive_seed(seed, "split", name))
        aside = _validation_ranks(count, validation_fraction, phase=Fraction(2 * position + 1, 2 * len(classes)))
        labeled.append(members[:count][~aside])
        validation.append(members[:count][aside])
        unlabeled.append(members[count:])
    parts = Split(*(np.sort(np.concatenate(part)) for part in (labeled, unlabeled, validation)))
    if validation_fraction > 0 and len(parts.validation) == 0:
        raise UserError(
            f"validation_fraction = {validation_fraction} of {total} labelled images sets none aside: "
            "raise validation_fraction or labeled_fraction, or set validation_fraction to 0."
        )
    return parts


def shuffled(indices: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """`indices` in a seeded random order that no numpy version changes.

    numpy promises a fixed stream for a bit generator, not for `Generator.permutation`, so the order
    is that of PCG64's raw 64-bit numbers.
    """
    keys = np.random.PCG64(seed).random_raw(len(indices))
    return indices[np.argsort(keys, kind="stable")]


def _check_fractions(labeled_fraction: float, validation_fraction: float) -> None:
    if not 0 < labeled_fraction <= 1:
        raise UserError(f"labeled_fraction = {labeled_fraction} is out of range: use more than 0 and at most 1.")
    if not 0 <= validation_fraction < 1:
        raise UserError(f"validation_fraction = {validation_fraction} is out of range: use at least 0 and less than 1.")


def _deal(sizes: list[int], total: int) -> list[int]:
    """The first `total` places of the class order: a class index for each.

    First comes one image of each class. The rest follows a schedule in which image j of a class with
    share p of all images may appear from place floor((j - 1) / p) on and must have appeared by place
    ceil(j / p); of those that may, the most urgent is next. Unit jobs on one machine that can all
    meet their deadlines do so under this rule (Jackson 1955), which keeps each class within less
    than one image of p times the places dealt (Steiner and Yeomans 1993).
    """
    images = sum(sizes)
    dealt = [0] * len(sizes)
    order = list(range(len(sizes)))
    later = [(0, c) for c in order]  # (place from which the next image of a class may appear, class)
    waiting: list[tuple[int, int]] = []  # (place by which it must have appeared, class)
    for place in range(images):
        if len(order) >= total:
            break
        while later and later[0][0] <= place:
            _, c = heapq.heappop(later)
            heapq.heappush(waiting, (-(-(dealt[c] + 1) * images // sizes[c]), c))
        _, urgent = heapq.heappop(waiting)
        dealt[urgent] += 1
        if dealt[urgent] < sizes[urgent]:
            heapq.heappush(later, (dealt[urgent] * images // sizes[urgent], urgent))
        if dealt[urgent] > 1:
            order.append(urgent)
    return order


def _validation_ranks(count: int, fraction: float, phase: Fraction) -> NDArray[np.bool_]:
    """Which of a class's first `count` images are set aside for validation.

    Of the first k images floor(k * fraction + phase) are, but never all k. Whether an image is does
    not depend on `count`. Phases spread over the classes make the floors add up to the rounded whole
    (Hermite's identity). The arithmetic is exact on the decimal fraction.
    """
    share = Fraction(str(fraction))
    aside = [max(0, min(math.floor(k * share + phase), k - 1)) for k in range(count + 1)]
    return np.diff(aside).astype(bool)
