"""Does the gain travel? Every training domain on every cohort."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import IN_DOMAIN, OTHER_DATA_SET, OTHER_MODALITY, RELATIONS, Cell, Design
from mmpkd.evaluation.matrices import MissingScores, select
from mmpkd.evaluation.statistics import Estimate, crossed_estimate, gain_matrix
from mmpkd.outputs.figure import (
    DOUBLE_COLUMN,
    GREY,
    PAGE,
    Drawing,
    Mark,
    arm_handles,
    arm_marks,
    draw_estimate,
    fitting_arms,
    left_out,
    legend_below,
    new_figure,
    styled,
    wrap,
)
from mmpkd.outputs.figure_localization import main_contrast, sample_size, select_students
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, cell_name, cohort_name, interval_words

HEADINGS = {
    IN_DOMAIN: "cohort of training",
    OTHER_DATA_SET: "other data set, same modality",
    OTHER_MODALITY: "other modality",
}
ROW_HEIGHT = 0.3
MARKER_HEIGHT = 0.07
ROOM = PAGE - 0.85  # for the rows
SPREAD = 0.6  # of a row's height, over which its arms stand
LETTERS_OF_ALL = 76  # that fit the panels side by side
BAND = "#efefef"
HEADING = 0.8  # rows that a heading takes


@styled
def make(inputs: Inputs) -> Drawing:
    """A forest of gains over the reference, one row per cell and one panel per attention method."""
    evaluation, design = inputs.evaluation, inputs.design
    rows = select(inputs.scores, metric=evaluation.metric, label="any")
    students = select_students(rows)
    all_arms = [arm for arm in design.order(students["arm"].unique()) if arm != design.reference]
    present = set(students["cohort"].unique())
    cells = [cell for cell in nearest_first(design.cells) if cell.cohort in present]
    places, headings, depth = _places(cells)
    arms = fitting_arms(all_arms, len(cells), ROOM - HEADING * ROW_HEIGHT * len(headings), MARKER_HEIGHT / SPREAD)
    methods = list(evaluation.methods)
    row_height = min(max(ROW_HEIGHT, MARKER_HEIGHT / SPREAD * len(arms)), ROOM / max(depth, 1))
    figure = new_figure(DOUBLE_COLUMN, row_height * depth + 0.85)
    reference = design.title(design.reference)
    letters = LETTERS_OF_ALL // len(methods)
    panels = figure.subplots(1, len(methods), squeeze=False, sharex=True, sharey=True)[0]
    for axes, method in zip(panels, methods, strict=True):
        _draw_panel(axes, _gains(rows, cells, arms, evaluation, method, design), places, arm_marks(arms, design))
        axes.set_title(wrap(METHOD_NAMES[method], letters))
        axes.set_xlabel(wrap(f"gain over {reference} in {METRIC_NAMES[evaluation.metric]}", letters))
    _name_rows(panels, cells, places, headings, design)
    seed = Line2D([], [], color=GREY, marker="|", markersize=5, linestyle="", label="one seed")
    legend_below(figure, [*arm_handles(arms, design), seed])
    caption = _caption(rows, cells, evaluation, design, main_contrast(rows, arms, evaluation, design))
    return Drawing(figure, caption + left_out(arms, all_arms, "cross-domain", design), inputs.design)


def nearest_first(cells: Sequence[Cell]) -> list[Cell]:
    """The cohorts of training first, then other data sets of the modality, then other modalities."""
    return sorted(cells, key=lambda cell: RELATIONS.index(cell.relation))


def _places(cells: list[Cell]) -> tuple[list[float], dict[str, float], float]:
    """Where each cell and each heading stands, from the top, and the depth of all."""
    places, headings, at = [], {}, 0.0
    for cell in cells:
        if cell.relation not in headings:
            headings[cell.relation] = at + HEADING / 2
            at += HEADING
        places.append(at + 0.5)
        at += 1
    return places, headings, at


def _gains(
    rows: pd.DataFrame, cells: list[Cell], arms: list[str], evaluation: Evaluation, method: str, design: Design
) -> list[dict[str, tuple[np.ndarray, Estimate]]]:
    """For each cell and each arm that was scored there the gain of every seed, and their mean with its interval."""
    gains = []
    for cell in cells:
        of_arms = {}
        for arm in arms:
            try:
                matrix = gain_matrix(rows, cell, arm, design.reference, evaluation.score(method))
            except MissingScores:
                continue
            of_arms[arm] = matrix.values.mean(axis=1), crossed_estimate([(1.0, matrix)], evaluation.confidence)
        gains.append(of_arms)
    return gains


def _draw_panel(
    axes: Axes,
    gains: list[dict[str, tuple[np.ndarray, Estimate]]],
    places: list[float],
    marks: Mapping[str, Mark],
) -> None:
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    offsets = (np.arange(len(marks)) - (len(marks) - 1) / 2) * SPREAD / max(len(marks), 2)
    for of_arms, place in zip(gains, places, strict=True):
        for offset, (arm, mark) in zip(offsets, marks.items(), strict=True):
            if arm in of_arms:
                seeds, estimate = of_arms[arm]
                axes.plot(seeds, np.full(len(seeds), place + offset), "|", color=mark.colour, markersize=6, alpha=0.7)
                draw_estimate(axes, estimate.estimate, place + offset, estimate.low, estimate.high, mark)
    axes.grid(axis="x")


def _name_rows(
    panels: Sequence[Axes], cells: list[Cell], places: list[float], headings: Mapping[str, float], design: Design
) -> None:
    """Names of cells as tick labels of the first panel, and headings among them, in bold on a band."""
    panels[0].set_ylim(places[-1] + 0.6, -0.1)
    names = [cell_name(cell, design) for cell in cells] + [HEADINGS[name] for name in headings]
    panels[0].set_yticks([*places, *headings.values()], names)
    for label in panels[0].get_yticklabels()[len(cells) :]:
        label.set_fontweight("bold")
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        for middle in headings.values():
            axes.axhspan(middle - HEADING / 2, middle + HEADING / 2, color=BAND, linewidth=0, zorder=0)


def _caption(rows: pd.DataFrame, cells: list[Cell], evaluation: Evaluation, design: Design, contrast: str) -> str:
    sizes = {cell.cohort: sample_size(rows, cell, evaluation) for cell in cells}
    reference = design.title(design.reference)
    counted = "; ".join(f"{cohort_name(cohort, design)}: {size}" for cohort, size in sizes.items())
    return (
        f"Gain in localisation over {reference} when students of one training domain (named first) are "
        f"tested on a cohort (named second), in {METRIC_NAMES[evaluation.metric]}, paired by image and seed. Markers: "
        f"mean over seeds and images with {interval_words(evaluation.confidence)}. Ticks: single seeds. Right of zero "
        f"attention lies more on the regions of interest (ROI) than that of {reference} does. Test images "
        f"with ROI, their patients, and seeds a training domain: {counted}. {contrast}An interval that holds zero does "
        f"not show that there is no gain, and a gain does not show that attention is good: see the controls."
    )
