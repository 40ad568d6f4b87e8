"""Brier score, expected calibration error and their bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmpkd.evaluation import reliability
from mmpkd.evaluation.reliability import (
    bootstrap_brier,
    brier_score,
    calibrated_errors,
    equal_mass_bins,
    expected_calibration_error,
    probabilities,
)


def logit(p):
    return np.log(np.asarray(p) / (1 - np.asarray(p)))


def test_probabilities_are_those_of_the_sigmoid_and_never_overflow():
    with np.errstate(all="raise", under="ignore"):
        values = probabilities(np.array([-800.0, -2.0, 0.0, np.log(3), 800.0]))
    assert values == pytest.approx([0.0, 1 / (1 + np.exp(2)), 0.5, 0.75, 1.0])


def test_the_brier_score_of_three_rows_by_hand():
    assert brier_score(logit([0.9, 0.6, 0.2]), np.array([1, 0, 0])) == pytest.approx((0.01 + 0.36 + 0.04) / 3)


def test_the_calibration_error_of_two_bins_by_hand():
    p, y = [0.1, 0.2, 0.3, 0.6, 0.8, 0.9], np.array([0, 1, 0, 1, 1, 0])
    low, high = abs(0.6 / 3 - 1 / 3), abs(2.3 / 3 - 2 / 3)
    assert expected_calibration_error(logit(p), y, bins=2) == pytest.approx(0.5 * low + 0.5 * high)
    assert expected_calibration_error(logit(p), y, bins=1) == pytest.approx(abs(2.9 / 6 - 0.5))


def test_a_frequency_that_equals_the_probability_has_no_calibration_error():
    p, y = np.repeat([0.25, 0.75], 8), np.array([1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0])
    assert expected_calibration_error(logit(p), y) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error(3 * logit(p), y) == pytest.approx(probabilities(3 * logit(0.75)) - 0.75)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 12))
def test_bins_of_different_scores_differ_by_one_row_at_most(rows, bins):
    sizes = np.bincount(equal_mass_bins(np.random.default_rng(rows).permutation(rows), bins), minlength=bins)
    assert len(sizes) == bins and sizes.max() - sizes.min() <= 1


@settings(deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_and_ties_share_a_bin(scores, shuffle):
    scores = np.array(scores, float)
    targets = np.array([shuffle.randint(0, 1) for _ in scores])
    order = np.array(shuffle.sample(range(len(scores)), len(scores)))
    bins = equal_mass_bins(scores)
    assert np.array_equal(bins[order], equal_mass_bins(scores[order]))
    assert all(len(set(bins[scores == score])) == 1 for score in scores)
    one, other = (expected_calibration_error(scores[rows], targets[rows]) for rows in (slice(None), order))
    assert one == pytest.approx(other, abs=1e-12) and 0 <= one <= 1


def test_a_resample_scores_the_rows_of_the_patients_drawn(monkeypatch):
    monkeypatch.setattr(reliability, "CHUNK_ELEMENTS", 60)  # several chunks
    rng = np.random.default_rng(0)
    logits, targets, patients = rng.normal(size=50), rng.integers(0, 2, 50).astype(float), rng.integers(0, 9, 50)
    brier = bootstrap_brier(logits, targets, patients, 20, np.random.default_rng(1))
    names = np.unique(patients)
    draws = np.random.default_rng(1).multinomial(len(names), np.full(len(names), 1 / len(names)), size=20)
    for sample, draw in zip(brier, draws, strict=True):
        rows = np.concatenate([np.repeat(np.flatnonzero(patients == n), k) for n, k in zip(names, draw, strict=True)])
        assert sample == pytest.approx(brier_score(logits[rows], targets[rows]))


def test_calibrated_predictions_stay_below_their_limit_as_often_as_it_says_and_others_do_not():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, 400)
    limit = np.quantile(calibrated_errors(logits, np.arange(400), 1000, np.random.default_rng(1)), 0.95)
    below = [expected_calibration_error(logits, rng.random(400) < probabilities(logits)) <= limit for _ in range(600)]
    assert np.mean(below) == pytest.approx(0.95, abs=0.03)
    sharp = 3 * logits
    limit = np.quantile(calibrated_errors(sharp, np.arange(400), 1000, np.random.default_rng(1)), 0.95)
    assert expected_calibration_error(sharp, rng.random(400) < probabilities(logits)) > limit + 0.03


def test_rows_that_repeat_their_patient_do_not_lower_the_limit():
    logits = np.random.default_rng(0).normal(0, 1.5, 100)

    def errors(copies: int) -> np.ndarray:
        patients = np.repeat(np.arange(100), copies)
        return calibrated_errors(np.repeat(logits, copies), patients, 50, np.random.default_rng(1))

    assert errors(4) == pytest.approx(errors(1))


def test_the_expected_error_of_one_bin_is_that_of_a_mean():
    """p = 1/2 for N rows in one bin: ECE = |count / N - 1/2|, for N = 4 on average (2 * 1/2 + 8 * 1/4) / 16."""
    errors = calibrated_errors(np.zeros(4), np.arange(4), 20_000, np.random.default_rng(0), bins=1)
    assert set(errors) == {0.0, 0.25, 0.5}
    assert errors.mean() == pytest.approx(3 / 16, abs=0.004)
