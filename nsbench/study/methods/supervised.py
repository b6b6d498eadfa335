"""Labels alone."""

import numpy as np

from nsbench.config.method import SupervisedConfig
from nsbench.study.methods.method import Lesson, Material, Method, Teacher, register
from nsbench.study.pseudo_labels import make_targets, nothing_said, select_and_balance


@register
class Supervised(Method[SupervisedConfig]):
    """How teachers and baselines learn, and controls, whose classes are filled as their student's were."""

    section = SupervisedConfig
    needs_teacher = False

    def lesson(self, material: Material, teacher: Teacher | None) -> Lesson:  # noqa: ARG002  # it has none
        """The labelled images, balanced if the settings ask for it."""
        unlabeled, nothing = np.empty(0, np.int64), nothing_said(material.classes)
        rows = select_and_balance(
            material.labels,
            material.labeled,
            unlabeled,
            nothing,
            classes=material.classes,
            threshold=1.0,
            min_per_class=self.settings.min_images_per_class,
            max_gap=self.settings.max_class_gap,
        )
        return Lesson(rows.rows, make_targets("smooth", rows, unlabeled, nothing, self.settings.smoothing))
