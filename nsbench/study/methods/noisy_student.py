"""Noisy student: Xie et al. 2020, arXiv:1911.04252, in the variant of the study that nsbench reproduces."""

from nsbench.config.method import MethodConfig, NoisyStudentConfig, SupervisedConfig
from nsbench.study.methods.method import Lesson, Material, Method, Teacher, register
from nsbench.study.methods.selection import ask, select, selection_record
from nsbench.study.pseudo_labels import make_targets


@register
class NoisyStudent(Method[NoisyStudentConfig]):
    """Labelled images, and the unlabelled ones that the teacher is confident about, with its pseudo-labels."""

    section = NoisyStudentConfig

    def lesson(self, material: Material, teacher: Teacher | None) -> Lesson:
        """Filtered, balanced; targets hard, soft or smooth."""
        pseudo = ask(teacher, material.unlabeled, material.classes, self.settings.temperature)
        rows = select(material, pseudo, self.settings)
        targets = make_targets(self.settings.type, rows, material.unlabeled, pseudo, self.settings.smoothing)
        return Lesson(rows.rows, targets, selection=selection_record(rows, material, self.settings))

    def control(self) -> MethodConfig:
        """The labels alone, filled, mixed and smoothed as the student's images are."""
        settings = self.settings
        return SupervisedConfig(
            smoothing=settings.smoothing if settings.type == "smooth" else 0.0,
            min_images_per_class=settings.min_images_per_class,
            max_class_gap=settings.max_class_gap,
            mixup_alpha=settings.mixup_alpha,
        )
