"""The size of a vision transformer from its configuration alone, without building it."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from mmpkd.config.students import Student
from mmpkd.models.weight_names import PATCHES, POSITIONS


class Named(NamedTuple):
    """What a size in timm's names stands for; ratio: width of the MLPs by that of the tokens."""

    width: int
    depth: int
    heads: int
    ratio: float = 4


# timm/models/vision_transformer.py and deit.py
NAMED = {
    "tiny": Named(192, 12, 3),
    "small": Named(384, 12, 6),
    "medium": Named(512, 12, 8),
    "betwixt": Named(640, 12, 10),
    "base": Named(768, 12, 12),
    "large": Named(1024, 24, 16),
    "so400m": Named(1152, 27, 16, 3.7362),
    "huge": Named(1280, 32, 16),
    "giant": Named(1408, 40, 16, 48 / 11),
    "gigantic": Named(1664, 48, 16, 64 / 13),
}
NAME = re.compile(
    r"(?:.*[:/])?(?P<family>vit|deit|deit3)_(?P<size>[a-z0-9]+)(?P<distilled>_distilled)?_patch(?P<patch>\d+)"
    r"(?:_reg(?P<registers>\d))?(?P<kind>_clip|_clip_quickgelu|_dinov2|_tipsv2)?(?:_\d+)?(?:\..*)?"
)
GATED = ("giant", "_dinov2"), ("giant", "_tipsv2")  # of another width, with gated MLPs


@dataclass(frozen=True)
class VitShape:
    """A vision transformer with a class token.

    patch: side of a patch; grid: patches a side of the image; hidden: width of the MLPs; normalised: dimensions of a
    head if queries and keys are normalised, else 0; prefix: class, distillation and register tokens; positioned: those
    of them with a positional embedding; scaled: the blocks' outputs are scaled (two vectors each); normed_first: a norm
    before the first block, and no bias in the patch embedding; heads: of attention.
    """

    patch: int
    grid: int
    width: int
    depth: int
    hidden: int
    normalised: int = 0
    prefix: int = 1
    positioned: int = 1
    scaled: bool = False
    normed_first: bool = False
    heads: int = 1

    @classmethod
    def of(cls, config: Student, size: int) -> "VitShape | None":
        """The shape of the student at images of `size`; None where neither its name nor its arguments tell."""
        given, named = config.arguments, NAME.fullmatch(config.model)
        facts = named.groupdict() if named else {}
        family, kind = facts.get("family"), facts.get("kind") or ""
        if (facts.get("size"), kind) in GATED:
            return None
        told = NAMED.get(facts.get("size"), Named(0, 0, 0))
        patch = int(given.get("patch_size", facts.get("patch", 0)))
        width = int(given.get("embed_dim", told.width))
        depth = int(given.get("depth", told.depth))
        heads = int(given.get("num_heads", told.heads))
        if min(patch, width, depth, heads) <= 0:
            return None
        registers = int(given.get("reg_tokens", facts.get("registers") or 0))
        prefix = 1 + registers + bool(facts.get("distilled"))
        bare = bool(given.get("no_embed_class", family == "deit3" or facts.get("registers") is not None))
        return cls(
            patch,
            size // patch,
            width,
            depth,
            hidden=int(width * float(given.get("mlp_ratio", told.ratio))),
            normalised=width // heads if given.get("qk_norm") else 0,
            prefix=prefix,
            positioned=0 if bare else prefix,
            scaled=bool(given.get("init_values", family == "deit3" or kind in ("_dinov2", "_tipsv2"))),
            normed_first=bool(given.get("pre_norm", kind.startswith("_clip"))),
            heads=heads,
        )

    @property
    def parameters(self) -> int:
        """Weights and biases without the head: patch embedding, positions, tokens, blocks, norms."""
        attention = 4 * self.width**2 + 4 * self.width + 4 * self.normalised
        mlp = 2 * self.width * self.hidden + self.hidden + self.width
        block = attention + mlp + (6 if self.scaled else 4) * self.width
        vectors = self.positions + self.prefix + 2 + (2 if self.normed_first else 1)  # norms; a norm or the bias
        return self.depth * block + self.width * (self.patch**2 + vectors)

    @property
    def positions(self) -> int:
        """Positional embeddings: one a patch and one for each token that has one."""
        return self.grid**2 + self.positioned

    def tensors(self) -> dict[str, list[int]]:
        """Names and shapes of the tensors that tell one transformer from another: one grey channel, patch and grid."""
        return {
            PATCHES: [self.width, 1, self.patch, self.patch],
            POSITIONS: [1, self.positions, self.width],
            f"blocks.{self.depth - 1}.mlp.fc2.weight": [self.width, self.hidden],
        }
