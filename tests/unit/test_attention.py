"""Attention maps against an explicit, unfused computation in double precision."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from mmpkd.attention.export import artefact_rate, export_maps, last_tokens
from mmpkd.attention.gradient import predicted_score
from mmpkd.attention.maps import METHODS, attention_maps, shares
from mmpkd.attention.reading import received_row
from mmpkd.config import evaluation
from mmpkd.config.evaluation import RECEIVED
from mmpkd.config.students import StudentConfig
from mmpkd.students.class_token import every_token
from mmpkd.students.data import ArrayStore, LabelledImages
from mmpkd.students.vision import timm
from mmpkd.students.vit import create

SHAPE = {"patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4}
VARIANTS = {
    "plain": {},
    "registers": {"reg_tokens": 4},
    "normalised queries": {"qk_norm": True},
    "no bias": {"qkv_bias": False},
    "one block": {"depth": 1},
    "scaled layers": {"init_values": 0.5},
    "another size": {"size": 56},
    "distilled": {"model": "deit_tiny_distilled_patch16_224"},
}
OF_ATTENTION = ["last_layer", "last_layer_max", "last_layer_head0", "last_layer_head3", "rollout", "value_norm"]
EXACT = [*OF_ATTENTION, "gradient_rollout"]
COMPUTED = [*EXACT, RECEIVED]


def student(size=32, model="vit_tiny_patch16_224", **arguments):
    made = create(StudentConfig(model=model, arguments=SHAPE | arguments), size, ["a", "b"], seed=0).eval()
    with torch.no_grad():
        for parameter in made.vit.parameters():
            parameter.mul_(1.5)  # far from uniform attention
    return made


def pictures(count, size=32, seed=0):
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


def score_of(student):
    return lambda features: student.read(features).logits[:, 1]


def reference_maps(student, images):
    """All maps from the matrices that timm's own unfused attention multiplies the values with, in float64."""
    student, images = deepcopy(student).double(), images.double()
    vit, matrices, values = student.vit, [], []
    for block in vit.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda _, inputs, output: matrices.append(output))
    vit.blocks[-1].attn.qkv.register_forward_hook(lambda _, inputs, output: values.append(output))
    with every_token(vit):
        gradients = torch.autograd.grad(score_of(student)(vit.forward_features(images)).sum(), matrices)
    length, heads = matrices[0].shape[-1], matrices[0].shape[1]
    identity = torch.eye(length, dtype=torch.float64)
    rollout = relevance = identity.expand(len(images), -1, -1)
    for matrix, gradient in zip(matrices, gradients, strict=True):
        rollout = (matrix.mean(dim=1) + identity) / 2 @ rollout
        relevance = relevance + (matrix * gradient).clamp(min=0).mean(dim=1) @ relevance
    last = matrices[-1][:, :, 0]
    width = values[0].shape[-1] // 3
    added = torch.zeros(len(images), length, vit.embed_dim, dtype=torch.float64)
    for head in range(heads):
        mine = slice(head * width // heads, (head + 1) * width // heads)
        carried = values[0][:, :, 2 * width :][:, :, mine] @ vit.blocks[-1].attn.proj.weight[:, mine].T
        added += last[:, head, :, None] * carried
    rows = {
        "last_layer": last.mean(dim=1),
        "last_layer_max": last.amax(dim=1),
        "last_layer_head0": last[:, 0],
        "last_layer_head3": last[:, 3],
        "rollout": rollout[:, 0],
        "value_norm": added.norm(dim=-1),
        "gradient_rollout": relevance[:, 0],
    }
    received_rows = received(vit, matrices)[:, vit.num_prefix_tokens :].detach()
    maps = {name: on_grid(vit, row) for name, row in rows.items()}
    return maps | {RECEIVED: received_rows.unflatten(1, vit.patch_embed.grid_size)}


def received(vit, matrices):
    """The most that each token receives from the patches in any block but the last, relative to the mean patch."""
    prefix = vit.num_prefix_tokens
    patches = [matrix.mean(dim=1)[:, prefix:].mean(dim=1) for matrix in matrices[:-1]]
    rows = patches or [matrices[0].mean(dim=1)[:, 0]]  # of one block the class token's row
    return torch.stack([row / row[:, prefix:].mean(dim=1, keepdim=True) for row in rows]).amax(dim=0)


def on_grid(vit, row):
    patches = row[:, vit.num_prefix_tokens :].detach()
    return (patches / patches.sum(dim=1, keepdim=True)).unflatten(1, vit.patch_embed.grid_size)


@pytest.mark.parametrize("arguments", VARIANTS.values(), ids=VARIANTS)
def test_maps_equal_the_unfused_reference(arguments):
    made = student(**arguments)
    images = pictures(3, arguments.get("size", 32))
    with torch.no_grad():
        features, maps = attention_maps(made.vit, images, COMPUTED, score_of(made))
        torch.testing.assert_close(features, made.vit.forward_features(images))
        with every_token(made.vit):
            _, whole = attention_maps(made.vit, images, COMPUTED, score_of(made))
    expected = reference_maps(made, images)
    precise = deepcopy(made).double()
    _, exact = attention_maps(precise.vit, images.double(), COMPUTED, score_of(precise))
    for name in COMPUTED:
        assert maps[name].shape == expected[name].shape
        torch.testing.assert_close(maps[name].double(), expected[name], atol=1e-6, rtol=0)
        torch.testing.assert_close(whole[name].double(), expected[name], atol=1e-6, rtol=0)
        torch.testing.assert_close(exact[name], expected[name], atol=1e-12, rtol=0)


def test_fused_attention_is_left_on_and_the_maps_differ_from_one_another():
    made = student()
    assert all(block.attn.fused_attn for block in made.vit.blocks)
    _, maps = attention_maps(made.vit, pictures(2), COMPUTED, score_of(made))
    for first in COMPUTED:
        for second in COMPUTED:
            assert first == second or (maps[first] - maps[second]).abs().max() > 1e-3
    assert all(block.attn.fused_attn for block in made.vit.blocks)


@pytest.mark.parametrize("method", COMPUTED)
def test_a_map_depends_on_its_own_image_alone(method):
    made, images = student(), pictures(8, seed=1)
    _, together = attention_maps(made.vit, images, [method], score_of(made))
    alone = torch.cat([attention_maps(made.vit, image[None], [method], score_of(made))[1][method] for image in images])
    torch.testing.assert_close(together[method], alone, atol=1e-6, rtol=0)
    if method in EXACT:
        torch.testing.assert_close(together[method].sum(dim=(1, 2)), torch.ones(8))


@pytest.mark.parametrize("trainable", [True, False])
def test_the_model_is_left_as_it_was(trainable):
    made = student()
    made.requires_grad_(trainable)
    before = deepcopy(made.state_dict())
    with torch.no_grad():
        _, maps = attention_maps(made.vit, pictures(2), COMPUTED, score_of(made))
    modules = list(made.modules())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in modules)
    assert all(p.requires_grad == trainable and p.grad is None for p in made.parameters())
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert not any(found.requires_grad for found in maps.values()) and not made.training


def test_hooks_are_removed_when_a_forward_fails():
    made = student()
    with pytest.raises((AssertionError, RuntimeError)):
        attention_maps(made.vit, torch.zeros(1, 1, 24, 24), ["rollout"])
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in made.modules())


def test_rollout_keeps_one_matrix_a_block(monkeypatch):
    """Of a batch, not one per head; and of the last block the class token's row alone."""
    formed = []
    monkeypatch.setattr("mmpkd.attention.maps.rollout_row", lambda means, last: formed.extend([*means, last]) or last)
    attention_maps(student().vit, pictures(2), ["rollout"])
    assert [tuple(tensor.shape) for tensor in formed] == [(2, 17, 17), (2, 17, 17), (2, 17)]


def test_values_are_weighted_by_their_norm_and_not_by_attention_alone():
    """With values that are zero but for one token's, that token has the whole map."""
    made = student(depth=1, qkv_bias=False)
    attn = made.vit.blocks[-1].attn

    def silence(_, inputs, output):
        output = output.clone()
        output[:, :, :5] = output[:, :, 6:] = 0  # values of all tokens but the fifth
        return output

    handle = attn.values.register_forward_hook(silence)
    _, maps = attention_maps(made.vit, pictures(1), ["value_norm"])
    handle.remove()
    assert maps["value_norm"].flatten().argmax() == 4  # behind the class token
    assert maps["value_norm"].flatten()[4] == 1


def test_a_norm_on_the_heads_output_is_refused_for_value_norm():
    made = student(scale_attn_norm=True)
    with pytest.raises(TypeError, match=r"evaluation\.methods: value_norm"):
        attention_maps(made.vit, pictures(1), ["value_norm"])


def test_a_score_without_positive_gradient_gives_a_uniform_map():
    made = student()
    _, maps = attention_maps(made.vit, pictures(2), ["gradient_rollout"], lambda tokens: 0 * tokens.sum(dim=(1, 2)))
    assert torch.equal(maps["gradient_rollout"], torch.full((2, 4, 4), 1 / 16))


def test_shares_do_not_hide_what_is_not_a_number():
    found = shares(torch.tensor([[0.0, 0.0], [1.0, 3.0], [float("nan"), 1.0]]))
    assert found[:2].tolist() == [[0.5, 0.5], [0.25, 0.75]] and found[2].isnan().all()


@pytest.mark.parametrize(
    ("problem", "logits", "expected"),
    [
        ("multi_label", [2.0, 1.0, -3.0], 3.0),  # the labels predicted present
        ("multi_label", [-2.0, -1.0, -3.0], -1.0),  # none: the most probable
        ("multi_label", [0.0, -1.0, -1.0], 0.0),  # a probability of exactly 0.5 is enough
        ("single_label", [2.0, 1.9, 1.8], 2.0),  # below 0.5, and yet the highest
        ("single_label", [2.0, -1.0, 1.0], 2.0),
    ],
)
def test_a_map_explains_the_labels_predicted_present(problem, logits, expected):
    assert predicted_score(torch.tensor([logits]), problem).item() == expected


def test_a_gradient_map_depends_on_the_label_that_is_explained():
    made, images = student(), pictures(2)
    maps = [
        attention_maps(made.vit, images, ["gradient_rollout"], lambda t, k=k: made.read(t).logits[:, k])[1]
        for k in range(2)
    ]
    assert (maps[0]["gradient_rollout"] - maps[1]["gradient_rollout"]).abs().max() > 1e-3


def test_artefact_tokens_are_those_above_three_medians():
    tokens = torch.ones(2, 2 + 8, 4)
    tokens[:, :2] = 100  # class token and a register do not count
    tokens[0, 4] = 3.1
    tokens[0, 5] = 3.0  # three times the median is not above it
    assert artefact_rate(tokens, 2).tolist() == [1 / 8, 0]
    assert artefact_rate(1e-3 * tokens, 2).tolist() == [1 / 8, 0]
    assert artefact_rate(torch.zeros(1, 5, 4), 1).tolist() == [0]


def test_what_a_patch_receives_is_the_most_over_blocks_in_multiples_of_the_mean_patch():
    rows = [torch.tensor([[0.5, 0.1, 0.1, 0.2, 0.1]]), torch.tensor([[0.2, 0.5, 0.1, 0.1, 0.1]])]
    assert received_row(rows, 1)[0, 1:].tolist() == pytest.approx([2.5, 0.8, 1.6, 0.8])


def test_artefacts_are_sought_before_the_final_norm():
    made = student()
    with torch.no_grad(), last_tokens(made.vit) as tokens:
        features = made.vit.forward_features(pictures(2))
    torch.testing.assert_close(made.vit.norm(tokens[0]), features)
    assert not made.vit.blocks[-1]._forward_hooks


def test_an_export_holds_maps_logits_and_artefact_rates_in_order():
    made = student()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32)).astype(np.uint8)
    images = LabelledImages(ArrayStore(pixels), np.arange(5), np.zeros((5, 0), np.float32))
    arrays = export_maps(made, images, EXACT, 2, torch.device("cpu"))
    assert {arrays[name].shape for name in EXACT} == {(5, 4, 4)}
    assert {arrays[name].dtype for name in EXACT} == {np.dtype(np.float16)}
    assert arrays[RECEIVED].shape == (5, 4, 4) and (arrays[RECEIVED].max(axis=(1, 2)) > 1).all()
    assert arrays["artefact_rate"].shape == (5,) and arrays["artefact_rate"].dtype == np.float32
    plain = export_maps(made, images, ["rollout"], 2, torch.device("cpu"))
    assert all(np.array_equal(plain[name], arrays[name]) for name in plain if name != "image_id")
    grey = torch.from_numpy(pixels)[:, None].float() / 255
    with torch.no_grad():
        assert np.allclose(arrays["logits"], made(grey).logits, atol=1e-5)
        assert np.allclose(arrays["embedding"], made(grey).embedding, atol=1e-5)


def test_a_model_without_class_token_is_refused():
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, class_token=False, global_pool="avg", depth=1)
    with pytest.raises(TypeError, match="class token"):
        attention_maps(model, torch.zeros(1, 3, 32, 32), ["last_layer"])
    with pytest.raises(ValueError, match="no class token"):
        create(StudentConfig(arguments={"class_token": False, "global_pool": "avg"}), 32, ["a"], seed=0)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("gradcam", "unknown attention methods"),
        ("last_layer_head", "unknown attention methods"),
        ("last_layer_head4", "heads 0 to 3"),
        ("gradient_rollout", "pass `score`"),
    ],
)
def test_a_method_that_cannot_be_computed_is_refused(method, message):
    with pytest.raises(ValueError, match=message):
        attention_maps(student().vit, torch.zeros(1, 1, 32, 32), [method])


def test_the_configuration_names_the_methods_that_there_are():
    assert sorted(evaluation.METHODS) == sorted(METHODS)
    names = [*METHODS, "last_layer_head0", "last_layer_head11"]
    assert evaluation.Evaluation(methods=names).methods == names
    for wrong in ("gradcam", "last_layer_head", "last_layer_head-1", "rollout_", "last_layer_head100"):
        with pytest.raises(ValueError, match="methods"):
            evaluation.Evaluation(methods=[wrong])
