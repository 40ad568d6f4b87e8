from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.matrices import MissingScores, ScoreMatrix
from mmpkd.evaluation.scores import COLUMNS
from mmpkd.evaluation.statistics import crossed_estimate
from mmpkd.evaluation.strata import RIGHT, TERCILES, WRONG, right_predictions, roi_areas, stratum_estimate, terciles
from mmpkd.outputs import table_strata
from tests.outputs import make
from tests.synthetic import DESIGN, design_of

COHORT, DOMAIN, SEEDS, IMAGES = "mimic_cxr", "cxr", (0, 1, 2), 60
GAIN = {"small": 0.05, "medium": 0.02, "large": -0.01}  # planted
DROP = 0.3  # planted: how much lower the score of a wrong prediction is


def matrix(values, patients=None):
    values = np.asarray(values, dtype=float)
    images = [f"i{number}" for number in range(values.shape[1])]
    patients = np.arange(values.shape[1]) if patients is None else np.asarray(patients)
    return ScoreMatrix(values, np.arange(len(values)), pd.Index(images), patients, DOMAIN, COHORT)


def rows(arm, seed, images, label, metric, values, method="none", domain=DOMAIN):
    names = {"domain": domain, "arm": arm, "seed": seed, "cohort": COHORT, "label": label, "method": method}
    patients = [f"p{int(image[1:]) // 2}" for image in images]
    return pd.DataFrame({"image_id": images, "patient_id": patients, "metric": metric, "value": values, **names})


@pytest.fixture(scope="module")
def planted():
    """Two arms, a gain that depends on ROI size, and lower scores where the prediction is wrong.

    Every image has an ROI of label A, every third one of B too. Image i is wrong for the seeds that i mod 4 exceeds.
    """
    rng = np.random.default_rng(0)
    images = np.array([f"i{number}" for number in range(IMAGES)])
    size = np.array(TERCILES)[np.arange(IMAGES) % 3]
    areas = pd.Series(size).map({"small": 0.01, "medium": 0.1, "large": 0.4}).to_numpy() + np.arange(IMAGES) * 1e-4
    both = np.arange(IMAGES) % 3 == 0
    parts = [rows("uniform", 0, images, label, "roi_area", areas, domain="control") for label in ("any", "A")]
    parts.append(rows("uniform", 0, images[both], "B", "roi_area", areas[both] / 2, domain="control"))
    base = rng.normal(0.7, 0.05, IMAGES)
    for seed in SEEDS:
        wrong = np.arange(IMAGES) % 4 > seed
        level = base - DROP * wrong + rng.normal(0, 0.001)
        for arm in ("baseline", "mmpkd"):
            gain = pd.Series(size).map(GAIN).to_numpy() if arm == "mmpkd" else 0.0
            for label in ("any", "A"):
                parts.append(rows(arm, seed, images, label, "pixel_auroc", level + gain, "rollout"))
            parts.append(rows(arm, seed, images, "A", "logit", np.where(wrong, -1.0, 1.0)))
            parts.append(rows(arm, seed, images, "B", "logit", np.full(IMAGES, 2.0)))
    return pd.concat(parts, ignore_index=True)[COLUMNS].astype({"value": "float32"})


def test_terciles_are_of_equal_size_and_keep_equal_areas_together():
    rng = np.random.default_rng(1)
    areas = pd.Series(rng.random(300), index=[f"i{number}" for number in range(300)])
    sizes = terciles(areas)
    assert sizes.value_counts().to_dict() == dict.fromkeys(TERCILES, 100)
    assert areas[sizes == "small"].max() < areas[sizes == "medium"].min() < areas[sizes == "large"].min()
    assert set(terciles(pd.Series([0.2] * 5))) == {"small"}


def test_right_is_every_label_with_an_roi_predicted(planted):
    right = right_predictions(planted, DOMAIN, "mmpkd", COHORT)
    assert right.shape == (len(SEEDS), IMAGES)
    for seed in SEEDS:
        for number in (0, 1, 2, 3, 7):
            assert right.loc[seed, f"i{number}"] == float(number % 4 <= seed)
    low = planted.copy()
    low.loc[(low["metric"] == "logit") & (low["label"] == "B"), "value"] = -0.1
    right = right_predictions(low, DOMAIN, "mmpkd", COHORT)
    assert right.loc[2, "i0"] == 0 and right.loc[2, "i1"] == 1  # i0 has an ROI of B too


def test_a_label_that_the_student_does_not_know_leaves_right_and_wrong_open(planted):
    unknown = planted[~((planted["metric"] == "logit") & (planted["label"] == "B")).to_numpy()]
    right = right_predictions(unknown, DOMAIN, "mmpkd", COHORT)
    assert right["i0"].isna().all() and right["i1"].notna().all()


def test_areas_must_have_been_scored(planted):
    with pytest.raises(MissingScores, match="no roi_area of cohort elsewhere"):
        roi_areas(planted, "elsewhere")


def test_the_whole_cell_as_a_stratum_is_the_crossed_estimate():
    rng = np.random.default_rng(2)
    cell = matrix(rng.normal(size=(4, 30)), rng.integers(0, 12, 30))
    found, expected = stratum_estimate(cell, np.ones((4, 30))), crossed_estimate([(1.0, cell)])
    assert asdict(found) == pytest.approx(asdict(expected))


def test_a_stratum_of_images_is_the_crossed_estimate_of_those_images():
    rng = np.random.default_rng(3)
    cell, keep = matrix(rng.normal(size=(4, 30)), rng.integers(0, 12, 30)), rng.random(30) < 0.5
    found = stratum_estimate(cell, np.tile(keep.astype(float), (4, 1)))
    expected = crossed_estimate([(1.0, cell.restrict(keep))])
    assert found.estimate == pytest.approx(expected.estimate) and found.low == pytest.approx(expected.low)
    assert found.n_images == keep.sum()


def test_a_stratum_that_differs_among_seeds_is_the_mean_over_its_places():
    rng = np.random.default_rng(4)
    cell, weights = matrix(rng.normal(size=(4, 30))), (rng.random((4, 30)) < 0.4).astype(float)
    weights[:, 3] = np.nan
    weights[:, 4] = 0
    found = stratum_estimate(cell, weights)
    assert found.estimate == pytest.approx(cell.values[weights == 1].mean())
    assert found.n_images == int((np.nan_to_num(weights) == 1).any(axis=0).sum()) < 30


def test_an_empty_stratum_says_so():
    found = stratum_estimate(matrix(np.ones((2, 5))), np.zeros((2, 5)))
    assert np.isnan(found.estimate) and found.n_images == 0 and found.reason == "no image in this stratum"


def test_intervals_of_a_stratum_that_differs_among_seeds_hold_their_level():
    rng, held, runs = np.random.default_rng(5), 0, 400
    for _ in range(runs):
        patients = rng.integers(0, 40, 80)
        values = 0.5 + rng.normal(0, 0.1, 40)[patients] + rng.normal(0, 0.02, (4, 1)) + rng.normal(0, 0.1, (4, 80))
        found = stratum_estimate(matrix(values, patients), (rng.random((4, 80)) < 0.5).astype(float))
        held += found.low <= 0.5 <= found.high
    assert 0.92 < held / runs < 0.99


def test_the_table_finds_what_was_planted(planted):
    table, caption = make(table_strata, planted, Evaluation(), DESIGN)
    assert list(table.columns) == table_strata.COLUMNS and "pixel AUROC of the attention rollout map" in caption
    assert not table.duplicated(["kind", "stratum", "arm"]).any()
    by = table.set_index(["kind", "stratum", "arm"])
    for size, gain in GAIN.items():
        row = by.loc["ROI size", size, "mmpkd"]
        assert row["gain"] == pytest.approx(gain, abs=1e-6) and row["n_images"] == IMAGES / 3
    difference = by.loc["prediction", RIGHT, "baseline"]["mean"] - by.loc["prediction", WRONG, "baseline"]["mean"]
    assert difference == pytest.approx(DROP, abs=0.03)
    assert by.loc["prediction", RIGHT, "mmpkd"]["gain"] == pytest.approx(np.mean(list(GAIN.values())), abs=0.003)
    assert by.loc["all", "all", "baseline"]["n_patients"] == IMAGES / 2
    assert by.xs("baseline", level="arm")["gain"].isna().all()
    assert by.loc["label", "A", "mmpkd"]["mean"] == pytest.approx(by.loc["all", "all", "mmpkd"]["mean"])


def test_gains_are_over_places_that_both_arms_have_in_the_stratum(planted):
    flipped = planted.copy()
    of_arm = (flipped["arm"] == "mmpkd") & (flipped["metric"] == "logit") & (flipped["label"] == "A")
    flipped.loc[of_arm, "value"] *= -1
    table, _ = make(table_strata, flipped, Evaluation(), DESIGN)
    row = table.set_index(["kind", "stratum", "arm"]).loc["prediction", RIGHT, "mmpkd"]
    assert np.isnan(row["gain"]) and row["reason"] == "no image in this stratum" and row["n_images"] > 0


def test_a_cohort_without_scores_of_the_domain_has_no_rows(planted):
    table, _ = make(table_strata, planted, Evaluation(), design_of({"mammography": {"training": COHORT}}))
    assert table.empty
