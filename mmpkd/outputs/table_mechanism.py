"""How much the students rely on the marker of the phantoms, and what a formula predicts."""

from math import nan
from typing import Any

import pandas as pd

from mmpkd.config.cohorts import Habit
from mmpkd.config.students import Arm
from mmpkd.design import CONTROL, Cell, Score
from mmpkd.evaluation.localization import TITLES
from mmpkd.evaluation.matrices import MissingScores, score_matrix, select
from mmpkd.evaluation.reliance import EFFECT, MARKED, MASS, TOP_DECILE, UNMARKED, predicted_effect
from mmpkd.evaluation.statistics import Estimate, arm_mean, gain_matrix
from mmpkd.evaluation.strata import stratum_estimate, weights_like
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table

STRATA = {"marked": 1.0, "unmarked": 0.0}  # test images by whether they bear the marker
SHOWN = ["domain", "cohort", "arm", "effect", "effect_low", "effect_high", "predicted", "predicted_from_unmarked"]
SHOWN += ["mass", "mass_low", "mass_high", "area", "gain_marked", "gain_marked_low", "gain_marked_high"]
SHOWN += ["gain_unmarked", "gain_unmarked_low", "gain_unmarked_high"]


def make(inputs: Inputs) -> Table:
    """The table of `reliance`."""
    evaluation, design = inputs.evaluation, inputs.design
    caption = (
        "Reliance on the planted marker. Each scored image was rendered with the marker and without it. Effect: the "
        "mean change of the student's probability for absent findings when the marker appears, over images and seeds, "
        f"with {100 * evaluation.confidence:g} % intervals for new patients and new seeds. Predicted: from the "
        "configuration alone, e w_label / (w_label + w_logit), for a finding that is plainly absent; from unmarked: "
        "the same times one minus the student's own probability without the marker. Mass: the share of the "
        f"{evaluation.methods[0]} map on the marker, in the rendering with the marker; area: the same for a map that "
        f"is equal everywhere. Gain marked, unmarked: in {TITLES[evaluation.metric]} over "
        f"{design.title(design.reference)}, in test images that bear the marker and in those that do not. The effect "
        "is planted: it says nothing about patients."
    )
    return Table(reliance(inputs), caption, SHOWN)


def reliance(inputs: Inputs) -> pd.DataFrame:
    """One row per training domain, cohort of its modality whose phantom has a marker, and arm.

    Returns:
        domain, cohort, arm; effect and unmarked (probability without the marker) of absent findings; predicted and
        predicted_from_unmarked; mass, top_decile and area; gain_marked and gain_unmarked: of the primary score over the
        reference; n_images, n_patients, n_seeds; reason. Estimates have columns _low and _high.
    """
    scores, design = inputs.scores, inputs.design
    habits = habits_of(inputs)
    arms = {name: Arm.model_validate(arm) for name, arm in inputs.study["arms"].items()}
    rows = []
    for cohort, domain in design.domain_of.items():
        cell = design.cell(domain, cohort)
        trained = select(select(scores, domain=domain, cohort=cohort), metric=MASS)
        for arm in design.order(trained["arm"].unique()):
            predicted = predicted_effect(habits[domain], arms[arm])
            row = {"domain": domain, "cohort": cohort, "arm": arm, "predicted": predicted}
            rows.append(row | _reliance(inputs, cell, arm) | _gains(inputs, cell, arm))
    table = pd.DataFrame(rows)
    if len(table):
        table.insert(4, "predicted_from_unmarked", table["predicted"] * (1 - table["unmarked"]))
    return table


def habits_of(inputs: Inputs) -> dict[str, Habit]:
    """For each domain the habit of the cohort that its students learn from."""
    phantoms = {name: cohort["phantom"] or {} for name, cohort in inputs.study["cohorts"].items()}
    homes = {domain.name: phantoms[domain.training] for domain in inputs.design.domains}
    return {domain: Habit.model_validate(phantom.get("habit", {})) for domain, phantom in homes.items()}


def _reliance(inputs: Inputs, cell: Cell, arm: str) -> dict[str, Any]:
    method, confidence = inputs.evaluation.methods[0], inputs.evaluation.confidence
    wanted = {"effect": (EFFECT, "none"), "unmarked": (UNMARKED, "none")}
    wanted |= {"mass": (MASS, method), "top_decile": (TOP_DECILE, method)}
    estimates = {
        name: arm_mean(inputs.scores, [cell], arm, Score(*score), confidence) for name, score in wanted.items()
    }
    area = score_matrix(inputs.scores, CONTROL, "uniform", cell.cohort, **Score(MASS, "none").columns).mean
    row = {key: value for name, estimate in estimates.items() for key, value in _interval(name, estimate).items()}
    effect = estimates["effect"]
    counts = {"n_images": effect.n_images, "n_patients": effect.n_patients, "n_seeds": effect.n_seeds}
    return {**row, "area": area, **counts, "reason": effect.reason}


def _gains(inputs: Inputs, cell: Cell, arm: str) -> dict[str, float]:
    """The arm's gains in the primary score in test images with the marker and in those without."""
    design, evaluation = inputs.design, inputs.evaluation
    estimates = dict.fromkeys(STRATA, Estimate())
    if arm != design.reference:
        try:
            gain = gain_matrix(inputs.scores, cell, arm, design.reference, evaluation.score())
            marked = score_matrix(inputs.scores, CONTROL, "uniform", cell.cohort, **Score(MARKED, "none").columns)
        except MissingScores:
            return {key: nan for name in STRATA for key in _interval(f"gain_{name}", Estimate())}
        present = pd.Series(marked.values[0], index=marked.images.astype(str))
        for name, value in STRATA.items():
            weights = weights_like(gain, (present == value).astype(float))
            estimates[name] = stratum_estimate(gain, weights, evaluation.confidence)
    return {key: value for name in STRATA for key, value in _interval(f"gain_{name}", estimates[name]).items()}


def _interval(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.estimate, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
