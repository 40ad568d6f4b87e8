"""Membership of a column's values in a list."""

import numpy as np
import pandas as pd
import pytest

from mmpkd.cohorts.tables import is_among


@pytest.mark.parametrize("kind", [list, set, frozenset, tuple, pd.Series, pd.Index])
def test_it_is_what_isin_says(kind):
    values = pd.Series(["a", "b", "", "a", "c"], index=[3, 1, 4, 1, 5], dtype="str")
    expected = pd.Series([True, False, True, True, False], index=[3, 1, 4, 1, 5])
    pd.testing.assert_series_equal(is_among(values, kind(["a", ""])), expected)


def test_nothing_is_among_nothing():
    assert not is_among(pd.Series(["a", "b"]), []).any()
    assert len(is_among(pd.Series([], dtype="str"), ["a"])) == 0
    assert is_among(pd.Series([], dtype="str"), []).dtype == bool


def test_a_missing_value_is_no_member():
    values = pd.Series(["a", None, np.nan], dtype="str")
    assert is_among(values, {"a"}).tolist() == [True, False, False]
