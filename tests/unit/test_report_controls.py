"""The first screen of the report says whether the baseline's maps find anything."""

import numpy as np
import pytest

from mmpkd.config.evaluation import Evaluation
from mmpkd.report.controls import control_words
from tests.synthetic import DESIGN, synthetic_scores

EVALUATION = Evaluation(metric="pixel_auroc", methods=["rollout"])


@pytest.fixture(scope="module")
def scores():
    return synthetic_scores(np.random.default_rng(5), images=40)


def shifted(scores, control, by):
    rows = (scores["arm"] == control) & (scores["cohort"] == "mimic_cxr") & (scores["metric"] == "pixel_auroc")
    return scores.assign(value=scores["value"] + by * rows)


def test_maps_that_beat_all_controls_are_said_to(scores):
    chest, mammograms = control_words(scores, EVALUATION, DESIGN)  # levels: baseline 0.80, centre 0.62, untrained 0.52
    assert chest.startswith("Chest radiographs, MIMIC-CXR (phantom): better than the centred Gaussian (0.1")
    assert " and the edge map (" in chest and " and the untrained student (0.2" in chest and ";" not in chest
    assert mammograms.startswith("Mammograms, CBIS-DDSM (phantom): better than")


@pytest.mark.parametrize(("by", "outcome"), [(0.18, "not shown to beat"), (0.3, "worse than")])
def test_a_control_that_is_as_good_or_better_is_named(scores, by, outcome):
    chest, mammograms = control_words(shifted(scores, "centre", by), EVALUATION, DESIGN)
    assert f"{outcome} the centred Gaussian (" in chest and "better than the edge map (" in chest
    assert ";" not in mammograms


def test_without_scores_of_controls_nothing_is_said():
    bare = synthetic_scores(np.random.default_rng(5), images=20, controls=False)
    assert control_words(bare, EVALUATION, DESIGN) == []
