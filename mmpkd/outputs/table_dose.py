"""The slope of the marker effect in the rate of label errors, and what a formula predicts."""

import pandas as pd

from mmpkd.config.students import Arm
from mmpkd.design import Cell, Score
from mmpkd.evaluation.reliance import EFFECT, predicted_effect
from mmpkd.evaluation.statistics import arm_mean
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table
from mmpkd.outputs.table_mechanism import habits_of


def make(inputs: Inputs) -> Table:
    """One row per arm.

    Returns:
        arm, slope, slope_low, slope_high, predicted, doses (how many rates above 0), n_images, n_patients, n_seeds,
        reason (why a value is missing).
    """
    confidence, doses = inputs.evaluation.confidence, doses_of(inputs)
    squares = sum(errors**2 for errors in doses.values())
    weights = {cell: errors / squares for cell, errors in doses.items() if errors > 0}
    steepest = habits_of(inputs)[max(doses, key=doses.get).domain]
    rows = []
    for arm in inputs.design.order(inputs.study["arms"]):
        slope = arm_mean(inputs.scores, weights, arm, Score(EFFECT, "none"), confidence)
        predicted = predicted_effect(steepest, Arm.model_validate(inputs.study["arms"][arm])) / steepest.errors
        names = {"arm": arm, "slope": slope.estimate, "slope_low": slope.low, "slope_high": slope.high}
        counts = {"n_images": slope.n_images, "n_patients": slope.n_patients, "n_seeds": slope.n_seeds}
        rows.append({**names, "predicted": predicted, "doses": len(weights), **counts, "reason": slope.reason})
    caption = (
        "Slope of the marker effect in the rate e of label errors: least squares through the origin over the doses, "
        f"with {100 * confidence:g} % intervals for new patients and new seeds. Predicted: w_label / (w_label + "
        "w_logit), for findings that are plainly absent. Arms that were not trained at every dose have no slope."
    )
    return Table(pd.DataFrame(rows), caption)


def doses_of(inputs: Inputs) -> dict[Cell, float]:
    """The rate of label errors of each domain whose labels err with the marker alone, by its home cell, ascending."""
    habits = habits_of(inputs)
    homes = {cell: habits[cell.domain] for cell in inputs.design.home_cells}
    doses = {
        cell: habit.errors
        for cell, habit in homes.items()
        if habit.marked and habit.errors_follow == "marker" and not habit.mentioned
    }
    return dict(sorted(doses.items(), key=lambda pair: pair[1]))
