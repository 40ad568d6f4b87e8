"""The slope of the marker effect in the rate of label errors, and what a formula predicts."""

import pandas as pd

from mmpkd.config.cohorts import Habit
from mmpkd.config.students import Arm
from mmpkd.design import Score
from mmpkd.evaluation.reliance import EFFECT, predicted_effect
from mmpkd.evaluation.statistics import Estimate, arm_mean
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.mechanism import doses_of
from mmpkd.outputs.table import Table


def make(inputs: Inputs) -> Table:
    """One row per arm.

    Returns:
        arm, slope, slope_low, slope_high, predicted, doses (how many rates above 0), n_images, n_patients, n_seeds,
        reason (why a value is missing).
    """
    confidence, doses = inputs.evaluation.confidence, doses_of(inputs)
    squares = sum(errors**2 for errors in doses.values())
    weights = {cell: errors / squares for cell, errors in doses.items() if errors > 0}
    slope, rows = Estimate(reason="no rate of label errors is above 0"), []
    for arm in inputs.design.order(inputs.study["arms"]):
        if weights:
            slope = arm_mean(inputs.scores, weights, arm, Score(EFFECT, "none"), confidence)
        predicted = predicted_effect(Habit(errors=1.0), Arm.model_validate(inputs.study["arms"][arm]))
        names = {"arm": arm, "slope": slope.estimate, "slope_low": slope.low, "slope_high": slope.high}
        counts = {"n_images": slope.n_images, "n_patients": slope.n_patients, "n_seeds": slope.n_seeds}
        rows.append({**names, "predicted": predicted, "doses": len(weights), **counts, "reason": slope.reason})
    caption = (
        "Slope of the marker effect in the rate e of label errors: least squares through the origin over the doses, "
        f"with {100 * confidence:g} % intervals for new patients and new seeds. Predicted: w_label / (w_label + "
        "w_logit), for findings that are plainly absent. Arms that were not trained at every dose have no slope."
    )
    return Table(pd.DataFrame(rows), caption, design=inputs.design)
