"""A moving average of a model's weights."""

import copy

import torch
from torch import nn


class MovingAverage(nn.Module):
    """A copy of a model whose weights follow it: w <- decay w + (1 - decay) v (Polyak and Juditsky, 1992).

    It starts as the model stands. Tensors that are no floating point, such as counters, are taken over.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
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
