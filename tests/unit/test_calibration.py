"""Temperatures: known ones are found again, few rows stay near one, and the order of rows never changes."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from scipy.optimize import minimize_scalar

from mmpkd.auroc import auroc
from mmpkd.config.teachers import TabularTeacher
from mmpkd.teachers.calibration import COLDEST, HOTTEST, PRIOR_DEVIATION, fit_temperatures
from mmpkd.teachers.fitting import fit_tabular
from tests.unit.test_teachers import lesions


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and targets drawn with just their probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 1))
    return logits, (rng.random((count, 1)) < 1 / (1 + np.exp(-logits))).astype(float)


@pytest.mark.parametrize("factor", [3.0, 1.0, 0.5])
def test_logits_that_were_scaled_are_brought_back(factor):
    logits, targets = drawn(50_000)
    assert fit_temperatures(factor * logits, targets, ["a"]) == pytest.approx([factor], rel=0.03)


def test_each_label_has_the_temperature_of_its_own_known_rows():
    logits, targets = drawn(20_000)
    both = np.hstack([logits, 4 * logits])
    masked = np.hstack([targets, np.where(np.arange(20_000)[:, None] % 2, targets, np.nan)])
    alone = fit_temperatures(4 * logits[1::2], targets[1::2], ["b"])
    assert fit_temperatures(both, masked, ["a", "b"]) == pytest.approx(
        [*fit_temperatures(logits, targets, "a"), *alone]
    )


@settings(deadline=None)
@given(st.integers(0, 50), st.floats(0.2, 5), st.integers(4, 60))
def test_the_temperature_minimises_the_penalised_likelihood(seed, factor, count):
    logits, targets = drawn(count, seed)
    targets[:2, 0] = 0, 1
    z, y = factor * logits[:, 0], targets[:, 0]

    def loss(slope):
        return np.sum(np.logaddexp(0, slope * z) - slope * y * z) + (slope - 1) ** 2 / (2 * PRIOR_DEVIATION**2)

    best = minimize_scalar(loss, bounds=(1 / HOTTEST, 1 / COLDEST), method="bounded", options={"xatol": 1e-9}).x
    assert 1 / fit_temperatures(z[:, None], targets, ["a"])[0] == pytest.approx(best, abs=1e-5)


def test_few_rows_and_separated_labels_stay_near_one():
    few = np.array([[3.0], [-3.0], [2.0]]), np.array([[1.0], [0.0], [0.0]])
    assert 1 < fit_temperatures(*few, ["a"])[0] < 1.5
    separated = np.linspace(-6, 6, 400)[:, None]
    assert 0.5 < fit_temperatures(separated, (separated > 0).astype(float), ["a"])[0] < 1


def test_the_wrong_way_round_is_as_hot_as_can_be():
    logits, targets = drawn(5_000)
    assert fit_temperatures(-logits, targets, ["a"]) == HOTTEST


def test_without_both_classes_the_temperature_is_one_and_said(caplog):
    logits = np.array([[1.0, 1.0, 1.0, 2.0, np.nan], [2.0, 2.0, 2.0, 2.0, np.nan]])
    targets = np.array([[1.0, np.nan, 1.0, 1.0, 1.0], [1.0, np.nan, np.nan, 0.0, 0.0]])
    assert np.array_equal(fit_temperatures(logits, targets, ["one", "none", "few", "flat", "nan"]), np.ones(5))
    assert "one, none, few, flat, nan" in caplog.text
    assert np.array_equal(fit_temperatures(np.zeros((0, 1)), np.zeros((0, 1)), ["empty"]), [1.0])


CONFIG = TabularTeacher(model="gradient_boosting", folds=3, compare=[])


def with_validation(count: int = 900):
    records = lesions(count)
    patient = records["patient_id"].str[1:].astype(int)
    return records.assign(split=np.where(patient % 10 < 6, "train", np.where(patient % 10 < 8, "validate", "test")))


def likelihood(predictions, column: str) -> float:
    logit, target = predictions[column].to_numpy(), predictions["target"].to_numpy()
    return float(np.mean(np.logaddexp(0, logit) - target * logit))


def test_all_logits_of_a_teacher_are_divided_before_they_are_cached(tmp_path):
    records = with_validation()
    result = fit_tabular(records, CONFIG, ["malignant"])
    plain = fit_tabular(records, CONFIG.model_copy(update={"calibrate": False}), ["malignant"])
    (temperature,) = result.state["temperature"]
    assert temperature != 1 and plain.state["temperature"] == 1
    assert result.facts["temperatures"] == {"malignant": temperature}
    assert result.targets["logits"] == pytest.approx(plain.targets["logits"] / temperature, rel=1e-6)
    teacher = result.predictions.query("variant == 'teacher'")
    assert teacher["logit"].to_numpy() == pytest.approx(teacher["raw_logit"].to_numpy() / temperature)
    assert np.array_equal(teacher["raw_logit"], plain.predictions.query("variant == 'teacher'")["logit"])
    rest = result.predictions.query("variant != 'teacher'")
    assert len(rest) and np.array_equal(rest["logit"], rest["raw_logit"])
    result.save(tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "numpy") as file:
        assert json.loads(file.metadata()["facts"])["temperatures"]["malignant"] == temperature


def test_calibration_keeps_the_auroc_and_gains_on_the_rows_it_was_fitted_on():
    predictions = fit_tabular(with_validation(), CONFIG, ["malignant"]).predictions.query("variant == 'teacher'")
    for _, part in predictions.groupby("split"):
        target = part["target"].to_numpy()
        assert auroc(part["logit"].to_numpy(), target) == auroc(part["raw_logit"].to_numpy(), target)
    held_out = predictions[predictions["split"] != "test"]
    assert likelihood(held_out, "logit") < likelihood(held_out, "raw_logit")


def test_in_sample_logits_of_training_rows_decide_no_temperature():
    """They are over-confident; with them the temperature would be below one."""
    config = CONFIG.model_copy(update={"targets": "in_sample"})
    records = with_validation()
    result = fit_tabular(records, config, ["malignant"])
    rows = result.predictions.query("variant == 'teacher' and split == 'validate'")
    alone = fit_temperatures(rows[["raw_logit"]].to_numpy(), rows[["target"]].to_numpy(), ["malignant"])
    assert result.state["temperature"] == pytest.approx(alone)


def test_a_teacher_without_validation_rows_in_sample_is_not_calibrated(caplog):
    records = with_validation()
    records = records[records["split"] != "validate"]
    result = fit_tabular(records, CONFIG.model_copy(update={"targets": "in_sample"}), ["malignant"])
    assert result.state["temperature"] == 1 and "not calibrated" in caplog.text
