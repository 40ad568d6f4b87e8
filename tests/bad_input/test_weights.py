"""Broken weights: what a study starts from (`student.backbone.path`), and a student of its own that it reads back."""

import json
import os
import pickle
import struct
import zipfile

import torch
from safetensors.torch import save, save_file

from mmpkd.config.students import Backbone, StudentConfig
from mmpkd.students.first_weights import fit_weights, from_file
from mmpkd.students.vit import create, load
from mmpkd.students.vit import save as save_student
from tests.bad_input.catalogue import Outcome, accepted, hold, over, stops

SMALL = {"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
SIZE = 32


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder) -> None:
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


def config(**arguments) -> StudentConfig:
    return StudentConfig(arguments={**SMALL, **arguments})


def whole() -> dict[str, torch.Tensor]:
    return create(config(), SIZE, ["a"], seed=1).vit.state_dict()


WORDS = '{"config": {"mean": "dark", "std": 1.0}}'


def tensors(change, metadata=None):
    """A safetensors file of a whole transformer, of which `change` changes the tensors."""

    def breaks(path):
        state = whole()
        change(state)
        save_file(state, path, metadata=metadata)

    return breaks


def file_of(change):
    """The bytes of a whole safetensors file go through `change`."""
    return lambda path: path.write_bytes(change(save(whole())))


def renamed(state):
    for name in list(state):
        state[f"left.{name}"] = state[f"right.{name}"] = state.pop(name).clone()
    for name in list(state):
        state[name] = state[name].clone()


def with_nan(state):
    state["blocks.1.norm1.weight"][0] = float("nan")


def lost(name):
    return lambda state: state.pop(name)


def another_shape(state):
    state["cls_token"] = torch.zeros(1, 1, 24)


def two_channels(state):
    state["patch_embed.proj.weight"] = torch.zeros(16, 2, 8, 8)


def code(path):
    torch.save({"model": whole(), "hook": Code(path.parent / "ran")}, path)


def legacy_code(path):
    with path.open("wb") as file:
        pickle.dump({"model": 1, "hook": Code(path.parent / "ran")}, file)


def zip_of_nothing(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no weights")


def half_an_archive(path):
    torch.save(whole(), path)
    os.truncate(path, path.stat().st_size // 2)


def wrapped_in_words(path):
    torch.save({"epoch": 3, "note": "no weights"}, path)


def is_whole(student):
    return torch.equal(student.vit.cls_token, whole()["cls_token"])


HTML = b"<!DOCTYPE html>\n<html><body>404</body></html>\n"
MISNAMED = "torch archive called .safetensors"
NEITHER = "neither safetensors nor a torch state dict"
FIRST_WEIGHTS = [
    stops("no file", lambda path: None, "student.backbone.path", "there is no file", "place the weights there"),
    stops("zero bytes", lambda path: path.write_bytes(b""), "weights", NEITHER),
    stops("HTML error page", lambda path: path.write_bytes(HTML * 9), "weights", NEITHER),
    stops("truncated", file_of(lambda data: data[: len(data) // 2]), "weights", NEITHER),
    stops("truncated in the header", file_of(lambda data: data[:40]), "weights", NEITHER),
    stops("header of absurd length", file_of(lambda data: struct.pack("<Q", 2**62) + data[8:]), "weights", NEITHER),
    stops("header that is no JSON", file_of(lambda data: data[:8] + b"x" + data[9:]), "weights", NEITHER),
    stops("truncated torch archive", half_an_archive, "weights", NEITHER),
    stops("zip of something else", zip_of_nothing, "weights", "not a whole torch state dict"),
    stops(MISNAMED, lambda path: torch.save(whole(), path), "weights", "torch archive by its content", ".pth"),
    stops("pickle with code", code, "weights", "refused", "could run code", "safetensors"),
    stops("old pickle with code", legacy_code, "weights", NEITHER),
    stops("no tensors", wrapped_in_words, "weights", "no tensor patch_embed.proj.weight"),
    stops("two transformers", tensors(renamed), "weights", "2 transformers", "save the wanted one"),
    stops("wrong shape", tensors(another_shape), "cls_token (1, 1, 24) instead of (1, 1, 16)", "student.model"),
    stops("tensor missing", tensors(lost("blocks.1.norm1.weight")), "blocks.1.norm1.weight missing"),
    stops("two colours", tensors(two_channels), "one or three channels"),
    stops("not a number", tensors(with_nan), "weights", "1 tensors are not finite", "blocks.1.norm1.weight"),
    accepted("metadata that are no JSON", tensors(lambda _: None, {"mmpkd": "{"}), is_whole),
    accepted("metadata of another form", tensors(lambda _: None, {"mmpkd": "[1]"}), is_whole),
    accepted("metadata with a mean alone", tensors(lambda _: None, {"mmpkd": '{"config": {"mean": 0.4}}'}), is_whole),
    accepted("metadata with a mean in words", tensors(lambda _: None, {"mmpkd": WORDS}), is_whole),
]


@over(FIRST_WEIGHTS)
def test_first_weights(case, tmp_path):
    path = tmp_path / ("weights.safetensors" if case.name == MISNAMED else "weights.pth")
    case.breaks(path)

    def run():
        student = create(config(), SIZE, ["a"], seed=0)
        fit_weights(student, from_file(path), Backbone(source="file", path=path))
        return Outcome(student)

    hold(case, run)
    assert not (tmp_path / "ran").exists(), "code of a pickle was run"


def without_metadata(path):
    save_file(whole(), path)


def facts(change):
    """A student's own file, of which `change` changes what it says of itself."""

    def breaks(path):
        student = create(config(), SIZE, ["a"], seed=1)
        save_student(student, path)
        described = json.loads(json.dumps(student.facts))
        change(described)
        save_file(student.vit.state_dict(), path, metadata={"mmpkd": json.dumps(described)})

    return breaks


OWN = [
    stops("zero bytes", lambda path: path.write_bytes(b""), "model.safetensors", "no whole safetensors file", "rule"),
    stops("truncated", file_of(lambda data: data[:-100]), "model.safetensors", "no whole safetensors file"),
    stops("of another program", without_metadata, "model.safetensors", "not written by this project", "train_student"),
    stops("labels missing", facts(lambda own: own.pop("labels")), "model.safetensors", "describe no student"),
    stops("unknown key", facts(lambda own: own["config"].update(colour="red")), "describe no student"),
    stops("other labels", facts(lambda own: own.update(labels=["a", "b"])), "model.safetensors", "head"),
    stops(
        "other depth", facts(lambda own: own["config"]["arguments"].update(depth=3)), "model.safetensors", "blocks.2"
    ),
]


@over(OWN)
def test_own_student(case, tmp_path):
    path = tmp_path / "model.safetensors"
    case.breaks(path)
    hold(case, lambda: Outcome(load(path)))


def test_the_whole_files_are_read(tmp_path):
    """Else a refusal above would prove nothing."""
    tensors(lambda state: None)(tmp_path / "weights.safetensors")
    student = create(config(), SIZE, ["a"], seed=0)
    fit_weights(student, from_file(tmp_path / "weights.safetensors"), Backbone(source="file", path=tmp_path / "x"))
    facts(lambda own: None)(tmp_path / "model.safetensors")
    assert torch.equal(load(tmp_path / "model.safetensors").vit.cls_token, student.vit.cls_token)
