"""Dose and response: the marker effect and the gain in localisation against the rate of label errors."""

import numpy as np
from matplotlib.axes import Axes

from mmpkd.config.students import Arm
from mmpkd.design import Score
from mmpkd.evaluation.reliance import EFFECT, predicted_effect
from mmpkd.evaluation.statistics import Estimate, arm_mean, paired_gain
from mmpkd.outputs.figure import (
    DOUBLE_COLUMN,
    GREY,
    Drawing,
    Mark,
    arm_handles,
    arm_marks,
    draw_estimate,
    legend_below,
    new_figure,
    styled,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table_dose import doses_of
from mmpkd.outputs.table_mechanism import habits_of
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, interval_words

APART = 0.006  # of two arms at the same dose


@styled
def make(inputs: Inputs) -> Drawing:
    """Left the marker effect with the predicted lines, right the gain over the reference."""
    evaluation, design, scores = inputs.evaluation, inputs.design, inputs.scores
    doses, habits = doses_of(inputs), habits_of(inputs)
    trained = {cell: set(scores.loc[(scores["domain"] == cell.domain).to_numpy(), "arm"]) for cell in doses}
    arms = design.order(set.intersection(*trained.values()))
    marks = arm_marks(arms, design)
    figure = new_figure(DOUBLE_COLUMN, 2.6)
    left, right = figure.subplots(1, 2)
    for number, arm in enumerate(arms):
        shift, settings = (number - (len(arms) - 1) / 2) * APART, Arm.model_validate(inputs.study["arms"][arm])
        predicted = [predicted_effect(habits[cell.domain], settings) for cell in doses]
        left.plot(list(doses.values()), predicted, color=marks[arm].colour, linewidth=0.8, linestyle=(0, (3, 1.5)))
        for cell, errors in doses.items():
            effect = arm_mean(scores, [cell], arm, Score(EFFECT, "none"), evaluation.confidence)
            _draw(left, errors + shift, effect, marks[arm])
            if arm != design.reference:
                gain = paired_gain(scores, [cell], arm, design.reference, evaluation.score(), evaluation.confidence)
                _draw(right, errors + shift, gain, marks[arm])
    for axes in (left, right):
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
        axes.set_xlabel("rate e of label errors in marked images")
        axes.set_xticks(np.unique([round(errors, 3) for errors in doses.values()]))
    left.set_ylabel("marker effect (change of probability)")
    right.set_ylabel(f"gain in {METRIC_NAMES[evaluation.metric]}")
    legend_below(figure, arm_handles(arms, design))
    caption = (
        "Dose and response. Left: the change of the predicted probability of absent findings when the marker appears, "
        "against the rate at which such findings are labelled present in marked training images; dashed lines: "
        f"e w_label / (w_label + w_logit). Right: gain over {design.title(design.reference)} in "
        f"{METRIC_NAMES[evaluation.metric]} of the {METHOD_NAMES[evaluation.methods[0]]} map. Each dose has a phantom "
        f"and students of its own. Means over images and seeds with {interval_words(evaluation.confidence)}. Arms at "
        "the same dose are drawn side by side. The effect is planted, so nothing follows for patients."
    )
    return Drawing(figure, caption, inputs.phantoms)


def _draw(axes: Axes, x: float, estimate: Estimate, mark: Mark) -> None:
    draw_estimate(axes, x, estimate.estimate, estimate.low, estimate.high, mark, horizontal=False)
