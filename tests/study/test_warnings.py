"""What a reader must know about training, said from made-up records: no training run need happen to give the case."""

from typing import Any

import pytest

from nsbench.checkpoints.record import SelectionRecord
from nsbench.study.chain import warnings_of
from tests.results.small import checkpoint_record

STUDENT = "hard/seed0/gen1-resnet8"


def warned(**changed: Any) -> list[str]:
    """Sentences about a student of three classes whose teacher was sure of some images of each."""
    fields: dict[str, Any] = {
        "teacher": "hard/seed0/gen0-resnet8",
        "confidence_threshold": 0.8,
        "available": 90,
        "above_threshold": [30, 1, 7],
        "kept": [20, 1, 7],
        "duplicates": [0, 9, 3],
        "labeled": [10, 10, 10],
        "accuracy": 0.5,
        "class_accuracy": [0.5, 0.0, 1.0],
    }
    record = checkpoint_record(STUDENT, "student", fields["teacher"], selection=SelectionRecord(**fields | changed))
    return list(warnings_of(record, ("cat", "dog", "frog")))


def test_a_class_without_confident_images_is_named() -> None:
    assert warned() == []
    assert warned(above_threshold=[30, 0, 0]) == [
        f"{STUDENT}: no unlabelled image of dog, frog was above the confidence threshold 0.8; "
        "balancing filled those classes with copies of labelled images."
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"above_threshold": [0, 0, 0]}, "no unlabelled image was above the confidence threshold 0.8, so this student"),
        ({"above_threshold": [0, 0, 0], "available": 0}, "there is no unlabelled image, so this student"),
    ],
)
def test_a_student_of_labelled_images_alone_says_why(changed: dict[str, Any], said: str) -> None:
    (sentence,) = warned(**changed)
    assert sentence == f"{STUDENT}: {said} was trained on labelled images alone."
