"""Attention maps of a timm vision transformer, with fused attention left on.

A hook keeps the input of the attention modules that are asked for; queries and keys are computed from it once more, and
only what a map needs of their product. The model's own forward is untouched.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from mmpkd.logs import progress
from mmpkd.models.problem import log_odds
from mmpkd.models.student import Student
from mmpkd.training.data import LabelledImages

METHODS = ("last_layer", "rollout")


def attention_maps(
    vit: nn.Module, images: torch.Tensor, methods: list[str]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Where the class token looks.

    last_layer: the class token's row of the last block's attention, mean over heads.
    rollout: the class token's row of the product of all blocks' (A + I) / 2, A the mean over heads
    (Abnar and Zuidema, arXiv:2005.00928).

    Args:
        vit: a timm vision transformer with a class token, in evaluation mode.
        images: as the transformer takes them, N x C x S x S.
        methods: of METHODS.

    Returns:
        Features of `vit.forward_features`, N x T x D, and for each method maps over the patch grid, N x g x g, that sum
        to one.

    Raises:
        TypeError: the model has no class token or no attention modules that this function knows.
        ValueError: unknown method.
    """
    unknown = set(methods) - set(METHODS)
    if unknown:
        raise ValueError(f"unknown attention methods {sorted(unknown)}; known are {', '.join(METHODS)}")
    blocks = attention_modules(vit)
    kept = blocks if "rollout" in methods else blocks[-1:]
    with inputs_of(kept) as inputs:
        features = vit.forward_features(images)
    rows = {}
    last = class_token_row(kept[-1], inputs[-1])
    if "last_layer" in methods:
        rows["last_layer"] = last
    if "rollout" in methods:
        rows["rollout"] = rollout_row(kept, inputs, last)
    grid = vit.patch_embed.grid_size
    maps = {}
    for method in methods:
        patches = rows[method][:, vit.num_prefix_tokens :]
        maps[method] = (patches / patches.sum(dim=1, keepdim=True)).unflatten(1, grid)
    return features, maps


def attention_modules(vit: nn.Module) -> list[nn.Module]:
    """The attention module of each block, first to last."""
    blocks = [getattr(block, "attn", None) for block in getattr(vit, "blocks", [])]
    if not blocks or any(not hasattr(attn, "qkv") or not hasattr(attn, "q_norm") for attn in blocks):
        raise TypeError(f"{type(vit).__name__}: attention maps need blocks with timm's Attention module")
    if not getattr(vit, "has_class_token", False):
        raise TypeError(f"{type(vit).__name__}: attention maps need a model with a class token")
    return blocks


@contextmanager
def inputs_of(modules: list[nn.Module]) -> Iterator[list[torch.Tensor]]:
    """A list that a forward fills with the input of each of `modules`."""
    inputs: list[torch.Tensor] = []
    hooks = [module.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0])) for module in modules]
    try:
        yield inputs
    finally:
        for hook in hooks:
            hook.remove()


def queries_and_keys(attn: nn.Module, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled queries and keys, N x heads x T x head dimension, from the module's input N x T x D."""
    count, length, _ = tokens.shape
    weight, bias = attn.qkv.weight, attn.qkv.bias
    two = 2 * weight.shape[0] // 3  # the values are not needed
    projected = nn.functional.linear(tokens, weight[:two], None if bias is None else bias[:two])
    query, key = projected.reshape(count, length, 2, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    return attn.q_norm(query) * attn.scale, attn.k_norm(key)


def class_token_row(attn: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """The class token's attention, mean over heads: N x T."""
    query, key = queries_and_keys(attn, tokens)
    return (query[:, :, :1] @ key.transpose(-2, -1)).softmax(dim=-1).mean(dim=1)[:, 0]


def rollout_row(modules: list[nn.Module], inputs: list[torch.Tensor], last: torch.Tensor) -> torch.Tensor:
    """The class token's row of the rollout: N x T.

    Only this row is carried, from the last block to the first, so that no T x T product is formed.
    """
    row = 0.5 * last
    row[:, 0] += 0.5
    for attn, tokens in zip(reversed(modules[:-1]), reversed(inputs[:-1]), strict=True):
        query, key = queries_and_keys(attn, tokens)
        mean = (query @ key.transpose(-2, -1)).softmax(dim=-1).mean(dim=1)
        row = 0.5 * row + 0.5 * (row[:, None] @ mean)[:, 0]
    return row


@torch.no_grad()
def export_maps(
    student: Student,
    images: LabelledImages,
    methods: list[str],
    batch_size: int,
    device: torch.device,
    problem: str = "multi_label",
) -> dict[str, np.ndarray]:
    """Logits and maps of all images, in order: the content of `attention/.../<cohort>.npz`.

    Returns:
        image_id N, labels L, logits N x L float32 (the log-odds of each label), and for each method N x g x g float16.
    """
    student = student.to(device).eval()
    logits, maps = [], {method: [] for method in methods}
    total = -(-len(images) // batch_size)
    for batch in progress(images.batches(batch_size), "attention", total=total, unit="batch"):
        inputs = student.normalise(batch.images.to(device))
        features, found = attention_maps(student.vit, inputs, methods)
        logits.append(student.read(features).logits.cpu())
        for method in methods:
            maps[method].append(found[method].to("cpu", torch.float16))
    return {
        "image_id": images.image_ids,
        "labels": np.array(student.labels),
        "logits": log_odds(torch.cat(logits), problem).numpy(),
        **{method: torch.cat(parts).numpy() for method, parts in maps.items()},
    }
