"""What the class token attends to: rows of weights over all T tokens, from a forward without gradients."""

from collections.abc import Sequence

import torch

from mmpkd.attention.reading import Reading

CLASS_TOKEN = slice(0, 1)


def class_token_row(reading: Reading) -> torch.Tensor:
    """The class token's weights in each head, N x heads x T."""
    return reading.weights(CLASS_TOKEN)[:, :, 0]


def mean_weights(reading: Reading) -> torch.Tensor:
    """The matrix of weights, mean over heads, N x T x T: the largest that is kept of a block."""
    return reading.weights().mean(dim=1)


def rollout_row(means: Sequence[torch.Tensor], last: torch.Tensor) -> torch.Tensor:
    """The class token's row of the product of all blocks' (A + I) / 2, A the mean over heads.

    Abnar and Zuidema, arXiv:2005.00928. Only this row is carried, from the last block to the first, so that no product
    of matrices is formed.

    Args:
        means: `mean_weights` of all blocks but the last, first to last.
        last: the class token's row of the last block, mean over heads, N x T.
    """
    row = 0.5 * last
    row[:, 0] += 0.5
    for mean in reversed(means):
        row = 0.5 * row + 0.5 * (row[:, None] @ mean)[:, 0]
    return row


def value_norm_row(reading: Reading, weights: torch.Tensor) -> torch.Tensor:
    """The norm of what each token adds to the class token: || sum over heads of a_hj v_hj W_h ||, N x T.

    a are the weights, v the values (bias included) and W_h the rows of the output projection that read head h;
    the projection's own bias comes from no token. Kobayashi et al., arXiv:2004.10102, for several heads.

    Args:
        reading: of the block.
        weights: its `class_token_row`.

    Raises:
        TypeError: a norm or a gate between the heads and the projection leaves no token a share of its own.
    """
    attn = reading.attn
    if not isinstance(attn.norm, torch.nn.Identity) or attn.gate is not None:
        raise TypeError("evaluation.methods: value_norm needs attention without a norm or gate on the heads' output")
    weighted = weights[..., None] * reading.value  # N x heads x T x d
    return torch.nn.functional.linear(weighted.transpose(1, 2).flatten(2), attn.proj.weight).norm(dim=-1)
