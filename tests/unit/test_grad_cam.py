"""Explanations of other libraries on the study's own transformer."""

import sys

import pytest
import torch

from mmpkd.attention.maps import attention_maps
from mmpkd.config.students import StudentConfig
from mmpkd.students.vit import create

SHAPE = {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}
VARIANTS = {
    "plain": {},
    "registers": {"reg_tokens": 4},
    "normalised queries": {"qk_norm": True},
    "distilled": {"model": "deit_tiny_distilled_patch16_224"},
}


def student(model="vit_tiny_patch16_224", **arguments):
    made = create(StudentConfig(model=model, arguments=SHAPE | arguments), 32, ["a", "b"], seed=0).eval()
    with torch.no_grad():
        for parameter in made.vit.parameters():
            parameter.mul_(2)
    return made


def pictures(count):
    return torch.randn(count, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def score_of(student):
    return lambda features: student.read(features).logits[:, 1]


def reference_grad_cam(made, images):
    """The paper's formula in float64: the positive part of the activations weighted by their mean gradient."""
    made = made.double()
    vit, seen = made.vit, []
    vit.blocks[-1].norm1.register_forward_hook(lambda _, inputs, output: seen.append(output))
    value = score_of(made)(vit.forward_features(images.double())).sum()
    prefix = vit.num_prefix_tokens
    gradient = torch.autograd.grad(value, seen[0])[0][:, prefix:]
    weighted = (gradient.mean(dim=1, keepdim=True) * seen[0][:, prefix:].detach()).sum(dim=2).clamp(min=0)
    return (weighted / weighted.sum(dim=1, keepdim=True)).unflatten(1, vit.patch_embed.grid_size)


@pytest.mark.parametrize("arguments", VARIANTS.values(), ids=VARIANTS)
def test_grad_cam_of_the_package_equals_the_formula(arguments):
    pytest.importorskip("pytorch_grad_cam")
    made, images = student(**arguments), pictures(3)
    made.requires_grad_(True)
    with torch.no_grad():
        _, maps = attention_maps(made.vit, images, ["grad_cam", "rollout"], score_of(made))
        _, alone = attention_maps(made.vit, images[:1], ["grad_cam"], score_of(made))
    torch.testing.assert_close(alone["grad_cam"], maps["grad_cam"][:1], atol=1e-6, rtol=0)
    assert all(p.requires_grad and p.grad is None for p in made.parameters())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in made.modules())
    expected = reference_grad_cam(made, images)
    torch.testing.assert_close(maps["grad_cam"].double(), expected, atol=1e-6, rtol=0)


def test_a_package_that_is_not_installed_is_named_with_its_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    made = student()
    with pytest.raises(ModuleNotFoundError, match=r"evaluation\.methods: grad_cam .* pip install"):
        attention_maps(made.vit, pictures(1), ["grad_cam"], score_of(made))
