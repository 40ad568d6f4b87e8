"""Where a vision transformer lies among the tensors of a file, found by their names alone; no torch in here."""

from collections.abc import Iterable

PATCHES = "patch_embed.proj.weight"  # width x channels x patch x patch
POSITIONS = "pos_embed"
HEADS = ("head.", "head_dist.")
# What the transformer computes with: a file that holds such a tensor and a student that does not are two models.
PARTS = ("blocks.", "patch_embed.", "norm.", "norm_pre.", "cls_token", "reg_token", "dist_token", POSITIONS)


def how_to_place(repository: str) -> str:
    """What to do where the hub cannot be reached."""
    place = f"data/models/{repository.rpartition('/')[2]}.safetensors"
    return (
        f"Without a network, fetch https://huggingface.co/{repository}/resolve/main/model.safetensors elsewhere, place "
        f"it here as {place}, and set student.backbone to {{source: file, path: {place}}}"
    )


def transformer_prefix(names: Iterable[str]) -> str:
    """What stands before timm's names in a file, such as `module.` or `teacher.backbone.`; mostly nothing.

    Raises:
        ValueError: there is no transformer in timm's naming, or more than one.
    """
    found = {name.removesuffix(PATCHES) for name in names if name.endswith(PATCHES)}
    prefixes = sorted(prefix for prefix in found if not prefix or prefix.endswith("."))
    if not prefixes:
        raise ValueError(f"no tensor {PATCHES}, so no vision transformer as timm or its authors' code names it")
    if len(prefixes) > 1:
        raise ValueError(
            f"{len(prefixes)} transformers, named {', '.join(repr(prefix) for prefix in prefixes[:3])}; "
            "save the wanted one to a file of its own"
        )
    return prefixes[0]


def without_prefix(tensors: dict) -> dict:
    """The transformer's own tensors by timm's names, whatever else a file holds.

    Raises:
        ValueError: there is no transformer in timm's naming, or more than one.
    """
    prefix = transformer_prefix(tensors)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def grid_side(positions: int, prefix_tokens: int) -> int | None:
    """The side of the square grid of patches that positional embeddings stand for.

    Args:
        positions: the number of embeddings.
        prefix_tokens: those that are no patch's, such as the class token's.

    Returns:
        Patches per side; None if they make no square.
    """
    patches = positions - prefix_tokens
    side = round(max(patches, 0) ** 0.5)
    return side if side > 0 and side * side == patches else None
