"""What the statistics say of gains whose size is known: many small studies are drawn, their verdicts counted."""

import numpy as np
import pandas as pd
import pytest

from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.design import Score
from mmpkd.evaluation.claims import claims_table, judge
from mmpkd.evaluation.matrices import ScoreMatrix
from mmpkd.evaluation.statistics import crossed_estimate, holm, paired_gain
from tests.synthetic import DESIGN, HOME

DRAWS = 200
SEEDS = 5
PATIENTS = 60
CLAIM = Claim(title="the gain", cells=["cxr@mimic_cxr"])
CHOSEN = Score("pixel_auroc", "rollout")


def long_table(rng: np.random.Generator, **gains: float) -> pd.DataFrame:
    """Scores of a baseline and of arms with these gains: 5 seeds, 60 patients with one to three images.

    Images differ in difficulty for all arms alike; an arm differs from the others by student, by patient and by image.
    """
    patient = np.repeat(np.arange(PATIENTS), rng.integers(1, 4, PATIENTS))
    difficulty = rng.normal(0.8, 0.05, len(patient))
    arms = {"baseline": 0.0, **gains}
    values = []
    for gain in arms.values():
        of_patient = rng.normal(0, 0.03, PATIENTS)[patient]
        of_seed, rest = rng.normal(0, 0.008, (SEEDS, 1)), rng.normal(0, 0.03, (SEEDS, len(patient)))
        values.append(gain + difficulty + of_patient + of_seed + rest)
    arm, seed, image = (grid.ravel() for grid in np.indices((len(arms), SEEDS, len(patient))))
    constant = np.zeros(len(arm), dtype=int)
    names = {"domain": "cxr", "cohort": "mimic_cxr", **CHOSEN.columns}
    return pd.DataFrame(
        {
            **{column: pd.Categorical.from_codes(constant, [name]) for column, name in names.items()},
            "arm": pd.Categorical.from_codes(arm, list(arms)),
            "seed": seed,
            "patient_id": pd.Categorical.from_codes(patient[image], [f"p{number}" for number in range(PATIENTS)]),
            "image_id": image,
            "value": np.concatenate(values).ravel(),
        }
    )


def estimates(rng: np.random.Generator, gain: float):
    return [paired_gain(long_table(rng, mmpkd=gain), [HOME], "mmpkd", "baseline", CHOSEN) for _ in range(DRAWS)]


def share(outcomes) -> float:
    return float(np.mean(list(outcomes)))


@pytest.fixture(scope="module")
def null():
    return estimates(np.random.default_rng(0), 0.0)


@pytest.fixture(scope="module")
def detectable(null):
    """What such a study says that it would find with 80 % power."""
    return float(np.mean([estimate.minimum_detectable for estimate in null]))


@pytest.fixture(scope="module")
def planted(detectable):
    return estimates(np.random.default_rng(1), detectable)


def test_a_planted_gain_lies_in_its_interval(planted, detectable):
    assert 0.90 <= share(estimate.low <= detectable <= estimate.high for estimate in planted) <= 0.99
    assert np.mean([estimate.estimate for estimate in planted]) == pytest.approx(detectable, abs=0.002)


def test_the_minimum_detectable_gain_is_found_as_often_as_promised(planted):
    supported = share(judge(CLAIM, estimate, estimate.p, 0.05) == "supported" for estimate in planted)
    assert 0.68 <= supported <= 0.9  # 0.8 give or take three standard errors


def test_nothing_planted_is_seldom_found(null):
    verdicts = [judge(CLAIM, estimate, estimate.p, 0.05) for estimate in null]
    assert share(verdict == "supported" for verdict in verdicts) <= 0.058  # 0.025 and three standard errors
    assert share(verdict != "inconclusive" for verdict in verdicts) <= 0.096  # 0.05 and three standard errors


def test_no_gain_is_shown_where_the_margin_is_detectable(null, detectable):
    """A margin as large as the detectable gain is kept in most draws; a true gain of that size is not called none."""
    claim = Claim(title="no gain", cells=CLAIM.cells, expect="no_gain", margin=detectable)
    rng = np.random.default_rng(2)
    for gain, least, most in ((0.0, 0.6, 1.0), (detectable, 0.0, 0.12)):
        found = [
            paired_gain(long_table(rng, mmpkd=gain), [HOME], "mmpkd", "baseline", CHOSEN, tested=detectable)
            for _ in range(DRAWS // 4)
        ]
        assert least <= share(judge(claim, estimate, estimate.p, 0.05) == "supported" for estimate in found) <= most


def test_a_gain_that_the_shuffled_teacher_shows_too_is_not_credited(detectable):
    rng, evaluation, gain = np.random.default_rng(3), Evaluation(resamples=100), 1.5 * detectable
    for shuffled, least, most in ((gain, 0.0, 0.15), (0.0, 0.8, 1.0)):
        tables = [
            claims_table(long_table(rng, mmpkd=gain, shuffled=shuffled), {"claim": CLAIM}, evaluation, DESIGN).iloc[0]
            for _ in range(30)
        ]
        assert share(row["verdict"] == "supported" for row in tables) >= 0.8
        assert least <= share(row["credited"] for row in tables) <= most
        denied = [row for row in tables if row["verdict"] == "supported" and not row["credited"]]
        assert all("not credited to the privileged data: the shuffled teacher" in row["sentence"] for row in denied)


def test_among_five_claims_without_effect_holm_keeps_the_error_of_the_family():
    rng, patients, images = np.random.default_rng(4), np.repeat(np.arange(30), 2).astype(object), pd.RangeIndex(60)
    raw, adjusted = [], []
    for _ in range(150):
        p = []
        for name in "abcde":
            values = rng.normal(0, 0.01, (SEEDS, 1)) + rng.normal(0, 0.04, 30)[patients.astype(int)]
            values = values + rng.normal(0, 0.04, (SEEDS, 60))
            cell = ScoreMatrix(values, np.arange(SEEDS), images, patients, domain=name, cohort=name)
            p.append(crossed_estimate([(1.0, cell)]).p)
        raw.append(min(p) < 0.05)
        adjusted.append(min(holm(p)) < 0.05)
    assert share(adjusted) <= 0.104  # 0.05 and three standard errors
    assert share(raw) > 0.13  # without adjustment 0.23 is expected: the drawn families can break the rule
