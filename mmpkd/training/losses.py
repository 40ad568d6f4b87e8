"""The losses of an arm. None of them looks at a region of interest."""

import torch
from torch.nn import functional

from mmpkd.config.students import Arm


def _mean_over_known(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean of `values` where `known`; zero, with a gradient, where nothing is."""
    return torch.where(known, values, 0.0).sum() / known.sum().clamp(min=1)


def label_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, mean over the known labels.

    Args:
        logits: N x L.
        labels: N x L, 1, 0, or NaN for unknown.
    """
    known = ~labels.isnan()
    values = functional.binary_cross_entropy_with_logits(logits, torch.where(known, labels, 0.0), reduction="none")
    return _mean_over_known(values, known)


def logit_distillation(logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Distillation of a multi-label problem: a Kullback-Leibler divergence of Bernoulli variables a label.

    T^2 * mean over known (image, label) of KL(Bernoulli(sigmoid(z_t / T)) || Bernoulli(sigmoid(z_s / T))).

    The factor T^2 keeps the size of the gradient when T changes (Hinton, Vinyals and Dean, arXiv:1503.02531,
    section 2), here with one sigmoid a label in place of the softmax.

    Args:
        logits: student, N x L.
        teacher_logits: N x L, NaN where the teacher has no answer.
        temperature: T.
    """
    known = ~teacher_logits.isnan()
    teacher = torch.where(known, teacher_logits, 0.0) / temperature
    student = logits / temperature
    positive = teacher.sigmoid() * (functional.logsigmoid(teacher) - functional.logsigmoid(student))
    negative = (-teacher).sigmoid() * (functional.logsigmoid(-teacher) - functional.logsigmoid(-student))
    return temperature**2 * _mean_over_known(positive + negative, known)


def embedding_distillation(projected: torch.Tensor, teacher_embedding: torch.Tensor) -> torch.Tensor:
    """One minus the cosine between the projected student embedding and the layer-normed teacher embedding.

    Layer normalisation takes away the offset and scale that a sentence encoder's dimensions have in common, which
    would otherwise dominate the cosine.

    Args:
        projected: N x D.
        teacher_embedding: N x D, a row of NaN where the teacher has no answer.
    """
    known = ~teacher_embedding.isnan().any(dim=1)
    teacher = functional.layer_norm(torch.where(known[:, None], teacher_embedding, 0.0), teacher_embedding.shape[1:])
    return _mean_over_known(1 - functional.cosine_similarity(projected, teacher, dim=1), known)


def arm_loss(
    arm: Arm,
    logits: torch.Tensor,
    projected: torch.Tensor | None,
    labels: torch.Tensor,
    teacher_logits: torch.Tensor | None,
    teacher_embedding: torch.Tensor | None,
) -> dict[str, torch.Tensor]:
    """The weighted terms of an arm by name; their sum, under `loss`, is what is minimised."""
    terms = {}
    if arm.label_weight:
        terms["label_loss"] = arm.label_weight * label_loss(logits, labels)
    if arm.logits_weight:
        terms["logit_distillation"] = arm.logits_weight * logit_distillation(logits, teacher_logits, arm.temperature)
    if arm.embedding_weight:
        distilled = embedding_distillation(projected, teacher_embedding)
        terms["embedding_distillation"] = arm.embedding_weight * distilled
    return {"loss": sum(terms.values()), **terms}
