"""Students: which transformers they may be, what they say, and how they lie on disk."""

import pytest
import torch
from safetensors.torch import save_file

from mmpkd.attention.maps import attention_maps
from mmpkd.config.students import StudentConfig
from mmpkd.students.class_token import PatchProjection, every_token
from mmpkd.students.vit import CheckpointError, create, load, load_backbone, save

SMALL = StudentConfig(arguments={"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2})


def test_a_saved_student_comes_back_the_same(tmp_path):
    student = create(SMALL, 32, ["a", "b"], seed=3).eval()
    save(student, tmp_path / "model.safetensors")
    back = load(tmp_path / "model.safetensors")
    images = torch.rand(2, 1, 32, 32)
    assert back.labels == ["a", "b"]
    assert torch.equal(back(images).logits, student(images).logits)


def test_the_seed_alone_decides_the_weights():
    torch.manual_seed(0)
    first = create(SMALL, 32, ["a"], seed=3).state_dict()
    after = torch.rand(1)
    torch.manual_seed(0)
    torch.rand(1)
    second = create(SMALL, 32, ["a"], seed=3).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(1), after), "the global generator must not move"


def test_the_backbone_gives_all_weights_but_the_head(tmp_path):
    save(create(SMALL, 32, ["shapes"], seed=1), tmp_path / "backbone.safetensors")
    student, backbone = create(SMALL, 32, ["a", "b"], seed=2), create(SMALL, 32, ["shapes"], seed=1)
    head = student.vit.head.weight.clone()
    load_backbone(student, tmp_path / "backbone.safetensors")
    assert torch.equal(student.vit.blocks[0].attn.qkv.weight, backbone.vit.blocks[0].attn.qkv.weight)
    assert torch.equal(student.vit.head.weight, head)


def test_a_backbone_of_another_shape_is_refused(tmp_path):
    save(create(SMALL, 48, ["a"], seed=1), tmp_path / "backbone.safetensors")
    with pytest.raises(CheckpointError, match="does not fit"):
        load_backbone(create(SMALL, 32, ["a"], seed=1), tmp_path / "backbone.safetensors")


def test_a_foreign_file_is_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="not written by this project"):
        load(tmp_path / "foreign.safetensors")


def test_an_unknown_model_names_the_configuration():
    with pytest.raises(ValueError, match=r"student\.model 'vit_unheard_of'"):
        create(StudentConfig(model="vit_unheard_of"), 32, ["a"], seed=0)


SHORT = {"embed_dim": 16, "num_heads": 2, "depth": 2}
FAMILIES = [
    ("vit_tiny_patch16_224", SHORT, 64),
    ("vit_tiny_patch16_224", {**SHORT, "patch_size": 4}, 32),
    ("vit_small_patch14_reg4_dinov2", SHORT, 56),
    ("deit_tiny_distilled_patch16_224", SHORT, 64),
    ("deit3_small_patch16_224", SHORT, 48),
    ("vit_base_patch32_clip_224", SHORT, 96),
]


@pytest.mark.parametrize(("model", "arguments", "size"), FAMILIES)
def test_each_family_learns_saves_and_shows_its_attention(model, arguments, size, tmp_path):
    student = create(StudentConfig(model=model, arguments=arguments), size, ["a", "b"], seed=0)
    images = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    output = student(images)
    output.logits.sum().backward()
    assert all(parameter.grad is not None for parameter in student.parameters()), "a weight that nothing teaches"
    save(student, tmp_path / "model.safetensors")
    student = load(tmp_path / "model.safetensors")
    tokens, maps = attention_maps(student.vit, student.normalise(images), ["last_layer", "rollout"])
    side = size // student.vit.patch_embed.patch_size[0]
    assert maps["rollout"].shape == maps["last_layer"].shape == (2, side, side)
    attention = softmax_attention(student, images)
    torch.testing.assert_close(maps["last_layer"], attention.unflatten(1, (side, side)))
    torch.testing.assert_close(student.read(tokens).logits, student(images).logits)


def softmax_attention(student, images):
    """The class token's attention to the patches, by timm's own unfused forward."""
    last = student.vit.blocks[-1].attn
    last.fused_attn, weights = False, []
    hook = last.attn_drop.register_forward_hook(lambda _module, _inputs, output: weights.append(output))
    with every_token(student.vit):
        student(images)
    hook.remove()
    last.fused_attn = True
    patches = weights[0].mean(dim=1)[:, 0, student.vit.num_prefix_tokens :]
    return patches / patches.sum(dim=1, keepdim=True)


def test_a_distilled_student_says_what_its_class_token_says():
    student = create(StudentConfig(model="deit_tiny_distilled_patch16_224", arguments=SHORT), 32, ["a"], seed=0).eval()
    tokens = torch.randn(3, student.vit.num_prefix_tokens + 4, 16, generator=torch.Generator().manual_seed(0))
    output = student.read(tokens)
    torch.testing.assert_close(output.embedding, tokens[:, 0])
    torch.testing.assert_close(output.logits, student.vit.head(tokens[:, 0]))
    assert not any(name.startswith("head_dist") for name in student.vit.state_dict())


@pytest.mark.parametrize(
    ("model", "arguments", "size", "reason"),
    [
        ("vit_medium_patch16_gap_240", SHORT, 32, "no class token, or is no VisionTransformer"),
        ("eva02_tiny_patch14_224", {}, 28, "no class token, or is no VisionTransformer"),
        ("vit_tiny_patch16_224", {**SHORT, "global_pool": "avg"}, 32, "set global_pool: token"),
        ("vit_small_patch16_18x2_224", SHORT, 32, "whose attention cannot be read"),
        ("vit_small_patch14_dinov2", SHORT, 64, "imaging.size 64 is no multiple of 14"),
    ],
)
def test_what_cannot_be_studied_is_refused_before_training(model, arguments, size, reason):
    with pytest.raises(ValueError, match=reason):
        create(StudentConfig(model=model, arguments=arguments), size, ["a"], seed=0)


@pytest.mark.parametrize(("channels", "bias", "patch"), [(1, True, 8), (3, False, 4)])
def test_the_patch_projection_is_the_convolution(channels, bias, patch):
    generator = torch.Generator().manual_seed(0)
    convolution = torch.nn.Conv2d(channels, 5, patch, patch, bias=bias)
    images = torch.randn(2, channels, 3 * patch, 2 * patch, generator=generator)
    projection = PatchProjection.of(convolution)
    expected = convolution(images)
    weights = torch.randn(expected.shape, generator=generator)
    wanted = torch.autograd.grad((expected * weights).sum(), convolution.weight)[0]
    found = torch.autograd.grad((projection(images) * weights).sum(), projection.weight)[0]
    torch.testing.assert_close(projection(images), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert set(projection.state_dict()) == set(convolution.state_dict())


@pytest.mark.parametrize("settings", [{"stride": 4}, {"stride": 8, "padding": 1}, {"stride": 8, "groups": 2}])
def test_windows_that_are_no_patches_are_refused(settings):
    with pytest.raises(ValueError, match="no patches"):
        PatchProjection.of(torch.nn.Conv2d(2, 4, 8, **settings))
