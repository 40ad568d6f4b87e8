"""Dose and response: the marker effect and the gain in localisation against the rate of label errors."""

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mmpkd.config.cohorts import Habit
from mmpkd.config.students import Arm
from mmpkd.design import Score
from mmpkd.evaluation.matrices import select
from mmpkd.evaluation.reliance import EFFECT, predicted_effect
from mmpkd.evaluation.statistics import Estimate, arm_mean, paired_gain
from mmpkd.outputs.figure import (
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
from mmpkd.outputs.mechanism import doses_of, sample_words
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, interval_words, numbers

APART = 0.02  # of two arms at the same dose, as a share of the largest
PREDICTED_LINE = (0, (3, 1.5))


@styled
def make(inputs: Inputs) -> Drawing:
    """First the marker effect with the predicted lines, then the gain over the reference."""
    evaluation, design = inputs.evaluation, inputs.design
    doses, arms = doses_of(inputs), _arms_of_every_dose(inputs)
    marks = arm_marks(arms, design)
    figure = new_figure(inputs.columns, {1: 4.6, 2: 2.6}[inputs.columns])
    left, right = figure.subplots(3 - inputs.columns, inputs.columns)
    effects, gains = [], []
    for number, arm in enumerate(arms):
        shift = (number - (len(arms) - 1) / 2) * APART * max(doses.values())
        settings = Arm.model_validate(inputs.study["arms"][arm])
        predicted = [predicted_effect(Habit(errors=errors), settings) for errors in doses.values()]
        left.plot(list(doses.values()), predicted, color=marks[arm].colour, linewidth=0.8, linestyle=PREDICTED_LINE)
        for cell, errors in doses.items():
            effect = arm_mean(inputs.scores, [cell], arm, Score(EFFECT, "none"), evaluation.confidence)
            _draw(left, errors + shift, effect, marks[arm])
            effects.append(effect)
            if arm != design.reference:
                gain = paired_gain(
                    inputs.scores, [cell], arm, design.reference, evaluation.score(), evaluation.confidence
                )
                _draw(right, errors + shift, gain, marks[arm])
                gains.append((arm, errors, gain))
    for axes in (left, right):
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
        axes.set_xlabel("rate e of label errors in marked images (phantoms)")
        axes.set_xticks(list(doses.values()), [f"{errors:.3g}" for errors in doses.values()])
        axes.grid(axis="y")
    left.set_ylabel("effect of the marker\n(change of probability)")
    right.set_ylabel(f"gain in {METRIC_NAMES[evaluation.metric]}")
    entry = Line2D([], [], color=GREY, linewidth=0.8, linestyle=PREDICTED_LINE, label="predicted")
    legend_below(figure, [*arm_handles(arms, design), entry])
    return Drawing(figure, _caption(effects, inputs), inputs.design, alt=_alt(gains, inputs))


def _arms_of_every_dose(inputs: Inputs) -> list[str]:
    trained = [set(select(inputs.scores, domain=cell.domain)["arm"]) for cell in doses_of(inputs)]
    return inputs.design.order(set.intersection(*trained))


def _alt(gains: list[tuple[str, float, Estimate]], inputs: Inputs) -> str:
    design = inputs.design
    found = "; ".join(
        f"{design.title(arm)} at e = {errors:.3g} {numbers(gain.estimate, gain.low, gain.high)}"
        for arm, errors, gain in gains
        if errors in (min(doses_of(inputs).values()), max(doses_of(inputs).values()))
    )
    return (
        "Dose and response, dot plots with lines of the predicted effect. Gain over "
        f"{design.title(design.reference)} in {METRIC_NAMES[inputs.evaluation.metric]} at the lowest and at the "
        f"highest rate e of label errors in phantoms: {found}."
    )


def _caption(effects: list[Estimate], inputs: Inputs) -> str:
    evaluation, design = inputs.evaluation, inputs.design
    first, second = ("Top", "Bottom") if inputs.columns == 1 else ("Left", "Right")
    return (
        f"Dose and response. {first}: the change of the predicted probability of absent findings when the marker "
        "appears, against the rate at which such findings are labelled present in marked training images; dashed "
        f"lines: e w_label / (w_label + w_logit). {second}: gain over {design.title(design.reference)} in "
        f"{METRIC_NAMES[evaluation.metric]} of the {METHOD_NAMES[evaluation.methods[0]]} map. Each dose has a phantom "
        f"and students of its own. Means over images and seeds with {interval_words(evaluation.confidence)}. "
        f"n per dose: {sample_words(effects)}. Arms at the same dose are drawn side by side. The effect is planted, so "
        "nothing follows for patients."
    )


def _draw(axes: Axes, x: float, estimate: Estimate, mark: Mark) -> None:
    draw_estimate(axes, x, estimate.estimate, estimate.low, estimate.high, mark, horizontal=False)
