"""Reads what the attention of a timm vision transformer computes, with fused attention left on.

Hooks see the queries, keys and values on their way; the matrix of weights, which fused attention never forms, is
computed from them for as many rows as are asked for, such as the row of the class token. The model's own forward is
untouched.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from mmpkd.students.class_token import ClassTokenAttention
from mmpkd.students.vision import Attention, VisionTransformer

CLASS_TOKEN = slice(0, 1)


class Reading:
    """What one attention module computed in a forward; T tokens, heads of d dimensions.

    Attributes:
        attn: the module.
        query, key: after their norms where they have any, N x heads x T x d.
        value: N x heads x T x d.
        mixed: the weighted values of all heads, N x T x heads d, before the output projection.

    Of a `ClassTokenAttention` query and mixed are those of the class token alone, with 1 in the place of T.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    mixed: torch.Tensor

    def __init__(self, attn: Attention) -> None:
        self.attn = attn

    def weights(self, rows: slice = slice(None)) -> torch.Tensor:
        """The softmax weights of the queries `rows`, N x heads x rows x T."""
        return ((self.query[:, :, rows] * self.attn.scale) @ self.key.transpose(-2, -1)).softmax(dim=-1)


def attention_modules(vit: VisionTransformer) -> list[Attention]:
    """The attention module of each block, first to last.

    Raises:
        TypeError: the model has no class token or no attention modules of timm's kind.
    """
    blocks = [getattr(block, "attn", None) for block in getattr(vit, "blocks", [])]
    if not blocks or any(not hasattr(attn, "qkv") or not hasattr(attn, "q_norm") for attn in blocks):
        raise TypeError(f"{type(vit).__name__}: attention maps need blocks with timm's Attention module")
    if not getattr(vit, "has_class_token", False):
        raise TypeError(f"{type(vit).__name__}: attention maps need a model with a class token")
    return blocks


def value_of(attn: Attention, projected: torch.Tensor) -> torch.Tensor:
    """The values of an attention.

    Args:
        attn: says how many heads.
        projected: queries, keys and values side by side, N x T x 3 heads d.

    Returns:
        N x heads x T x d.
    """
    return projected.chunk(3, dim=-1)[2].unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)


@contextmanager
def reading(attn: Attention, keep: Callable[[Reading], Any]) -> Iterator[list]:
    """Reads an attention in each forward pass.

    Args:
        attn: whose queries, keys, values and output are read.
        keep: makes what is kept of a reading; all else is let go at once.

    Yields:
        A list that a forward extends by what `keep` makes.
    """
    kept: list = []
    current = Reading(attn)
    hooks = [
        attn.q_norm.register_forward_hook(lambda _, inputs, output: setattr(current, "query", output)),
        attn.k_norm.register_forward_hook(lambda _, inputs, output: setattr(current, "key", output)),
        attn.qkv.register_forward_hook(lambda _, inputs, output: setattr(current, "value", value_of(attn, output))),
        attn.norm.register_forward_pre_hook(lambda _, inputs: setattr(current, "mixed", inputs[0])),
    ]
    if isinstance(attn, ClassTokenAttention):  # queries have a projection of their own there
        hooks.append(attn.values.register_forward_hook(lambda _, inputs, output: setattr(current, "value", output)))

    def finish(*_: Any) -> None:
        kept.append(keep(current))
        vars(current).clear()
        current.attn = attn

    hooks.append(attn.register_forward_hook(finish))
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def reading_all(keeps: dict[Attention, Callable[[Reading], Any]]) -> Iterator[list[list]]:
    """`reading` of several modules, each with its own `keep`."""
    with ExitStack() as stack:
        yield [stack.enter_context(reading(attn, keep)) for attn, keep in keeps.items()]


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


def received_row(rows: Sequence[torch.Tensor], prefix: int) -> torch.Tensor:
    """The attention that each token receives from the patches, in multiples of what a patch receives on average.

    A patch far above 1 is a sink: others look at it whatever it shows (Darcet et al., arXiv:2309.16588). Sinks differ
    between blocks, and a rollout passes through all of them, so that the largest value over the blocks counts. The last
    block is left out, because it may compute the class token's row alone.

    Args:
        rows: of each block the mean of the patches' rows of weights, N x T; at least one.
        prefix: tokens before the patches.

    Returns:
        N x T, the patches of each block with mean 1 before the maximum over blocks.
    """
    received = torch.stack(list(rows))
    return (received / received[..., prefix:].mean(dim=-1, keepdim=True)).amax(dim=0)


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
