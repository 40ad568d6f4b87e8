"""An encoder is loaded whole or refused, by the run and by the check alike, and a pickle is converted."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mmpkd.check.models import find_encoder
from mmpkd.cli import main
from mmpkd.config.teachers import Encoder
from mmpkd.rehearsal import write_encoder_download
from mmpkd.teachers.encoder import encode
from mmpkd.teachers.encoder_conversion import convert
from mmpkd.teachers.encoder_loading import EncoderError, load_encoder
from tests.reports import save_encoder

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """An encoder of two layers."""
    folder = tmp_path_factory.mktemp("original")
    save_encoder(folder, layers=2)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    """A copy of it that a test may break."""
    return Path(shutil.copytree(original, tmp_path / "encoder"))


def renamed(change):
    def apply(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        save_file({change(name): tensor for name, tensor in tensors.items()}, folder / WEIGHTS, {"format": "pt"})

    return apply


def without(part: str):
    def apply(folder: Path) -> None:
        tensors = {name: tensor for name, tensor in load_file(folder / WEIGHTS).items() if part not in name}
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})

    return apply


def with_tensor(part: str, change):
    def apply(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        name = next(name for name in tensors if part in name)
        tensors[name] = change(tensors[name].clone())
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})

    return apply


def configured(file: str = "config.json", **changes):
    def apply(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return apply


def without_file(*names: str):
    def apply(folder: Path) -> None:
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return apply


def of_five_words(folder: Path) -> None:
    for path in folder.glob("token*"):
        path.unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")


def set_first(value: float):
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor.view(-1)[0] = value
        return tensor

    return change


BROKEN = {
    "the prefix of a training program": (renamed(lambda name: f"module.{name}"), "the prefix 'module.' is too much"),
    "the prefix of sentence-transformers": (
        renamed(lambda name: f"0.auto_model.{name}"),
        "the prefix '0.auto_model.' is too much",
    ),
    "a layer is missing": (without("encoder.layer.1."), "encoder.layer.1.attention.output.LayerNorm.bias first"),
    "one tensor is missing": (without("word_embeddings"), "lacks 1 of the tensors"),
    "a layer too many": (configured(num_hidden_layers=1), "not in the model of config.json"),
    "a layer too few": (configured(num_hidden_layers=3), "encoder.layer.2."),
    "another width": (configured(intermediate_size=64), "another shape than in config.json"),
    "not finite": (with_tensor("layer.0.output.dense.weight", set_first(float("inf"))), "not finite"),
    "no tokenizer": (
        without_file("tokenizer.json", "vocab.txt", "tokenizer_config.json"),
        "tokenizer's files are missing",
    ),
    "a setting of the tokenizer of another type": (
        configured("tokenizer_config.json", model_max_length={}),
        "cannot read a sentence",
    ),
    "a tokenizer of five words": (of_five_words, "the tokenizer knows none of the words"),
    "a larger vocabulary than embeddings": (
        with_tensor("word_embeddings", lambda tensor: tensor[:100]),
        "another shape than in config.json",
    ),
    "code of its own": (configured(auto_map={"AutoModel": "x.Model"}), "auto_map: the model needs code of its own"),
    "no kind of model": (configured(model_type=None), ""),
    "an unknown kind of model": (configured(model_type="nonesuch"), "transformers cannot load it"),
    "config.json is no JSON": (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
    "config.json is a list": (lambda folder: (folder / "config.json").write_text("[]"), "model_type is missing"),
    "config.json is missing": (without_file("config.json"), "config.json: No such file"),
    "the weights are cut": (
        lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:5000]),
        "cannot load it",
    ),
    "the weights are empty": (lambda folder: (folder / WEIGHTS).write_bytes(b""), "cannot load it"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_encoder_that_is_not_whole_is_refused_by_run_and_check(name, folder):
    breaks, reason = BROKEN[name]
    config = Encoder(source="folder", name=str(folder), max_tokens=32)
    assert find_encoder(config, "e").state == "at hand"
    breaks(folder)
    with pytest.raises(EncoderError) as error:
        load_encoder(config)
    assert reason in str(error.value) and str(folder) in str(error.value)
    facts = find_encoder(config, "e")
    assert facts.state == "does not fit" and facts.message == str(error.value)


def test_a_larger_tokenizer_than_the_models_is_refused(tmp_path):
    with pytest.raises(EncoderError, match=r"30,522 tokens and the model vectors of 1,000"):
        load_encoder(save_encoder(tmp_path, vocab_size=1000))


def test_parts_that_are_not_used_may_be_missing(folder):
    config = Encoder(source="folder", name=str(folder), max_tokens=32)
    before = encode(load_encoder(config), ["the heart is enlarged"])
    without("pooler.")(folder)
    assert np.array_equal(encode(load_encoder(config), ["the heart is enlarged"]), before)


# conversion


def test_a_pickle_is_converted_to_what_its_authors_trained(tmp_path):
    import transformers

    download = tmp_path / "download"
    write_encoder_download(download, seed=3)
    sha256 = convert(download, tmp_path / "encoder")
    assert (tmp_path / "encoder" / WEIGHTS).is_file() and not list((tmp_path / "encoder").glob("*.bin"))
    encoder = load_encoder(Encoder(source="folder", name=str(tmp_path / "encoder"), sha256=sha256))
    reference = transformers.BertForMaskedLM(transformers.BertConfig.from_pretrained(download)).eval()
    reference.load_state_dict(torch.load(download / "pytorch_model.bin", weights_only=True))
    inputs = encoder.tokenizer(["no pleural effusion"], return_tensors="pt")
    with torch.no_grad():
        wanted = reference.bert(**inputs).last_hidden_state
        assert torch.equal(encoder.model(**inputs).last_hidden_state, wanted)
    assert convert(download, tmp_path / "again") == sha256, "the same bytes each time"


@pytest.mark.parametrize("prefix", ["module.", "0.auto_model.", "module.bert."])
def test_a_training_programs_prefix_is_removed(prefix, tmp_path):
    download = tmp_path / "download"
    write_encoder_download(download, seed=3)
    wanted = convert(download, tmp_path / "plain")
    tensors = torch.load(download / "pytorch_model.bin", weights_only=True)
    tensors = {name.removeprefix("bert."): t for name, t in tensors.items() if name.startswith("bert.")}
    torch.save({prefix + name: tensor for name, tensor in tensors.items()}, download / "pytorch_model.bin")
    assert convert(download, tmp_path / "encoder") == wanted


def break_download(name: str, download: Path) -> None:
    if name == "code in the pickle":
        torch.save({"bert.x": Path("/x")}, download / "pytorch_model.bin")
    elif name == "no weights":
        (download / "pytorch_model.bin").unlink()
    elif name == "no configuration":
        (download / "config.json").unlink()
    elif name == "no vocabulary":
        (download / "vocab.txt").unlink()
    elif name == "half of the layers":
        tensors = torch.load(download / "pytorch_model.bin", weights_only=True)
        torch.save({n: t for n, t in tensors.items() if ".layer.1." not in n}, download / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("code in the pickle", "could run code"),
        ("no weights", "neither model.safetensors nor pytorch_model.bin"),
        ("no configuration", "config.json is missing"),
        ("no vocabulary", "tokenizer's files are missing"),
        ("half of the layers", "lacks 16 of the tensors"),
    ],
)
def test_a_download_that_is_not_whole_leaves_no_folder(name, reason, tmp_path, capsys):
    download, folder = tmp_path / "download", tmp_path / "encoder"
    write_encoder_download(download, seed=3)
    break_download(name, download)
    assert main(["convert", str(download), str(folder)]) == 1
    told = capsys.readouterr().err
    assert reason in told and str(download) in told and "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["download"]


def test_a_folder_that_is_there_is_not_replaced(tmp_path, capsys):
    write_encoder_download(tmp_path / "download", seed=3)
    assert main(["convert", str(tmp_path / "download"), str(tmp_path / "encoder")]) == 0
    assert "encoder.sha256: " in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "download"), str(tmp_path / "encoder")]) == 1
    assert "is there already" in capsys.readouterr().err
