"""Localisation by ROI size, by whether the prediction is right, and by label."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.evaluation.matrices import MissingScores, ScoreMatrix, score_matrix, select
from mmpkd.evaluation.regions import ANY
from mmpkd.evaluation.scores import AREA
from mmpkd.evaluation.statistics import Estimate
from mmpkd.evaluation.strata import strata, stratum_estimate
from mmpkd.outputs.columns import mean_and_gain
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table
from mmpkd.outputs.words import score_words

ALL = "all"
COLUMNS = ["domain", "cohort", "kind", "stratum", "arm", "mean", "mean_low", "mean_high", "gain", "gain_low"]
COLUMNS += ["gain_high", "n_images", "n_patients", "n_seeds", "reason"]


def make(inputs: Inputs) -> Table:
    """One row per training domain, cohort of its modality, stratum and arm.

    Returns:
        domain, cohort, kind (all, ROI size, prediction, label), stratum, arm, mean, mean_low, mean_high, gain,
        gain_low, gain_high (NaN for the reference), n_images, n_patients (with a place in the stratum for at least one
        seed of the arm), n_seeds, reason.
    """
    scores, evaluation, design = inputs.scores, inputs.evaluation, inputs.design
    lead = select(scores, metric=evaluation.metric, method=evaluation.methods[0])
    facts = scores[scores["metric"].isin([AREA, "logit"]).to_numpy()]
    rows = []
    for cohort, domain in design.domain_of.items():
        here, known = select(lead, domain=domain, cohort=cohort), select(facts, cohort=cohort)
        matrices = _matrices(here, domain, cohort, ANY)
        if matrices:
            for kind, stratum, by_arm, weights in _parts(here, known, matrices, domain, cohort):
                names = {"domain": domain, "cohort": cohort, "kind": kind, "stratum": stratum}
                rows += [names | row for row in _rows(by_arm, weights, evaluation.confidence, design.reference)]
    caption = (
        "Localisation by stratum, on the cohorts of the modality of training: "
        f"{score_words(evaluation.metric, evaluation.methods[0])}, means over seeds and images with "
        f"{100 * evaluation.confidence:g} % intervals for new patients and new seeds, and gains over "
        f"{design.title(design.reference)} paired by image and seed. ROI size: terciles of the share of the image that "
        "the union of its ROI covers, within the cohort. "
        "Prediction: right if the student gives every label with an ROI in the image a probability of at least 0.5; "
        "an image may be right for one seed and wrong for another. A gain is over the images and seeds that both arms "
        "place in the stratum, so that it compares maps, not who is right. Label: the union of that label's ROI; all: "
        "of all labels. These strata are described, not tested."
    )
    return Table(pd.DataFrame(rows, columns=COLUMNS), caption, design=design)


def _parts(
    here: pd.DataFrame, known: pd.DataFrame, matrices: dict[str, ScoreMatrix], domain: str, cohort: str
) -> Iterator[tuple[str, str, dict[str, ScoreMatrix], dict[str, np.ndarray]]]:
    """Kind, stratum, and each arm's matrix and weights: all, the strata of the union, single labels."""
    yield ALL, ALL, matrices, _ones(matrices)
    for kind, stratum, weights in strata(known, matrices, domain, cohort):
        yield kind, stratum, matrices, weights
    for label in sorted(set(here["label"].unique()) - {ANY}):
        by_arm = _matrices(here, domain, cohort, label)
        yield "label", label, by_arm, _ones(by_arm)


def _rows(
    matrices: dict[str, ScoreMatrix], weights: dict[str, np.ndarray], confidence: float, reference: str
) -> Iterator[dict[str, Any]]:
    for arm, matrix in matrices.items():
        mean = stratum_estimate(matrix, weights[arm], confidence)
        gain = Estimate()
        if arm != reference and reference in matrices:
            gain = _gain((matrix, weights[arm]), (matrices[reference], weights[reference]), confidence)
        yield mean_and_gain(arm, mean, gain)


def _gain(mine: tuple[ScoreMatrix, np.ndarray], theirs: tuple[ScoreMatrix, np.ndarray], confidence: float) -> Estimate:
    """The paired gain over the seeds and images that both place in the stratum."""
    try:
        gains = mine[0].minus(theirs[0])
    except MissingScores as missing:
        return Estimate(reason=str(missing))
    weights = [
        values[np.searchsorted(matrix.seeds, gains.seeds)][:, matrix.images.get_indexer(gains.images)]
        for matrix, values in (mine, theirs)
    ]
    return stratum_estimate(gains, weights[0] * weights[1], confidence)


def _matrices(here: pd.DataFrame, domain: str, cohort: str, label: str) -> dict[str, ScoreMatrix]:
    part = select(here, label=label)
    return {arm: score_matrix(part, domain, arm, cohort) for arm in part["arm"].unique()}


def _ones(matrices: dict[str, ScoreMatrix]) -> dict[str, np.ndarray]:
    return {arm: np.ones(matrix.values.shape) for arm, matrix in matrices.items()}
