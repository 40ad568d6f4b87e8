"""Teachers that read reports: frozen and fine-tuned, and what is trained of them."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from mmpkd.auroc import auroc
from mmpkd.config.teachers import TextTeacher
from mmpkd.teachers.encoder import encode
from mmpkd.teachers.encoder_loading import EncoderError, load_encoder
from mmpkd.teachers.fitting import fit_teacher, fit_text
from mmpkd.teachers.text import FineTuned
from tests.reports import reports, save_encoder


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"), layers=2)


@pytest.mark.parametrize("tuning", ["frozen", "last", "full"])
def test_the_text_teacher_reads_reports(tuning, tiny_encoder, tmp_path):
    config = TextTeacher(
        encoder=tiny_encoder, tuning=tuning, layers=1, folds=2, epochs=8, learning_rate=0.01, batch_size=8, penalty=10.0
    )
    before = torch.get_rng_state()
    result = fit_teacher(reports(), config, ["effusion"])
    assert torch.equal(torch.get_rng_state(), before)
    assert len(result.targets["key"]) == 59 and "s07" not in result.targets["key"]
    assert result.targets["embedding"].shape == (59, 16)
    for split in ("train", "test"):
        part = result.predictions.query(f"split == '{split}'")
        assert auroc(part["logit"].to_numpy(), part["target"].to_numpy()) == 1.0
    result.save(tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "numpy") as file:
        assert set(file.keys()) == set(result.state)
        assert json.loads(file.metadata()["facts"])["labels"] == ["effusion"]


def test_the_frozen_teacher_can_be_used_from_its_file(tiny_encoder, tmp_path):
    config = TextTeacher(encoder=tiny_encoder, folds=2)
    result = fit_text(reports(), config, ["effusion"])
    result.save(tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "numpy") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    logits = (result.targets["embedding"] - state["mean"]) * state["scale"] @ state["weight"] + state["bias"]
    logits /= state["temperature"]
    tested = result.targets["fold"] == -1
    assert logits[tested] == pytest.approx(result.targets["logits"][tested], abs=1e-3)


def fine_tuned(encoder, tuning: str, texts: list[str], **settings) -> FineTuned:
    config = TextTeacher(tuning=tuning, layers=1, epochs=2, learning_rate=0.01, **{"batch_size": 4, **settings})
    targets = (np.arange(len(texts)) % 2 == 0).astype(float)[:, None]
    return FineTuned.fit(encoder, texts, targets, config, seed=3)


TEXTS = ["there is an effusion", "clear", "a large effusion " * 30, "normal " * 40] * 3


@pytest.mark.parametrize(("tuning", "trained"), [("last", {"layer.1"}), ("full", {"embeddings", "layer.0", "layer.1"})])
def test_only_the_chosen_layers_are_trained(tuning, trained, tiny_encoder):
    encoder = load_encoder(tiny_encoder)
    before = {name: value.clone() for name, value in encoder.model.state_dict().items()}
    tuned = fine_tuned(encoder, tuning, TEXTS)
    assert all(torch.equal(before[name], value) for name, value in encoder.model.state_dict().items())
    changed = {name for name, value in tuned.encoder.model.state_dict().items() if not torch.equal(before[name], value)}
    assert {".".join(name.split(".")[1:3]) if "layer." in name else name.split(".")[0] for name in changed} == trained
    assert not any(module.training for module in tuned.encoder.model.modules())


def test_frozen_layers_have_no_dropout_and_trained_ones_have(tiny_encoder, monkeypatch):
    seen = []
    forward = FineTuned._logits

    def spy(self, *args):
        model = self.encoder.model
        seen.append([module.training for module in (model.embeddings, model.encoder.layer[0], model.encoder.layer[1])])
        return forward(self, *args)

    monkeypatch.setattr(FineTuned, "_logits", spy)
    fine_tuned(load_encoder(tiny_encoder), "last", TEXTS)
    assert seen and all(modes == [False, False, True] for modes in seen)


@pytest.mark.parametrize("tuning", ["last", "full"])
def test_fine_tuning_gives_the_same_bytes_again(tuning, tiny_encoder):
    encoder = load_encoder(tiny_encoder)
    first, second = (fine_tuned(encoder, tuning, TEXTS, batch_size=8).state() for _ in range(2))
    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_training_reads_a_report_as_prediction_does(tiny_encoder):
    """The logits of a step, without dropout, are those of the embedding: the mean of all windows."""
    from mmpkd.teachers.encoder import text_windows

    tuned = fine_tuned(load_encoder(tiny_encoder), "full", TEXTS)
    windows, owners = text_windows(tuned.encoder, TEXTS)
    assert len(windows) > len(TEXTS)
    rows = np.array([3, 0, 2])
    with torch.no_grad():
        step = tuned._logits(windows, owners, rows).numpy()
    assert step == pytest.approx(tuned.predict_logits(encode(tuned.encoder, [TEXTS[row] for row in rows])), abs=1e-5)


def test_a_sentence_at_the_far_end_reaches_the_teacher(tiny_encoder):
    """The finding stands behind 200 words that are the same in all reports."""
    records = reports()
    records["findings"] = np.where(records["findings"] == "", "", "no change " * 100 + records["findings"])
    for tuning in ("frozen", "full"):
        config = TextTeacher(
            encoder=tiny_encoder, tuning=tuning, folds=2, epochs=6, learning_rate=0.01, batch_size=8, penalty=100.0
        )
        part = fit_text(records, config, ["effusion"]).predictions.query("split == 'test'")
        assert auroc(part["logit"].to_numpy(), part["target"].to_numpy()) == 1.0, tuning


def test_too_many_layers_are_refused_before_anything_is_fitted(tiny_encoder):
    with pytest.raises(EncoderError, match=r"teacher\.layers is 3"):
        fit_text(reports(), TextTeacher(encoder=tiny_encoder, tuning="last", layers=3, folds=2), ["effusion"])


def test_labels_of_which_exactly_one_is_true_are_learnt(tiny_encoder):
    records = reports()
    kind = np.arange(60) % 3
    words = np.array(["effusion", "a broken rib", "clear lungs"])
    records["findings"] = words[kind]
    for label in range(3):
        records[f"target_{label}"] = (kind == label).astype(float)
    config = TextTeacher(encoder=tiny_encoder, folds=2, penalty=10.0)
    targets = fit_text(records, config, ["0", "1", "2"]).targets
    assert np.array_equal(targets["logits"].argmax(axis=1), kind)
