"""Folders with a text encoder: loaded with exactly the weights of their file, or refused.

torch and transformers are imported in functions, because the other targets do not need them.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from mmpkd.config.teachers import Encoder
from tests.fuzz import mutation
from tests.fuzz.promise import reason_class, require

Folder = dict[str, bytes]
WEIGHTS = "model.safetensors"
MODELS = (
    "mmpkd.teachers.encoder_loading",
    *(f"transformers.models.{kind}.modeling_{kind}" for kind in ("bert", "distilbert")),
)
SIZES = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 16}
PREFIXES = ("module.", "0.auto_model.", "bert.", "model.", "x")
VALUES = (None, True, -1, 0, 1, 2, 3, 8, 16, 64, 1.5, "", "gelu", "bert", "roberta", "float16", [], {}, 1 << 40)


@cache
def encoder_folders() -> tuple[Folder, ...]:
    """Two BERTs and a DistilBERT of a few kilobytes, each with a vocabulary of its own."""
    from transformers import BertConfig, DistilBertConfig

    return (
        _folder(BertConfig(num_hidden_layers=1, **SIZES), ""),
        _folder(BertConfig(num_hidden_layers=2, **SIZES), "edema opacity"),
        _folder(DistilBertConfig(dim=8, n_layers=1, n_heads=2, hidden_dim=8, max_position_embeddings=16), "normal"),
    )


def _folder(config: Any, further: str) -> Folder:
    import torch
    from transformers import AutoModel, BertTokenizerFast

    from mmpkd.teachers.encoder_loading import WORDS

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(f"{WORDS} {further}".split())]
    config.vocab_size = len(words)
    with TemporaryDirectory() as name, torch.random.fork_rng():
        folder = Path(name)
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(folder)
        BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}).save_pretrained(folder)
        (folder / "vocab.txt").write_text("\n".join(words))
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def mutated_folder(rng: Random, corpus: Sequence[Folder]) -> Folder:
    """A folder with changed tensors, settings or bytes, without a file, or with one of another model."""
    steps = (change_header, change_header, change_settings, change_settings, change_bytes, remove, exchange(corpus))
    return mutation.several(rng, dict(rng.choice(corpus)), steps)


def change_header(rng: Random, files: Folder) -> Folder:
    """Renames, removes, doubles or redefines tensors in the header of the weights."""
    data = files.get(WEIGHTS, b"")
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError:
        return files
    names = [name for name in header if name != "__metadata__"]
    if not names:
        return files
    name = rng.choice(names)
    kind = rng.randrange(5)
    if kind == 0:
        prefix = rng.choice(PREFIXES)
        header = {key if key == "__metadata__" else prefix + key: value for key, value in header.items()}
    elif kind == 1:
        header[rng.choice((*names, "unknown.weight"))] = header.pop(name)
    elif kind == 2:
        del header[name]
    elif kind == 3:
        header[name] = {**header[name], "dtype": rng.choice(("F16", "F32", "I32", "BOOL", "F8_E4M3"))}
    else:
        header[name] = {**header[name], "shape": [rng.choice((0, 1, 8, 16, 1 << 40)) for _ in range(rng.randrange(4))]}
    text = json.dumps(header).encode()
    return {**files, WEIGHTS: len(text).to_bytes(8, "little") + text + data[8 + length :]}


def change_settings(rng: Random, files: Folder) -> Folder:
    """Another value, a missing key or a key too many in one of the JSON files."""
    names = [name for name in files if name.endswith(".json")]
    if not names:
        return files
    name = rng.choice(names)
    try:
        settings = json.loads(files[name])
    except ValueError:
        return files
    if not isinstance(settings, dict) or not settings:
        return files
    key = rng.choice((*settings, "auto_map", "dtype"))
    if rng.random() < 0.2:
        settings.pop(key, None)
    else:
        settings[key] = rng.choice(VALUES)
    return {**files, name: json.dumps(settings).encode()}


def change_bytes(rng: Random, files: Folder) -> Folder:
    name = rng.choice(sorted(files)) if files else WEIGHTS
    return {**files, name: mutation.several(rng, files.get(name, b""), mutation.BYTE_STEPS)}


def remove(rng: Random, files: Folder) -> Folder:
    gone = rng.choice(sorted(files)) if files else ""
    return {name: content for name, content in files.items() if name != gone}


def exchange(corpus: Sequence[Folder]) -> Any:
    """A step that takes a file from another model's folder."""

    def step(rng: Random, files: Folder) -> Folder:
        other = rng.choice(corpus)
        name = rng.choice(sorted(other))
        return {**files, name: other[name]}

    return step


def check_encoder(rng: Random, files: Folder, folder: Path) -> str:
    """Every tensor of a model that is loaded is the file's; nothing is drawn at random."""
    import safetensors.torch

    from mmpkd.teachers.encoder_loading import UNUSED, EncoderError, load_encoder

    place = Path(mkdtemp(dir=folder))
    for name, content in files.items():
        (place / name).write_bytes(content)
    try:
        encoder = load_encoder(Encoder(source="folder", name=str(place)), local=True)
    except EncoderError as error:
        return reason_class(str(error).removeprefix(str(place)).partition(": ")[2])
    there = safetensors.torch.load(files[WEIGHTS])
    base = f"{encoder.model.base_model_prefix}."
    for name, tensor in encoder.model.named_parameters():
        if not name.startswith(UNUSED):
            stored = there.get(name, there.get(base + name))
            require(stored is not None, "no tensor is drawn at random")
            require((stored.to(tensor.dtype) == tensor).all(), "tensors are those of the file")
    require(len(encoder.tokenizer) <= encoder.model.get_input_embeddings().num_embeddings, "each token has a vector")
    return ""
