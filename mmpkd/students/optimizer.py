"""What moves the weights: AdamW and its parameter groups, the learning rate per step, and the moving average."""

import copy
from math import cos, pi

import torch
from torch import nn

from mmpkd.config.students import Training
from mmpkd.students.engine import Learner
from mmpkd.students.vit import Student


def make_optimizer(learner: Learner, training: Training) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101) that decays matrices, not biases, norms or tokens.

    Args:
        learner: the student and its projector.
        training: learning rate, weight decay and `layer_decay`: below 1, a layer's learning rate is that factor to the
            power of its distance from the head (Clark et al., arXiv:2003.10555), in the grouping of layers that timm
            keeps for the model.
    """
    if training.layer_decay < 1:
        from timm.optim import param_groups_layer_decay

        vit = learner.student.vit
        tokens = vit.no_weight_decay() if hasattr(vit, "no_weight_decay") else ()
        groups = param_groups_layer_decay(vit, training.weight_decay, tokens, layer_decay=training.layer_decay)
        groups = [{**group, "lr": training.learning_rate * group["lr_scale"]} for group in groups]
        others = list(learner.projector.parameters())
    else:
        groups, others = [], list(learner.parameters())
    groups += [
        {"params": [p for p in others if p.ndim > 1 and p.shape[0] > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in others if p.ndim <= 1 or p.shape[0] == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=training.learning_rate, fused=True)
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Each group's peak times `factor`.

    Args:
        optimizer: whose groups hold their peak.
        factor: 0 to 1.
    """
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def learning_rate_factor(step: int, steps: int, training: Training) -> float:
    """Linear warm-up, then a cosine to zero (Loshchilov and Hutter, arXiv:1608.03983, without restarts).

    Args:
        step: from 0.
        steps: of the whole training.
        training: `warmup` is the share of the steps that warm up.

    Returns:
        A share of the peak, 0 to 1.
    """
    warm = max(round(steps * training.warmup), 1)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + cos(pi * min((step - warm) / max(steps - warm, 1), 1.0)))


def ramp_factor(step: int, steps: int, ramp: float) -> float:
    """What the teacher's losses are multiplied by: rises linearly to 1.

    Args:
        step: from 0.
        steps: of the whole training.
        ramp: share of the steps within which it rises.

    Returns:
        A factor above 0, at most 1.
    """
    return min((step + 1) / max(ramp * steps, 1), 1.0)


class MovingAverage(nn.Module):
    """A copy of a model whose weights follow it: w <- decay w + (1 - decay) v (Polyak and Juditsky, 1992).

    It starts as the model stands. Tensors that are no floating point, such as counters, are taken over.
    """

    def __init__(self, model: Student, decay: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        pairs = list(zip(self.module.state_dict().values(), model.state_dict().values(), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def follow(self) -> None:
        """One step, of all tensors at once: one by one takes ten times as long."""
        own, followed = zip(*self._floats, strict=True)
        torch._foreach_lerp_(list(own), list(followed), 1 - self.decay)
        for mine, other in self._others:
            mine.copy_(other)
