"""Selection and balance of pseudo-labels, against a slow restatement of the protocol."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nsbench.study.pseudo_labels import PseudoLabels, make_targets, read_logits, select_and_balance


def slowly(
    labels: NDArray[np.int64],
    labeled: list[int],
    unlabeled: list[int],
    pseudo: PseudoLabels,
    classes: int,
    threshold: float,
    least: int,
    gap: int,
) -> list[list[int]]:
    """The protocol, class by class and image by image."""
    groups = []
    for index in range(classes):
        ordered = [row for row in labeled if labels[row] == index]
        chosen = [
            (confidence, row)
            for row, found, confidence in zip(unlabeled, pseudo.classes, pseudo.confidences, strict=True)
            if found == index and confidence > threshold
        ]
        ordered += [row for _, row in sorted(chosen, key=lambda pair: -pair[0])]
        while ordered and len(ordered) < least:
            place = {row: number for number, row in reversed(list(enumerate(ordered)))}
            ordered = sorted(ordered + ordered[: least - len(ordered)], key=place.__getitem__)
        groups.append(ordered)
    limit = min(len(group) for group in groups) + gap
    return [group[:limit] for group in groups]


def test_a_class_is_filled_in_rounds_that_copy_labelled_images_with_their_copies_first() -> None:
    """Two rounds double the five images; the last has room for four copies, all of the first labelled image."""
    logits = np.log([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    got = select_and_balance(
        np.zeros(5, np.int64), np.arange(2), np.arange(2, 5), read_logits(logits), classes=1, threshold=0.5,
        min_per_class=24, max_gap=0,
    )  # fmt: skip
    assert np.bincount(got.rows).tolist() == [8, 4, 4, 4, 4]


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    seed=st.integers(0, 10_000),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]),
    least=st.integers(0, 40),
    gap=st.integers(0, 20),
)
def test_the_training_set_is_the_one_the_protocol_gives(seed: int, threshold: float, least: int, gap: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 80)
    order = rng.permutation(80)
    labeled, unlabeled = np.sort(order[:20]), np.sort(order[20:])
    pseudo = read_logits(np.log(rng.dirichlet(np.full(4, 0.4), 60)))
    got = select_and_balance(
        labels, labeled, unlabeled, pseudo, classes=4, threshold=threshold, min_per_class=least, max_gap=gap
    )
    expected = slowly(labels, list(labeled), list(unlabeled), pseudo, 4, threshold, least, gap)
    assert [list(got.rows[got.classes == index]) for index in range(4)] == expected
    own = set(labeled.tolist())
    assert got.kept.tolist() == [len(set(group) - own) for group in expected]
    assert got.duplicates.tolist() == [len(group) - len(set(group)) for group in expected]
    right = sum(int(labels[row] == index) for index, group in enumerate(expected) for row in set(group) - own)
    total = int(got.kept.sum())
    assert got.accuracy == (right / total if total else None)


def test_true_labels_of_unlabelled_images_never_choose_anything() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    labeled, unlabeled = np.arange(15), np.arange(15, 60)
    pseudo = read_logits(np.log(rng.dirichlet(np.ones(3), 45)))
    other = labels.copy()
    other[15:] = rng.integers(0, 3, 45)
    arguments = {"classes": 3, "threshold": 0.5, "min_per_class": 10, "max_gap": 4}
    one = select_and_balance(labels, labeled, unlabeled, pseudo, **arguments)
    two = select_and_balance(other, labeled, unlabeled, pseudo, **arguments)
    np.testing.assert_array_equal(one.rows, two.rows)
    np.testing.assert_array_equal(one.classes, two.classes)


def test_a_threshold_of_one_selects_nothing_and_leaves_the_labelled_images() -> None:
    labels = np.array([0, 1, 0, 1])
    pseudo = PseudoLabels(np.array([0, 1]), np.array([1.0, 0.9]), np.eye(2))
    got = select_and_balance(
        labels, np.array([0, 1]), np.array([2, 3]), pseudo, classes=2, threshold=1.0, min_per_class=0, max_gap=9
    )
    assert got.rows.tolist() == [0, 1]
    assert got.accuracy is None


def test_a_class_without_confident_images_is_filled_with_labelled_ones_and_has_no_accuracy() -> None:
    labels = np.array([0, 1, 1, 0, 1])
    pseudo = PseudoLabels(np.array([0, 1]), np.array([0.9, 0.3]), np.eye(2))
    got = select_and_balance(
        labels, np.arange(3), np.array([3, 4]), pseudo, classes=2, threshold=0.5, min_per_class=4, max_gap=9
    )
    assert got.above_threshold.tolist() == [1, 0]
    assert got.rows[got.classes == 1].tolist() == [1, 1, 2, 2]
    assert got.class_accuracy == [1, None]


def example() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Labelled rows, unlabelled rows and logits of the latter, three classes."""
    return np.array([0, 3, 5]), np.array([1, 2, 4, 6]), np.random.default_rng(1).normal(0, 2, (4, 3))


@pytest.mark.parametrize("kind", ["hard", "soft", "smooth"])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_targets_are_the_ones_the_protocol_gives(kind: str, temperature: float) -> None:
    labeled, unlabeled, logits = example()
    labels = np.array([0, 2, 2, 1, 0, 2, 1])
    pseudo = read_logits(logits, temperature)
    rows = select_and_balance(labels, labeled, unlabeled, pseudo, classes=3, threshold=0, min_per_class=4, max_gap=9)
    targets = make_targets(kind, rows, unlabeled, pseudo, smoothing=0.1)
    for row, target in zip(rows.rows, targets, strict=True):
        own = int(labels[row]) if row in labeled else int(logits[list(unlabeled).index(row)].argmax())
        expected = [1.0 if index == own else 0.0 for index in range(3)]
        if kind == "smooth":
            expected = [0.9 if index == own else 0.05 for index in range(3)]
        if kind == "soft" and row not in labeled:
            powers = [math.exp(logit / temperature) for logit in logits[list(unlabeled).index(row)]]
            expected = [power / sum(powers) for power in powers]
        assert target == pytest.approx(expected, abs=1e-6)
    assert targets.sum(1) == pytest.approx(1)


def test_the_temperature_changes_soft_labels_and_not_the_selection() -> None:
    _, _, logits = example()
    sharp, flat = read_logits(logits), read_logits(logits, 10)
    np.testing.assert_array_equal(sharp.confidences, flat.confidences)
    np.testing.assert_array_equal(sharp.classes, flat.classes)
    assert (flat.soft.max(1) < sharp.soft.max(1)).all()
