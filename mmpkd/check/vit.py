"""The size of a vision transformer from its configuration alone, without building it."""

import re
from dataclasses import dataclass

from mmpkd.config.students import Student

# Width, depth and heads that timm's names stand for (timm/models/vision_transformer.py).
NAMED = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16)}


@dataclass(frozen=True)
class VitShape:
    """A plain ViT with a class token.

    patch: side of a patch; grid: patches a side of the image; hidden: width of the MLPs; normalised: dimensions of a
    head if queries and keys are normalised, else 0.
    """

    patch: int
    grid: int
    width: int
    depth: int
    hidden: int
    normalised: int

    @classmethod
    def of(cls, config: Student, size: int) -> "VitShape | None":
        """The shape of the student at images of `size`; None where neither its name nor its arguments tell."""
        named = re.fullmatch(r"(?:.*:)?vit_([a-z]+)_patch(\d+)_\d+(?:\..*)?", config.model)
        width, depth, heads = NAMED.get(named[1], (0, 0, 0)) if named else (0, 0, 0)
        patch = int(config.arguments.get("patch_size", named[2] if named else 0))
        width = int(config.arguments.get("embed_dim", width))
        depth = int(config.arguments.get("depth", depth))
        heads = int(config.arguments.get("num_heads", heads))
        if min(patch, width, depth, heads) <= 0:
            return None
        hidden = int(width * float(config.arguments.get("mlp_ratio", 4)))
        return cls(patch, size // patch, width, depth, hidden, width // heads if config.arguments.get("qk_norm") else 0)

    @property
    def parameters(self) -> int:
        """Weights and biases without the head: patch embedding, positions, class token, blocks, last norm."""
        attention = 4 * self.width**2 + 4 * self.width + 4 * self.normalised
        mlp = 2 * self.width * self.hidden + self.hidden + self.width
        block = attention + mlp + 4 * self.width
        return self.depth * block + self.width * (self.patch**2 + 1 + self.grid**2 + 1 + 1 + 2)

    def tensors(self) -> dict[str, list[int]]:
        """Names and shapes of the tensors that depend on the image: one grey channel, the patch and the grid."""
        return {
            "patch_embed.proj.weight": [self.width, 1, self.patch, self.patch],
            "pos_embed": [1, self.grid**2 + 1, self.width],
            f"blocks.{self.depth - 1}.mlp.fc2.weight": [self.width, self.hidden],
        }
