"""Students on disk."""

import pytest
import torch
from safetensors.torch import save_file

from mmpkd.config.students import Student
from mmpkd.models.student import CheckpointError, create, load, load_backbone, save

SMALL = Student(arguments={"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2})


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
        create(Student(model="vit_unheard_of"), 32, ["a"], seed=0)
