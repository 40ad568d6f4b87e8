"""A last block that computes the class token alone: the head reads nothing else of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mmpkd.models.vision import timm

Block = timm.models.vision_transformer.Block


class ClassTokenAttention(timm.layers.Attention):
    """timm's attention with the first token as the only query: same parameters, same result for that token.

    Attributes:
        values: computes nothing; values pass through it, as weights do through `attn_drop`, so that they can be read.
        whole: all tokens are queries, as in timm's, see `every_token`.
    """

    values: nn.Identity
    whole: bool

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """N x T x D to N x 1 x D, or N x T x D if `whole`."""
        if self.whole:
            return super().forward(tokens)
        first, width = tokens[:, :1], self.attn_dim
        weight = self.qkv.weight.split([width, 2 * width])
        bias = (None, None) if self.qkv.bias is None else self.qkv.bias.split([width, 2 * width])
        query = nn.functional.linear(first, weight[0], bias[0]).unflatten(-1, (self.num_heads, -1))
        key, value = nn.functional.linear(tokens, weight[1], bias[1]).unflatten(-1, (2, self.num_heads, -1)).unbind(2)
        query, key = self.q_norm(query.transpose(1, 2)), self.k_norm(key.transpose(1, 2))
        weights = self.attn_drop(((query * self.scale) @ key.transpose(-2, -1)).softmax(dim=-1))
        mixed = self.norm((weights @ self.values(value.transpose(1, 2))).transpose(1, 2).flatten(2))
        if self.gate is not None:
            mixed = mixed * self.gate(first).sigmoid()
        return self.proj_drop(self.proj(mixed))


class ClassTokenBlock(Block):
    """timm's block whose output has the tokens that its attention gives."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """N x T x D to N x 1 x D, or N x T x D if the attention is `whole`."""
        attended = self.attn(self.norm1(tokens))
        tokens = tokens[:, : attended.shape[1]] + self.drop_path1(self.ls1(attended))
        return tokens + self.drop_path2(self.ls2(self.mlp(self.norm2(tokens))))


def end_in_class_token(vit: nn.Module) -> None:
    """Lets the last block of `vit` compute the class token alone, with the parameters that it has.

    Every other token is computed for nothing there: no later block attends to it. In a student of three blocks this
    saves a fourth of a training step. A block that is not timm's standard one is left as it is.
    """
    block = vit.blocks[-1]
    if type(block) is Block and type(block.attn) is timm.layers.Attention:
        block.__class__, block.attn.__class__ = ClassTokenBlock, ClassTokenAttention
        block.attn.values, block.attn.whole = nn.Identity(), False


@contextmanager
def every_token(vit: nn.Module) -> Iterator[None]:
    """Here the last block of `vit` gives all tokens."""
    attn = vit.blocks[-1].attn
    if not isinstance(attn, ClassTokenAttention):
        yield
        return
    attn.whole = True
    try:
        yield
    finally:
        attn.whole = False
