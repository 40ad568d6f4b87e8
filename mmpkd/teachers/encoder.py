"""Texts to vectors by a transformers text encoder."""

import logging
from itertools import groupby

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mmpkd.logs import progress
from mmpkd.teachers.encoder_loading import EncoderError, LoadedEncoder

log = logging.getLogger("mmpkd.encoder")

OVERLAP = 0.25  # share of a window that the next one repeats
TOKENS_A_BATCH = 2048  # more does not pay: on a processor core larger batches are slower


@torch.no_grad()
def encode(encoder: LoadedEncoder, texts: list[str], device: torch.device | str = "cpu") -> np.ndarray:
    """Embeds texts: each distinct text once, windows of one length together.

    A text longer than a window is read in overlapping windows whose vectors are averaged, so that its end counts too.
    On a processor (measured: x86 with MKL) a text's vector is the same to the last bit whatever other texts are encoded
    with it; a GPU may round by the size of a batch.

    Args:
        encoder: model and tokenizer.
        texts: to embed.
        device: that computes.

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
    """The windows of texts, as long as the encoder can read.

    Args:
        encoder: model and tokenizer.
        texts: to be cut into windows.

    Returns:
        Token identifiers of every window, special tokens included, and for each window the row of its text.
    """
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
    """Windows of one length.

    Args:
        encoder: its tokenizer says which identifier pads.
        windows: B lists of identifiers.

    Returns:
        Identifiers and attention mask, B x T int64.
    """
    longest = max(map(len, windows))
    ids = torch.full((len(windows), longest), encoder.tokenizer.pad_token_id or 0)
    mask = torch.zeros((len(windows), longest), dtype=torch.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = torch.tensor(window)
        mask[row, : len(window)] = 1
    return ids, mask


def pooled(encoder: LoadedEncoder, model: torch.nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    """One vector per window: the first token's, or the mean over the tokens that are no padding.

    Args:
        encoder: its `pooling` says which.
        model: the language model.
        ids: B x T.
        mask: B x T, 0 on padding.

    Returns:
        B x D.
    """
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    if encoder.pooling == "cls":
        return hidden[:, 0]
    weight = mask[..., None].to(hidden.dtype)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1)


def last_layers(model: torch.nn.Module, count: int) -> torch.nn.ModuleList:
    """The last `count` transformer layers, found as the one list of modules that is as long as the encoder is deep.

    Args:
        model: a transformer.
        count: of layers.

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
    layers = found[0]
    if count > len(layers):
        raise EncoderError(
            f"teacher.layers is {count}, and the encoder has {len(layers)}; set it lower, or tuning to full"
        )
    return layers[len(layers) - count :]


def _batches(windows: list[list[int]], order: list[int]) -> list[list[int]]:
    """Rows in order of length, cut into batches of one length and about `TOKENS_A_BATCH` tokens.

    No window is padded, for padding to another's length changes the last bits of its vector, and a vector may not
    depend on what else was encoded with it: a cached one would differ from a new one.
    """
    batches: list[list[int]] = []
    for length, group in groupby(order, key=lambda row: len(windows[row])):
        rows, size = list(group), max(1, TOKENS_A_BATCH // max(length, 1))
        batches += [rows[start : start + size] for start in range(0, len(rows), size)]
    return batches
