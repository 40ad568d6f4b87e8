"""The text encoder: windows, pooling, order, and what it refuses."""

import logging

import numpy as np
import pytest
import torch

from mmpkd.config.teachers import Encoder
from mmpkd.teachers import encoder as encoders
from mmpkd.teachers.encoder import encode, last_layers, text_windows
from mmpkd.teachers.encoder_loading import EncoderError, load_encoder
from mmpkd.teachers.packaged_encoder import PACKAGE_SHA256
from tests.reports import save_encoder


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"))


def test_texts_are_encoded_in_their_order_and_each_once(tiny_encoder, monkeypatch):
    encoder = load_encoder(tiny_encoder)
    texts = ["the heart is enlarged", "clear", "the heart is enlarged", "no effusion or pneumothorax"]
    monkeypatch.setattr(encoders, "TOKENS_A_BATCH", 8)  # several batches of different lengths
    vectors = encode(encoder, texts)
    assert vectors.shape == (4, 16) and vectors.dtype == np.float32
    assert np.array_equal(vectors[0], vectors[2])
    alone = np.vstack([encode(encoder, [text]) for text in texts])
    assert vectors == pytest.approx(alone, abs=1e-5)


def test_the_end_of_a_long_report_counts(tiny_encoder):
    encoder = load_encoder(tiny_encoder)
    start = "no change " * 60
    windows, owners = encoders.text_windows(encoder, [start + "pneumothorax", "short"])
    assert len(windows) > 4 and list(owners) == sorted(owners) and max(map(len, windows)) == 32
    one, other = encode(encoder, [start + "pneumothorax", start + "effusion"])
    assert not np.allclose(one, other)


def test_padding_does_not_enter_the_mean(tiny_encoder):
    encoder = load_encoder(tiny_encoder)
    ids, mask = encoders.pad(encoder, encoders.text_windows(encoder, ["clear"])[0])
    padded = torch.nn.functional.pad(ids, (0, 5)), torch.nn.functional.pad(mask, (0, 5))
    with torch.no_grad():
        same = encoders.pooled(encoder, encoder.model, *padded)
        assert torch.allclose(encoders.pooled(encoder, encoder.model, ids, mask), same, atol=1e-5)
        encoder.pooling = "cls"
        first = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        assert torch.equal(encoders.pooled(encoder, encoder.model, ids, mask), first)


def test_the_package_is_the_published_model():
    encoder = load_encoder(Encoder())
    assert encoder.sha256 == PACKAGE_SHA256 and encoder.dimensions == 384


def test_wrong_weights_are_refused(tiny_encoder):
    with pytest.raises(EncoderError, match="SHA-256"):
        load_encoder(tiny_encoder.model_copy(update={"sha256": "0" * 64}))


def test_a_missing_encoder_says_what_to_place_where(tmp_path):
    with pytest.raises(EncoderError, match="no folder"):
        load_encoder(Encoder(source="folder", name=str(tmp_path / "absent")))
    with pytest.raises(EncoderError, match=r"model.safetensors is missing"):
        load_encoder(Encoder(source="folder", name=str(tmp_path)))
    with pytest.raises(EncoderError, match=r"encoder.name"):
        load_encoder(Encoder(source="folder"))


def test_a_text_has_the_same_bytes_whatever_is_encoded_with_it(tiny_encoder):
    encoder = load_encoder(tiny_encoder)
    texts = ["clear", "the heart is enlarged", "no effusion or pneumothorax", "no change " * 40, "normal heart", ""]
    together = encode(encoder, texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(encode(encoder, [text])[0], vector)


@pytest.mark.parametrize("words", [0, 1, 29, 30, 31, 52, 53, 200])
def test_the_windows_of_a_text_hold_all_its_tokens(words, tiny_encoder):
    encoder = load_encoder(tiny_encoder)
    text = " ".join(f"{index % 10}" for index in range(words))
    windows, owners = text_windows(encoder, [text])
    special = {encoder.tokenizer.cls_token_id, encoder.tokenizer.sep_token_id}
    inner = [[token for token in window if token not in special] for window in windows]
    read = inner[0] + [token for window in inner[1:] for token in window[int(encoders.OVERLAP * 32) :]]
    assert read == encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert all(window for window in inner) or (words == 0 and len(windows) == 1)


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "[SEP] [PAD]"])
def test_a_text_without_words_has_a_vector(text, tiny_encoder):
    assert np.isfinite(encode(load_encoder(tiny_encoder), [text, "clear"])).all()


def test_the_log_counts_the_texts_of_several_windows_and_shows_none(tiny_encoder, caplog):
    caplog.set_level(logging.INFO, logger="mmpkd.encoder")
    encode(load_encoder(tiny_encoder), ["cardiomegaly " * 50, "effusion " * 50, "clear", "clear"])
    assert "4 texts, 3 distinct, 2 of them longer than a window" in caplog.text
    assert "cardiomegaly" not in caplog.text and "clear" not in caplog.text


@pytest.mark.parametrize(("kind", "usable"), [("Bert", 20), ("Roberta", 20 - 2), ("MPNet", 20 - 2), ("DistilBert", 20)])
def test_a_window_is_no_longer_than_the_model_has_positions(kind, usable, tmp_path):
    config = save_encoder(tmp_path, kind=kind, max_position_embeddings=20, pad_token_id=0 if usable == 20 else 1)
    encoder = load_encoder(config)
    assert encoder.max_tokens == usable
    assert np.isfinite(encode(encoder, ["no change " * 60])).all()


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "MPNet", "DistilBert", "DebertaV2", "Electra"])
def test_the_last_layers_are_those_before_the_output(kind, tmp_path):
    encoder = load_encoder(save_encoder(tmp_path, layers=3, kind=kind))
    layers = last_layers(encoder.model, 2)
    assert len(layers) == 2
    outputs = []
    layers[-1].register_forward_hook(lambda module, args, output: outputs.append(output))
    ids, mask = encoders.pad(encoder, text_windows(encoder, ["the heart is enlarged"])[0])
    with torch.no_grad():
        result = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state
    last = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
    assert torch.equal(last.reshape(result.shape), result)


def test_more_layers_than_there_are_and_shared_ones_are_refused(tiny_encoder, tmp_path):
    with pytest.raises(EncoderError, match=r"teacher\.layers is 2, and the encoder has 1"):
        last_layers(load_encoder(tiny_encoder).model, 2)
    shared = load_encoder(save_encoder(tmp_path, layers=3, kind="Albert", embedding_size=16))
    with pytest.raises(EncoderError, match="AlbertModel has no single list of 3 transformer layers"):
        last_layers(shared.model, 1)
