from math import isnan

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mmpkd.evaluation.matrices import ScoreMatrix
from mmpkd.evaluation.permutation import permutation_patients, permutation_seeds, sign_flip


def cell(values, patients=None, domain="cxr", cohort="mimic_cxr"):
    values = np.asarray(values, dtype=float)
    patients = np.arange(values.shape[1]) if patients is None else patients
    names = np.array([f"p{patient}" for patient in patients], dtype=object)
    return ScoreMatrix(values, np.arange(len(values)), pd.Index(np.arange(values.shape[1])), names, domain, cohort)


def by_patients(cells, tested=0.0, resamples=2000):
    return permutation_patients(cells, tested, resamples, np.random.default_rng(0))


def by_seeds(cells, tested=0.0, resamples=2000):
    return permutation_seeds(cells, tested, resamples, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("values", "p"),
    [([1, 2, 3], 2 / 8), ([1, 2, -3], 1.0), ([3, 2, -1], 4 / 8), ([0.1, 0.2, 0.3, 0.6], 2 / 16), ([0, 0], 1.0)],
)
@pytest.mark.parametrize("unit", [1, 1e-9, 1e9])
def test_few_values_are_flipped_in_every_way(values, p, unit):
    for resamples in (100, 2 ** len(values)):
        assert sign_flip(unit * np.array(values), resamples, np.random.default_rng(0)) == pytest.approx(p)


def test_it_is_the_permutation_test_of_scipy():
    gains = np.random.default_rng(1).normal(0.5, 1, 9)
    expected = stats.permutation_test((gains,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
    assert by_patients([(1.0, cell(gains[None]))]) == pytest.approx(expected)
    drawn = sign_flip(gains, 511, np.random.default_rng(0))  # 2^9 patterns are one more
    assert drawn == pytest.approx(expected, abs=0.08) and drawn != pytest.approx(expected, abs=1e-12)


def test_random_patterns_never_give_zero():
    assert sign_flip(np.ones(60), 200, np.random.default_rng(0)) == pytest.approx(1 / 201)
    assert sign_flip(np.zeros(60), 200, np.random.default_rng(0)) == 1  # each of them ties


def test_a_patient_flips_as_a_whole():
    gains = np.random.default_rng(2).normal(0.3, 1, (4, 8))
    once = by_patients([(1.0, cell(gains))])
    tripled = by_patients([(1.0, cell(np.repeat(gains, 3, axis=1), np.repeat(np.arange(8), 3)))])
    assert tripled == pytest.approx(once) and once == pytest.approx(by_patients([(1.0, cell(gains.mean(0)[None]))]))


def test_cells_of_a_cohort_share_patients_and_cells_of_a_domain_share_students():
    gains = np.random.default_rng(3).normal(1.0, 0.1, (3, 4))
    other = gains + 0.5  # the contrast is -0.5 throughout
    patients = [(1.0, cell(gains)), (-1.0, cell(other, domain="mammography"))]
    assert by_patients(patients) == pytest.approx(2 / 2**4)
    assert by_patients([patients[0], (-1.0, cell(other, cohort="cbis_ddsm"))]) > 0.2  # eight patients, great sums
    assert by_seeds(patients) > 0.2  # two domains: six students
    assert by_seeds([(1.0, cell(gains)), (-1.0, cell(other, cohort="cbis_ddsm"))]) == pytest.approx(2 / 2**3)


def test_a_mean_of_cells_does_not_count_images():
    few, many = cell([[4.0, 4.0]]), cell([[8.0, 8.0, 8.0, -8.0]], cohort="vindr_cxr")
    p = by_patients([(0.5, few), (0.5, many)])  # each patient adds 1, the last -1: a sum of 4 at least
    assert p == pytest.approx((2 + 12) / 2**6)


def test_the_smallest_p_of_the_seeds():
    gains = 1 + np.random.default_rng(4).random((5, 30))
    assert by_seeds([(1.0, cell(gains))]) == pytest.approx(2**-4)
    assert by_seeds([(0.5, cell(gains)), (0.5, cell(gains, domain="mammography"))]) == pytest.approx(2**-9)
    assert isnan(by_seeds([(1.0, cell(gains[:1]))])) and isnan(by_patients([(1.0, cell(gains, np.zeros(30)))]))
    assert isnan(by_seeds([(0.0, cell(gains))])) and isnan(by_patients([]))  # nothing is left to flip


@pytest.mark.parametrize("test", [by_patients, by_seeds])
def test_a_margin_is_tested_on_shifted_gains(test):
    gains = np.random.default_rng(5).normal(0.3, 1, (5, 5))
    shifted = test([(1.0, cell(gains - 0.4))])
    assert test([(1.0, cell(gains))], tested=0.4) == pytest.approx(shifted) != test([(1.0, cell(gains))])
    two = [(0.5, cell(gains)), (0.5, cell(gains + 1, cohort="vindr_cxr"))]
    apart = [(weight, cell(matrix.values - 0.4, cohort=matrix.cohort)) for weight, matrix in two]
    assert test(two, tested=0.4) == pytest.approx(test(apart))
    exact = [(0.5, cell(np.zeros((5, 5)) + 0.375)), (-0.5, cell(np.zeros((5, 5)) - 0.125, cohort="vindr_cxr"))]
    assert test(exact, tested=0.25) == 1.0  # nothing is left of a difference of half 0.375 and half -0.125


def test_level_and_what_flips_of_patients_do_not_hold_for():
    """Without spread among seeds 5 % of p are at most 0.05; with it far more, whatever the arm is worth."""
    rng = np.random.default_rng(6)
    alike = [cell(rng.normal(0, 0.1, (4, 40))) for _ in range(400)]
    share = np.mean([by_patients([(1.0, matrix)], resamples=400) <= 0.05 for matrix in alike])
    assert 0.02 <= share <= 0.085  # 0.05 give or take three standard errors
    lucky = [cell(rng.normal(0, 0.1, (4, 40)) + rng.normal(0, 0.1, (4, 1))) for _ in range(100)]
    assert np.mean([by_patients([(1.0, matrix)], resamples=400) <= 0.05 for matrix in lucky]) > 0.3
    assert np.mean([by_seeds([(1.0, matrix)], resamples=400) <= 0.05 for matrix in lucky]) == 0  # p is at least 1/8
