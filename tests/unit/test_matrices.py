"""From rows to a value per seed and image, and differences of such, by hand."""

import numpy as np
import pandas as pd
import pytest

from mmpkd.evaluation.matrices import MissingScores, ScoreMatrix, pivot, score_matrix, select


def matrix(values, seeds, images, patients="pqr", n_undefined=0):
    values = np.array(values, dtype=float)
    patients = np.array(list(patients)[: values.shape[1]], dtype=object)
    return ScoreMatrix(values, np.array(seeds), pd.Index(list(images)), patients, "cxr", "x", n_undefined)


MINE = matrix([[1, 2, 4], [10, 20, 40]], [1, 3], "abc", n_undefined=2)
OTHER = matrix([[7, 7], [0.5, 0.25], [5, 3]], [0, 1, 3], "ca", "rp", n_undefined=5)


def rows(entries):
    table = pd.DataFrame(entries, columns=["seed", "image_id", "patient_id", "value"])
    return table.assign(domain="cxr", arm="mmpkd", cohort="x", metric="m", method="rollout", label="any")


def test_a_difference_is_taken_image_by_image_and_seed_by_seed():
    gain = MINE.minus(OTHER)
    assert gain.values.tolist() == [[1 - 0.25, 4 - 0.5], [10 - 3, 40 - 5]]
    assert gain.seeds.tolist() == [1, 3] and gain.images.tolist() == ["a", "c"] and gain.patients.tolist() == ["p", "r"]
    assert (gain.domain, gain.cohort, gain.n_undefined) == ("cxr", "x", 5)
    assert OTHER.minus(MINE).values.tolist() == [[0.5 - 4, 0.25 - 1], [5 - 40, 3 - 10]]


def test_what_is_not_paired_is_less_the_mean_over_the_others_seeds():
    gain = MINE.minus(OTHER, paired=False)
    of_a, of_c = (7 + 0.25 + 3) / 3, (7 + 0.5 + 5) / 3
    np.testing.assert_allclose(gain.values, [[1 - of_a, 4 - of_c], [10 - of_a, 40 - of_c]])
    assert gain.seeds.tolist() == [1, 3]
    with pytest.raises(MissingScores, match="cxr@x: the arms that are compared have no seed in common"):
        MINE.minus(matrix([[1, 2]], [2], "ab"))


def test_mean_and_restriction():
    assert MINE.mean == pytest.approx(77 / 6)
    kept = MINE.restrict(np.array([True, False, True]))
    assert kept.values.tolist() == [[1, 4], [10, 40]] and kept.images.tolist() == ["a", "c"]
    assert kept.patients.tolist() == ["p", "r"] and kept.n_undefined == 2
    assert np.isnan(MINE.restrict(np.zeros(3, dtype=bool)).mean)


def test_rows_become_seeds_by_images_and_incomplete_images_are_counted():
    table = rows(
        [
            (3, "b", "p", 4.0),
            (0, "b", "p", 3.0),
            (0, "a", "q", 1.0),
            (3, "a", "q", 2.0),
            (0, "c", "q", 9.0),  # without seed 3
            (0, "d", "p", 9.0),
            (3, "d", "p", np.nan),
        ]
    )
    found = pivot(table, "cxr", "x")
    assert found.values.tolist() == [[3, 1], [4, 2]] and found.seeds.tolist() == [0, 3]
    assert found.images.tolist() == ["b", "a"] and found.patients.tolist() == ["p", "q"] and found.n_undefined == 2
    with pytest.raises(ValueError, match="cxr@x: several scores of one image and seed"):
        pivot(pd.concat([table, table[:1]]), "cxr", "x")


def test_rows_are_chosen_by_every_condition():
    table = pd.concat([rows([(0, "a", "p", 1.0)]), rows([(0, "a", "p", 2.0)]).assign(method="none")])
    other = pd.concat([table, table.assign(arm="baseline", value=5.0)])
    assert select(other, arm="mmpkd", method="none")["value"].tolist() == [2]
    assert score_matrix(other, "cxr", "baseline", "x", method="rollout").values.tolist() == [[5]]
    expected = "no scores of domain cxr, arm mmpkd, cohort y, metric m"
    with pytest.raises(MissingScores, match=f"^{expected}$"):
        score_matrix(other, "cxr", "mmpkd", "y", metric="m")
