"""The parts of a data set: what is labelled, what is learned from, what counts."""

from dataclasses import replace

import numpy as np
import pytest

from nsbench.data.images import UNKNOWN, Dataset, ImageSet, content_checksum
from nsbench.data.splits import split

PIXELS = np.random.default_rng(5).integers(0, 256, (90, 4, 4, 3), dtype=np.uint8)
LABELS = np.arange(90) % 3
PLAIN = (0.5, 0.5, 0.5)


def data(unlabeled: ImageSet | None = None, counted: tuple[int, ...] | None = None) -> Dataset:
    train, test = ImageSet(PIXELS[:60], LABELS[:60]), ImageSet(PIXELS[60:70], LABELS[60:70])
    parts = (train, test) if unlabeled is None else (train, test, unlabeled)
    checksum = content_checksum(*parts)
    return Dataset("x", "X", "none", "none", ("a", "b", "c"), PLAIN, PLAIN, train, test, checksum, unlabeled, counted)


def test_without_further_images_the_pool_is_the_training_set() -> None:
    plain = data()
    assert plain.pool_images is plain.train.images
    assert plain.pool_labels is plain.train.labels
    assert plain.extra == 0


def test_further_images_follow_the_training_set_and_their_labels_may_be_unknown() -> None:
    full = data(ImageSet(PIXELS[70:]))
    assert full.extra == 20
    assert len(full.pool_images) == len(full.pool_labels) == 80
    np.testing.assert_array_equal(full.pool_images[58:63], PIXELS[[58, 59, 70, 71, 72]])
    np.testing.assert_array_equal(full.pool_images[np.array([79, 0, 60])], PIXELS[[89, 0, 70]])
    assert full.pool_labels[:60].tolist() == LABELS[:60].tolist()
    assert set(full.pool_labels[60:].tolist()) == {UNKNOWN}
    assert not ImageSet(PIXELS).labeled
    known = data(ImageSet(PIXELS[70:], np.where(np.arange(20) < 5, LABELS[70:], UNKNOWN)))
    assert known.pool_labels[64:66].tolist() == [LABELS[74], UNKNOWN]


def test_the_labelled_part_of_a_split_does_not_depend_on_further_images() -> None:
    plain, full = split(LABELS[:60], 0.5, 0.2, 3), split(LABELS[:60], 0.5, 0.2, 3, extra=20)
    np.testing.assert_array_equal(full.labeled, plain.labeled)
    np.testing.assert_array_equal(full.validation, plain.validation)
    np.testing.assert_array_equal(full.unlabeled, np.concatenate([plain.unlabeled, np.arange(60, 80)]))
    assert full.unlabeled.dtype == np.int64


def test_a_thousand_classes_are_dealt_out_evenly() -> None:
    labels = np.arange(20_000) % 1000
    parts = split(labels, 0.3, 0.0, 1)
    assert set(np.bincount(labels[parts.labeled], minlength=1000).tolist()) == {6}


def test_training_and_test_images_need_labels() -> None:
    plain = data()
    for part in ("train", "test"):
        with pytest.raises(ValueError, match=r"image has no label: put it into `unlabeled`"):
            replace(plain, **{part: ImageSet(PIXELS[:2])})


def test_a_label_of_a_further_image_beyond_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="a label is 3, beyond the 3 classes"):
        data(ImageSet(PIXELS[70:71], np.array([3])))


@pytest.mark.parametrize("counted", [(1, 2), (1, 2, 2), (1, 2, 3, 4)])
def test_each_class_counts_as_one_output(counted: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="different outputs count for 3 classes"):
        data(counted=counted)
    with pytest.raises(ValueError, match="the output -1 counts"):
        data(counted=(0, -1, 2))
