"""Maps of where a vision transformer looks, by the name of the method."""

import re
from collections.abc import Callable
from typing import Any

import torch

from mmpkd.attention.grad_cam import grad_cam_row
from mmpkd.attention.gradient import ScoreFunction, gradient_rollout_row
from mmpkd.attention.reading import (
    Reading,
    attention_modules,
    class_token_row,
    mean_weights,
    reading_all,
    received_row,
    rollout_row,
    value_norm_row,
)
from mmpkd.config.evaluation import RECEIVED
from mmpkd.students.vision import Attention, VisionTransformer

LAST_BLOCK = ("last_layer", "last_layer_max", "value_norm")
OF_A_SCORE = {"gradient_rollout": gradient_rollout_row, "grad_cam": grad_cam_row}
METHODS = (*LAST_BLOCK, "rollout", *OF_A_SCORE)
HEAD = re.compile(r"last_layer_head(\d{1,2})")


def attention_maps(
    vit: VisionTransformer, images: torch.Tensor, methods: list[str], score: ScoreFunction | None = None
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Where the class token looks, or what a score rests on.

    last_layer, last_layer_max, last_layer_head<k>: the class token's row of the last block's attention, mean or maximum
    over heads, or head k alone (from 0).
    rollout: attention through all blocks, see `rollout_row`.
    value_norm: the last block's attention times what it carries, see `value_norm_row`.
    gradient_rollout, grad_cam: of a score, see `gradient_rollout_row` and `grad_cam_row`.
    received: no share but multiples, see `received_row`; of a model with one block the class token's row.

    Args:
        vit: a timm vision transformer with a class token, in evaluation mode. It is left as it was.
        images: as the transformer takes them, N x C x S x S.
        methods: of METHODS, last_layer_head<k>, or RECEIVED.
        score: for the methods of a score: what they explain, one differentiable number per image.

    Returns:
        Features of `vit.forward_features`, N x T x D, and for each method maps over the patch grid, N x g x g, that sum
        to one (except RECEIVED). Class, distillation and register tokens have no share in them. A map without any
        positive value, as where no gradient is positive, is uniform: it points nowhere.

    Raises:
        TypeError: the model has no class token, or attention modules that a method does not know.
        ValueError: unknown method, a head that is not there, or no score.
    """
    blocks = attention_modules(vit)
    refuse_unknown(methods, blocks[-1].num_heads, score)
    features, rows = forward_rows(vit, images, blocks, [method for method in methods if method not in OF_A_SCORE])
    prefix, grid = vit.num_prefix_tokens, vit.patch_embed.grid_size
    patches = {method: row[:, prefix:] for method, row in rows.items()}
    for method in [method for method in methods if method in OF_A_SCORE]:
        assert score is not None  # `refuse_unknown` has seen to it
        row = OF_A_SCORE[method](vit, images, score)
        patches[method] = row[:, row.shape[1] - grid[0] * grid[1] :]
    maps = {method: row if method == RECEIVED else shares(row) for method, row in patches.items()}
    return features, {method: maps[method].unflatten(1, grid) for method in methods}


def refuse_unknown(methods: list[str], heads: int, score: Callable[..., torch.Tensor] | None) -> None:
    """Refuses methods that cannot be computed.

    Args:
        methods: of the maps.
        heads: of the model's last block.
        score: what a method of a score explains, if there is one.

    Raises:
        ValueError: a method is unknown, asks for a head that the model does not have, or needs a score.
    """
    named = {method: HEAD.fullmatch(method) for method in methods if method not in (*METHODS, RECEIVED)}
    unknown = sorted(method for method, match in named.items() if match is None)
    if unknown:
        known = ", ".join((*METHODS, "last_layer_head<k>"))
        raise ValueError(f"unknown attention methods {unknown}; known are {known}")
    missing = sorted(method for method, match in named.items() if match and int(match[1]) >= heads)
    if missing:
        raise ValueError(f"evaluation.methods: {', '.join(missing)}: the model has the heads 0 to {heads - 1}")
    if score is None and any(method in OF_A_SCORE for method in methods):
        raise ValueError(f"{', '.join(OF_A_SCORE)} explain a score: pass `score`")


def forward_rows(
    vit: VisionTransformer, images: torch.Tensor, blocks: list[Attention], methods: list[str]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Features and the class token's rows, from one forward.

    Args:
        vit: the model, with T tokens.
        images: N of them, as the transformer takes them.
        blocks: the attention of each block, in order.
        methods: those that need no gradient.

    Returns:
        The features, and for each method N x T.
    """
    keeps: dict[Attention, Callable[[Reading], Any]] = {}
    if {"rollout", RECEIVED} & {*methods}:
        keeps = dict.fromkeys(blocks[:-1], mean_weights)
    if methods:
        keeps[blocks[-1]] = lambda reading: last_rows(reading, methods)
    with reading_all(keeps) as kept:
        features = vit.forward_features(images)
    if not methods:
        return features, {}
    *means, rows = [part for (part,) in kept]
    if "rollout" in methods:
        rows["rollout"] = rollout_row(means, rows["rollout"])
    if RECEIVED in methods:
        prefix = vit.num_prefix_tokens
        of_patches = [mean[:, prefix:].mean(dim=1) for mean in means]
        rows[RECEIVED] = received_row(of_patches or [rows[RECEIVED]], prefix)
    return features, rows


def last_rows(reading: Reading, methods: list[str]) -> dict[str, torch.Tensor]:
    """What each method takes from the last block.

    Args:
        reading: attention and values of the last block.
        methods: those that are made of it.

    Returns:
        For each method N x T; for rollout and RECEIVED the mean over heads.
    """
    heads = class_token_row(reading)
    rows = {}
    for method in methods:
        if method == "last_layer_max":
            rows[method] = heads.amax(dim=1)
        elif method == "value_norm":
            rows[method] = value_norm_row(reading, heads)
        elif head := HEAD.fullmatch(method):
            rows[method] = heads[:, int(head[1])]
        else:
            rows[method] = heads.mean(dim=1)
    return rows


def shares(patches: torch.Tensor) -> torch.Tensor:
    """Rows N x P divided by their sum; a row of zeros becomes uniform."""
    total = patches.sum(dim=1, keepdim=True)
    return torch.where(total == 0, 1 / patches.shape[1], patches / total)
