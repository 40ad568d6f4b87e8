"""Losses against values computed by hand in float64, and against each other."""

import numpy as np
import pytest
import torch

from mmpkd.config.students import Arm
from mmpkd.training.losses import arm_loss, embedding_distillation, label_loss, logit_distillation

NAN = float("nan")


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, dtype=np.float64)))


def bernoulli_kl(p, q):
    return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))


def test_label_loss_is_the_mean_cross_entropy_of_the_known_labels():
    logits = torch.tensor([[0.0, 2.0], [-1.0, 3.0]])
    labels = torch.tensor([[1.0, NAN], [0.0, 1.0]])
    expected = -(np.log(0.5) + np.log(1 - sigmoid(-1.0)) + np.log(sigmoid(3.0))) / 3
    assert label_loss(logits, labels).item() == pytest.approx(expected, rel=1e-6)


def test_unknown_labels_have_no_gradient():
    logits = torch.zeros(1, 2, requires_grad=True)
    label_loss(logits, torch.tensor([[1.0, NAN]])).backward()
    assert logits.grad[0, 0] == pytest.approx(-0.5)
    assert logits.grad[0, 1] == 0


def test_no_known_label_costs_nothing():
    assert label_loss(torch.ones(2, 1), torch.full((2, 1), NAN)).item() == 0


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_logit_distillation_is_the_scaled_bernoulli_divergence(temperature):
    student, teacher = torch.tensor([[0.3, -1.2], [2.0, 0.0]]), torch.tensor([[1.5, -0.2], [NAN, 4.0]])
    p, q = sigmoid(teacher.numpy() / temperature), sigmoid(student.numpy() / temperature)
    expected = temperature**2 * np.nanmean(bernoulli_kl(p, q))
    assert logit_distillation(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_logit_distillation_has_the_gradient_of_soft_label_cross_entropy():
    torch.manual_seed(0)
    teacher, temperature = torch.randn(5, 3, dtype=torch.float64), 2.0
    student = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    logit_distillation(student, teacher, temperature).backward()
    expected = temperature * (torch.sigmoid(student / temperature) - torch.sigmoid(teacher / temperature)) / 15
    assert torch.allclose(student.grad, expected.detach(), atol=1e-12)


def test_logit_distillation_is_finite_for_extreme_logits():
    loss = logit_distillation(torch.tensor([[200.0]]), torch.tensor([[-200.0]]), 1.0)
    assert loss.item() == pytest.approx(200.0)


def test_embedding_distillation_ignores_offset_scale_and_missing_rows():
    teacher = torch.tensor([[1.0, 2.0, 6.0], [NAN, NAN, NAN]])
    projected = (teacher - 3.0) * 0.7
    projected[1] = 1.0
    assert embedding_distillation(projected, teacher).item() == pytest.approx(0.0, abs=1e-6)
    assert embedding_distillation(-projected, teacher).item() == pytest.approx(2.0, abs=1e-6)


def test_arm_loss_sums_its_weighted_terms():
    arm = Arm(teacher="privileged", logits_weight=0.5, embedding_weight=2.0, temperature=2.0)
    torch.manual_seed(1)
    logits, labels = torch.randn(4, 3), torch.randint(0, 2, (4, 3)).float()
    projected, teacher_logits, embedding = torch.randn(4, 6), torch.randn(4, 3), torch.randn(4, 6)
    terms = arm_loss(arm, logits, projected, labels, teacher_logits, embedding)
    assert terms["logit_distillation"] == pytest.approx(0.5 * logit_distillation(logits, teacher_logits, 2.0).item())
    assert terms["embedding_distillation"] == pytest.approx(2 * embedding_distillation(projected, embedding).item())
    assert terms["loss"].item() == pytest.approx(sum(v.item() for k, v in terms.items() if k != "loss"))


def test_baseline_has_the_label_loss_alone():
    logits, labels = torch.zeros(2, 2), torch.ones(2, 2)
    assert set(arm_loss(Arm(), logits, None, labels, None, None)) == {"loss", "label_loss"}
