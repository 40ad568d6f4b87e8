"""Encodings kept by content: the same bytes with and without, and nothing of the text on disk."""

import shutil

import numpy as np
import pytest
import torch

from mmpkd.config.teachers import TextTeacher
from mmpkd.teachers import encoding_cache
from mmpkd.teachers.encoder import encode
from mmpkd.teachers.encoder_loading import load_encoder
from mmpkd.teachers.encoding_cache import encode_cached, fingerprint
from mmpkd.teachers.fitting import fit_teacher
from tests.reports import reports, save_encoder

TEXTS = ["the heart is enlarged", "clear", "the heart is enlarged", "no change " * 40, "small effusion"]


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def encoded(monkeypatch):
    """The texts that were really encoded, call by call."""
    calls = []

    def spy(encoder, texts, device="cpu"):
        calls.append(list(texts))
        return encode(encoder, texts, device)

    monkeypatch.setattr(encoding_cache, "encode", spy)
    return calls


def test_a_text_is_encoded_once_and_has_the_same_bytes_from_the_cache(tiny_encoder, encoded, tmp_path):
    encoder = load_encoder(tiny_encoder)
    plain = encode(encoder, TEXTS)
    assert encode_cached(encoder, TEXTS[:2], tmp_path).tobytes() == plain[:2].tobytes()
    for _ in range(2):
        assert encode_cached(encoder, TEXTS, tmp_path).tobytes() == plain.tobytes()
    assert encoded == [TEXTS[:2], TEXTS[3:]]
    assert encode_cached(encoder, [], tmp_path).shape == (0, 16)


def test_a_variant_of_the_teacher_encodes_nothing_and_gives_the_same_bytes(tiny_encoder, encoded, tmp_path):
    main = TextTeacher(encoder=tiny_encoder, folds=2)
    variant = main.model_copy(update={"penalty": 1.0, "folds": 3})
    fit_teacher(reports(), main, ["effusion"], cache=tmp_path)
    assert encoded.pop()
    cached = fit_teacher(reports(), variant, ["effusion"], cache=tmp_path)
    assert encoded == []
    anew = fit_teacher(reports(), variant, ["effusion"])
    assert all(cached.targets[name].tobytes() == anew.targets[name].tobytes() for name in anew.targets)
    assert cached.predictions.equals(anew.predictions)
    assert all(cached.state[name].tobytes() == anew.state[name].tobytes() for name in anew.state)


def test_another_encoder_pooling_or_window_has_vectors_of_its_own(tiny_encoder, tmp_path):
    def identity(**settings) -> str:
        return fingerprint(load_encoder(tiny_encoder.model_copy(update=settings)))

    encoder = load_encoder(tiny_encoder)
    first = fingerprint(encoder)
    encode(encoder, TEXTS)  # the tokenizer remembers how it was called last
    assert fingerprint(encoder) == first == identity()
    assert len({first, identity(pooling="cls"), identity(max_tokens=16), fingerprint(encoder, "cuda")}) == 4
    shutil.copytree(tiny_encoder.name, tmp_path / "elsewhere")
    assert identity(name=str(tmp_path / "elsewhere")) == first
    with torch.no_grad():
        next(encoder.model.parameters())[0, 0] += 1e-3
    assert fingerprint(encoder) != first


def test_nothing_of_a_text_is_on_disk(tiny_encoder, tmp_path):
    encode_cached(load_encoder(tiny_encoder), TEXTS, tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1
    for word in ("heart", "effusion", "clear"):
        assert word not in str(files[0].relative_to(tmp_path)) and word.encode() not in files[0].read_bytes()


@pytest.mark.parametrize("damage", ["truncated", "a bit", "empty"])
def test_a_damaged_file_is_set_aside_and_encoded_again(damage, tiny_encoder, encoded, tmp_path, caplog):
    encoder = load_encoder(tiny_encoder)
    plain = encode_cached(encoder, TEXTS, tmp_path)
    (path,) = tmp_path.rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes({"truncated": content[:100], "a bit": content, "empty": b""}[damage])
    assert encode_cached(encoder, TEXTS, tmp_path).tobytes() == plain.tobytes()
    assert len(encoded) == 2 and "is damaged" in caplog.text
    assert path.with_suffix(".damaged").is_file()
    assert encode_cached(encoder, TEXTS, tmp_path).tobytes() == plain.tobytes()
    assert len(encoded) == 2


def test_a_file_that_another_job_is_writing_is_left_alone(tiny_encoder, tmp_path, caplog):
    encoder = load_encoder(tiny_encoder)
    encode_cached(encoder, TEXTS, tmp_path)
    (path,) = tmp_path.rglob("*.safetensors")
    unfinished = path.with_name(".abc-123.safetensors")
    unfinished.write_bytes(b"half")
    encode_cached(encoder, TEXTS, tmp_path)
    assert unfinished.is_file() and "damaged" not in caplog.text


def test_a_cache_that_cannot_be_written_is_read(tiny_encoder, encoded, tmp_path, caplog, monkeypatch):
    encoder = load_encoder(tiny_encoder)
    encode_cached(encoder, TEXTS[:2], tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(encoding_cache, "atomic", refuse)
    assert np.array_equal(encode_cached(encoder, TEXTS, tmp_path), encode(encoder, TEXTS))
    assert encoded == [TEXTS[:2], TEXTS[3:]] and "2 new vectors are not kept" in caplog.text


def test_an_error_of_the_disk_is_no_read_only_cache(tiny_encoder, tmp_path, monkeypatch):
    def refuse(path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(encoding_cache, "atomic", refuse)
    with pytest.raises(OSError, match="No space"):
        encode_cached(load_encoder(tiny_encoder), TEXTS, tmp_path)
