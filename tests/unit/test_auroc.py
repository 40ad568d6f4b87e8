"""AUROC against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mmpkd.auroc import auroc, macro_auroc


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_it_equals_scikit_learn_with_ties(pairs):
    scores, targets = np.array(pairs, dtype=float).T
    if len(set(targets)) == 2:
        assert auroc(scores, targets) == pytest.approx(roc_auc_score(targets, scores))
    else:
        assert np.isnan(auroc(scores, targets))


def test_unknown_labels_do_not_count():
    assert auroc(np.array([1.0, 2.0, 9.0]), np.array([0.0, 1.0, np.nan])) == 1.0
    assert auroc(np.array([1.0, 2.0, np.nan]), np.array([0.0, 1.0, 0.0])) == 1.0


def test_the_macro_mean_leaves_out_labels_of_one_class():
    scores = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert macro_auroc(scores, np.array([[0.0, 1.0], [1.0, 1.0]])) == 1.0
    assert np.isnan(macro_auroc(scores, np.ones((2, 2))))


@pytest.mark.filterwarnings("error")
def test_one_class_or_none_is_undefined_without_a_warning():
    assert np.isnan(auroc(np.array([[0.0, 1.0], [1.0, 2.0]]), np.array([[0.0, 1.0], [0.0, 1.0]]))).all()
    assert np.isnan(auroc(np.zeros(0), np.zeros(0)))
    assert np.isnan(macro_auroc(np.zeros((2, 1)), np.ones((2, 1))))
