"""How methods with a teacher choose images: its predictions, the filter and the balance, and the record of them."""

import numpy as np

from nsbench.checkpoints.record import SelectionRecord
from nsbench.config.method import Chosen
from nsbench.study.methods.method import Indices, Material, Teacher
from nsbench.study.pseudo_labels import PseudoLabels, TrainingRows, nothing_said, read_logits, select_and_balance


def ask(teacher: Teacher | None, rows: Indices, classes: int, temperature: float) -> PseudoLabels:
    """What a teacher says of rows of the training images; nothing for no rows."""
    if teacher is None or not len(rows):
        return nothing_said(classes)
    return read_logits(teacher(rows), temperature)


def select(material: Material, pseudo: PseudoLabels, settings: Chosen) -> TrainingRows:
    """Labelled images, and unlabelled ones above the threshold, balanced over the classes."""
    return select_and_balance(
        material.labels,
        material.labeled,
        material.unlabeled,
        pseudo,
        classes=material.classes,
        threshold=settings.confidence_threshold,
        min_per_class=settings.min_images_per_class,
        max_gap=settings.max_class_gap,
    )


def selection_record(rows: TrainingRows, material: Material, settings: Chosen) -> SelectionRecord:
    """The record of a choice; the caller, who knows the teacher's name, adds it."""
    return SelectionRecord(
        teacher="",
        confidence_threshold=settings.confidence_threshold,
        available=len(material.unlabeled),
        above_threshold=rows.above_threshold.tolist(),
        kept=rows.kept.tolist(),
        duplicates=rows.duplicates.tolist(),
        labeled=rows.labeled.tolist(),
        labels_known=bool(np.all(material.labels[material.unlabeled] >= 0)),
        accuracy=rows.accuracy,
        class_accuracy=rows.class_accuracy,
    )
