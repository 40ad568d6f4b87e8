from math import isnan

import numpy as np
import pandas as pd
import pytest

from mmpkd.evaluation.effect_sizes import patient_gains, share_improved, standardised_gain
from mmpkd.evaluation.matrices import ScoreMatrix


def cell(values, patients):
    values = np.asarray(values, dtype=float)
    return ScoreMatrix(values, np.arange(len(values)), pd.RangeIndex(values.shape[1]), np.array(patients), "cxr", "x")


ONE = cell([[1, 3, 2, 0], [3, 5, 2, 0]], ["a", "a", "b", "c"])  # gains of a, b, c: 3, 2, 0
TWO = cell([[1, -1], [3, -1]], ["d", "e"])  # gains 2, -1


def test_a_patient_is_one_observation():
    assert sorted(patient_gains(ONE)) == [0, 2, 3]


def test_by_hand():
    d_one, d_two = (5 / 3) / np.std([3, 2, 0], ddof=1), 0.5 / np.std([2, -1], ddof=1)
    assert standardised_gain([(1.0, ONE)]) == pytest.approx(d_one)
    assert standardised_gain([(0.25, ONE), (0.75, TWO)]) == pytest.approx(0.25 * d_one + 0.75 * d_two)
    assert share_improved([(1.0, ONE)]) == pytest.approx(2.5 / 3)
    assert share_improved([(0.5, ONE), (0.5, TWO)]) == pytest.approx((2.5 / 3 + 0.5) / 2)


def test_the_size_of_an_effect_has_no_unit():
    small = cell(ONE.values / 1000, ONE.patients)
    assert standardised_gain([(1.0, small)]) == pytest.approx(standardised_gain([(1.0, ONE)]))
    assert share_improved([(1.0, small)]) == share_improved([(1.0, ONE)])


def test_a_difference_of_gains_has_none():
    assert isnan(standardised_gain([(1.0, ONE), (-1.0, TWO)])) and isnan(share_improved([(1.0, ONE), (-1.0, TWO)]))
    assert isnan(standardised_gain([])) and isnan(share_improved([]))


@pytest.mark.filterwarnings("error")
def test_without_spread_there_is_no_standardised_gain():
    assert isnan(standardised_gain([(1.0, cell([[1, 1]], ["a", "b"]))]))
    assert isnan(standardised_gain([(1.0, cell([[1, 2]], ["a", "a"]))]))
    assert isnan(standardised_gain([(1.0, cell([[0.1, 0.1, 0.1]], ["a", "b", "c"]))]))  # whose mean is not 0.1
    assert share_improved([(1.0, cell([[1, 1]], ["a", "b"]))]) == 1


@pytest.mark.filterwarnings("error")
def test_without_images_there_is_nothing():
    nothing = [(1.0, cell(np.empty((1, 0)), []))]
    assert isnan(share_improved(nothing)) and isnan(standardised_gain(nothing))
