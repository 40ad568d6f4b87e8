"""Attention weighted by the gradient of a score (Chefer, Gur and Wolf, arXiv:2103.15679), with fused attention on."""

from collections.abc import Callable

import torch

from mmpkd.attention.reading import CLASS_TOKEN, Reading, attention_modules, reading_all
from mmpkd.students.vision import VisionTransformer
from mmpkd.students.vit import log_odds

# From the tokens of `vit.forward_features`, N x T x D, to one number per image.
ScoreFunction = Callable[[torch.Tensor], torch.Tensor]


def predicted_score(logits: torch.Tensor, problem: str) -> torch.Tensor:
    """What a map explains, one number per image: the sum of the logits of the labels predicted present.

    These are the labels with a probability of at least 0.5; where there is none, the most probable label. No ROI and
    no known label chooses, so that a map can be made where neither exists.

    Args:
        logits: N x L.
        problem: multi_label or single_label.
    """
    odds = log_odds(logits.detach(), problem)
    present = (odds >= 0) | ((odds < 0).all(dim=1, keepdim=True) & (odds == odds.amax(dim=1, keepdim=True)))
    return (logits * present).sum(dim=1)


def gradient_rollout_row(vit: VisionTransformer, images: torch.Tensor, score: ScoreFunction) -> torch.Tensor:
    """The class token's row of the product of all blocks' I + mean over heads of (A * dscore/dA)+.

    The gradient of the weights A is that of the heads' output A v, times the values: so neither the forward nor the
    backward pass has to form A, and no gradient of a parameter is computed.

    Args:
        vit: the model, with T tokens.
        images: N of them, as the transformer takes them.
        score: what is explained: tokens to N values.

    Returns:
        N x T.
    """
    blocks = attention_modules(vit)
    with torch.enable_grad(), reading_all({attn: kept for attn in blocks}) as readings:
        # The input requires a gradient, so that there is one where all parameters are frozen.
        values = score(vit.forward_features(images.detach().requires_grad_()))
        parts = [part for (part,) in readings]
        gradients = torch.autograd.grad(values.sum(), [part.mixed for part in parts])
    with torch.no_grad():
        row = relevance(parts[-1], gradients[-1], CLASS_TOKEN)[:, 0]
        row[:, 0] += 1
        for part, gradient in zip(reversed(parts[:-1]), reversed(gradients[:-1]), strict=True):
            row = row + (row[:, None] @ relevance(part, gradient))[:, 0]
    return row


def kept(reading: Reading) -> Reading:
    """A copy that outlives the forward."""
    copy = Reading(reading.attn)
    vars(copy).update(vars(reading))
    return copy


def relevance(reading: Reading, gradient: torch.Tensor, rows: slice = slice(None)) -> torch.Tensor:
    """Mean over heads of the positive part of A * dscore/dA.

    Args:
        reading: of a block's attention.
        gradient: of the score to `reading.mixed`, N x T x heads d.
        rows: which tokens' rows of A.

    Returns:
        N x rows x T.
    """
    by_head = gradient.unflatten(-1, (reading.attn.num_heads, -1)).transpose(1, 2)[:, :, rows]
    of_weights = by_head @ reading.value.transpose(-2, -1)
    return (reading.weights(rows) * of_weights).clamp(min=0).mean(dim=1)
