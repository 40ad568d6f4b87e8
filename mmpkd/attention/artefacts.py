"""Artefact tokens (Darcet et al., arXiv:2309.16588): patches of outlying norm, which draw attention to empty places."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mmpkd.students.class_token import every_token

TIMES_THE_MEDIAN = 3.0


def artefact_rate(tokens: torch.Tensor, prefix: int) -> torch.Tensor:
    """The share of an image's patch tokens whose norm is more than three times the median of these norms, N.

    Darcet et al. cut at a norm of 150, which suits one model; relative to the image's own median the
    same rule does not depend on the scale of a model's features.

    Args:
        tokens: output of the last block, before the final norm, N x T x D.
        prefix: tokens before the patches: class, distillation, registers.
    """
    norms = tokens[:, prefix:].norm(dim=-1)
    median = norms.quantile(0.5, dim=1, keepdim=True)
    return (norms > TIMES_THE_MEDIAN * median).to(norms.dtype).mean(dim=1)


@contextmanager
def last_tokens(vit: nn.Module) -> Iterator[list[torch.Tensor]]:
    """A list to which each forward adds the output of the last block, all tokens of it, N x T x D."""
    tokens: list[torch.Tensor] = []
    hook = vit.blocks[-1].register_forward_hook(lambda _, inputs, output: tokens.append(output))
    try:
        with every_token(vit):
            yield tokens
    finally:
        hook.remove()
