from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.evaluation import METRICS, TUNED
from mmpkd.design import StudentKey
from mmpkd.evaluation import localization
from mmpkd.evaluation.controls import ControlCohort, control_scores, edge_maps
from mmpkd.evaluation.regions import Regions
from mmpkd.evaluation.scores import AREA, COLUMNS, Scoring, concatenate, mass_on, student_scores, tuned_thresholds
from mmpkd.files import write_parquet

SIZE = 16
UNTUNED = [metric for metric in METRICS if metric not in TUNED]


STUDENT = StudentKey("mammography", "mmpkd", 3)


@pytest.fixture
def cohort():
    """Four images of three patients; `c` has no ROI, and `d` is not of the test split."""
    images = pd.DataFrame(
        {
            "image_id": list("abcd"),
            "patient_id": ["p1", "p1", "p2", "p3"],
            "study_id": list("abcd"),
            "split": ["test", "test", "test", "train"],
            "path": "x",
            "view": "",
            "laterality": "",
            "rows": SIZE,
            "columns": SIZE,
        }
    )
    labels = pd.DataFrame({"image_id": list("abcd"), "mass": [1.0, 0.0, np.nan, 1.0], "other": [1.0, 1.0, 0.0, 0.0]})
    rois = pd.DataFrame(
        {"roi_id": list("1234"), "image_id": ["a", "a", "b", "d"], "label": ["mass", "other", "mass", "mass"]}
    )
    masks = np.zeros((4, SIZE, SIZE), dtype=np.uint8)
    masks[0, :8, :8] = masks[1, 8:, 8:] = masks[2, :8, :8] = masks[3, :4] = 1
    return CohortTables(Path("."), images, labels), (rois, masks)


@pytest.fixture
def attention():
    maps = np.zeros((3, 2, 2), dtype=np.float16)
    maps[:, 0, 0] = 1  # the upper left quarter
    logits = np.arange(6, dtype=np.float32).reshape(3, 2)
    labels = np.array(["mass", "new"])
    return {
        "image_id": np.array(["c", "b", "a"]),
        "logits": logits,
        "labels": labels,
        "rollout": maps,
        "received": np.array([[[3, 1], [1, 1]], [[3.1, 1], [1, 1]], [[1, 1], [3.1, 9]]], dtype=np.float16),
        "artefact_rate": np.array([0.5, 0.0, 0.25]),
    }


class Steps:
    """A store of the images a to d: vertical steps, each 3 columns further to the right. Notes how many are read."""

    def __init__(self):
        self.read = []

    def positions(self, image_ids):
        return np.array([list("abcd").index(name) for name in image_ids], dtype=int)

    def pixels(self, positions):
        self.read.append(len(positions))
        columns = np.broadcast_to(np.arange(SIZE), (len(positions), SIZE, SIZE))
        return np.where(columns < 5 + 3 * positions[:, None, None], 0, 255).astype(np.uint8)


def scored(cohort, attention, **changes):
    tables, rois = cohort
    return student_scores(
        STUDENT, {"phantom": attention | changes}, {"phantom": rois}, {"phantom": tables}, Scoring(["rollout"])
    )


def test_localisation_rows_are_unions_of_an_images_roi(cohort, attention):
    scores = scored(cohort, attention)
    assert list(scores.columns) == COLUMNS and scores["value"].dtype == np.float32
    rows = scores[scores["metric"] == "pointing_game"].set_index(["image_id", "label"])["value"]
    # the maximum lies in the upper left corner: in `mass` and not in `other`
    assert rows.to_dict() == {("a", "any"): 1, ("a", "mass"): 1, ("a", "other"): 0, ("b", "any"): 1, ("b", "mass"): 1}
    area = scores[(scores["metric"] == "mass_in_roi") & (scores["image_id"] == "a")].set_index("label")["value"]
    assert area["any"] == pytest.approx(area["mass"] + area["other"])
    assert set(scores["patient_id"][scores["image_id"] == "b"]) == {"p1"}


def test_every_row_says_whose_it_is(cohort, attention):
    scores = scored(cohort, attention)
    for name, value in {"domain": "mammography", "arm": "mmpkd", "seed": 3, "cohort": "phantom"}.items():
        assert set(scores[name]) == {value}
    assert dict(zip(scores["image_id"], scores["patient_id"], strict=True)) == {"a": "p1", "b": "p1", "c": "p2"}
    labels = scores.groupby("metric", observed=True)["label"].agg(set)
    assert labels["artefact_rate"] == {"any"} and labels["logit"] == labels["target"] == {"mass"}
    assert labels["pixel_auroc"] == {"any", "mass", "other"}
    assert labels["sink_mass"] == {"any"}
    scores = scores[scores["metric"] != "sink_mass"]
    of_maps = scores["metric"].isin(UNTUNED)
    assert set(scores["method"][of_maps]) == {"rollout"} and set(scores["method"][~of_maps]) == {"none"}


def test_classification_rows_are_shared_labels_with_known_targets(cohort, attention):
    scores = scored(cohort, attention)
    rows = scores[scores["metric"].isin(["logit", "target"])]
    assert set(rows["method"]) == {"none"}
    wide = rows.pivot(index=["image_id", "label"], columns="metric", values="value")
    assert wide.to_dict("index") == {("a", "mass"): {"logit": 4, "target": 1}, ("b", "mass"): {"logit": 2, "target": 0}}


def test_every_images_artefact_rate_is_a_row(cohort, attention):
    scores = scored(cohort, attention)
    rates = scores[scores["metric"] == "artefact_rate"].set_index("image_id")["value"]
    assert rates.to_dict() == {"c": 0.5, "b": 0.0, "a": 0.25}


def test_every_images_share_on_sinks_is_a_row_of_each_method(cohort, attention):
    scores = scored(cohort, attention)
    shares = scores[scores["metric"] == "sink_mass"].pivot(index="image_id", columns="method", values="value")
    assert shares.loc[["c", "b", "a"], "rollout"].tolist() == [0, 1, 0]  # the map lies on the upper left patch alone
    assert shares.loc[["c", "b", "a"], "none"].tolist() == [0, 1 / 4, 2 / 4]


def test_the_mass_of_a_map_on_patches():
    maps = np.array([[[1, 0], [0, 3]], [[0, 0], [0, 0]]], dtype=np.float16)
    assert mass_on(np.array([[[True, True], [False, False]]] * 2), maps).tolist() == [0.25, 0]


def test_controls_are_scored_on_test_images_alone(cohort, attention):
    tables, rois = cohort
    untrained = {"untrained": {0: {"phantom": attention}, 1: {"phantom": attention}}}
    phantom = ControlCohort(tables, rois, Steps())
    scores = control_scores(untrained, {"phantom": phantom}, Scoring(["rollout"]), 0.25)
    rates = scores["metric"].isin(["artefact_rate", "sink_mass"])
    assert rates.sum() == 2 * 3 * 3  # of both seeds and all their images: artefacts, sinks of the attention, of rollout
    scores = scores[~rates]
    assert set(scores["image_id"].unique()) == {"a", "b"} and set(scores["domain"].unique()) == {"control"}
    uniform = scores[(scores["arm"] == "uniform") & (scores["metric"] == "pixel_auroc")]
    assert (uniform["value"] == 0.5).all() and set(uniform["method"].unique()) == {"none"}
    counts = scores.groupby(["arm", "seed"], observed=True).size()
    every = 5 * len(UNTUNED)  # five unions of ROI, no threshold
    assert counts.drop(("uniform", 0)).to_dict() == dict.fromkeys(
        [("centre", 0), ("edges", 0), ("untrained", 0), ("untrained", 1)], every
    )
    assert counts["uniform", 0] == every - 5 * 3 + 5  # no Otsu's threshold twice, no contrast; but the areas


def test_the_uniform_control_carries_the_area_of_each_union(cohort):
    tables, rois = cohort
    scores = control_scores({}, {"phantom": ControlCohort(tables, rois, Steps())}, Scoring([]), 0.25)
    areas = scores[scores["metric"] == AREA]
    assert set(areas["arm"].unique()) == {"uniform"} and set(areas["method"].unique()) == {"none"}
    expected = {("a", "any"): 0.5, ("a", "mass"): 0.25, ("a", "other"): 0.25, ("b", "any"): 0.25, ("b", "mass"): 0.25}
    assert areas.set_index(["image_id", "label"])["value"].to_dict() == expected


def test_what_is_tuned_is_left_out_without_a_threshold():
    scoring = Scoring([], ["iou_tuned", "pixel_auroc"], 0.1)
    assert scoring.tunes and not Scoring([], ["pixel_auroc"]).tunes and Scoring([]).tunes
    assert scoring.at(None) == {"metrics": ["pixel_auroc"], "tolerance": 0.1, "threshold": None}
    assert scoring.at(0.0) == {"metrics": ["iou_tuned", "pixel_auroc"], "tolerance": 0.1, "threshold": 0.0}


def test_metrics_and_tolerance_are_passed_on(cohort, attention):
    tables, rois = cohort
    names = STUDENT, {"phantom": attention}, {"phantom": rois}, {"phantom": tables}
    scores = {
        tolerance: student_scores(*names, Scoring(["rollout"], ["pointing_game_tolerant"], tolerance))
        for tolerance in (0.0, 0.9)
    }
    assert set(scores[0.0]["metric"].unique()) == {
        "pointing_game_tolerant",
        "logit",
        "target",
        "artefact_rate",
        "sink_mass",
    }
    missed = {
        tolerance: (rows["metric"] == "pointing_game_tolerant") & (rows["value"] == 0)
        for tolerance, rows in scores.items()
    }
    assert (missed[0.0].sum(), missed[0.9].sum()) == (1, 0)  # label `other` of image a


def test_a_threshold_is_tuned_on_validation_images_and_used_on_others(cohort, attention):
    """The maps' upper left patch is 1, and 0.5 beside it: the ROI of the validation image is where they reach 0.75."""
    tables, (rois, masks) = cohort
    maps = np.zeros((1, 4, 4), dtype=np.float16)
    maps[0, :2, :2], maps[0, :2, 2:] = 1, 0.5
    threshold = tuned_thresholds({"image_id": np.array(["d"]), "rollout": maps}, (rois, masks), ["rollout"])["rollout"]
    assert 0.4 < threshold <= 0.5  # the ROI of image d is the upper quarter, left and right
    names = STUDENT, {"phantom": attention}, {"phantom": (rois, masks)}, {"phantom": tables}
    scoring = Scoring(["rollout"], ["iou_tuned"])
    without = student_scores(*names, scoring)
    assert "iou_tuned" not in set(without["metric"].unique())
    scores = student_scores(*names, scoring, {"rollout": 0.5})
    rows = scores[scores["metric"] == "iou_tuned"].set_index(["image_id", "label"])["value"]
    assert rows["a", "mass"] > rows["a", "any"] > rows["a", "other"] == 0
    names[1]["phantom"]["last_layer"] = attention["rollout"]
    second = student_scores(*names, Scoring(["last_layer", "rollout"], ["iou_tuned"]), {"rollout": 0.5})
    assert set(second["method"][second["metric"] == "iou_tuned"]) == {"rollout"}


def test_no_threshold_is_tuned_without_a_region(cohort, attention):
    _, rois = cohort
    arrays = {"image_id": np.array(["c"]), "rollout": attention["rollout"][:1]}
    assert tuned_thresholds(arrays, rois, ["rollout"]) == {}


def test_controls_are_tuned_on_the_validation_images_of_the_training_cohort(cohort, attention):
    tables, rois = cohort
    tables.images.loc[3, "split"] = "validate"
    arrays = {"image_id": np.array(["d"]), "rollout": attention["rollout"][:1]}
    scores = control_scores(
        {"untrained": {0: {"phantom": attention}}},
        {"phantom": ControlCohort(tables, rois, Steps(), "phantom")},
        Scoring(["rollout"]),
        0.25,
        validation={"untrained": {0: {"phantom": arrays}}},
    )
    tuned = scores[scores["metric"] == "iou_tuned"]
    assert tuned.groupby("arm", observed=True).size().to_dict() == {"centre": 5, "edges": 5, "untrained": 5}
    assert tuned["value"].between(0, 1).all()


def test_the_edge_map_is_that_of_each_image(cohort):
    """ROI of a: columns 0 to 7 above, 8 to 15 below; of b: the first. The steps lie at columns 4, 5 and 7, 8."""
    tables, (table, masks) = cohort
    rois = table.iloc[::-1], masks[::-1]  # not in the order of the store
    scores = control_scores({}, {"phantom": ControlCohort(tables, rois, Steps())}, Scoring([], ["mass_in_roi"]), 0.25)
    mass = scores[(scores["arm"] == "edges") & (scores["metric"] == "mass_in_roi")]
    assert set(mass["method"].unique()) == {"none"} and set(mass["seed"]) == {0}
    found = mass.set_index(["image_id", "label"])["value"].to_dict()
    of_a = {("a", "any"): 0.5, ("a", "mass"): 0.5, ("a", "other"): 0}
    assert found == pytest.approx(of_a | {("b", "any"): 0.25, ("b", "mass"): 0.25})


def test_edge_maps_are_made_a_part_at_a_time_with_the_same_scores_and_threshold(cohort, monkeypatch):
    tables, rois = cohort
    tables.images.loc[3, "split"] = "validate"
    stores = Steps(), Steps()
    monkeypatch.setattr(localization, "HELD_PIXELS", 3 * SIZE * SIZE)
    whole = control_scores({}, {"phantom": ControlCohort(tables, rois, stores[0], "phantom")}, Scoring([]), 0.25)
    monkeypatch.setattr(localization, "HELD_PIXELS", 1)
    parts = control_scores({}, {"phantom": ControlCohort(tables, rois, stores[1], "phantom")}, Scoring([]), 0.25)
    pd.testing.assert_frame_equal(whole, parts)
    assert (sorted(stores[0].read), stores[1].read) == ([1, 2], [1, 1, 1])
    edges, masks = edge_maps(stores[0].pixels(np.array([3]))), rois[1][3:]
    threshold = localization.tuned_threshold(edges, masks)
    own = localization.score_maps(
        edge_maps(stores[0].pixels(np.array([0]))), rois[1][:1], metrics=["iou_tuned"], threshold=threshold
    )
    chosen = (whole["arm"] == "edges") & (whole["metric"] == "iou_tuned")
    value = whole[chosen].set_index(["image_id", "label"])["value"]["a", "mass"]
    assert value == pytest.approx(own["iou_tuned"][0])


def test_a_nan_map_is_undefined_not_lost(cohort, attention):
    maps = attention["rollout"].copy()
    maps[2, 0, 0] = np.nan
    scores = scored(cohort, attention, rollout=maps)
    of_image = scores[(scores["method"] == "rollout") & (scores["image_id"] == "a")]["value"]
    assert len(of_image) == 3 * len(UNTUNED) + 1 and of_image.isna().all()


def test_scored_images_must_be_in_the_tables(cohort, attention):
    tables, (rois, masks) = cohort
    rois = pd.concat([rois, pd.DataFrame({"roi_id": ["9"], "image_id": ["z"], "label": ["mass"]})])
    masks = np.concatenate([masks, masks[:1]])
    with pytest.raises(KeyError, match="1 scored images are not in the tables of cohort phantom"):
        scored((tables, (rois, masks)), attention, image_id=np.array(["z", "b", "a"]))


def test_roi_rows_and_masks_must_agree(cohort):
    _, (rois, masks) = cohort
    with pytest.raises(ValueError, match="4 rows in rois.parquet but 3 masks"):
        Regions.unite(rois, masks[:3], ["a"])


def test_images_without_any_roi_give_classification_alone(cohort, attention):
    tables, (rois, masks) = cohort
    scores = scored((tables, (rois[:0], masks[:0])), attention)
    assert set(scores["metric"].unique()) == {"logit", "target", "artefact_rate", "sink_mass"}


def test_categories_survive_concatenation_and_parquet(cohort, attention, tmp_path):
    one = scored(cohort, attention)
    other = one.assign(arm=pd.Categorical(["baseline"] * len(one)))
    both = concatenate([one, other])
    assert len(both) == 2 * len(one) and isinstance(both["arm"].dtype, pd.CategoricalDtype)
    assert both["arm"].value_counts().to_dict() == {"mmpkd": len(one), "baseline": len(one)}
    write_parquet(both, tmp_path / "scores.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "scores.parquet"), both)


def test_nothing_concatenated_is_an_empty_long_table(cohort, attention):
    one = scored(cohort, attention)
    for empty in (concatenate([]), concatenate([one[:0], one[:0]])):
        assert list(empty.columns) == COLUMNS and len(empty) == 0
        assert empty["value"].dtype == np.float32 and empty["seed"].dtype == np.int32
        assert isinstance(empty["arm"].dtype, pd.CategoricalDtype)
    pd.testing.assert_frame_equal(concatenate([one[:0], one]).astype(object), one.astype(object))
