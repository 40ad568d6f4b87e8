"""Two faster parts of timm's vision transformer, with the same parameters and the same result.

The last block computes the class token alone, because the head reads nothing else of it. The patch embedding multiplies
matrices, which on a CPU is faster than a convolution.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mmpkd.students.vision import Attention, Block, VisionTransformer


class ClassTokenAttention(Attention):
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


def end_in_class_token(vit: VisionTransformer) -> None:
    """Lets the last block of `vit` compute the class token alone, with the parameters that it has.

    Every other token is computed for nothing there: no later block attends to it. In a student of three blocks this
    saves a fourth of a training step.

    Args:
        vit: changed in place. A last block that is not timm's standard one is left as it is.
    """
    block = vit.blocks[-1]
    if type(block) is Block and type(block.attn) is Attention:
        block.__class__, block.attn.__class__ = ClassTokenBlock, ClassTokenAttention
        block.attn.values, block.attn.whole = nn.Identity(), False


@contextmanager
def every_token(vit: VisionTransformer) -> Iterator[None]:
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


class PatchProjection(nn.Conv2d):
    """A convolution whose windows tile the image, as one linear map of each patch; same parameters, same result."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "PatchProjection":
        """The same map with the very parameters of `convolution`.

        Raises:
            ValueError: its windows do not tile the image.
        """
        tiles = convolution.stride == convolution.kernel_size and convolution.dilation == (1, 1)
        if not tiles or convolution.padding != (0, 0) or convolution.groups != 1:
            raise ValueError(f"{convolution}: its windows overlap, leave gaps or are padded, so they are no patches")
        high, wide = convolution.kernel_size
        channels, bias = (convolution.in_channels, convolution.out_channels), convolution.bias is not None
        same = cls(*channels, (high, wide), (high, wide), bias=bias, device="meta")
        same.weight, same.bias = convolution.weight, convolution.bias
        return same

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """N x C x H x W to N x D x H/p x W/p, for H and W that are multiples of the patch."""
        high, wide = self.kernel_size
        patches = images.unflatten(3, (-1, wide)).unflatten(2, (-1, high))  # N x C x rows x p x columns x p
        patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(3)
        return nn.functional.linear(patches, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
