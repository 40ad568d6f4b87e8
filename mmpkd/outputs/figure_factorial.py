"""When a gain is expected: errors that follow the marker or chance, and privileged data that mention it or not."""

from mmpkd.evaluation.statistics import paired_gain
from mmpkd.outputs.figure import GREY, Drawing, arm_marks, draw_estimate, new_figure, styled, words_alone
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.mechanism import habits_of, sample_words
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, interval_words, numbers

CELLS = {  # where errors come from, and whether the privileged data mention the marker
    ("marker", False): "errors follow the marker,\nnot mentioned",
    ("marker", True): "errors follow the marker,\nmentioned",
    ("chance", False): "errors by chance,\nnot mentioned",
    ("chance", True): "errors by chance,\nmentioned",
}


@styled
def make(inputs: Inputs) -> Drawing:
    """One row per cell: the gain of the primary arm over the reference. It always fits one column."""
    evaluation, design, primary = inputs.evaluation, inputs.design, inputs.design.primary
    if primary is None:
        return Drawing(
            words_alone("No gain is shown."), "When a gain is expected. This study has no primary arm.", design
        )
    habits = habits_of(inputs)
    most = max(habit.errors for habit in habits.values())
    homes = {
        (habits[cell.domain].errors_follow, habits[cell.domain].mentioned): cell
        for cell in design.home_cells
        if habits[cell.domain].errors == most
    }
    rows = [key for key in CELLS if key in homes]
    figure = new_figure(1, 0.42 * len(rows) + 0.7)
    axes, mark = figure.subplots(), arm_marks([primary], design)[primary]
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    gains = [
        paired_gain(inputs.scores, [homes[key]], primary, design.reference, evaluation.score(), evaluation.confidence)
        for key in rows
    ]
    for place, gain in enumerate(gains):
        draw_estimate(axes, gain.estimate, place, gain.low, gain.high, mark)
    axes.set_yticks(range(len(rows)), [CELLS[key] for key in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x")
    axes.set_xlabel(f"gain of {design.title(primary)} in {METRIC_NAMES[evaluation.metric]}\n(phantoms)")
    caption = (
        f"When a gain is expected. Gain of {design.title(primary)} over {design.title(design.reference)} in "
        f"{METRIC_NAMES[evaluation.metric]} of the {METHOD_NAMES[evaluation.methods[0]]} map, in phantoms that differ "
        f"in two things: whether label errors (e = {most:g}) follow the marker or strike as many images by chance, and "
        "whether the privileged data mention the marker. A gain is expected only where errors follow a marker that is "
        "not mentioned: by chance there is nothing in the image to look at instead, and a teacher that reads of the "
        f"marker learns the errors. Means with {interval_words(evaluation.confidence)}. n per row: "
        f"{sample_words(gains)}. The effect is planted, so nothing follows for patients."
    )
    found = "; ".join(
        f"{CELLS[key]} {numbers(gain.estimate, gain.low, gain.high)}".replace("\n", " ")
        for key, gain in zip(rows, gains, strict=True)
    )
    alt = f"Forest plot of the gain of {design.title(primary)} in phantoms. {found}."
    return Drawing(figure, caption, inputs.design, alt)
