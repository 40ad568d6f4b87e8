"""Does the gain travel? Every training domain on every cohort."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import IN_DOMAIN, OTHER_DATA_SET, OTHER_MODALITY, RELATIONS, Cell, Design
from mmpkd.evaluation.matrices import MissingScores, select
from mmpkd.evaluation.statistics import Estimate, crossed_estimate, gain_matrix
from mmpkd.outputs.figure import (
    BAND,
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
    name_band,
    new_figure,
    styled,
    wrap,
)
from mmpkd.outputs.figure_localization import main_contrast, sample_size, select_students
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, cell_name, cohort_name, interval_words, numbers

HEADINGS = {
    IN_DOMAIN: "cohort of training",
    OTHER_DATA_SET: "other data set, same modality",
    OTHER_MODALITY: "other modality",
}
ROW_HEIGHT = 0.3
MARKER_HEIGHT = 0.07
ROOM = PAGE - 0.85  # for the rows
SPREAD = 0.6  # of a row's height, over which its arms stand
LETTERS_OF_ALL = {1: 56, 2: 76}  # that fit the panels side by side
HEADING, NAME = 0.8, 0.55  # rows that a heading takes, and the name of a cell above its markers


@styled
def make(inputs: Inputs) -> Drawing:
    """A forest of gains over the reference, one row per cell and one panel per attention method."""
    evaluation, design = inputs.evaluation, inputs.design
    rows = select(inputs.scores, metric=evaluation.metric, label="any")
    students = select_students(rows)
    all_arms = [arm for arm in design.order(students["arm"].unique()) if arm != design.reference]
    present = set(students["cohort"].unique())
    cells = [cell for cell in nearest_first(design.cells) if cell.cohort in present]
    places, headings, depth = _places(cells, NAME if inputs.columns == 1 else 0.0)
    other = ROW_HEIGHT * (depth - len(cells))  # the headings and, in one column, the names of cells
    arms = fitting_arms(all_arms, len(cells), ROOM - other, MARKER_HEIGHT / SPREAD)
    methods = list(evaluation.methods)
    row_height = min(max(ROW_HEIGHT, MARKER_HEIGHT / SPREAD * len(arms)), ROOM / max(depth, 1))
    figure = new_figure(inputs.columns, row_height * depth + 0.85)
    reference = design.title(design.reference)
    letters = LETTERS_OF_ALL[inputs.columns] // len(methods)
    panels = figure.subplots(1, len(methods), squeeze=False, sharex=True, sharey=True)[0]
    gains = [_gains(rows, cells, arms, evaluation, method, design) for method in methods]
    for axes, method, of_method in zip(panels, methods, gains, strict=True):
        _draw_panel(axes, of_method, places, arm_marks(arms, design))
        axes.set_title(wrap(METHOD_NAMES[method], letters))
        axes.set_xlabel(wrap(f"gain over {reference} in {METRIC_NAMES[evaluation.metric]}", letters))
    _name_rows(panels, cells, places, headings, design)
    if inputs.columns == 1:
        _names_above(panels, len(cells))
    seed = Line2D([], [], color=GREY, marker="|", markersize=5, linestyle="", label="one seed")
    legend_below(figure, [*arm_handles(arms, design), seed])
    caption = _caption(rows, cells, evaluation, design, main_contrast(rows, arms, evaluation, design))
    caption += left_out(arms, all_arms, "cross-domain", design)
    return Drawing(figure, caption, design, alt=_alt(cells, gains[0], evaluation, design))


def nearest_first(cells: Sequence[Cell]) -> list[Cell]:
    """The cohorts of training first, then other data sets of the modality, then other modalities."""
    return sorted(cells, key=lambda cell: RELATIONS.index(cell.relation))


def _places(cells: list[Cell], name: float) -> tuple[list[float], dict[str, float], float]:
    """Where each cell and each heading stands, from the top, and the depth of all; `name`: of what is above a cell."""
    places, headings, at = [], {}, 0.0
    for cell in cells:
        if cell.relation not in headings:
            headings[cell.relation] = at + HEADING / 2
            at += HEADING
        places.append(at + name + 0.5)
        at += name + 1
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
            axes.axhspan(middle - HEADING / 2, middle + HEADING / 2, color=BAND, linewidth=0, zorder=2)


def _names_above(panels: Sequence[Axes], cells: int) -> None:
    """Moves the names of rows to above their markers, and headings into their bands, from the left edge on."""
    first, labels = panels[0], panels[0].get_yticklabels()
    first.set_zorder(1)  # names reach into the next panel
    first.set_facecolor("none")
    for number, (place, label) in enumerate(zip(first.get_yticks(), labels, strict=True)):
        above = place - 0.5 - NAME / 2 if number < cells else place
        for axes in panels if number < cells else ():
            name_band(axes, above - NAME / 2, above + NAME / 2)
        style: dict[str, Any] = {"weight": label.get_fontweight(), "va": "center", "in_layout": False, "zorder": 5}
        first.text(0.02, above, label.get_text(), transform=first.get_yaxis_transform(), **style)
    first.set_yticks([])
    for axes in panels:
        axes.spines["left"].set_visible(False)


def _alt(
    cells: list[Cell], gains: list[dict[str, tuple[np.ndarray, Estimate]]], evaluation: Evaluation, design: Design
) -> str:
    """The gains of the first arm, which has the first method."""
    found = [(cell, of_arms) for cell, of_arms in zip(cells, gains, strict=True) if of_arms]
    estimates = [next(iter(of_arms.values()))[1] for _, of_arms in found]
    above, below = sum(one.low > 0 for one in estimates), sum(one.high < 0 for one in estimates)
    each = "; ".join(
        f"{cell_name(cell, design)} {numbers(one.estimate, one.low, one.high)}"
        for (cell, _), one in zip(found, estimates, strict=True)
    )
    arm = next((design.title(name) for _, of_arms in found for name in of_arms), "no arm")
    return (
        f"Forest plot. Gain of {arm} over {design.title(design.reference)} in {METRIC_NAMES[evaluation.metric]} of the "
        f"{METHOD_NAMES[evaluation.methods[0]]} map: the interval is above zero in {above} and below zero in {below} "
        f"of {len(found)} pairs of training domain and cohort. {each}."
    )


def _caption(rows: pd.DataFrame, cells: list[Cell], evaluation: Evaluation, design: Design, contrast: str) -> str:
    sizes = {cell.cohort: sample_size(rows, cell, evaluation) for cell in cells}
    reference = design.title(design.reference)
    counted = "; ".join(f"{cohort_name(cohort, design)}: {size}" for cohort, size in sizes.items())
    return (
        f"Gain in localisation over {reference} when students of one training domain (named first) are "
        f"tested on a cohort (named second), in {METRIC_NAMES[evaluation.metric]}, paired by image and seed. Markers: "
        f"mean over seeds and images with {interval_words(evaluation.confidence)}. Ticks: single seeds. Right of zero "
        f"attention lies more on the regions of interest (ROI) than that of {reference} does. Test images "
        f"with ROI, their patients, and seeds per training domain: {counted}. {contrast}An interval that holds zero "
        f"does not show that there is no gain, and a gain does not show that attention is good: see the controls."
    )
