"""First weights made elsewhere: read safely, and fitted so that the transformer computes what it did."""

import argparse
import logging

import pytest
import torch
from safetensors.torch import save_file

from mmpkd.config.students import Backbone, StudentConfig, Training
from mmpkd.students import first_weights as pretrained
from mmpkd.students.backbone import make_backbone
from mmpkd.students.class_token import every_token
from mmpkd.students.first_weights import fit_weights, from_file, from_hub, to_grey
from mmpkd.students.vision import timm
from mmpkd.students.vit import CheckpointError, create, save

SMALL = {"embed_dim": 16, "depth": 2, "num_heads": 2}
PLAIN, CLIP, REGISTERS = "vit_tiny_patch16_224", "vit_base_patch16_clip_224.openai", "vit_small_patch14_reg4_dinov2"


def foreign(model: str = PLAIN, size: int = 64, **arguments) -> torch.nn.Module:
    """A transformer of three channels and ten classes, as others train them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        vit = timm.create_model(model, img_size=size, num_classes=10, **{**SMALL, **arguments})
        for parameter in vit.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return vit.eval()


def student_from(path, model: str = PLAIN, size: int = 64, arguments=SMALL, **backbone):
    backbone = Backbone(source="file", path=path, **backbone)
    config = StudentConfig(model=model, arguments=arguments, std=0.25, backbone=backbone)
    return make_backbone(config, Training(), size, torch.device("cpu"))[0].eval()


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (PLAIN, 64),
        ("deit_tiny_distilled_patch16_224", 64),
        (CLIP, 64),
        (REGISTERS, 56),
        ("deit3_small_patch16_224", 64),
    ],
)
def test_a_grey_student_computes_what_the_colour_model_does_on_three_copies(model, size, tmp_path):
    vit = foreign(model, size)
    torch.save(vit.state_dict(), tmp_path / "vit.pth")
    student = student_from(tmp_path / "vit.pth", model, size)
    grey = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(vit.pretrained_cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    expected = vit.forward_features((grey.expand(-1, 3, -1, -1) - mean) / std)
    with every_token(student.vit):
        found = student.vit.forward_features(student.normalise(grey))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_folded_patch_embedding_has_the_value_worked_out_by_hand():
    weight = torch.tensor([1.0, 2.0, 4.0]).view(1, 3, 1, 1)
    folded, constant = to_grey(weight, [0.5, 0.25, 0.0], [0.5, 1.0, 2.0], 0.5, 0.25)
    assert folded.item() == 1 * 0.25 / 0.5 + 2 * 0.25 / 1 + 4 * 0.25 / 2
    assert constant.item() == 0 + 2 * (0.5 - 0.25) / 1 + 4 * 0.5 / 2


def test_configured_mean_and_std_go_before_what_timm_states(tmp_path):
    torch.save(foreign().state_dict(), tmp_path / "vit.pth")
    stated = student_from(tmp_path / "vit.pth", mean=[0.5] * 3, std=[0.5] * 3).vit.state_dict()
    known, other = (student_from(tmp_path / "vit.pth", **each).vit.state_dict() for each in ({}, IMAGENET))
    assert torch.equal(stated["patch_embed.proj.weight"], known["patch_embed.proj.weight"])
    assert not torch.allclose(other["patch_embed.proj.weight"], known["patch_embed.proj.weight"])
    with pytest.raises(CheckpointError, match="3 channels, and student.backbone.mean and std are for 1"):
        student_from(tmp_path / "vit.pth", mean=[0.5], std=[0.5])


IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@pytest.mark.parametrize(("model", "size", "other", "tokens"), [(PLAIN, 64, 96, 1), (REGISTERS, 56, 84, 0)])
def test_positions_of_another_grid_are_timms_resampling_and_tokens_keep_theirs(model, size, other, tokens, tmp_path):
    vit = foreign(model, size)
    save_file(vit.state_dict(), tmp_path / "vit.safetensors")
    found = student_from(tmp_path / "vit.safetensors", model, other).vit.pos_embed
    side = other // vit.patch_embed.patch_size[0]
    expected = timm.layers.resample_abs_pos_embed(vit.pos_embed, (side, side), num_prefix_tokens=tokens)
    torch.testing.assert_close(found, expected)
    assert torch.equal(found[:, :tokens], vit.pos_embed[:, :tokens])


def test_patches_of_another_size_are_resampled_only_where_asked_for(tmp_path):
    save_file(foreign().state_dict(), tmp_path / "vit.safetensors")
    arguments = {**SMALL, "patch_size": 8}
    with pytest.raises(CheckpointError, match=r"patches of 16 pixels, the student has 8.*resample_patches"):
        student_from(tmp_path / "vit.safetensors", size=32, arguments=arguments)
    student = student_from(tmp_path / "vit.safetensors", size=32, arguments=arguments, resample_patches=True)
    resampled = timm.layers.resample_patch_embed(foreign().patch_embed.proj.weight, [8, 8])
    expected = resampled.sum(dim=1, keepdim=True) * (0.25 / 0.5)
    torch.testing.assert_close(student.vit.patch_embed.proj.weight, expected, rtol=1e-4, atol=1e-5)


def wrapped_as_dino(state):
    prefixed = {f"module.backbone.{name}": tensor for name, tensor in state.items()}
    zeros = {name: torch.zeros_like(tensor) for name, tensor in prefixed.items()}
    head = {"module.head.mlp.0.weight": torch.zeros(2, 2)}
    return {"student": zeros, "teacher": {**prefixed, **head}, "epoch": 3, "args": argparse.Namespace(lr=0.1)}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model": state, "optimizer": {"state": {}}},
        lambda state: {"state_dict": {f"encoder.{name}": tensor for name, tensor in state.items()}},
        lambda state: {"model": {"state_dict": {f"_orig_mod.{name}": t for name, t in state.items()}}, "epoch": 1},
        wrapped_as_dino,
    ],
)
def test_wrapped_state_dicts_are_the_plain_one(wrap, tmp_path):
    state = foreign().state_dict()
    torch.save(wrap(state), tmp_path / "wrapped.pt")
    found = from_file(tmp_path / "wrapped.pt").tensors
    assert state.keys() <= found.keys() and all(torch.equal(found[name], state[name]) for name in state)


class Code:
    """Touches a file when it is unpickled."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_that_holds_code_is_refused_and_not_run(tmp_path):
    torch.save({"model": foreign().state_dict(), "hook": Code(tmp_path / "ran")}, tmp_path / "vit.pth")
    with pytest.raises(CheckpointError, match=r"could run code.*save_file"):
        from_file(tmp_path / "vit.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"abc", b"PK\x03\x04 cut off", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_weights_is_named(content, tmp_path):
    (tmp_path / "vit.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"vit\.pth: neither safetensors nor a torch state dict"):
        from_file(tmp_path / "vit.pth")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"student\.backbone\.path: there is no file .*vit\.pth"):
        student_from(tmp_path / "vit.pth")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"depth": 3}, r"blocks\.2\.norm1\.weight missing instead of \(16,\).*\(12 tensors\)"),
        ({"depth": 1}, r"blocks\.1\..* is not the student's"),
        ({"embed_dim": 24}, r"tokens of 16 dimensions, the student has 24"),
        ({"qk_norm": True}, r"blocks\.0\.attn\.q_norm\.weight missing"),
        ({"reg_tokens": 2}, "positional embeddings are not 3 and a square grid"),
    ],
)
def test_another_transformer_is_refused_with_its_first_tensors(arguments, reason, tmp_path):
    save_file(foreign().state_dict(), tmp_path / "vit.safetensors")
    with pytest.raises(CheckpointError, match=reason):
        student_from(tmp_path / "vit.safetensors", arguments={**SMALL, **arguments})


def test_two_transformers_or_none_in_a_file_are_refused(tmp_path):
    state = foreign().state_dict()
    twice = {f"{side}.{name}": tensor.clone() for name, tensor in state.items() for side in ("left", "right")}
    save_file(twice, tmp_path / "two.safetensors")
    with pytest.raises(CheckpointError, match=r"2 transformers, named 'left\.', 'right\.'"):
        from_file(tmp_path / "two.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="no tensor patch_embed"):
        from_file(tmp_path / "none.safetensors")


def test_a_students_own_file_keeps_its_function_in_another_normalisation(tmp_path):
    theirs = create(StudentConfig(arguments=SMALL, mean=0.3, std=0.2), 64, ["a", "b"], seed=1).eval()
    save(theirs, tmp_path / "own.safetensors")
    ours = student_from(tmp_path / "own.safetensors")
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(images).embedding, theirs(images).embedding, rtol=0, atol=1e-5)
    same = create(StudentConfig(arguments=SMALL, std=0.25), 64, ["a"], seed=1)
    save(same, tmp_path / "same.safetensors")
    again = student_from(tmp_path / "same.safetensors").vit.state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in same.vit.state_dict().items() if "head" not in name)


def test_the_log_says_what_was_changed_and_left_out(tmp_path, caplog):
    save_file({**foreign().state_dict(), "mask_token": torch.zeros(1, 16)}, tmp_path / "vit.safetensors")
    with caplog.at_level(logging.INFO, logger="mmpkd.students"):
        student_from(tmp_path / "vit.safetensors", size=96)
    assert "positions resampled from 4 x 4 to 6 x 6; 3 channels" in caplog.text
    assert "left out: 2 tensors of heads and 0 others" in caplog.text  # timm itself drops the mask token


def test_the_hubs_weights_go_the_same_way_as_a_file(monkeypatch):
    vit = foreign()
    create_model = timm.create_model
    monkeypatch.setattr(
        pretrained.timm,
        "create_model",
        lambda name, pretrained=False, **rest: vit if pretrained else create_model(name, **rest),
    )
    config = StudentConfig(arguments=SMALL, backbone=Backbone(source="timm"))
    student = make_backbone(config, Training(), 96, torch.device("cpu"))[0]
    assert torch.equal(student.vit.blocks[1].mlp.fc1.weight, vit.blocks[1].mlp.fc1.weight)
    assert student.vit.pos_embed.shape == (1, 37, 16)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("vit_small_patch16_224.dino", "vit_small_patch16_224.dino"),
        ("deit_tiny_patch16_224", "deit_tiny_patch16_224.fb_in1k"),
    ],
)
def test_without_network_and_weights_the_file_to_place_is_named(model, name, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="not in the hub's cache") as raised:
        from_hub(StudentConfig(model=model, arguments={}))
    assert f"https://huggingface.co/timm/{name}/resolve/main/model.safetensors" in str(raised.value)
    assert f"path: data/models/{name}.safetensors" in str(raised.value)


def test_a_model_that_nobody_published_is_named():
    with pytest.raises(CheckpointError, match="timm has no weights of vit_base_patch16_plus_240"):
        from_hub(StudentConfig(model="vit_base_patch16_plus_240", arguments={}))


@pytest.mark.parametrize(
    "settings",
    [
        {"source": "timm", "mean": [0.5]},
        {"source": "timm", "mean": [0.5, 0.5], "std": [1, 1]},
        {"source": "timm", "mean": [0.5], "std": [0]},
        {"source": "shapes", "mean": [0.5], "std": [1]},
        {"source": "none", "resample_patches": True},
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings):
    with pytest.raises(ValueError, match=r"mean|std|greater"):
        Backbone(**settings)


def test_a_head_of_another_size_is_left_alone():
    student = create(StudentConfig(arguments=SMALL), 64, ["a", "b"], seed=2)
    head = student.vit.head.weight.clone()
    fit_weights(student, pretrained.FirstWeights("here", foreign().state_dict()), Backbone(source="timm"))
    assert torch.equal(student.vit.head.weight, head)


def test_dinov2_with_registers_as_its_authors_publish_it(tmp_path):
    vit = foreign(REGISTERS, 56)
    state = dict(vit.state_dict())
    of_class = torch.full((1, 1, 16), 0.25)
    state["register_tokens"] = state.pop("reg_token")
    state["pos_embed"] = torch.cat([of_class, state["pos_embed"]], dim=1)
    state["cls_token"] = state["cls_token"] - of_class
    torch.save({**state, "mask_token": torch.zeros(1, 16)}, tmp_path / "dinov2.pth")
    student = student_from(tmp_path / "dinov2.pth", REGISTERS, 56)
    torch.testing.assert_close(student.vit.cls_token, vit.cls_token)
    assert torch.equal(student.vit.reg_token, vit.reg_token) and torch.equal(student.vit.pos_embed, vit.pos_embed)
