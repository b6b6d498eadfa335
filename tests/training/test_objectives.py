"""Objectives are the formulas of their papers, written out in numpy."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from nsbench.training.objectives import distillation, self_training

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(6, 4)) * 3
TEACHER = RANDOM.normal(size=(6, 4)) * 2
LABELS = np.eye(4)[[0, 1, 2, 3, 0, 0]]
LABELS[4:] = 0  # the last two images have no true label


def written_out(temperature: float, weight: float) -> float:
    """Alpha * T^2 * sum p (log p - log q) + (1 - alpha) * -sum y log q at T = 1, mean over all images."""
    p, log_p = softmax(TEACHER / temperature, 1), log_softmax(TEACHER / temperature, 1)
    divergence = (p * (log_p - log_softmax(LOGITS / temperature, 1))).sum(1)
    labelled = -(LABELS * log_softmax(LOGITS, 1)).sum(1)
    return float((weight * temperature**2 * divergence + (1 - weight) * labelled).mean())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_distillation_is_hintons_formula(temperature: float, weight: float) -> None:
    soft = torch.tensor(softmax(TEACHER / temperature, 1))
    loss = distillation(temperature, weight)(torch.tensor(LOGITS), torch.tensor(LABELS), soft)
    assert loss.item() == pytest.approx(written_out(temperature, weight), rel=1e-12)


def test_a_student_equal_to_its_teacher_has_no_divergence() -> None:
    soft = torch.tensor(softmax(TEACHER / 4, 1))
    assert distillation(4.0, 1.0)(torch.tensor(TEACHER), torch.tensor(LABELS), soft).item() == pytest.approx(0)


def test_the_gradient_at_a_high_temperature_does_not_vanish() -> None:
    """With T^2 the gradient of large T tends to (z - v) / classes, for logits with zero mean (Hinton, equation 4)."""
    student, teacher = (values - values.mean(1, keepdims=True) for values in (LOGITS, TEACHER))
    logits = torch.tensor(student, requires_grad=True)
    distillation(1e4, 1.0)(logits, torch.tensor(LABELS), torch.tensor(softmax(teacher / 1e4, 1))).backward()
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad.numpy() * 6, (student - teacher) / 4, rtol=1e-2, atol=1e-3)


def test_self_training_is_cross_entropy_with_the_whole_distribution() -> None:
    targets = softmax(TEACHER, 1)
    loss = self_training(torch.tensor(LOGITS), torch.tensor(targets), None)
    assert loss.item() == pytest.approx(-(targets * log_softmax(LOGITS, 1)).sum(1).mean(), rel=1e-12)
