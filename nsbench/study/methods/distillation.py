"""Knowledge distillation: Hinton et al. 2015, arXiv:1503.02531."""

import numpy as np

from nsbench.config.method import DistillationConfig, MethodConfig, SupervisedConfig
from nsbench.study.methods.method import Lesson, Material, Method, Teacher, register
from nsbench.study.methods.selection import ask, select, selection_record
from nsbench.study.pseudo_labels import make_targets
from nsbench.training.objectives import Objective, distillation, of_labelled


@register
class Distillation(Method[DistillationConfig]):
    """The teacher's softened probabilities of labelled and of chosen unlabelled images, beside the true labels."""

    section = DistillationConfig

    def lesson(self, material: Material, teacher: Teacher | None) -> Lesson:
        """Images as a noisy student has them; targets are true labels, and zeros where there is none."""
        temperature = self.settings.temperature
        pseudo = ask(teacher, material.unlabeled, material.classes, temperature)
        known = ask(teacher, material.labeled, material.classes, temperature)
        rows = select(material, pseudo, self.settings)
        targets = make_targets("hard", rows, material.unlabeled, pseudo, smoothing=0)
        targets[np.isin(rows.rows, material.unlabeled)] = 0
        table = np.zeros((len(material.labels), material.classes), dtype=np.float32)
        table[material.unlabeled], table[material.labeled] = pseudo.soft, known.soft
        selection = selection_record(rows, material, self.settings)
        return Lesson(rows.rows, targets, table[rows.rows], selection=selection)

    def objective(self) -> Objective:
        """A divergence from the teacher and the cross-entropy with the labels."""
        return of_labelled(distillation(self.settings.temperature, self.settings.weight))

    def control(self) -> MethodConfig:
        """The labels alone, filled and mixed as the student's images are."""
        settings = self.settings
        return SupervisedConfig(
            min_images_per_class=settings.min_images_per_class,
            max_class_gap=settings.max_class_gap,
            mixup_alpha=settings.mixup_alpha,
        )
