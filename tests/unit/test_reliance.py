"""Reliance on the marker: the effect of a known dependence, the shares of a map, and the predicted effect."""

from math import isnan

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from mmpkd.cohorts.tables import IMAGE_COLUMNS, CohortTables
from mmpkd.config.cohorts import Habit
from mmpkd.config.students import Arm
from mmpkd.evaluation.reliance import (
    EFFECT,
    MARKED,
    MASS,
    TOP_DECILE,
    UNMARKED,
    Markers,
    marked_images,
    predicted_effect,
    reliance_rows,
    split_twins,
    uniform_rows,
)

SIZE = 40
NAMES = {"domain": "d", "arm": "a", "seed": 0, "cohort": "c"}
WITHOUT = {"x": 0.1, "y": 0.3}  # the student's probability of each label in an image without the marker
EFFECTS = {"x": 0.2, "y": 0.5}


def tables(truth: dict[str, list[float]]) -> CohortTables:
    count = len(next(iter(truth.values())))
    ids = [f"i{number}" for number in range(count)]
    images = pd.DataFrame({name: [""] * count for name in IMAGE_COLUMNS})
    images = images.assign(image_id=ids, patient_id=ids, study_id=ids, split="test", rows=1, columns=1)
    return CohortTables(None, images, pd.DataFrame({"image_id": ids, **truth}))


def arrays(image_ids: list[str], marked: list[bool], maps: np.ndarray) -> dict[str, np.ndarray]:
    """A student whose probabilities rise by EFFECTS where the marker is."""
    odds = [[logit(WITHOUT[label] + EFFECTS[label] * mark) for label in WITHOUT] for mark in marked]
    return {"image_id": np.array(image_ids), "labels": np.array([*WITHOUT]), "logits": np.array(odds), "rollout": maps}


@pytest.fixture
def marked() -> Markers:
    """Markers of four images, of which the first two bear it; each covers the upper left quarter."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[: SIZE // 2, : SIZE // 2] = 1
    ids = [f"i{number}" for number in (3, 2, 1, 0)]  # in another order than the tables
    table = pd.DataFrame({"roi_id": ids, "image_id": ids, "label": "marker", "area": 0.25})
    return Markers(
        pd.Series([True, True, False, False], index=[f"i{n}" for n in range(4)]), (table, np.array([mask] * 4))
    )


def rows_of(markers: Markers, truth: dict[str, list[float]], own_map: np.ndarray, twin_map: np.ndarray) -> pd.DataFrame:
    own = arrays([f"i{n}" for n in range(4)], [True, True, False, False], np.array([own_map] * 4))
    twin = arrays(["i2", "i3", "i0", "i1"], [True, True, False, False], np.array([twin_map] * 4))
    return reliance_rows(own, twin, markers, tables(truth), ["rollout"], NAMES)


def test_the_effect_is_that_of_absent_labels_with_less_without(marked):
    truth = {"x": [0.0, 1.0, 0.0, 1.0], "y": [0.0, 0.0, 1.0, np.nan]}
    rows = rows_of(marked, truth, np.ones((4, 4)), np.ones((4, 4)))
    effect = rows[rows["metric"] == EFFECT].pivot(index="image_id", columns="label", values="value")
    expected = {"x": {"i0": 0.2, "i2": 0.2}, "y": {"i0": 0.5, "i1": 0.5}, "any": {"i0": 0.35, "i1": 0.5, "i2": 0.2}}
    for label, values in expected.items():
        found = effect[label].dropna()
        assert found.to_dict() == pytest.approx(values, abs=1e-6)
    unmarked = rows[(rows["metric"] == UNMARKED) & (rows["label"] == "y")]
    assert unmarked["value"].to_numpy() == pytest.approx(0.3, abs=1e-6)


def test_the_map_is_that_of_the_rendering_with_the_marker(marked):
    """Own maps of marked images and twins' maps of the others; here these have all mass on the marker."""
    on, off = np.zeros((4, 4)), np.zeros((4, 4))
    on[0, 0], off[3, 3] = 1, 1
    truth = {"x": [0.0] * 4, "y": [0.0] * 4}
    own, twin = ({"i0", "i1"}, {"i2", "i3"})
    for own_map, twin_map, full in ((on, off, own), (off, on, twin)):
        rows = rows_of(marked, truth, own_map, twin_map)
        for metric, highest in ((MASS, 0.99), (TOP_DECILE, 0.99)):
            values = rows[rows["metric"] == metric].set_index("image_id")["value"]
            assert (values[sorted(full)] > highest).all() and (values.drop(index=sorted(full)) < 0.01).all()


def test_a_uniform_map_has_the_area_of_the_marker_on_it(marked):
    truth = {"x": [0.0] * 4, "y": [0.0] * 4}
    rows = rows_of(marked, truth, np.ones((4, 4)), np.ones((4, 4)))
    uniform = uniform_rows(marked, tables(truth), {**NAMES, "domain": "control", "arm": "uniform"})
    for metric in (MASS, TOP_DECILE):
        for table in (rows, uniform):
            assert table.loc[table["metric"] == metric, "value"].to_numpy() == pytest.approx(0.25)
    assert set(marked_images(uniform, "c")) == {"i0", "i1"} and (uniform["metric"] == MARKED).sum() == 4


def test_twins_of_several_cohorts_are_told_apart():
    joined = {"cohort": np.array(["a", "b", "a"]), "image_id": np.array(["1", "2", "3"]), "labels": np.array(["x"])}
    parts = split_twins(joined)
    assert {cohort: part["image_id"].tolist() for cohort, part in parts.items()} == {"a": ["1", "3"], "b": ["2"]}
    assert parts["a"]["labels"].tolist() == ["x"]
    assert split_twins({"cohort": np.array([], dtype=str)}) == {}


@pytest.mark.parametrize(
    ("arm", "habit", "effect"),
    [
        ({}, {}, 0.6),
        ({"smoothing": 0.1}, {}, 0.54),
        ({"teacher": "privileged", "losses": {"label": 1, "logit": 1}}, {}, 0.3),
        ({"teacher": "shuffled", "losses": {"label": 1, "logit": 1}}, {}, 0.3),
        ({"teacher": "privileged", "losses": {"label": 1, "logit": 3}}, {}, 0.15),
        ({"teacher": "privileged", "losses": {"logit": 1}}, {}, 0.0),
        ({"teacher": "privileged", "losses": {"logit": 1}}, {"mentioned": True}, 0.6),
        ({"teacher": "shuffled", "losses": {"label": 1, "logit": 1}}, {"mentioned": True}, 0.3),
        ({}, {"errors_follow": "chance"}, 0.0),
    ],
)
def test_the_predicted_effect_follows_the_formula(arm, habit, effect):
    assert predicted_effect(Habit(marked=0.4, errors=0.6, **habit), Arm(**arm)) == pytest.approx(effect)


def test_an_arm_without_a_formula_has_no_prediction():
    losses = {"label": 1, "embedding_mse": 1}
    arms = [Arm(teacher="image", losses={"label": 1, "logit": 1}), Arm(teacher="privileged", losses=losses)]
    arms.append(Arm(teacher="privileged", losses={"label": 1, "logit": 1}, temperature=2))
    assert all(isnan(predicted_effect(Habit(marked=0.4, errors=0.6), arm)) for arm in arms)


def test_the_formula_is_the_optimum_of_the_loss():
    """Brute force over the probability of an absent finding with the marker and without, as in training data."""
    errors, weights, marked = 0.5, {"label": 1.0, "logit": 2.0}, 0.4
    teacher = errors * marked  # what a teacher says that cannot see the marker
    p = np.linspace(0.0005, 0.9995, 1999)
    divergence = teacher * np.log(teacher / p) + (1 - teacher) * np.log((1 - teacher) / (1 - p))
    best = {}
    for rate in (errors, 0.0):
        entropy = -rate * np.log(p) - (1 - rate) * np.log(1 - p)
        best[rate] = p[np.argmin(weights["label"] * entropy + weights["logit"] * divergence)]
    arm = Arm(teacher="privileged", losses=weights)
    assert best[errors] - best[0.0] == pytest.approx(
        predicted_effect(Habit(marked=marked, errors=errors), arm), abs=1e-3
    )
