"""A last block that computes the class token alone, against timm's own transformer with the same weights."""

from copy import deepcopy

import pytest
import torch

from mmpkd.students.class_token import ClassTokenBlock, end_in_class_token, every_token
from mmpkd.students.vision import timm

SHAPE = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4, "num_classes": 2}
VARIANTS = {
    "plain": {},
    "one block": {"depth": 1},
    "registers": {"reg_tokens": 4},
    "normalised queries": {"qk_norm": True},
    "no bias": {"qkv_bias": False, "proj_bias": False},
    "scaled layers": {"init_values": 0.5},
    "normed heads": {"scale_attn_norm": True, "scale_mlp_norm": True},
}


def pair(model="vit_tiny_patch16_224", **arguments):
    """timm's own transformer in float64, and one with the same weights that ends in its class token."""
    torch.manual_seed(0)
    own = timm.create_model(model, **SHAPE | arguments).double()
    short = deepcopy(own)
    end_in_class_token(short)
    return own, short


def pictures(count=3):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def slopes(vit, images):
    logits = vit(images)
    weights = torch.tensor([1.0, -2.0], dtype=torch.float64)
    return dict(
        zip(
            [name for name, _ in vit.named_parameters()],
            torch.autograd.grad((logits @ weights).tanh().sum(), list(vit.parameters())),
            strict=True,
        )
    )


@pytest.mark.parametrize("arguments", VARIANTS.values(), ids=VARIANTS)
def test_class_token_logits_and_gradients_are_timms_own(arguments):
    own, short = pair(**arguments)
    images = pictures()
    assert isinstance(short.blocks[-1], ClassTokenBlock)
    tokens = short.forward_features(images)
    assert tokens.shape == (3, 1, 32)
    torch.testing.assert_close(tokens, own.forward_features(images)[:, :1], atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(short(images), own(images), atol=1e-12, rtol=1e-12)
    expected, found = slopes(own, images), slopes(short, images)
    assert set(expected) == set(found)
    for name, slope in expected.items():
        torch.testing.assert_close(found[name], slope, atol=1e-12, rtol=1e-10)


def test_a_gate_on_the_heads_is_followed():
    own, _ = pair()
    own.blocks[-1].attn.gate = torch.nn.Linear(32, 32).double()
    short = deepcopy(own)
    end_in_class_token(short)
    torch.testing.assert_close(short(pictures()), own(pictures()), atol=1e-12, rtol=1e-12)
    assert not torch.allclose(short(pictures()), pair()[1](pictures()))


def test_every_token_is_given_where_it_is_asked_for():
    own, short = pair()
    with every_token(short):
        assert torch.equal(short.forward_features(pictures()), own.forward_features(pictures()))
        with pytest.raises(ZeroDivisionError), every_token(short):
            raise ZeroDivisionError
        assert short.forward_features(pictures()).shape == (3, 1, 32), "an error leaves the short way on"
    assert short.forward_features(pictures()).shape == (3, 1, 32)
    with every_token(own):
        assert own.forward_features(pictures()).shape == (3, 17, 32)


def test_weights_and_their_names_stay():
    own, short = pair()
    assert list(own.state_dict()) == list(short.state_dict())
    own.load_state_dict(short.state_dict())
    assert [name for name, _ in own.named_parameters()] == [name for name, _ in short.named_parameters()]


def test_dropped_weights_and_paths_are_drawn_in_training_alone():
    _, short = pair(attn_drop_rate=0.5, proj_drop_rate=0.5, drop_path_rate=0.5)
    images = pictures()
    assert not torch.equal(short.train()(images), short(images))
    assert torch.equal(short.eval()(images), short(images))


def test_other_blocks_are_left_as_they_are():
    own, short = pair("vit_small_patch16_18x2_224", num_heads=4)
    assert type(short.blocks[-1]) is type(own.blocks[-1])
    assert torch.equal(short.forward_features(pictures()), own.forward_features(pictures()))
