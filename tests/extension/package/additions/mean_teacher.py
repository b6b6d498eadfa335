"""Mean teacher: Tarvainen and Valpola 2017, arXiv:1703.01780."""

from typing import Literal

import numpy as np
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from nsbench.extend import (
    Batch,
    InputNoise,
    Lesson,
    Material,
    Method,
    MethodConfig,
    Networks,
    Objective,
    SecondStream,
    Teacher,
    register_method,
)


class MeanTeacherConfig(MethodConfig):
    """Mean teacher: the network agrees with the average of its own weights on unlabelled images."""

    kind: Literal["mean-teacher"] = "mean-teacher"
    consistency: float = Field(default=1.0, ge=0, le=1000, description="weight of the agreement")


@register_method
class MeanTeacher(Method[MeanTeacherConfig]):
    """Cross-entropy on labelled images, and agreement with the average on two views of the others."""

    section = MeanTeacherConfig
    needs_teacher = False
    asks_average = True

    def lesson(self, material: Material, teacher: Teacher | None) -> Lesson:
        """Labelled images with their labels; the others are the second stream."""
        assert teacher is None, "no method without a teacher is given one"
        targets = np.eye(material.classes, dtype=np.float32)[material.labels[material.labeled]]
        return Lesson(material.labeled, targets, unlabeled=material.unlabeled)

    def second_stream(self, noise: InputNoise) -> SecondStream:
        """As many unlabelled images as labelled ones, under two draws of the run's noise."""
        return SecondStream(ratio=1, views=(noise, noise))

    def objective(self) -> Objective:
        """Nothing in it waits for the device."""

        def loss(networks: Networks, batch: Batch) -> tuple[Tensor, Tensor]:
            logits = networks.student(batch.images)
            one, other = batch.views
            gap = mse_loss(networks.student(one).softmax(1), networks.average(other).softmax(1))
            return cross_entropy(logits, batch.targets) + self.settings.consistency * gap, logits

        return loss
