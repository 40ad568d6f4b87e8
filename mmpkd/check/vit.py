"""The size of a vision transformer from its configuration alone, without building it."""

import re
from dataclasses import dataclass

from mmpkd.config.students import Student

# Width and depth that timm's names stand for (timm/models/vision_transformer.py).
NAMED = {"tiny": (192, 12), "small": (384, 12), "base": (768, 12), "large": (1024, 24)}


@dataclass(frozen=True)
class VitShape:
    """Patch side, patches a side of the image, width and depth of a plain ViT with a class token."""

    patch: int
    grid: int
    width: int
    depth: int

    @classmethod
    def of(cls, config: Student, size: int) -> "VitShape | None":
        """The shape of the student at images of `size`; None where neither its name nor its arguments tell."""
        named = re.fullmatch(r"(?:.*:)?vit_([a-z]+)_patch(\d+)_\d+(?:\..*)?", config.model)
        width, depth = NAMED.get(named[1], (0, 0)) if named else (0, 0)
        patch = int(config.arguments.get("patch_size", named[2] if named else 0))
        width = int(config.arguments.get("embed_dim", width))
        depth = int(config.arguments.get("depth", depth))
        return cls(patch, size // patch, width, depth) if min(patch, width, depth) > 0 else None

    @property
    def parameters(self) -> int:
        """Weights and biases without the head: patch embedding, positions, class token, blocks, last norm."""
        block = 12 * self.width**2 + 13 * self.width
        return self.depth * block + self.width * (self.patch**2 + 1 + self.grid**2 + 1 + 1 + 2)

    def tensors(self) -> dict[str, list[int]]:
        """Names and shapes of the tensors that depend on the image: one grey channel, the patch and the grid."""
        return {
            "patch_embed.proj.weight": [self.width, 1, self.patch, self.patch],
            "pos_embed": [1, self.grid**2 + 1, self.width],
            f"blocks.{self.depth - 1}.mlp.fc2.weight": [self.width, 4 * self.width],
        }
