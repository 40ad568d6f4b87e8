"""Privileged teachers: tabular models, out-of-fold targets, their bootstrap."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mmpkd.auroc import auroc
from mmpkd.config.teachers import TabularTeacher
from mmpkd.evaluation.auroc import bootstrap_auroc
from mmpkd.teachers.fitting import fit_tabular, patient_folds
from mmpkd.teachers.logistic import MultiLabelLogistic, constant_logits
from mmpkd.teachers.tabular import fit_tabular_model
from mmpkd.teachers.targets import PREDICTION_COLUMNS
from mmpkd.teachers.text import FrozenHead

FAST = TabularTeacher(folds=3, epochs=15, ensemble=2, learning_rate=0.01)


def lesions(count: int = 600, seed: int = 0) -> pd.DataFrame:
    """Lesions of patients with two each; an irregular shape or an odd pair of shape and margin is malignant."""
    rng = np.random.default_rng(seed)
    shape, margin = rng.choice(["OVAL", "ROUND", "IRREGULAR"], count), rng.choice(["CLEAR", "SPICULATED"], count)
    score = 2.0 * (shape == "IRREGULAR") + 3.0 * ((shape == "OVAL") == (margin == "CLEAR")) - 2.5
    malignant = (rng.random(count) < 1 / (1 + np.exp(-score))).astype(float)
    assessment = np.clip(np.round(3 + 1.5 * malignant + rng.normal(0, 0.7, count)), 1, 5)
    patient = np.arange(count) // 2
    place = np.where(patient < 0.7 * count / 2, "train", "test")
    return pd.DataFrame(
        {
            "record_id": [f"r{index}" for index in range(count)],
            "key": [f"i{index}" for index in patient],
            "patient_id": [f"P{index}" for index in patient],
            "split": place,
            "subset": np.where(np.arange(count) % 2, "mass", "calc"),
            "mass_shape": shape,
            "mass_margins": margin,
            "assessment": assessment,
            "official_set": np.where(patient % 4 == 0, "test", "train"),
            "target_malignant": malignant,
            "target_always": 1.0,
            "target_never_known": np.nan,
        }
    )


LABELS = ["malignant", "always", "never_known"]


# models


def test_the_logistic_regression_masks_unknown_labels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    targets = np.stack([(x[:, 0] + rng.normal(size=200) > 0).astype(float), np.ones(200), np.full(200, np.nan)], 1)
    targets[:50, 0] = np.nan
    logits = MultiLabelLogistic.fit(x, targets).predict_logits(x)
    reference = LogisticRegression().fit(x[50:], targets[50:, 0])
    assert logits[:, 0] == pytest.approx(reference.decision_function(x))
    assert logits[:, 1] == pytest.approx(np.log(200.5 / 0.5))
    assert np.isnan(logits[:, 2]).all()


def test_constant_logits_are_smoothed_shares():
    assert constant_logits(np.array([[1.0, 0.0], [1.0, 1.0]])) == pytest.approx([np.log(5), 0])


def test_a_constant_dimension_counts_for_nothing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3)).astype(np.float32)
    x[:, 1] = 0.3
    targets = (x[:, :1] > 0).astype(float)
    head = FrozenHead.fit(x, targets, 1.0)
    moved = x.copy()
    moved[:, 1] = 5.0
    assert np.isfinite(head.predict_logits(x)).all()
    assert np.array_equal(head.predict_logits(x), head.predict_logits(moved))


@pytest.mark.parametrize("kind", ["mlp", "gradient_boosting", "logistic"])
def test_every_tabular_model_learns(kind):
    rows = lesions()
    train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    targets = train[[f"target_{label}" for label in LABELS]].to_numpy()
    model = fit_tabular_model(kind, train, targets, ["mass_shape", "mass_margins"], FAST, seed=0)
    logits = model.predict_logits(test)
    assert auroc(logits[:, 0], test["target_malignant"].to_numpy()) > (0.6 if kind == "logistic" else 0.75)
    assert logits[:, 1] == pytest.approx(np.log((len(train) + 0.5) / 0.5))
    assert np.isnan(logits[:, 2]).all()
    assert model.embedding(test).shape[0] == len(test)
    assert model.embedding(test).dtype == np.float32


def test_a_tabular_model_repeats_from_its_seed_and_leaves_the_global_state_alone():
    rows = lesions(120)
    targets = rows[["target_malignant"]].to_numpy()
    before = torch.get_rng_state()

    def logits(seed: int) -> np.ndarray:
        return fit_tabular_model("mlp", rows, targets, ["mass_shape"], FAST, seed).predict_logits(rows)

    assert np.array_equal(logits(1), logits(1))
    assert not np.array_equal(logits(1), logits(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_saved_trees_are_those_that_predict():
    rows = lesions(300)
    model = fit_tabular_model(
        "gradient_boosting", rows, rows[["target_malignant"]].to_numpy(), ["mass_shape", "mass_margins"], FAST, 0
    )
    state, x = model.state(), model.design.transform(rows)
    column = {name: state[f"label0.{name}"] for name in ("value", "feature_idx", "num_threshold", "left", "right")}
    logits = np.full(len(x), state["label0.baseline"][0])
    for root in np.cumsum(state["label0.tree_sizes"]) - state["label0.tree_sizes"]:
        node = np.full(len(x), root)
        while (inner := state["label0.is_leaf"][node] == 0).any():
            feature = x[np.arange(len(x)), column["feature_idx"][node].astype(int)]
            down = np.where(feature <= column["num_threshold"][node], column["left"][node], column["right"][node])
            node = np.where(inner, root + down.astype(int), node)
        logits += column["value"][node]
    assert logits == pytest.approx(model.predict_logits(rows)[:, 0])


# targets


def test_folds_hold_whole_patients():
    patients = np.repeat(np.arange(23), 4)
    folds = patient_folds(patients, 5, np.random.default_rng(0))
    assert all(len(set(folds[patients == patient])) == 1 for patient in range(23))
    assert set(np.bincount(folds) // 4) == {4, 5}
    with pytest.raises(ValueError, match="5 folds by patient"):
        patient_folds(np.array(["P1", "P2"]), 5, np.random.default_rng(0))


def test_targets_of_training_rows_come_from_models_that_did_not_see_the_patient():
    """Labels that are noise cannot be predicted out of fold, but in sample they can."""
    rows = lesions(200)
    rng = np.random.default_rng(1)
    rows["mass_shape"] = [f"S{index}" for index in range(len(rows))]  # every row has a term of its own
    rows["target_malignant"] = np.repeat(rng.integers(0, 2, 100), 2).astype(float)
    training = rows["split"] == "train"

    def trained(targets: str) -> float:
        config = FAST.model_copy(update={"model": "logistic", "targets": targets})
        result = fit_tabular(rows.drop(columns="official_set"), config, ["malignant"])
        teacher = result.predictions.query("variant == 'teacher' and split == 'train'")
        assert len(teacher) == training.sum()
        return auroc(teacher["logit"].to_numpy(), teacher["target"].to_numpy())

    assert trained("in_sample") > 0.95
    assert abs(trained("out_of_fold") - 0.5) < 0.2


def test_one_row_a_key_with_the_largest_logit_and_the_mean_embedding():
    rows = lesions()
    config = FAST.model_copy(update={"model": "logistic"})
    result = fit_tabular(rows, config, LABELS)
    targets = result.targets
    assert list(targets["key"]) == sorted(set(rows["key"])) and list(targets["labels"]) == LABELS
    assert targets["logits"].shape == (300, 3) and targets["logits"].dtype == np.float32
    teacher = result.predictions.query("variant == 'teacher' and label == 'malignant'")
    largest = teacher.assign(key=rows["key"].to_numpy()).groupby("key")["logit"].max()
    assert targets["logits"][:, 0] == pytest.approx(largest.to_numpy(), rel=1e-5)
    splits = rows.groupby("key")["split"].first()
    assert np.array_equal(targets["fold"] == -1, (splits != "train").to_numpy())
    assert set(targets["fold"]) == {-1, 0, 1, 2}
    assert all(array.dtype.kind != "O" for array in targets.values())


def test_variants_are_judged_on_the_official_sets_and_targets_on_the_split():
    rows = lesions()
    result = fit_tabular(rows, FAST, ["malignant"])
    assert list(result.predictions) == PREDICTION_COLUMNS
    by_variant = result.predictions.groupby("variant")
    assert set(by_variant.groups) == {"teacher", "mlp", "mlp + assessment", "logistic", "logistic + assessment"}
    for variant, part in by_variant:
        place = rows["split" if variant == "teacher" else "official_set"]
        assert list(part["split"]) == list(place) and set(part["protocol"]) == {
            "split" if variant == "teacher" else "official"
        }
    values = {
        variant: auroc(part["logit"].to_numpy(), part["target"].to_numpy())
        for variant, part in result.predictions[result.predictions["split"] == "test"].groupby("variant")
    }
    assert values["logistic + assessment"] > values["logistic"] + 0.05
    assert values["mlp"] > values["logistic"] + 0.05  # the pair of shape and margin is no sum


def test_a_label_that_cannot_be_learnt_is_said(caplog):
    fit_tabular(lesions(), FAST.model_copy(update={"model": "logistic"}), LABELS)
    assert "always has one class alone" in caplog.text and "never_known has no known value" in caplog.text
    with pytest.raises(ValueError, match="no label"):
        fit_tabular(lesions(), FAST, ["always"])
    with pytest.raises(ValueError, match="training split"):
        fit_tabular(lesions().assign(split="test"), FAST, ["malignant"])


# bootstrap


def test_the_bootstrap_gives_the_auroc_of_the_rows_drawn():
    rng = np.random.default_rng(0)
    scores, targets = rng.integers(0, 4, (40, 2)).astype(float), rng.integers(0, 2, 40).astype(float)
    scores[3, 1], targets[5] = np.nan, np.nan
    patients = rng.integers(0, 12, 40)
    samples = bootstrap_auroc(scores, targets, patients, 20, np.random.default_rng(1))
    names = np.unique(patients)
    draws = np.random.default_rng(1).multinomial(len(names), np.full(len(names), 1 / len(names)), size=20)
    for sample, draw in zip(samples, draws, strict=True):
        rows = np.concatenate([np.repeat(np.flatnonzero(patients == n), k) for n, k in zip(names, draw, strict=True)])
        rows = rows.astype(int)
        assert sample == pytest.approx(auroc(scores[rows], np.stack([targets[rows]] * 2, 1)), nan_ok=True)


def test_the_bootstrap_keeps_patients_together():
    """Rows that repeat their patient's add no information: the interval must not shrink."""
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(60, 1)), rng.integers(0, 2, 60).astype(float)

    def spread(copies: int) -> float:
        patients = np.repeat(np.arange(60), copies)
        repeated = np.repeat(scores, copies, axis=0), np.repeat(targets, copies)
        return bootstrap_auroc(*repeated, patients, 400, np.random.default_rng(1)).std()

    assert spread(5) == pytest.approx(spread(1))
