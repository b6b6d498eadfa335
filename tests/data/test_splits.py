"""Splits: they cover the training set, keep the class shares, and nest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nsbench.data.splits import Split, shuffled, split
from nsbench.errors import UserError

BALANCED = np.arange(5000, dtype=np.int64) % 10

fractions = st.integers(1, 1000).map(lambda n: n / 1000)
class_sizes = st.lists(st.integers(1, 60), min_size=2, max_size=8)


def labels_of(sizes: list[int]) -> NDArray[np.int64]:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return shuffled(labels, 7)


def counts(part: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(labels[part], minlength=labels.max() + 1)


def split_or_none(labels: NDArray[np.int64], labeled: float, validation: float, seed: int = 0) -> Split | None:
    try:
        return split(labels, labeled, validation, seed)
    except UserError:
        return None


@settings(derandomize=True, deadline=None)
@given(class_sizes, fractions, st.sampled_from([0.0, 0.1, 0.5, 0.9]), st.integers(0, 3))
def test_the_three_parts_are_sorted_disjoint_and_cover_everything(
    sizes: list[int], labeled: float, validation: float, seed: int
) -> None:
    labels = labels_of(sizes)
    if (parts := split_or_none(labels, labeled, validation, seed)) is None:
        return
    everything = (parts.labeled, parts.unlabeled, parts.validation)
    assert np.sort(np.concatenate(everything)).tolist() == list(range(len(labels)))
    assert all(part.dtype == np.int64 and (np.diff(part) > 0).all() for part in everything)
    assert len(parts.labeled) + len(parts.validation) == round(labeled * len(labels))


@settings(derandomize=True, deadline=None)
@given(class_sizes, fractions)
def test_each_class_is_labelled_within_one_image_of_its_share(sizes: list[int], labeled: float) -> None:
    labels = labels_of(sizes)
    total = round(labeled * len(labels))
    shares = total * np.array(sizes) / len(labels)
    parts = split_or_none(labels, labeled, 0.0)
    if parts is None or shares.min() < 1:
        return
    assert np.abs(counts(parts.labeled, labels) - shares).max() < 1


@settings(derandomize=True, deadline=None)
@given(class_sizes, fractions, st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_every_class_keeps_a_labelled_image_or_the_split_is_refused(
    sizes: list[int], labeled: float, validation: float
) -> None:
    labels = labels_of(sizes)
    parts = split_or_none(labels, labeled, validation)
    if parts is not None:
        assert counts(parts.labeled, labels).min() >= 1
    elif validation == 0:
        assert round(labeled * len(labels)) < len(sizes)


@settings(derandomize=True, deadline=None)
@given(class_sizes, fractions, fractions, st.sampled_from([0.0, 0.1, 0.25, 0.9]))
def test_a_larger_fraction_contains_a_smaller_one(
    sizes: list[int], one: float, other: float, validation: float
) -> None:
    labels = labels_of(sizes)
    small = split_or_none(labels, min(one, other), validation)
    large = split_or_none(labels, max(one, other), validation)
    if small is None or large is None:
        return
    assert set(small.labeled) <= set(large.labeled)
    assert set(small.validation) <= set(large.validation)


@settings(derandomize=True, deadline=None)
@given(class_sizes, fractions, st.sampled_from([0.1, 0.25, 0.5]))
def test_each_class_is_validated_within_one_image_of_its_share(
    sizes: list[int], labeled: float, validation: float
) -> None:
    labels = labels_of(sizes)
    parts = split_or_none(labels, labeled, validation)
    if parts is None:
        return
    aside = counts(parts.validation, labels)
    shares = validation * (aside + counts(parts.labeled, labels))
    assert np.abs(aside - shares).max() <= 1


@pytest.mark.parametrize(("labeled", "per_class"), [(0.05, 25), (0.1, 50), (0.2, 100), (1.0, 500)])
def test_equal_classes_are_labelled_equally(labeled: float, per_class: int) -> None:
    assert counts(split(BALANCED, labeled, 0.0, 0).labeled, BALANCED).tolist() == [per_class] * 10


@pytest.mark.parametrize("validation", [0.01, 0.05, 0.1, 0.15, 0.3])
def test_the_validation_slice_of_equal_classes_has_exactly_its_share(validation: float) -> None:
    parts = split(BALANCED, 0.1, validation, 0)
    assert len(parts.validation) == round(validation * 500)
    assert np.ptp(counts(parts.validation, BALANCED)) <= 1


def test_all_images_labelled_leaves_none_unlabelled() -> None:
    parts = split(BALANCED, 1.0, 0.0, 0)
    assert len(parts.labeled) == len(BALANCED)
    assert len(parts.unlabeled) == len(parts.validation) == 0


def test_the_labelled_images_are_drawn_from_the_whole_set_and_not_from_its_beginning() -> None:
    labeled = split(BALANCED, 0.1, 0.0, 0).labeled
    assert 2250 < labeled.mean() < 2750
    assert 1300 < labeled.std() < 1580


def test_another_seed_gives_an_independent_split() -> None:
    one, other = (set(split(BALANCED, 0.1, 0.0, seed).labeled.tolist()) for seed in (0, 1))
    assert 20 < len(one & other) < 90  # 50 expected by chance


def test_a_split_never_changes() -> None:
    parts = split(BALANCED[:100], 0.2, 0.25, 0)
    assert (parts.labeled.tolist(), parts.validation.tolist()) == (
        [12, 16, 30, 31, 44, 55, 63, 67, 69, 71, 72, 73, 74, 80, 88],
        [15, 28, 39, 57, 76],
    )


def test_a_rare_class_keeps_one_labelled_image() -> None:
    labels = labels_of([1, 1000])
    assert counts(split(labels, 0.01, 0.0, 0).labeled, labels).tolist() == [1, 9]


def test_too_small_a_fraction_names_the_smallest_that_works() -> None:
    with pytest.raises(UserError, match=r"labeled_fraction = 0.001 labels 5 of 5000 images.* use at least 0.002"):
        split(BALANCED, 0.001, 0.0, 0)
    assert len(split(BALANCED, 0.002, 0.0, 0).labeled) == 10


def test_a_validation_slice_without_an_image_is_refused() -> None:
    with pytest.raises(UserError, match=r"validation_fraction = 0.01 of 10 labelled images sets none aside"):
        split(BALANCED, 0.002, 0.01, 0)


@pytest.mark.parametrize(("labeled", "validation"), [(0.0, 0.0), (1.1, 0.0), (-0.1, 0.0), (0.1, 1.0), (0.1, -0.1)])
def test_a_fraction_out_of_range_is_refused(labeled: float, validation: float) -> None:
    with pytest.raises(UserError, match="is out of range"):
        split(BALANCED, labeled, validation, 0)
