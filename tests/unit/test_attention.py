"""Attention maps against an explicit, unfused computation."""

import pytest
import torch

from mmpkd.attention import attention_maps
from mmpkd.config.students import Student
from mmpkd.models.student import create
from mmpkd.models.vision import timm

VARIANTS = {
    "plain": {},
    "registers": {"reg_tokens": 4},
    "normalised queries": {"qk_norm": True},
    "no bias": {"qkv_bias": False},
    "one block": {"depth": 1},
}


def vit(**arguments):
    config = Student(arguments={"patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4} | arguments)
    model = create(config, 32, ["a", "b"], seed=0).eval().vit
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # far from uniform attention
    return model


def explicit_attention(model, images):
    """The matrices that timm's own unfused attention multiplies the values with: depth x N x heads x T x T."""
    kept = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    model.forward_features(images)
    return kept


@pytest.mark.parametrize("arguments", VARIANTS.values(), ids=VARIANTS)
@torch.no_grad()
def test_maps_equal_the_unfused_reference(arguments):
    model = vit(**arguments)
    images = torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    features, maps = attention_maps(model, images, ["last_layer", "rollout"])
    matrices = explicit_attention(model, images)
    identity = torch.eye(matrices[0].shape[-1])
    product = identity.expand(3, -1, -1)
    for matrix in matrices:
        product = (matrix.mean(dim=1) + identity) / 2 @ product
    for name, matrix in (("last_layer", matrices[-1].mean(dim=1)), ("rollout", product)):
        patches = matrix[:, 0, model.num_prefix_tokens :]
        expected = (patches / patches.sum(dim=1, keepdim=True)).reshape(3, 4, 4)
        assert torch.allclose(maps[name], expected, atol=1e-6)
    assert torch.allclose(features, model.forward_features(images), atol=1e-4)


@torch.no_grad()
def test_maps_do_not_depend_on_the_batch():
    model = vit()
    images = torch.randn(5, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    _, together = attention_maps(model, images, ["rollout"])
    _, alone = attention_maps(model, images[2:3], ["rollout"])
    assert torch.allclose(together["rollout"][2:3], alone["rollout"], atol=1e-6)
    assert torch.allclose(together["rollout"].sum(dim=(1, 2)), torch.ones(5))


@torch.no_grad()
def test_the_model_is_left_without_hooks():
    model = vit()
    attention_maps(model, torch.zeros(1, 1, 32, 32), ["rollout"])
    assert all(not block.attn._forward_pre_hooks for block in model.blocks)


def test_a_model_without_class_token_is_refused():
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, class_token=False, global_pool="avg", depth=1)
    with pytest.raises(TypeError, match="class token"):
        attention_maps(model, torch.zeros(1, 3, 32, 32), ["last_layer"])
    with pytest.raises(ValueError, match="no class token"):
        create(Student(arguments={"class_token": False, "global_pool": "avg"}), 32, ["a"], seed=0)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="unknown attention methods"):
        attention_maps(vit(), torch.zeros(1, 1, 32, 32), ["gradcam"])
