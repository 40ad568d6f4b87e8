"""Vectors of a frozen encoder kept on disk by content, so that another teacher of the same encoder reads no text twice.

A folder an encoder, named by its `fingerprint`. In it each run that encoded something new leaves one safetensors file:
`keys`, N x 32 uint8, the SHA-256 of a text and the fingerprint; `vectors`, N x D float32. A file's name is the SHA-256
of its bytes, so that damage is seen, and it is moved into place when complete, so that jobs may share the folder. There
is nothing of a text but its hash; the vectors are derived from it and are to be guarded as the reports are.
"""

import errno
import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load, save

from mmpkd.files import atomic
from mmpkd.teachers.encoder import LoadedEncoder, encode

log = logging.getLogger("mmpkd.encoding_cache")

READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def encode_cached(
    encoder: LoadedEncoder, texts: list[str], folder: Path | None, device: torch.device | str = "cpu"
) -> np.ndarray:
    """What `encode` gives, with the vectors that a folder holds taken from there, and the others added.

    Args:
        encoder: the encoder.
        texts: N of them.
        folder: of the cache, or None. One that cannot be written is read all the same; a damaged file is set aside with
            a warning.
        device: where what is missing is encoded.

    Returns:
        N x D float32.
    """
    if folder is None or not texts:
        return encode(encoder, texts, device)
    identity = fingerprint(encoder, device)
    place = Path(folder) / identity[:32]
    position, distinct = pd.factorize(np.asarray(texts, dtype=object))
    keys = [hashlib.sha256(f"{identity}\n{text}".encode()).digest() for text in distinct]
    known = _read(place, set(keys))
    missing = [row for row, key in enumerate(keys) if key not in known]
    log.info("%d of %d distinct texts were encoded before", len(keys) - len(missing), len(keys))
    if missing:
        vectors = encode(encoder, [distinct[row] for row in missing], device)
        new = [keys[row] for row in missing]
        known.update(zip(new, vectors, strict=True))
        _write(place, new, vectors)
    return np.stack([known[key] for key in keys])[position]


def fingerprint(encoder: LoadedEncoder, device: torch.device | str = "cpu") -> str:
    """SHA-256 of all that a vector depends on but the text, taken from what is loaded, wherever it came from.

    Weights, model configuration, tokenizer, pooling and window; and the kind of device and the versions of torch and
    transformers, for others may round otherwise.

    Args:
        encoder: the encoder.
        device: where it runs.
    """
    import transformers

    tokenizer = json.loads(encoder.tokenizer.backend_tokenizer.to_str())
    config = encoder.model.config.to_dict()
    facts = {
        # what the last call left behind, and where the files lay
        "tokenizer": {name: value for name, value in tokenizer.items() if name not in ("truncation", "padding")},
        "config": {name: value for name, value in config.items() if name != "_name_or_path"},
        "pooling": encoder.pooling,
        "max_tokens": encoder.max_tokens,
        "device": torch.device(device).type,
        "versions": [torch.__version__, transformers.__version__],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, tensor in sorted(encoder.model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(place: Path, wanted: set[bytes]) -> dict[bytes, np.ndarray]:
    """The wanted vectors by key."""
    found = {}
    for path in sorted(place.glob("[!.]*.safetensors")):  # with a dot: what another job is writing
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != path.stem:
            _set_aside(path)
            continue
        tensors = load(content)
        for key, vector in zip(map(bytes, tensors["keys"]), tensors["vectors"], strict=True):
            if key in wanted:
                found[key] = vector
    return found


def _set_aside(path: Path) -> None:
    log.warning("%s is damaged; its texts are encoded again", path)
    try:
        path.replace(path.with_suffix(".damaged"))
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise


def _write(place: Path, keys: list[bytes], vectors: np.ndarray) -> None:
    """Adds one file; says so and goes on where nothing can be written."""
    rows = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), -1)
    content = save({"keys": rows, "vectors": np.ascontiguousarray(vectors, np.float32)})
    try:
        with atomic(place / f"{hashlib.sha256(content).hexdigest()}.safetensors") as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        log.warning("%s cannot be written; %d new vectors are not kept", place, len(keys))
