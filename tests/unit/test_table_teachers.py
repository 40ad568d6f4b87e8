"""The table of teachers."""

import numpy as np
import pandas as pd
import pytest

from mmpkd.auroc import auroc
from mmpkd.evaluation.reliability import brier_score, expected_calibration_error
from mmpkd.outputs.table_teachers import COLUMNS, judge

SHARPNESS = 3.0  # of the raw logits: what calibration took off


def predictions(seed: int = 0, patients: int = 150) -> pd.DataFrame:
    """Two records per patient; `mlp` gives calibrated logits, `logistic` the same with noise."""
    rng = np.random.default_rng(seed)
    count = 2 * patients
    truth = np.repeat(rng.normal(0, 1.5, patients), 2)
    target = np.repeat(rng.random(patients) < 1 / (1 + np.exp(-truth[::2])), 2).astype(float)
    logits = {"mlp": truth, "logistic": truth + rng.normal(0, 3, count)}
    frames = [
        pd.DataFrame(
            {
                "variant": variant,
                "protocol": "split" if variant == "teacher" else "official",
                "record_id": [f"r{index}" for index in range(count)],
                "patient_id": [f"P{index // 2}" for index in range(count)],
                "split": np.where(np.arange(count) % 10 < 2, "train", "test"),
                "subset": np.where(np.arange(count) % 2, "mass", "calc"),
                "label": label,
                "logit": logits[model],
                "raw_logit": SHARPNESS * logits[model],
                "target": values,
            }
        )
        for variant, model in (
            ("teacher", "mlp"),
            ("mlp", "mlp"),
            ("mlp + assessment", "mlp"),
            ("logistic", "logistic"),
            ("logistic + assessment", "logistic"),
        )
        for label, values in (("malignant", target), ("always", 1.0))
    ]
    return pd.concat(frames, ignore_index=True)


def made(frames) -> pd.DataFrame:
    return judge(frames, 0.95, 200, seed=0).frame


@pytest.fixture(scope="module")
def result():
    return made({("mammography", "main"): predictions()})


def test_each_variant_has_a_row_a_subset_and_labels_of_one_class_have_none(result):
    assert list(result) == COLUMNS
    assert set(result["label"]) == {"malignant"} and set(result["subset"]) == {"all", "mass", "calc"}
    assert len(result) == 3 * 5
    whole = result[result["subset"] == "all"].set_index("variant")
    assert whole.loc["mlp", "test_set"] == "official test set" and whole.loc["teacher", "test_set"] == "test split"
    assert whole.loc["mlp", "n_records"] == 240 and whole.loc["mlp", "n_patients"] == 120


def test_the_difference_is_from_the_baseline_that_reads_the_same(result):
    whole = result[result["subset"] == "all"].set_index("variant")
    for reads in ("", " + assessment"):
        mlp, logistic = whole.loc[f"mlp{reads}"], whole.loc[f"logistic{reads}"]
        assert mlp["difference"] == pytest.approx(mlp["auroc"] - logistic["auroc"])
        assert 0 < mlp["difference_low"] < mlp["difference"] < mlp["difference_high"]
    assert whole.loc[["logistic", "logistic + assessment", "teacher"], "difference"].isna().all()
    assert ((result["auroc_low"] <= result["auroc"]) & (result["auroc"] <= result["auroc_high"])).all()


def test_reliability_is_that_of_the_test_records_before_and_after_calibration(result):
    row = result.query("variant == 'teacher' and subset == 'mass'").iloc[0]
    part = predictions().query("variant == 'teacher' and subset == 'mass' and split == 'test' and label == 'malignant'")
    logits, targets = part["logit"].to_numpy(), part["target"].to_numpy()
    assert row["auroc"] == pytest.approx(auroc(logits, targets))
    assert row["ece"] == pytest.approx(expected_calibration_error(logits, targets))
    assert row["raw_ece"] == pytest.approx(expected_calibration_error(SHARPNESS * logits, targets))
    assert row["brier"] == pytest.approx(brier_score(logits, targets))
    assert row["raw_brier"] == pytest.approx(brier_score(SHARPNESS * logits, targets))
    assert row["brier_low"] < row["brier"] < row["brier_high"]
    whole = result.query("variant == 'teacher' and subset == 'all'").iloc[0]
    assert whole["ece"] < whole["ece_limit"] < whole["raw_ece"]


def test_unknown_targets_do_not_count(result):
    frame = predictions()
    unknown = frame["record_id"].isin([f"r{index}" for index in range(2, 10)])
    frame.loc[unknown, "target"] = np.nan
    row = made({("mammography", "main"): frame}).query("variant == 'teacher' and subset == 'all'").iloc[0]
    assert row["n_records"] == 232 and row["n_patients"] == 116
    without = made({("mammography", "main"): predictions()[~unknown]})
    assert row["auroc"] == without.query("variant == 'teacher' and subset == 'all'").iloc[0]["auroc"]


def test_only_the_main_teacher_shows_its_competitors():
    frames = {("mammography", "main"): predictions(), ("mammography", "with_assessment"): predictions(1)}
    result = made({**frames, ("cxr", "main"): predictions(2).query("variant == 'teacher'").assign(subset="")})
    variants = result.groupby(["domain", "teacher"], sort=False)["variant"].unique().map(list).to_dict()
    assert variants["mammography", "with_assessment"] == ["teacher"]
    assert len(variants["mammography", "main"]) == 5
    assert set(result.query("domain == 'cxr'")["subset"]) == {"all"}


def test_the_same_seed_gives_the_same_table(result):
    pd.testing.assert_frame_equal(result, made({("mammography", "main"): predictions()}))


def test_predictions_without_raw_logits_are_refused():
    with pytest.raises(ValueError, match=r"teachers/cxr/main/predictions.parquet has no column raw_logit"):
        made({("cxr", "main"): predictions().drop(columns="raw_logit")})


def test_the_table_for_reading_is_narrower_than_the_csv(tmp_path):
    table = judge({("mammography", "main"): predictions()}, 0.95, 200, seed=0)
    paths = [tmp_path / name for name in ("t.csv", "t.md", "t.tex", "t.caption.txt")]
    table.write(*paths)
    header = paths[1].read_text().splitlines()[2]
    assert header.count("|") - 1 <= 12 and "| ECE | ECE limit | ECE before calibration |" in header
    assert "brier_low" in paths[0].read_text() and "brier" not in header
    assert "95 %" in table.caption
